"""Strangers over many visits: which two of them are one.

A stranger never becomes a person here: only a name given by the household does that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from doorbell.config import RecognitionSection
from doorbell.domain import Stranger
from doorbell.errors import UnknownStrangerError
from doorbell.gallery.gallery import Gallery
from doorbell.recognition.templates import Templates

# Two strangers are made one only if they are this much more alike than it takes to recognize one:
# nobody is asked, and a merge cannot be taken back.
MERGE_MARGIN = 0.08

# So many are compared with all the others in one step: with 10,000 it takes 0.2 ms each.
COMPARED_AT_ONCE = 4

# Of those alike so many are looked at, the most alike first.
LOOKED_AT = 8


def merge_alike(
    gallery: Gallery,
    read_templates: Callable[[], Templates],
    section: RecognitionSection,
    *,
    undoable: bool = False,
) -> Iterator[tuple[Stranger, Stranger] | None]:
    """Merge strangers who are one, those most alike first; never two who were seen together.

    Only those are compared with the others who have changed since they last were. What is not
    iterated over is left for the next time.

    Args:
        gallery: whose strangers.
        read_templates: reads who is known; it may take changes over bit by bit.
        section: how similar is the same stranger.
        undoable: note each, so that a visit that is stored late is of whom its visitor became.

    Yields:
        After each step, which takes a few milliseconds however many strangers there are: the pair
        that it merged, as it was, the newer, who is gone, and the older, whose identifier stays;
        None where it only compared.
    """
    needed = section.stranger_similarity + MERGE_MARGIN
    templates = read_templates()
    compared = 0
    while templates.changed_strangers:
        stranger_id = next(iter(templates.changed_strangers))
        pair = _alike_pair(gallery, templates, stranger_id, needed)
        if pair is not None:
            older, newer = sorted(pair)
            with suppress(UnknownStrangerError):  # named or forgotten meanwhile
                before = gallery.strangers.get(newer), gallery.strangers.get(older)
                gallery.strangers.merge(older, newer, undoable=undoable)
                yield before
            templates = read_templates()
            while newer in templates.stranger_ids:  # other changes are taken over before
                yield None
                templates = read_templates()
            continue
        templates.changed_strangers.discard(stranger_id)
        compared += 1
        if compared % COMPARED_AT_ONCE == 0:
            yield None
            templates = read_templates()


def _alike_pair(
    gallery: Gallery, templates: Templates, stranger_id: int, needed: float
) -> tuple[int, int] | None:
    """Two who are one: the first, or whoever is found on the way, and whom each is most like."""
    found = _most_alike(gallery, templates, stranger_id, needed)
    for _ in range(LOOKED_AT):
        if found is None:
            return None
        other_id, similarity = found
        next_found = _most_alike(gallery, templates, other_id, needed)
        if next_found is None or next_found[1] <= similarity:
            return stranger_id, other_id
        stranger_id, found = other_id, next_found
    return None if found is None else (stranger_id, found[0])


def _most_alike(
    gallery: Gallery, templates: Templates, stranger_id: int, needed: float
) -> tuple[int, float] | None:
    alike = sorted(templates.strangers_like(stranger_id, needed), key=lambda each: -each[1])
    for other, similarity in alike[:LOOKED_AT]:
        if not gallery.strangers.seen_together(stranger_id, other.stranger_id):
            return other.stranger_id, similarity
    return None
