"""Who a visit was in truth, as the household says it.

A visit is meant by its identifier, the beginning of that, or ``last``. What a correction does to
the gallery, and that it can be taken back, is the gallery's own (``undo_correction``).
"""

from __future__ import annotations

import numpy as np

from doorbell.config import RecognitionSection
from doorbell.domain import Stranger
from doorbell.gallery.gallery import Correction, Gallery
from doorbell.household.likeness import require_likeness
from doorbell.recognition.decision import nearest_stranger
from doorbell.recognition.templates import directions


def correct_to_person(
    gallery: Gallery, visit: str, name: str, *, learn: bool, force: bool = False
) -> Correction:
    """Say that a visit was a person's.

    Args:
        gallery: where both are.
        visit: which is meant.
        name: of somebody enrolled.
        learn: make the faces of the visit samples of the person.
        force: learn whether or not they look like the person, or like another.

    Raises:
        UsageError: no visit or several are meant, it is that person's already and nothing is to be
            learned, there is no face to learn from, or it does not look like the person.
        UnknownPersonError: nobody has that name; the nearest names are offered.
    """
    visit_id = gallery.visits.find(visit).visit_id
    person = gallery.people.get(name)
    if learn and not force:
        samples = gallery.visits.samples(visit_id)
        require_likeness(gallery, "this visit", samples, person.name)
    return gallery.corrections.to_person(visit_id, name, learn=learn)


def correct_to_stranger(gallery: Gallery, visit: str, section: RecognitionSection) -> Correction:
    """Say that a visit was of nobody enrolled: by its faces of a stranger met before, or a new one.

    Args:
        gallery: where the visit is.
        visit: which is meant.
        section: how similar is the same stranger.

    Raises:
        UsageError: no visit or several are meant, or it is a stranger's already.
    """
    visit_id = gallery.visits.find(visit).visit_id
    stranger = stranger_of_visit(gallery, visit_id, section)
    return gallery.corrections.to_stranger(
        visit_id, None if stranger is None else stranger.stranger_id
    )


def correct_to_no_face(gallery: Gallery, visit: str) -> Correction:
    """Say that there was nobody.

    Raises:
        UsageError: no visit or several are meant.
    """
    return gallery.corrections.to_no_face(gallery.visits.find(visit).visit_id)


def stranger_of_visit(
    gallery: Gallery, visit_id: str, section: RecognitionSection
) -> Stranger | None:
    """The stranger met before whose face a visit shows, if there is one.

    Args:
        gallery: where the visit is kept.
        visit_id: of a visit that is there.
        section: how similar is the same.
    """
    samples = gallery.visits.samples(visit_id)
    if not samples:
        return None
    mean = np.sum([sample.embedding * sample.quality for sample in samples], axis=0)  # (128,)
    signature = directions(np.asarray(mean, np.float32))
    candidates = gallery.templates_like(samples[0].model_id, signature, strangers=1).candidates(
        signature
    )
    return nearest_stranger(candidates, section)
