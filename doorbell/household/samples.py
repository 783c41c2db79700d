"""A person's samples one by one, so that a wrong one is found and removed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from doorbell.domain import FaceSample
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.records import StoredSample
from doorbell.household.enrollment_checks import check_same_person
from doorbell.recognition.templates import directions

# As much of the SHA-256 of a photograph as tells it from the others in a folder (``sha256sum``).
SHOWN_DIGITS = 8


@dataclass(frozen=True, slots=True)
class ListedSample:
    """What is told of a sample; never the embedding.

    Attributes:
        number: by which it is removed.
        added_at: wall time; None where that was not noted.
        source: where it came from, in words.
        quality: 0 to 1; None where it is damaged.
        likeness: cosine with the mean of the person's others by the same embedder; None where
            there are none.
        stands_out: whether enrolling would refuse it beside the others.
    """

    number: int
    added_at: float | None
    source: str
    quality: float | None
    likeness: float | None
    stands_out: bool


def list_samples(gallery: Gallery, name: str) -> list[ListedSample]:
    """Every sample of a person, the oldest first.

    Raises:
        UnknownPersonError: nobody has that name; the nearest names are offered.
        GalleryError, EncryptionError: the gallery cannot be read.
    """
    person = gallery.people.get(name)
    stored = gallery.people.stored_samples(name)
    likeness = _likeness([each.sample for each in stored if each.sample is not None])
    return [_listed(each, likeness, person.name) for each in stored]


def remove_sample(gallery: Gallery, name: str, number: int) -> int:
    """Delete one sample for good; how many are left.

    Raises:
        UnknownPersonError: nobody has that name; the nearest names are offered.
        UsageError: they have no such sample, or no other.
        GalleryError: the gallery cannot be written.
    """
    gallery.people.remove_sample(name, number)
    return len(gallery.people.stored_samples(name))


def _listed(stored: StoredSample, likeness: dict[int, float], name: str) -> ListedSample:
    sample = stored.sample
    similarity = None if sample is None else likeness.get(id(sample))
    return ListedSample(
        stored.sample_id,
        stored.added_at,
        _source(stored),
        None if sample is None else sample.quality,
        similarity,
        sample is not None
        and similarity is not None
        and not check_same_person(similarity, sample.quality, name).passed,
    )


def _source(stored: StoredSample) -> str:
    digest, _, frame = (stored.source_sha256 or "").partition("-")
    if frame:
        return f"frame {frame} of video or camera {digest[:SHOWN_DIGITS]}"
    if digest:
        return f"photo {digest[:SHOWN_DIGITS]}"
    if stored.visit_id is not None:
        return f"visit {stored.visit_id[:SHOWN_DIGITS]}"
    return "a visit"


def _likeness(samples: list[FaceSample]) -> dict[int, float]:
    """By ``id`` of each sample its cosine with the mean of the others of its embedder."""
    by_model: dict[str, list[FaceSample]] = defaultdict(list)
    for sample in samples:
        by_model[sample.model_id].append(sample)
    likeness = {}
    for group in by_model.values():
        total = np.sum([sample.embedding for sample in group], axis=0)
        for sample in group if len(group) > 1 else ():
            others = directions(np.asarray(total - sample.embedding, np.float32))
            likeness[id(sample)] = float(others @ sample.embedding)
    return likeness
