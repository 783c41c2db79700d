"""Scores of many frames to one answer: known, unknown, or not yet.

Enters: the embeddings of one track and the gallery's templates. Leaves: a ``Match``. One frame
never decides, and in doubt the answer is unknown: a wrong name is worse than none.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
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
from doorbell.recognition.calibration import log_odds, needed_log_odds
from doorbell.recognition.corrections import ruled_out
from doorbell.recognition.nearest import Nearest, nearest_of
from doorbell.recognition.templates import Templates, no_embeddings, no_index

VisitorT = TypeVar("VisitorT", Person, Stranger)

# A face that is this unlike the mean of its own track, three times running, is somebody else's:
# the track has jumped. Two faces of one clip and person stay above 0.5 when both are usable.
ALIEN_SIMILARITY = 0.15
ALIEN_RUN = 3

# Saying "unknown" calls for this many times as many frames as a name: a family member's first
# frames are often the worst ones, far away and turned, and to be announced as a stranger at one's
# own door is wrong.
UNKNOWN_FRAMES_FACTOR = 3

# The odds against the nearest person at which a stranger need not be waited for any longer.
UNKNOWN_LOG_ODDS = -math.log(10)

# Two frames of one face that are this unlike count as two; more alike ones count in proportion.
# Pictures of one person on different days differ by about as much.
NOVEL_DISTANCE = 0.3


class Evidence:
    """The embeddings of one track: their quality-weighted mean, the best few, and their worth.

    Attributes:
        started_seconds: stream time of the track's first frame.
        frames: embeddings taken in.
        worth: the number of independent frames of good quality that they are worth; a face that
            holds still before the camera is seen often and shows little that is new.
    """

    KEPT = 5
    COMPARED = 24  # later frames are compared with the latest of those before

    def __init__(self, started_seconds: float) -> None:
        self.started_seconds = started_seconds
        self.frames = 0
        self.worth = 0.0
        self._sum: Float32Array | None = None
        self._best: list[FaceSample] = []
        self._latest: deque[Float32Array] = deque(maxlen=self.COMPARED)
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

    def add(self, sample: FaceSample) -> bool:
        """Take in one frame's embedding, unless it is somebody else's; whether it was taken."""
        signature = self.signature
        if signature is not None and float(signature @ sample.embedding) < ALIEN_SIMILARITY:
            self._alien_run += 1
            return False
        self._alien_run = 0
        weighted = sample.embedding * np.float32(max(sample.quality, 0.05))
        self._sum = weighted if self._sum is None else self._sum + weighted
        self.frames += 1
        self.worth += sample.quality * self._novelty(sample.embedding)
        self._latest.append(sample.embedding)
        self._best = sorted([*self._best, sample], key=lambda s: -s.quality)[: self.KEPT]
        return True

    def _novelty(self, embedding: Float32Array) -> float:
        """How much of this frame was not seen before, 0 to 1."""
        if not self._latest:
            return 1.0
        nearest = max(float(embedding @ earlier) for earlier in self._latest)
        return min(max((1 - nearest) / NOVEL_DISTANCE, 0.0), 1.0)


@dataclass(frozen=True, eq=False, slots=True)
class Centroids:
    """One unit vector per visitor: the mean of the visitor's samples.

    Attributes:
        people: as many as rows of ``people_vectors`` (p, 128) float32.
        strangers: as many as rows of ``stranger_vectors`` (s, 128) float32.
        negative_index: (m,) int64, the place in ``people`` of who each row of
            ``negative_vectors`` (m, 128) float32 is not.
        nearest_people, nearest_strangers: find the most alike among the rows.
    """

    people: tuple[Person, ...]
    people_vectors: Float32Array
    strangers: tuple[Stranger, ...]
    stranger_vectors: Float32Array
    negative_index: NDArray[np.int64] = field(default_factory=no_index)
    negative_vectors: Float32Array = field(default_factory=no_embeddings)
    nearest_people: Nearest = field(init=False)
    nearest_strangers: Nearest = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "nearest_people", nearest_of(self.people_vectors))
        object.__setattr__(self, "nearest_strangers", nearest_of(self.stranger_vectors))

    @classmethod
    def of(cls, templates: Templates) -> Centroids:
        """Average the samples of each visitor; a visitor without samples has no row."""
        people, people_vectors = _means(
            templates.people, templates.person_index, templates.person_embeddings
        )
        strangers, stranger_vectors = _means(
            templates.strangers, templates.stranger_index, templates.stranger_embeddings
        )
        present = np.unique(templates.person_index)  # in the order of ``people``
        of_present = np.isin(templates.negative_index, present)  # (M,)
        return cls(
            people,
            people_vectors,
            strangers,
            stranger_vectors,
            np.searchsorted(present, templates.negative_index[of_present]),
            templates.negative_embeddings[of_present],
        )

    def likeliest(self, signature: Float32Array) -> tuple[NDArray[np.int64], Float32Array]:
        """The two people whom a face is most like, without who was corrected for such a face.

        Returns:
            Places in ``people`` (k,) and cosines (k,) float32, k at most 2; the most alike first.
        """
        refused = np.unique(self.negative_index).size
        places, similarities = self.nearest_people.best(signature, 2 + refused)
        out = ruled_out(signature, places, similarities, self.negative_index, self.negative_vectors)
        return places[~out][:2], similarities[~out][:2]


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
) -> Match:
    """Say who a track is, if that can be said yet.

    Known: the evidence for the nearest person exceeds what a stranger would show with a probability
    of ``risk``, and by as much the evidence for the second. Unknown: the odds are against
    everybody over several times as many frames, or time is up.

    Args:
        evidence: of the track.
        centroids: of everybody in the gallery.
        section: the risk, and how long to wait.
        time_seconds: stream time now.
    """
    signature = evidence.signature
    if signature is None:
        return Match(Verdict.UNDECIDED, None, 0.0, 0)
    best, similarity, best_odds, lead = _nearest_person(signature, centroids, evidence.worth)
    enough = evidence.frames >= section.min_frames
    if (
        best is not None
        and enough
        and best_odds >= needed_log_odds(len(centroids.people), section.risk)
        and lead >= needed_log_odds(1, section.risk)
    ):
        return Match(Verdict.KNOWN, best, similarity, evidence.frames)
    nobody_near = (
        best_odds <= UNKNOWN_LOG_ODDS
        and evidence.frames >= UNKNOWN_FRAMES_FACTOR * section.min_frames
    )
    waited = time_seconds - evidence.started_seconds
    if nobody_near or (enough and waited >= section.decide_within_seconds):
        return _unknown(evidence, signature, centroids, section, similarity)
    return Match(Verdict.UNDECIDED, None, similarity, evidence.frames)


def _nearest_person(
    signature: Float32Array, centroids: Centroids, worth: float
) -> tuple[Person | None, float, float, float]:
    """The nearest person, the cosine, the evidence, and its lead over the second's."""
    places, similarities = centroids.likeliest(signature)
    if not places.size:
        return None, 0.0, -math.inf, 0.0
    odds = log_odds(similarities, worth)  # (1 or 2,)
    lead = float(odds[0] - odds[1]) if odds.size > 1 else math.inf
    return centroids.people[places[0]], float(similarities[0]), float(odds[0]), lead


def nearest_stranger(
    signature: Float32Array | None, centroids: Centroids, section: RecognitionSection
) -> Stranger | None:
    """The stranger met before whose face this is, if there is one.

    Args:
        signature: (128,) float32 of unit length; None for a face never seen well enough.
        centroids: of everybody in the gallery.
        section: thresholds.
    """
    match = None if signature is None else _nearest_stranger(signature, centroids, section)
    return None if match is None else match[0]


def _nearest_stranger(
    signature: Float32Array, centroids: Centroids, section: RecognitionSection
) -> tuple[Stranger, float] | None:
    """The stranger and the cosine."""
    places, similarities = centroids.nearest_strangers.best(signature)
    if not places.size or similarities[0] < section.stranger_similarity:
        return None
    return centroids.strangers[places[0]], float(similarities[0])


def _unknown(
    evidence: Evidence,
    signature: Float32Array,
    centroids: Centroids,
    section: RecognitionSection,
    best_person: float,
) -> Match:
    stranger, similarity = _nearest_stranger(signature, centroids, section) or (None, best_person)
    return Match(Verdict.UNKNOWN, stranger, similarity, evidence.frames)
