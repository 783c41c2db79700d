"""Scores of many frames to one answer: known, unknown, or not yet.

Enters: the embeddings of one track and the gallery's templates. Leaves: a ``Match``. One frame
never decides, and in doubt the answer is unknown: a wrong name is worse than none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from doorbell.config import RecognitionSection
from doorbell.domain import (
    FaceSample,
    Float32Array,
    Match,
    Person,
    Stranger,
    Verdict,
)
from doorbell.recognition.gallery_rows import Templates

VisitorT = TypeVar("VisitorT", Person, Stranger)

# A face that is this unlike the mean of its own track, three times running, is somebody else's:
# the track has jumped. Two faces of one clip and person stay above 0.5 when both are usable.
ALIEN_SIMILARITY = 0.15
ALIEN_RUN = 3

# Saying "unknown" calls for this many times as many frames as a name: a family member's first
# frames are often the worst ones, far away and turned, and to be announced as a stranger at one's
# own door is wrong.
UNKNOWN_FRAMES_FACTOR = 3

# A name given to somebody already announced as unknown has had many chances to arise by accident.
CORRECTION_EXTRA = 0.04


class Evidence:
    """The embeddings of one track, kept as their quality-weighted mean and the best few."""

    KEPT = 5

    def __init__(self, started_seconds: float) -> None:
        self.started_seconds = started_seconds
        self.frames = 0
        self._sum: Float32Array | None = None
        self._best: list[FaceSample] = []
        self._alien_run = 0

    @property
    def signature(self) -> Float32Array | None:
        """(128,) float32 of unit length: the mean face of the track; None before the first."""
        if self._sum is None:
            return None
        return np.asarray(self._sum / max(float(np.linalg.norm(self._sum)), 1e-12), np.float32)

    @property
    def best_samples(self) -> tuple[FaceSample, ...]:
        """The samples of the best quality, best first."""
        return tuple(self._best)

    @property
    def is_broken(self) -> bool:
        """Whether the track has moved on to another person's face."""
        return self._alien_run >= ALIEN_RUN

    def add(self, sample: FaceSample) -> None:
        """Take in one frame's embedding."""
        signature = self.signature
        if signature is not None and float(signature @ sample.embedding) < ALIEN_SIMILARITY:
            self._alien_run += 1
            return
        self._alien_run = 0
        weighted = sample.embedding * np.float32(max(sample.quality, 0.05))
        self._sum = weighted if self._sum is None else self._sum + weighted
        self.frames += 1
        self._best = sorted([*self._best, sample], key=lambda s: -s.quality)[: self.KEPT]


@dataclass(frozen=True, eq=False, slots=True)
class Centroids:
    """One unit vector per visitor: the mean of the visitor's samples.

    Attributes:
        people: as many as rows of ``people_vectors`` (p, 128) float32.
        strangers: as many as rows of ``stranger_vectors`` (s, 128) float32.
    """

    people: tuple[Person, ...]
    people_vectors: Float32Array
    strangers: tuple[Stranger, ...]
    stranger_vectors: Float32Array

    @classmethod
    def of(cls, templates: Templates) -> Centroids:
        """Average the samples of each visitor; a visitor without samples has no row."""
        people, people_vectors = _means(
            templates.people, templates.person_index, templates.person_embeddings
        )
        strangers, stranger_vectors = _means(
            templates.strangers, templates.stranger_index, templates.stranger_embeddings
        )
        return cls(people, people_vectors, strangers, stranger_vectors)


def _means(
    visitors: tuple[VisitorT, ...], index: NDArray[np.int64], embeddings: Float32Array
) -> tuple[tuple[VisitorT, ...], Float32Array]:
    present = np.unique(index)
    if present.size == 0:
        return (), np.empty((0, embeddings.shape[1] if embeddings.ndim == 2 else 0), np.float32)
    sums = np.zeros((len(visitors), embeddings.shape[1]), np.float32)
    np.add.at(sums, index, embeddings)
    means = sums[present]
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    return tuple(visitors[i] for i in present), means


def decide(
    evidence: Evidence,
    centroids: Centroids,
    section: RecognitionSection,
    time_seconds: float,
    previous: Verdict = Verdict.UNDECIDED,
) -> Match:
    """Say who a track is, if that can be said yet.

    Known: the nearest person is near enough, clearly nearer than the second, over enough frames.
    Unknown: nobody is near over several times as many frames, or time is up.

    Args:
        evidence: of the track.
        centroids: of everybody in the gallery.
        section: thresholds.
        time_seconds: stream time now.
        previous: the track's last verdict; a name after "unknown" needs more.
    """
    signature = evidence.signature
    if signature is None:
        return Match(Verdict.UNDECIDED, None, 0.0, 0)
    similarities = centroids.people_vectors @ signature if centroids.people else np.empty(0)
    order = np.argsort(-similarities)
    best = float(similarities[order[0]]) if order.size else 0.0
    second = float(similarities[order[1]]) if order.size > 1 else -1.0
    enough = evidence.frames >= section.min_frames
    needed = section.known_similarity + (CORRECTION_EXTRA if previous is Verdict.UNKNOWN else 0.0)
    if order.size and enough and best >= needed and best - second >= section.margin:
        person = centroids.people[int(order[0])]
        return Match(Verdict.KNOWN, person, best, evidence.frames)
    waited = time_seconds - evidence.started_seconds
    nobody_near = (
        best < section.unknown_similarity
        and evidence.frames >= UNKNOWN_FRAMES_FACTOR * section.min_frames
    )
    time_is_up = waited >= section.decide_within_seconds and enough
    if nobody_near or time_is_up:
        return _unknown(evidence, signature, centroids, section, best)
    return Match(Verdict.UNDECIDED, None, best, evidence.frames)


def nearest_stranger(
    signature: Float32Array | None, centroids: Centroids, section: RecognitionSection
) -> Stranger | None:
    """The stranger met before whose face this is, if there is one.

    Args:
        signature: (128,) float32 of unit length; None for a face never seen well enough.
        centroids: of everybody in the gallery.
        section: thresholds.
    """
    if signature is None or not centroids.strangers:
        return None
    similarities = centroids.stranger_vectors @ signature  # (s,)
    nearest = int(np.argmax(similarities))
    if similarities[nearest] < section.stranger_similarity:
        return None
    return centroids.strangers[nearest]


def _unknown(
    evidence: Evidence,
    signature: Float32Array,
    centroids: Centroids,
    section: RecognitionSection,
    best_person: float,
) -> Match:
    stranger = nearest_stranger(signature, centroids, section)
    if stranger is None:
        return Match(Verdict.UNKNOWN, None, best_person, evidence.frames)
    vector = centroids.stranger_vectors[centroids.strangers.index(stranger)]
    return Match(Verdict.UNKNOWN, stranger, float(vector @ signature), evidence.frames)
