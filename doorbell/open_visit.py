"""One visit that is going on: what is seen of it, and what that says.

Enters: what one frame shows of a track. Leaves: the visit as it stands. Pure: knows no event and no
other visit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from doorbell.domain import (
    Attention,
    FaceSample,
    Float32Array,
    Match,
    Person,
    Pose,
    Stranger,
    Track,
    Verdict,
    Visit,
    Visitor,
)

# A new track continues a visit that nobody is seen for if their faces are at least this alike. It
# only joins pictures minutes apart at most, of one place and light: far easier than recognition.
REJOIN_SIMILARITY = 0.5

# A face too poor to be compared is still somebody at the door after this time, if the detector is
# this sure. Measured 2026-11-22 on outdoor photographs and clips: faces score 0.8 and more, hands
# and prints stay below 0.75 nineteen times in twenty.
ARRIVAL_SECONDS = 1.0
ARRIVAL_SCORE = 0.75

# Who leaves before a decision, but showed the face in this many usable frames, was a stranger; with
# fewer it was a passer-by and gets no identifier.
FAREWELL_FRAMES = 3

# A face lost or turned away for no longer than this is still looking: a blink, a word to a child.
GLANCE_SECONDS = 0.5


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
    """

    track: Track
    match: Match
    signature: Float32Array | None
    samples: tuple[FaceSample, ...] = ()
    pose: Pose | None = None
    looking: bool = False


@dataclass(eq=False, slots=True)
class OpenVisit:
    """A visit with what it takes to go on with it.

    Attributes:
        visit: as it stands.
        first_seen_seconds, last_seen_seconds: stream time.
        tracks: that belong to it.
        clearest: the observation with the most frames behind its signature.
        telling: the observation whose verdict says most of who it is, the latest of several; also
            where the household said otherwise meanwhile.
        joined_by: by track that took it up again, the signature of then.
        looked_at_seconds: stream time, when last looking.
        looking_in_a_row_seconds: without looking away.
        rang: whether the bell rang in this visit.
        rang_before_named: whether that was before it was known for whom.
    """

    visit: Visit
    first_seen_seconds: float
    last_seen_seconds: float
    tracks: set[int] = field(default_factory=set)
    clearest: Observation | None = None
    telling: Observation | None = None
    joined_by: dict[int, Float32Array] = field(default_factory=dict)
    looked_at_seconds: float = -math.inf
    looking_in_a_row_seconds: float = 0.0
    rang: bool = False
    rang_before_named: bool = False

    @property
    def farewell(self) -> Observation | None:
        """What to name the visitor by who leaves now; None where too little was seen."""
        if self.telling is not None and self.telling.match.verdict is not Verdict.UNDECIDED:
            return self.telling
        if self.clearest is None or self.clearest.match.frames_used < FAREWELL_FRAMES:
            return None
        return self.clearest

    def learn(self, seen: Observation) -> None:
        """Remember what a frame says of the visitor, if none said more."""
        if seen.signature is None:
            return
        frames = seen.match.frames_used
        if self.clearest is None or frames >= self.clearest.match.frames_used:
            self.clearest = seen
        if self.telling is None or not says_more(self.telling, seen):
            self.telling = seen

    def unlearn(self) -> None:
        """Keep nothing of what was seen of the visitor."""
        self.clearest = self.telling = None
        self.joined_by.clear()

    def saw_at(self, wall_time: float) -> None:
        """The visitor was there then; a clock set back a little does not undo that."""
        self.visit = replace(self.visit, last_seen_at=max(self.visit.last_seen_at, wall_time))


def says_more(one: Observation, other: Observation) -> bool:
    """Whether one observation says more of who it is: a person before a stranger before nobody."""
    order = (Verdict.UNDECIDED, Verdict.UNKNOWN, Verdict.KNOWN)
    return order.index(one.match.verdict) > order.index(other.match.verdict)


def contradicts(entry: OpenVisit, seen: Observation) -> bool:
    """Whether a track turns out to be somebody other than the visitor whose visit it is in."""
    match, current = seen.match, entry.visit.visitor
    if entry.visit.corrected:
        return False
    if match.verdict is Verdict.KNOWN and match.visitor is not None:
        return isinstance(current, Person) and visitor_key(match.visitor) != visitor_key(current)
    joined_by = entry.joined_by.get(seen.track.track_id)
    if match.verdict is not Verdict.UNKNOWN or joined_by is None or seen.signature is None:
        return False
    # Taken up on its first frame alone; with many it is no longer the same face.
    return float(np.dot(joined_by, seen.signature)) < REJOIN_SIMILARITY


def is_surely_there(track: Track, time_seconds: float) -> bool:
    """Whether a face that is too poor to compare has been found for long enough."""
    waited = time_seconds - track.first_seen_seconds
    return waited >= ARRIVAL_SECONDS and track.face.score >= ARRIVAL_SCORE


def note_attention(entry: OpenVisit, seen: Observation, time_seconds: float) -> None:
    """Add up how long the visitor has looked at the door."""
    if seen.pose is None:
        return
    total = 0.0 if entry.visit.attention is None else entry.visit.attention.looking_seconds
    if seen.looking:
        since = time_seconds - entry.looked_at_seconds
        if since <= GLANCE_SECONDS:
            total += since
            entry.looking_in_a_row_seconds += since
        else:
            entry.looking_in_a_row_seconds = 0.0
        entry.looked_at_seconds = time_seconds
    elif time_seconds - entry.looked_at_seconds > GLANCE_SECONDS:
        entry.looking_in_a_row_seconds = 0.0
    entry.visit = replace(entry.visit, attention=Attention(seen.looking, total, seen.pose))


def visitor_key(visitor: Visitor | None) -> tuple[str, int]:
    """What tells visitors apart, whatever they are called."""
    match visitor:
        case Person(person_id=number):
            return "person", number
        case Stranger(stranger_id=number):
            return "stranger", number
        case None:  # the unnamed share one cool-down
            return "nobody", 0
