"""What frames show of a face that is followed: of a track in one frame, and of several over time.

Pure: no visit, no event.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from doorbell.domain import (
    FaceSample,
    Float32Array,
    Match,
    Pose,
    Stranger,
    Track,
    Verdict,
    Visitor,
)

# A face too poor to be compared is still somebody at the door after this time, if the detector is
# this sure. Measured 2026-11-22 on outdoor photographs and clips: faces score 0.8 and more, hands
# and prints stay below 0.75 nineteen times in twenty.
ARRIVAL_SECONDS = 1.0
ARRIVAL_SCORE = 0.75

# Of the tracks that are gone for good so many samples stay with a visit, as many as one track has.
SAMPLES_KEPT = 5


@dataclass(frozen=True, eq=False, slots=True)
class Observation:
    """One confirmed track in one frame.

    Attributes:
        track: as it stands.
        match: what its frames say so far.
        signature: (128,) float32, mean embedding of the track; None before the first.
        samples: the track's best samples, for who keeps strangers.
        pose: of the head in this frame; None where nobody measures it.
        looking: whether that is looking at the door.
        sample: of the face in this very frame; None where it was not embedded, or is not the
            track's.
        appearance: of the visitor around the face in this frame, of unit length: the product of two
            is their correlation; None where nobody measures it.
        is_ignored: whether it begins no visit: it is where nobody does, or a picture on a wall.
        live: how likely the face is no picture held up, 0 to 1; None where nobody measures it.
        is_print: whether that is too little to be named.
    """

    track: Track
    match: Match
    signature: Float32Array | None
    samples: tuple[FaceSample, ...] = ()
    pose: Pose | None = None
    looking: bool = False
    sample: FaceSample | None = None
    appearance: Float32Array | None = None
    is_ignored: bool = False
    live: float | None = None
    is_print: bool = False


Introduce: TypeAlias = Callable[[Observation, float], Stranger]
"""Gives the stranger of an observation, seen at a wall time, an old identifier or a new one."""

Recall: TypeAlias = Callable[[Observation], Visitor | None]
"""Tells whom an observation shows, if they have an identifier already; changes nothing."""


def as_matched(seen: Observation) -> Visitor | None:
    """Recall nobody but whom the verdict names."""
    return seen.match.visitor


@dataclass(eq=False, slots=True)
class Sightings:
    """What a track, or several, showed of a visitor.

    Attributes:
        last_seen_seconds: stream time.
        joined_by: the visit's signature when the track took the visit up again, if it had one.
        clearest: the observation with the most frames behind its signature.
        telling: the observation whose verdict says most of who it is, the latest of several.
        samples: the best.
    """

    last_seen_seconds: float = -math.inf
    joined_by: Float32Array | None = None
    clearest: Observation | None = None
    telling: Observation | None = None
    samples: tuple[FaceSample, ...] = ()

    def learn(self, seen: Observation) -> None:
        """Take in what a frame says."""
        self.samples = seen.samples or self.samples
        if seen.signature is None:
            return
        # Of two alike the first that is given: the later one.
        self.clearest = clearest_of((seen, self.clearest))
        self.telling = most_telling_of((seen, self.telling))

    def join(self, other: Sightings) -> None:
        """Take in what other tracks showed."""
        for seen in (other.clearest, other.telling):
            if seen is not None:
                self.learn(replace(seen, samples=()))
        samples = sorted((*self.samples, *other.samples), key=lambda each: -each.quality)
        self.samples = tuple(samples[:SAMPLES_KEPT])


def clearest_of(seen: Iterable[Observation | None]) -> Observation | None:
    """The observation with the most frames behind its signature, the latest of several."""
    return max((each for each in seen if each is not None), key=_clearness, default=None)


def most_telling_of(seen: Iterable[Observation | None]) -> Observation | None:
    """The observation whose verdict says most of who it is, the latest of several."""
    return max((each for each in seen if each is not None), key=_weight, default=None)


def is_confirmed_presence(track: Track, time_seconds: float) -> bool:
    """Whether a face that is too poor to compare has been found for long enough."""
    waited = time_seconds - track.first_seen_seconds
    return waited >= ARRIVAL_SECONDS and track.face.score >= ARRIVAL_SCORE


def _clearness(seen: Observation) -> tuple[int, float]:
    return seen.match.frames_used, seen.track.last_seen_seconds


def _weight(seen: Observation) -> tuple[int, float]:
    order = (Verdict.UNDECIDED, Verdict.UNKNOWN, Verdict.KNOWN)
    return order.index(seen.match.verdict), seen.track.last_seen_seconds
