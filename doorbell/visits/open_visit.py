"""One visit that is going on, with all that belongs to it: tracks, samples, picture, who it is.

Pure: a picture is data here and drawn elsewhere; knows no event.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from doorbell.domain import (
    Attention,
    Body,
    BodyTrack,
    Face,
    FaceSample,
    Float32Array,
    Person,
    Stranger,
    Track,
    UInt8Array,
    UnknownReason,
    Verdict,
    Visit,
    Visitor,
)
from doorbell.visits.observation import Observation, Sightings, clearest_of, most_telling_of

# A new track continues a visit that nobody is seen for if their faces are at least this alike. It
# only joins pictures minutes apart at most, of one place and light: far easier than recognition.
REJOIN_SIMILARITY = 0.5

# Who leaves before a decision, but showed the face in this many usable frames, was a stranger; with
# fewer it was a passer-by and gets no identifier.
FAREWELL_FRAMES = 3

# A face lost or turned away for no longer than this is still looking: a blink, a word to a child.
GLANCE_SECONDS = 0.5


@dataclass(frozen=True, eq=False, slots=True)
class ShownFace:
    """A face that a picture shows.

    Attributes:
        track: as it stood in that frame.
        sample: of the face in that frame, as in ``Observation``.
        visit: that the track belongs to; None where to none yet.
    """

    track: Track
    sample: FaceSample | None
    visit: OpenVisit | None


@dataclass(frozen=True, eq=False, slots=True)
class Picture:
    """A frame that shows a visit.

    Attributes:
        pixels: (height, width, 3) uint8, RGB; of the camera, not to be written to.
        own: the visitor's face; None where only the figure is to be seen.
        beside: the other faces that are followed.
        others: faces that are believed only if they are found again.
        worth: how well the visitor is shown; any unit.
    """

    pixels: UInt8Array
    own: ShownFace | None
    beside: tuple[ShownFace, ...]
    others: tuple[Face, ...]
    worth: float


@dataclass(eq=False, slots=True)
class OpenVisit:
    """A visit with all that belongs to it, and with it goes.

    Attributes:
        visit: as it stands.
        first_seen_seconds, last_seen_seconds: stream time.
        tracks: what each of its tracks showed.
        earlier: what those showed that are gone for good.
        named_by: the signature of whom the faces named; None before.
        newcomer: a stranger who got an identifier in this visit, and loses it if they turn out to
            be somebody else.
        picture: that shows the visit best.
        looked_at_seconds: stream time, when last looking.
        looking_in_a_row_seconds: without looking away.
        rang: whether the bell rang in this visit.
        rang_before_named: whether that was before it was known for whom.
        unnamed_since_seconds: stream time since when the faces could have named the visitor.
        announced_unnamed: whether it was said that somebody is there who cannot be told.
        face: where one of its tracks was seen last.
        appearance: of the visitor there.
        parted: tracks that took the visitor's place before the camera's eyes: only their faces can
            tell that they are the visitor after all.
        face_seen_seconds: stream time, when that was.
        was_alive: whether it ever showed a face that looked alive.
        company: visits whose faces were seen in one frame with this one's: other people's.
        bodies: figures that are the visitor's, by track.
        body: where one of them was seen last.
        is_resumed: whether an earlier run left it open and nobody was seen for it since.
    """

    visit: Visit
    first_seen_seconds: float
    last_seen_seconds: float
    tracks: dict[int, Sightings] = field(default_factory=dict)
    earlier: Sightings = field(default_factory=Sightings)
    named_by: Float32Array | None = None
    newcomer: Stranger | None = None
    picture: Picture | None = None
    looked_at_seconds: float = -math.inf
    looking_in_a_row_seconds: float = 0.0
    rang: bool = False
    rang_before_named: bool = False
    unnamed_since_seconds: float = math.inf
    announced_unnamed: bool = False
    face: Face | None = None
    appearance: Float32Array | None = None
    parted: set[int] = field(default_factory=set)
    face_seen_seconds: float = -math.inf
    was_alive: bool = False
    company: set[str] = field(default_factory=set)
    bodies: set[int] = field(default_factory=set)
    body: Body | None = None
    is_resumed: bool = False

    @property
    def reason(self) -> UnknownReason | None:
        """Why the visitor is announced without being told; None where there is none."""
        if self.announced_unnamed and self.visit.visitor is None and not self.visit.corrected:
            return UnknownReason.NO_USABLE_FACE
        return None

    @property
    def clearest(self) -> Observation | None:
        """The observation with the most frames behind its signature."""
        return clearest_of(each.clearest for each in (self.earlier, *self.tracks.values()))

    @property
    def telling(self) -> Observation | None:
        """The observation whose verdict says most of who it is, whatever the household says."""
        return most_telling_of(each.telling for each in (self.earlier, *self.tracks.values()))

    @property
    def farewell(self) -> Observation | None:
        """What to name the visitor by who leaves now; None where too little was seen."""
        telling, clearest = self.telling, self.clearest
        if telling is not None and telling.match.verdict is not Verdict.UNDECIDED:
            return telling
        if clearest is None or clearest.match.frames_used < FAREWELL_FRAMES:
            return None
        return clearest if clearest.match.may_be_stranger else None

    @property
    def signature(self) -> Float32Array | None:
        """(128,) float32: the face of whom the visit is; None before any was good enough.

        Once the visitor is named it is that of then: the mean of a track may drift to somebody who
        took the visitor's place.
        """
        if self.named_by is not None:
            return self.named_by
        clearest = self.clearest
        return None if clearest is None else clearest.signature

    @property
    def samples(self) -> list[FaceSample]:
        """The best samples of each track."""
        return [sample for each in (self.earlier, *self.tracks.values()) for sample in each.samples]

    def take_up(
        self, track_id: int, joined_by: Float32Array | None, gone_since_seconds: float
    ) -> None:
        """Go on with a new track.

        Args:
            track_id: of the new one.
            joined_by: the signature that it was like, or is to be like once it has one.
            gone_since_seconds: stream time; tracks not seen since are gone for good.
        """
        gone = [k for k, v in self.tracks.items() if v.last_seen_seconds < gone_since_seconds]
        for each in gone:
            self.earlier.join(self.tracks.pop(each))
        self.tracks[track_id] = Sightings(joined_by=joined_by)
        self.is_resumed = False

    def part_with(self, seen: Observation) -> None:
        """Let a track go that turned out to be somebody else, and what it showed."""
        track_id = seen.track.track_id
        parted = self.tracks.pop(track_id)
        said_before = None if parted.telling is None else parted.telling.match.visitor
        if seen.match.verdict is Verdict.KNOWN and said_before != seen.match.visitor:
            parted.samples = ()  # it has jumped, and was the visitor's before
            self.earlier.join(parted)
        elif (
            self.picture is not None
            and self.picture.own is not None
            and self.picture.own.track.track_id == track_id
        ):
            self.picture = None

    def saw(self, seen: Observation, time_seconds: float, wall_time: float) -> None:
        """Take in what one frame shows of the visitor."""
        sightings = self.tracks[seen.track.track_id]
        sightings.learn(seen)
        self.face, self.appearance = seen.track.face, seen.appearance
        self.last_seen_seconds = sightings.last_seen_seconds = time_seconds
        self.face_seen_seconds = time_seconds
        self.was_alive = self.was_alive or not seen.is_print
        if seen.live is not None:
            self.visit = replace(self.visit, live=seen.live)
        self.touch(wall_time)

    def saw_body(self, track: BodyTrack, time_seconds: float, wall_time: float) -> None:
        """Take in that the visitor's figure is there."""
        self.bodies.add(track.track_id)
        self.body = track.body
        self.is_resumed = False
        self.last_seen_seconds = time_seconds
        self.touch(wall_time)

    def touch(self, wall_time: float) -> None:
        """The visitor was there then; a clock set back a little does not undo that."""
        self.visit = replace(self.visit, last_seen_at=max(self.visit.last_seen_at, wall_time))

    def forget(self) -> None:
        """Begin anew, as of nobody: its visitor was forgotten."""
        visit = self.visit
        self.visit = Visit(
            visit.visit_id, visit.started_at, visit.last_seen_at, door_id=visit.door_id
        )
        self.earlier = Sightings()
        self.tracks = {
            track_id: Sightings(s.last_seen_seconds) for track_id, s in self.tracks.items()
        }
        self.named_by = self.newcomer = self.picture = None
        self.appearance = self.face = self.body = None
        self.parted.clear()
        self.unnamed_since_seconds = self.last_seen_seconds
        self.announced_unnamed = False

    def forget_gone_people(self, is_enrolled: Callable[[int], bool]) -> None:
        """Forget what was seen of who is no longer enrolled, whatever visitor the visit has."""
        for each in (self.earlier, *self.tracks.values()):
            named = None if each.telling is None else each.telling.match.visitor
            if isinstance(named, Person) and not is_enrolled(named.person_id):
                each.clearest = each.telling = each.joined_by = None
                each.samples = ()
                self.named_by = None

    def take_newcomer(self) -> Stranger | None:
        """Give away the stranger who turns out to be somebody else."""
        newcomer, self.newcomer = self.newcomer, None
        return newcomer

    def close(self) -> None:
        """Let go of what the visit held: it has ended, and only others' pictures still show it."""
        self.tracks.clear()
        self.earlier = Sightings()
        self.picture = self.appearance = None


def contradicts(entry: OpenVisit, seen: Observation) -> bool:
    """Whether a track turns out to be somebody other than the visitor whose visit it is in."""
    match, current = seen.match, entry.visit.visitor
    if entry.visit.corrected:
        return False
    if match.verdict is Verdict.KNOWN and match.visitor is not None:
        return isinstance(current, Person) and visitor_key(match.visitor) != visitor_key(current)
    joined_by = entry.tracks[seen.track.track_id].joined_by
    if match.verdict is not Verdict.UNKNOWN or joined_by is None or seen.signature is None:
        return False
    # Taken up on its first frame alone; with many it is no longer the same face.
    return float(np.dot(joined_by, seen.signature)) < REJOIN_SIMILARITY


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
