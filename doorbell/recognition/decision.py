"""Scores of many frames to one answer: known, unknown, or not yet.

One frame never decides, and in doubt the answer is unknown: a wrong name is worse than none. Knows
no gallery: who a face may be is for another to find.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from doorbell.config import RecognitionSection
from doorbell.domain import FaceSample, Float32Array, Match, Stranger, Verdict
from doorbell.recognition.calibration import log_odds, needed_lead, needed_similarity
from doorbell.recognition.candidates import Candidates, PersonCandidate, Source

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
        looks: the number of independent frames that they are worth; a face that holds still before
            the camera is seen often and shows little that is new.
    """

    KEPT = 5
    COMPARED = 24  # later frames are compared with the latest of those before

    def __init__(self, started_seconds: float) -> None:
        self.started_seconds = started_seconds
        self.frames = 0
        self.looks = 0.0
        self._sum: Float32Array | None = None
        self._weight = self._weighted_quality = 0.0
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
    def quality(self) -> float:
        """The mean quality of the frames, weighted as they are in the signature, 0 to 1."""
        return self._weighted_quality / self._weight if self._weight else 0.0

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
        weight = max(sample.quality, 0.05)
        weighted = sample.embedding * np.float32(weight)
        self._sum = weighted if self._sum is None else self._sum + weighted
        self._weight += weight
        self._weighted_quality += weight * sample.quality
        self.frames += 1
        self.looks += self._novelty(sample.embedding)
        self._latest.append(sample.embedding)
        self._best = sorted([*self._best, sample], key=lambda s: -s.quality)[: self.KEPT]
        return True

    def _novelty(self, embedding: Float32Array) -> float:
        """How much of this frame was not seen before, 0 to 1."""
        if not self._latest:
            return 1.0
        nearest = max(float(embedding @ earlier) for earlier in self._latest)
        return min(max((1 - nearest) / NOVEL_DISTANCE, 0.0), 1.0)


def decide(
    evidence: Evidence,
    candidates: Candidates,
    section: RecognitionSection,
    time_seconds: float,
) -> Match:
    """Say who a track is, if that can be said yet.

    Known: the track is more like the nearest person than strangers are but for a part of ``risk``,
    and the evidence exceeds that for the second. Unknown: the frames are good enough to tell one of
    the household, and either the odds are against everybody over several times as many, or time is
    up. Worse frames leave it undecided: they would make strangers of the household's own people.

    Args:
        evidence: of the track.
        candidates: who its signature may be; ``NOBODY`` before the first frame.
        section: the risk, and how long to wait.
        time_seconds: stream time now.
    """
    if not evidence.frames:
        return Match(Verdict.UNDECIDED, None, 0.0, 0)
    people = candidates.people
    similarity = people[0].similarity if people else 0.0
    undrawn = _odds(people[0], evidence, drawn=False) if people else -math.inf
    enough = evidence.frames >= section.min_frames
    if enough and takes_name(evidence, candidates, section):
        return Match(Verdict.KNOWN, people[0].person, similarity, evidence.frames)
    sources = people[0].similarity_by_source if people else (Source.PHOTOGRAPH,)
    may_be_stranger = any(
        evidence.quality >= _needed(evidence, candidates.enrolled, section.risk, each)
        for each in sources
    )
    nobody_near = (
        undrawn <= UNKNOWN_LOG_ODDS
        and evidence.frames >= UNKNOWN_FRAMES_FACTOR * section.min_frames
    )
    waited = time_seconds - evidence.started_seconds
    is_over = nobody_near or (enough and waited >= section.decide_within_seconds)
    if is_over and may_be_stranger:
        stranger = nearest_stranger(candidates, section)
        if stranger is not None:
            similarity = candidates.stranger_similarity
        return Match(Verdict.UNKNOWN, stranger, similarity, evidence.frames)
    return Match(Verdict.UNDECIDED, None, similarity, evidence.frames, may_be_stranger)


def takes_name(evidence: Evidence, candidates: Candidates, section: RecognitionSection) -> bool:
    """Whether a face has the name of the likeliest person, however few its frames are.

    Args:
        evidence: with one frame or more.
        candidates: who its signature may be.
        section: the risk.
    """
    people = candidates.people
    if not people or not _is_alike(people[0], evidence, candidates.enrolled, section.risk):
        return False
    odds = [*(_odds(each, evidence) for each in people), -math.inf]
    return odds[0] - odds[1] >= needed_lead(section.risk)


def _odds(candidate: PersonCandidate, evidence: Evidence, *, drawn: bool = True) -> float:
    """The evidence for a person, by the template that speaks most for it.

    Of ``drawn`` variants one or the other is a little like anybody: they can name somebody, but
    nobody need be waited for because of them.
    """
    return max(
        log_odds(similarity, evidence.quality, evidence.looks, source)
        for source, similarity in candidate.similarity_by_source.items()
        if drawn or not source.is_drawn
    )


def _is_alike(candidate: PersonCandidate, evidence: Evidence, enrolled: int, risk: float) -> bool:
    """Whether a track is more like one of a person's templates than strangers are."""
    sources = candidate.similarity_by_source
    templates = enrolled * sum(not source.is_drawn for source in sources)
    return any(
        similarity >= _needed(evidence, templates, risk, source)
        for source, similarity in sources.items()
    )


def _needed(evidence: Evidence, templates: int, risk: float, source: Source) -> float:
    return needed_similarity(templates, evidence.quality, evidence.looks, risk, source)


def nearest_stranger(candidates: Candidates, section: RecognitionSection) -> Stranger | None:
    """The stranger met before whose face this is, if there is one."""
    is_alike = candidates.stranger_similarity >= section.stranger_similarity
    return candidates.stranger if is_alike else None
