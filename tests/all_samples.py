"""Every sample of a gallery, and the decision written down plainly: everybody in one product.

What ``Templates`` keeps up to date and finds fast has to be the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from doorbell.config import RecognitionSection
from doorbell.domain import Float32Array, Match, Person, Stranger, Verdict
from doorbell.gallery.codec import Row, readable
from doorbell.gallery.queries import all_people, all_strangers
from doorbell.gallery.sql import GalleryDatabase
from doorbell.recognition.calibration import log_odds, needed_lead, needed_similarity
from doorbell.recognition.candidates import Source
from doorbell.recognition.decision import UNKNOWN_FRAMES_FACTOR, UNKNOWN_LOG_ODDS, Evidence
from doorbell.recognition.nearest import SUM_ERROR, VectorIndex
from doorbell.recognition.templates import Templates, no_embeddings, no_ids

VisitorT = TypeVar("VisitorT", Person, Stranger)


@dataclass(frozen=True, eq=False, slots=True)
class Samples:
    """All samples of one embedder.

    Attributes:
        people: everybody enrolled, whether or not with samples of this embedder.
        person_index: (N,) int64, the place in ``people`` of each row of the next.
        person_embeddings: (N, 128) float32, unit length.
        strangers, stranger_index, stranger_embeddings: the same for strangers.
        negative_index: (M,) int64, the place in ``people`` of who each row of the next is not.
        negative_embeddings: (M, 128) float32, unit length: faces once taken for that person.
        non_face_embeddings: (K, 128) float32, unit length: what looks like a face and is none.
    """

    people: tuple[Person, ...] = ()
    person_index: NDArray[np.int64] = field(default_factory=no_ids)
    person_embeddings: Float32Array = field(default_factory=no_embeddings)
    strangers: tuple[Stranger, ...] = ()
    stranger_index: NDArray[np.int64] = field(default_factory=no_ids)
    stranger_embeddings: Float32Array = field(default_factory=no_embeddings)
    negative_index: NDArray[np.int64] = field(default_factory=no_ids)
    negative_embeddings: Float32Array = field(default_factory=no_embeddings)
    non_face_embeddings: Float32Array = field(default_factory=no_embeddings)

    def means(self) -> tuple[tuple[Person, ...], Float32Array, tuple[Stranger, ...], Float32Array]:
        """Who has samples, and their templates."""
        return (
            *_means(self.people, self.person_index, self.person_embeddings),
            *_means(self.strangers, self.stranger_index, self.stranger_embeddings),
        )

    def templates(self) -> Templates:
        """The same, as the product compares with it, all of photographs."""
        people, people_vectors, strangers, stranger_vectors = self.means()
        templates = Templates(
            {each.person_id: each for each in self.people},
            _index([each.person_id for each in people], people_vectors),
            {each.stranger_id: each for each in self.strangers},
            _index([each.stranger_id for each in strangers], stranger_vectors),
            {each.person_id: {Source.PHOTOGRAPH: None} for each in people},
        )
        ids = np.array([self.people[place].person_id for place in self.negative_index], np.int64)
        templates.set_corrected(ids, self.negative_embeddings, self.non_face_embeddings)
        return templates


def read_samples(file: GalleryDatabase, model_id: str) -> Samples:
    """Everything in a gallery; what is damaged is left out."""
    with file.reading():
        people, strangers = all_people(file), all_strangers(file)
        samples, negatives, non_faces = (
            readable(
                file.rows(f"SELECT * FROM {of} model_id = ? ORDER BY id", model_id),  # noqa: S608 - our own words
                file.cipher,
            )
            for of in (
                "samples WHERE hidden_by IS NULL AND",
                "negatives WHERE hidden_by IS NULL AND",
                "non_faces WHERE",
            )
        )
    person_ids = [each.person_id for each in people]
    stranger_ids = [each.stranger_id for each in strangers]
    return Samples(
        tuple(people),
        *_of(samples, "person_id", person_ids),
        tuple(strangers),
        *_of(samples, "stranger_id", stranger_ids),
        *_of(negatives, "not_person_id", person_ids),
        non_faces[1],
    )


def _of(
    samples: tuple[list[Row], Float32Array], column: str, ids: list[int]
) -> tuple[NDArray[np.int64], Float32Array]:
    rows, embeddings = samples
    mine = [place for place, row in enumerate(rows) if row[column] in ids]
    index = np.array([ids.index(rows[place][column]) for place in mine], np.int64)
    return index, embeddings[mine]


def _means(
    visitors: tuple[VisitorT, ...], index: NDArray[np.int64], embeddings: Float32Array
) -> tuple[tuple[VisitorT, ...], Float32Array]:
    present = np.unique(index)
    sums = np.zeros((len(visitors), embeddings.shape[1]), np.float32)
    np.add.at(sums, index, embeddings)
    means = sums[present]
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    return tuple(visitors[i] for i in present), means


def _index(ids: Sequence[int], vectors: Float32Array) -> VectorIndex:
    order = np.argsort(np.array(ids, np.int64))
    return VectorIndex(np.array(ids, np.int64)[order], vectors[order])


def decide_plainly(
    evidence: Evidence, samples: Samples, section: RecognitionSection, time_seconds: float
) -> Match:
    """Who a track is, with a product of all templates."""
    people, people_vectors, strangers, stranger_vectors = samples.means()
    signature = evidence.signature
    if signature is None:
        return Match(Verdict.UNDECIDED, None, 0.0, 0)
    similarities = people_vectors @ signature
    negatives = samples.negative_embeddings @ signature
    order = [
        place
        for place in np.argsort(-similarities, kind="stable")
        if not any(
            samples.people[refused] == people[place]
            and cosine >= similarities[place] - np.float32(SUM_ERROR)
            for refused, cosine in zip(samples.negative_index, negatives, strict=True)
        )
    ][:2]
    worth = evidence.quality, evidence.looks
    odds = [*(log_odds(float(similarities[place]), *worth) for place in order)]
    odds += [-math.inf, -math.inf]
    similarity = float(similarities[order[0]]) if order else 0.0
    enough = evidence.frames >= section.min_frames
    needed = needed_similarity(len(people), *worth, section.risk)
    named = order and enough and similarity >= needed
    if named and odds[0] - odds[1] >= needed_lead(section.risk):
        return Match(Verdict.KNOWN, people[order[0]], similarity, evidence.frames)
    nobody_near = (
        odds[0] <= UNKNOWN_LOG_ODDS
        and evidence.frames >= UNKNOWN_FRAMES_FACTOR * section.min_frames
    )
    waited = time_seconds - evidence.started_seconds
    is_over = nobody_near or (enough and waited >= section.decide_within_seconds)
    may_be_stranger = evidence.quality >= needed
    if not is_over or not may_be_stranger:
        return Match(Verdict.UNDECIDED, None, similarity, evidence.frames, may_be_stranger)
    if strangers:
        cosines = stranger_vectors @ signature
        place = int(cosines.argmax())
        if cosines[place] >= section.stranger_similarity:
            return Match(Verdict.UNKNOWN, strangers[place], float(cosines[place]), evidence.frames)
    return Match(Verdict.UNKNOWN, None, similarity, evidence.frames)


def is_no_face_plainly(evidence: Evidence, samples: Samples, needed_similarity: float) -> bool:
    """Whether a track is of what was said to be no face, with a product of all."""
    signature = evidence.signature
    if signature is None or not len(samples.non_face_embeddings):
        return False
    _, people_vectors, _, _ = samples.means()
    similarity = float((samples.non_face_embeddings @ signature).max())
    nearest_person = float((people_vectors @ signature).max()) if len(people_vectors) else -1.0
    return similarity >= needed_similarity and similarity > nearest_person
