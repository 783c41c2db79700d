"""Who a face is most like, and when they came last, at whichever door.

What is searched by is kept nowhere: neither the picture nor what is computed from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from doorbell.config import RecognitionSection
from doorbell.domain import FaceSample, Person, Visit, Visitor
from doorbell.errors import UsageError
from doorbell.gallery.gallery import Gallery
from doorbell.household.enrollment_checks import same_person_similarity
from doorbell.household.examination import ExaminedFace, ExaminedPhoto
from doorbell.household.photo_store import Verdict
from doorbell.pipeline.turning import MAX_FACES
from doorbell.recognition.decision import Evidence, takes_name

# As many as are shown: people, strangers and visits of nobody known together, and visits of each.
MOST_FOUND = 5
LAST_VISITS = 5


@dataclass(frozen=True, slots=True)
class Alike:
    """Somebody whom a face is like.

    Attributes:
        visitor: who; None for a visit of nobody known.
        similarity: cosine with the mean of their faces.
        is_same: whether the doorbell would take them for one: give the face that name, or the
            number of that stranger.
        visits: their last ones, newest first.
    """

    visitor: Visitor | None
    similarity: float
    is_same: bool
    visits: tuple[Visit, ...]


def search_face(
    gallery: Gallery,
    samples: Sequence[FaceSample],
    section: RecognitionSection,
    *,
    but: str | None = None,
) -> tuple[Alike, ...]:
    """Find who is enrolled, or has come, with a face like this.

    Args:
        gallery: where they are.
        samples: of the face, one or more, by one embedder.
        section: from when on two faces are taken for one.
        but: a visit that is not looked for.

    Returns:
        The most alike first; nobody less alike than pictures of one person nearly always are.

    Raises:
        GalleryError, EncryptionError: the gallery cannot be read.
    """
    evidence, model_id = Evidence(0.0), samples[0].model_id
    for sample in samples:
        evidence.add(sample)
    signature = evidence.signature
    if signature is None:
        return ()
    templates = gallery.templates_like(model_id, signature, people=MOST_FOUND, strangers=MOST_FOUND)
    # A server gives the most alike alone; how many there are to be taken for counts.
    candidates = replace(templates.candidates(signature), enrolled=gallery.people.count())
    named = candidates.people[0].person if takes_name(evidence, candidates, section) else None
    alike = [
        *(
            Alike(person, similarity, person == named, ())
            for person, similarity in templates.people_like(signature, MOST_FOUND)
        ),
        *(
            Alike(stranger, similarity, similarity >= section.stranger_similarity, ())
            for stranger, similarity in templates.strangers_most_like(signature, MOST_FOUND)
        ),
        *(
            Alike(None, similarity, similarity >= section.stranger_similarity, (visit,))
            for visit, similarity in gallery.undecided_like(model_id, signature, MOST_FOUND + 1)
            if visit.visit_id != but
        ),
    ]
    least = same_person_similarity(evidence.quality)
    found = sorted(
        (each for each in alike if each.similarity >= least), key=lambda each: -each.similarity
    )
    return tuple(
        each
        if each.visitor is None
        else replace(each, visits=_last_visits(gallery, each.visitor, but))
        for each in found[:MOST_FOUND]
    )


def search_visit(gallery: Gallery, visit_id: str, section: RecognitionSection) -> tuple[Alike, ...]:
    """As ``search_face``, by the faces that are kept with a visit, which is not found itself.

    Raises:
        UsageError: no face of it is kept.
        GalleryError, EncryptionError: the gallery cannot be read.
    """
    samples = gallery.visits.samples(visit_id)
    if not samples:
        raise UsageError(
            f"no face is kept with visit {visit_id}, so there is nothing to search by: none was "
            "ever clear enough"
        )
    of_one = [sample for sample in samples if sample.model_id == samples[0].model_id]
    return search_face(gallery, of_one, section, but=visit_id)


def faces_in(photo: ExaminedPhoto) -> tuple[ExaminedFace, ...]:
    """The faces of a photo to search by, from left to right."""
    return tuple(sorted(photo.faces, key=lambda each: float(each.face.box_xyxy[0])))


def judge_searched(photo: ExaminedPhoto) -> Verdict:
    """Whether a photo can be searched by, and why not."""
    if photo.found > MAX_FACES:
        message = f"{photo.found} faces found, where {MAX_FACES} are compared at most"
        return Verdict(False, message, "cut the picture to those that are meant", "crowd")
    if not photo.faces:
        hint = "give a picture that shows it from the front, in even light, and larger"
        return Verdict(False, "no face found", hint, "no_face")
    return Verdict(True, "")


def _last_visits(gallery: Gallery, visitor: Visitor, but: str | None) -> tuple[Visit, ...]:
    newest, count = gallery.visits.newest, LAST_VISITS + 1
    visits = (
        newest(count, name=visitor.name)
        if isinstance(visitor, Person)
        else newest(count, stranger_id=visitor.stranger_id)
    )
    return tuple(visit for visit in visits if visit.visit_id != but)[:LAST_VISITS]
