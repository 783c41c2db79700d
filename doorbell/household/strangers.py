"""Strangers over many visits: which two of them are one.

A stranger never becomes a person here: only a name given by the household does that.
"""

from __future__ import annotations

from doorbell.config import RecognitionSection
from doorbell.domain import Stranger
from doorbell.gallery.gallery import Gallery
from doorbell.recognition.templates import Templates

# Two strangers are made one only if they are this much more alike than it takes to recognize one:
# nobody is asked, and a merge cannot be taken back.
MERGE_MARGIN = 0.08

# So many are compared with all the others in one call: with 100,000 it takes half a second. The
# rest follows with the next calls.
COMPARED_AT_ONCE = 500


def merge_alike(
    gallery: Gallery, model_id: str, section: RecognitionSection
) -> list[tuple[Stranger, Stranger]]:
    """Merge strangers who are one, the most alike first; never two who were seen together.

    Only those are compared with the others who have changed since they last were.

    Args:
        gallery: whose strangers.
        model_id: the embedder whose samples are compared.
        section: how similar is the same stranger.

    Returns:
        Each pair as it was: the newer, who is gone, and the older, whose identifier stays.
    """
    needed = section.stranger_similarity + MERGE_MARGIN
    merged: list[tuple[Stranger, Stranger]] = []
    templates = gallery.templates(model_id)
    compared = sorted(templates.changed_strangers)[:COMPARED_AT_ONCE]
    while pair := _most_alike(gallery, templates, compared, needed):
        older, newer = sorted(pair, key=lambda each: each.stranger_id)
        gallery.strangers.merge(older.stranger_id, newer.stranger_id)
        merged.append((newer, older))
        templates = gallery.templates(model_id)
        compared = sorted({*compared, older.stranger_id} - {newer.stranger_id})
    templates.changed_strangers.difference_update(compared)
    return merged


def _most_alike(
    gallery: Gallery, templates: Templates, compared: list[int], needed: float
) -> tuple[Stranger, Stranger] | None:
    pairs = [
        (similarity, stranger_id, other.stranger_id)
        for stranger_id in compared
        for other, similarity in templates.strangers_like(stranger_id, needed)
    ]
    for _, one, other in sorted(pairs, key=lambda pair: -pair[0]):
        if not gallery.strangers.seen_together(one, other):
            return gallery.strangers.get(one), gallery.strangers.get(other)
    return None
