"""What passes between the parts: frames, faces, tracks, visitors, visits and events.

Pure data. Two clocks are kept apart: ``time_seconds`` is monotonic stream time (for a file, seconds
of video), used for every duration; ``*_at`` is wall time in seconds since the epoch, used only to
tell people and home automation when something happened.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

Float32Array: TypeAlias = NDArray[np.float32]
UInt8Array: TypeAlias = NDArray[np.uint8]

# The order of the six keypoints in BlazeFace's output (MediaPipe's face detection).
KEYPOINT_NAMES = (
    "right_eye",
    "left_eye",
    "nose_tip",
    "mouth_centre",
    "right_ear_tragion",
    "left_ear_tragion",
)

# The chimes that the doorbell can play by itself; their notes are in ``outputs.sound.synthesis``.
CHIME_NAMES = (
    "westminster",
    "ding-dong",
    "alert",
    "gong",
    "sunrise",
    "cascade",
    "crystal",
    "horn",
)


@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """One picture of a camera.

    Attributes:
        pixels: (height, width, 3) uint8, RGB. The receiver owns it and may not write to it.
        time_seconds: monotonic stream time of the capture.
        captured_at: wall time of the capture, seconds since the epoch.
        index: counts the frames of one camera session, dropped ones included.
        device_address: where a GPU sees the same memory; None where it sees none of it. The memory
            lives as long as ``pixels``.
        intra: whether it was coded without the ones before it, as what no encoder has had is; None
            where nothing tells.
    """

    pixels: UInt8Array
    time_seconds: float
    captured_at: float
    index: int
    device_address: int | None = None
    intra: bool | None = True

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[1])


@dataclass(frozen=True, eq=False, slots=True)
class Face:
    """A detected face in pixels of its frame.

    Attributes:
        box_xyxy: (4,) float32: left, top, right, bottom.
        keypoints_xy: (6, 2) float32 in the order of ``KEYPOINT_NAMES``; right and left are the
            person's own.
        score: 0 to 1.
    """

    box_xyxy: Float32Array
    keypoints_xy: Float32Array
    score: float

    @property
    def width_pixels(self) -> float:
        """Width of the box."""
        return float(self.box_xyxy[2] - self.box_xyxy[0])

    @property
    def height_pixels(self) -> float:
        """Height of the box."""
        return float(self.box_xyxy[3] - self.box_xyxy[1])

    @property
    def centre_xy(self) -> Float32Array:
        """(2,) float32, the middle of the box."""
        return np.asarray(self.box_xyxy.reshape(2, 2).mean(axis=0), np.float32)


@dataclass(frozen=True, slots=True)
class Pose:
    """How a head is turned away from facing the camera.

    Attributes:
        yaw_degrees: positive where it is turned to the person's own left.
        pitch_degrees: positive where it looks up.
        roll_degrees: positive where it is tilted to the person's own left.
    """

    yaw_degrees: float
    pitch_degrees: float
    roll_degrees: float


@dataclass(frozen=True, slots=True)
class Attention:
    """Whether a visitor looks at the door.

    Attributes:
        looking: when last seen.
        looking_seconds: stream time of the visit spent looking so far.
        pose: when last seen.
    """

    looking: bool
    looking_seconds: float
    pose: Pose


@dataclass(frozen=True, eq=False, slots=True)
class FaceSample:
    """The embedding of one face.

    Attributes:
        embedding: (128,) float32 of unit length. Never logged, never published.
        model_id: which embedder made it; embeddings of different models are never compared.
        quality: 0 to 1, the cosine that is to be expected with the person's own template.
    """

    embedding: Float32Array
    model_id: str
    quality: float


@dataclass(frozen=True, eq=False, slots=True)
class Track:
    """A face followed over frames.

    Attributes:
        track_id: unique within one run of the daemon.
        face: where it was last seen, steadied over time; for pictures and regions, while
            recognition takes the face as it was detected.
        first_seen_seconds, last_seen_seconds: stream time.
        hits: frames in which it was found.
    """

    track_id: int
    face: Face
    first_seen_seconds: float
    last_seen_seconds: float
    hits: int


# A face belongs to a body whose box, so much wider, holds its middle in this upper part of the
# height: who sits or bends down has the head low.
HEAD_MARGIN, HEAD_PART = 0.1, 0.6


@dataclass(frozen=True, eq=False, slots=True)
class Body:
    """Somebody's figure in pixels of the frame, whatever can be seen of the face.

    Attributes:
        box_xyxy: (4,) float32: left, top, right, bottom.
        score: 0 to 1.
        is_moving: whether something has just moved within the box.
    """

    box_xyxy: Float32Array
    score: float
    is_moving: bool = False

    @property
    def height_pixels(self) -> float:
        """Height of the box."""
        return float(self.box_xyxy[3] - self.box_xyxy[1])

    @property
    def centre_xy(self) -> Float32Array:
        """(2,) float32, the middle of the box."""
        return np.asarray(self.box_xyxy.reshape(2, 2).mean(axis=0), np.float32)

    def holds(self, face: Face) -> bool:
        """Whether a face is where the head is."""
        left, top, right, bottom = (float(edge) for edge in self.box_xyxy)
        x, y = (float(value) for value in face.centre_xy)
        margin = HEAD_MARGIN * (right - left)
        return left - margin <= x <= right + margin and (
            top - margin <= y <= top + HEAD_PART * (bottom - top)
        )


@dataclass(frozen=True, eq=False, slots=True)
class BodyTrack:
    """A figure followed over the frames in which figures were looked for.

    Attributes:
        track_id: unique within one run of the daemon, among bodies.
        body: where it was last seen.
        first_seen_seconds, last_seen_seconds, last_moved_seconds: stream time.
        hits: looks that found it.
        moves: of these, how often it was moving.
    """

    track_id: int
    body: Body
    first_seen_seconds: float
    last_seen_seconds: float
    last_moved_seconds: float
    hits: int
    moves: int


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody enrolled by the household.

    Attributes:
        person_id: lasting, never used again.
        name: as the household wrote it.
        chime: name of a built-in chime or path of a WAV file; None for the default chime.
        preferences: free JSON that goes out with the person's events.
        ignored: whether their coming never rings.
        earlier_subtype: of the trigger that automations of earlier versions may wait for: the name
            of that time; None for whoever was enrolled since.
    """

    person_id: int
    name: str
    chime: str | None = None
    preferences: Mapping[str, Any] = field(default_factory=dict)
    ignored: bool = False
    earlier_subtype: str | None = None

    @property
    def label(self) -> str:
        """What people are shown."""
        return self.name


# Before the label of a stranger whose number is not the lasting one.
UNSTORED = "new-"


@dataclass(frozen=True, slots=True)
class Stranger:
    """Somebody nobody has named, recognized again by identifier only.

    Attributes:
        stranger_id: lasting, never used again; a negative one is not stored yet, and given by
            chance until the gallery can be written.
        first_seen_at, last_seen_at: wall time, seconds since the epoch.
        visits: how often they came, this visit included.
        visits_week: how often in the seven days up to ``last_seen_at``, this visit included.
        ignored: whether their coming never rings; they are kept for as long as that is so.
    """

    stranger_id: int
    first_seen_at: float
    last_seen_at: float
    visits: int
    visits_week: int = 1
    ignored: bool = False

    @property
    def label(self) -> str:
        """What people are shown, and what ``strangers name`` takes."""
        new = UNSTORED if self.stranger_id < 0 else ""
        return f"{new}stranger-{abs(self.stranger_id)}"


Visitor: TypeAlias = Person | Stranger


class Verdict(Enum):
    """What many frames of one track say together."""

    UNDECIDED = "undecided"
    KNOWN = "known"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Match:
    """The answer of the decision for one track.

    Attributes:
        verdict: known, unknown, or not yet.
        visitor: the person if known; the stranger met before if unknown and recognized; else None.
        similarity: cosine with the visitor named, or with the nearest person if there is none.
        frames_used: number of embeddings behind it.
        may_be_stranger: whether somebody whom it does not name may be taken for a stranger: not
            where the frames would not tell the household's own people, or may be pictures of them.
    """

    verdict: Verdict
    visitor: Visitor | None
    similarity: float
    frames_used: int
    may_be_stranger: bool = True


@dataclass(frozen=True, slots=True)
class Visit:
    """One visitor's stay, as it stood when the event left.

    Attributes:
        visit_id: unique for ever.
        started_at, last_seen_at: wall time, seconds since the epoch.
        ended_at: None while it lasts.
        visitor: who; None while undecided.
        similarity: cosine behind the name or identifier; 0 while undecided.
        frames_used: number of embeddings behind the decision.
        seconds_to_decision: stream time from the first frame with the face to the decision; None
            while undecided.
        continued_by: the visit that goes on in its place, where one visitor was taken for two.
        attention: not kept in the gallery.
        corrected: whether the household said who it was; the faces have no more say then.
        live: how likely the face is that of somebody standing there and not a picture held up, 0 to
            1; None where nothing was measured; not kept in the gallery.
    """

    visit_id: str
    started_at: float
    last_seen_at: float
    ended_at: float | None = None
    visitor: Visitor | None = None
    similarity: float = 0.0
    frames_used: int = 0
    seconds_to_decision: float | None = None
    continued_by: str | None = None
    attention: Attention | None = None
    corrected: bool = False
    live: float | None = None


@dataclass(frozen=True, slots=True)
class PicturedFace:
    """A face in a picture, and whose it is.

    The picture itself is clean: boxes and names are drawn when it is shown, as they are then.

    Attributes:
        box_xyxy: left, top, right, bottom, in pixels of the picture.
        keypoints_xy: in the order of ``KEYPOINT_NAMES``; as the box.
        visit_id: of the visit that the face is followed in; None where in none.
        is_certain: whether the picture itself shows that it is that visit's visitor; whoever has
            taken the visitor's place is not named, and may be anybody who was there at the time.
        visitor: of that visit, as it stood; None while undecided.
        similarity: cosine behind the name or identifier; None where there is none to be shown.
        is_drawn: whether it is drawn at all; not what is believed only if it is found again.
    """

    box_xyxy: tuple[float, float, float, float]
    keypoints_xy: tuple[tuple[float, float], ...]
    visit_id: str | None = None
    is_certain: bool = False
    visitor: Visitor | None = None
    similarity: float | None = None
    is_drawn: bool = True


@dataclass(frozen=True, slots=True)
class VisitPicture:
    """A clean picture and who is in it.

    Attributes:
        jpeg: its bytes.
        faces: all that were found; None where nobody knows, as of pictures of earlier versions.
    """

    jpeg: bytes = field(repr=False)
    faces: tuple[PicturedFace, ...] | None = None


def is_visit_id(text: str) -> bool:
    """Whether that can be the identifier of a visit, which also names files: nothing leaves there.

    The gallery may come from anywhere, so it is asked where one is read and where a path is made.
    """
    return re.fullmatch("[0-9A-Za-z_-]{1,64}", text, re.ASCII) is not None


class UnknownReason(Enum):
    """Why nobody can be named."""

    NO_USABLE_FACE = "no_usable_face"  # dark, far away, covered


@dataclass(frozen=True, slots=True)
class VisitEvent:
    """What every event of a visit carries.

    Attributes:
        event_id: unique for ever; a subscriber drops one it has seen.
        occurred_at: wall time, seconds since the epoch.
        visit: the visit as it stands.
        picture_jpeg: the visit's best picture, clean; None where there is none or pictures are off.
        door_id: at which door, as configured; empty until the pipeline of that door has put it in.
        picture_faces: who is in the picture; None where nobody knows.
    """

    event_id: str
    occurred_at: float
    visit: Visit
    picture_jpeg: bytes | None = field(default=None, repr=False)
    door_id: str = ""
    picture_faces: tuple[PicturedFace, ...] | None = field(default=None, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Arrived(VisitEvent):
    """Somebody is at the door; who is not known yet."""


@dataclass(frozen=True, slots=True)
class Recognized(VisitEvent):
    """The visitor is a person of the household's gallery."""


@dataclass(frozen=True, slots=True)
class Unknown(VisitEvent):
    """The visitor is nobody the household has enrolled, or cannot be told.

    Attributes:
        reason: why the visitor cannot be told; None where a face was compared, and is a stranger's.
    """

    reason: UnknownReason | None = None


@dataclass(frozen=True, slots=True)
class Left(VisitEvent):
    """The visitor has gone."""


@dataclass(frozen=True, slots=True)
class Ring:
    """The bell rings: for a visitor just announced, or because somebody pressed.

    Attributes:
        event_id: unique for ever.
        occurred_at: wall time, seconds since the epoch.
        visit: whose bell it is; None when it was pressed with nobody in sight.
        picture_jpeg: as in ``VisitEvent``; of a press with nobody in sight what the camera saw.
        pressed: whether somebody pressed, at the door or in home automation.
        door_id: as in ``VisitEvent``.
        reason: why the visitor cannot be told, where that was announced; see ``Unknown``.
        picture_faces: as in ``VisitEvent``.
    """

    event_id: str
    occurred_at: float
    visit: Visit | None = None
    picture_jpeg: bytes | None = field(default=None, repr=False)
    pressed: bool = False
    door_id: str = ""
    reason: UnknownReason | None = None
    picture_faces: tuple[PicturedFace, ...] | None = field(default=None, repr=False, kw_only=True)


Event: TypeAlias = Arrived | Recognized | Unknown | Left | Ring


def picture_of(event: Event) -> VisitPicture | None:
    """The picture of an event with who is in it; None where there is none."""
    if event.picture_jpeg is None:
        return None
    return VisitPicture(event.picture_jpeg, event.picture_faces)


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What has become of a command.

    Attributes:
        command: its verb, such as ``ring`` or ``enroll``.
        done: whether it was carried out; else it was refused, and nothing has changed.
        summary: what was done, or why not and what to do about it; words for people.
        door_id: as of the command.
        request_id: as of the command.
    """

    command: str
    done: bool
    summary: str
    door_id: str = ""
    request_id: str | None = None


def _unheard(_result: CommandResult) -> None:
    """Take the answer to a command whose sender wants none, as a button does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorCommand:
    """What every command, called by its verb, carries.

    Attributes:
        door_id: for which door, as configured.
        request_id: the sender's own name for it, which comes back with the answer.
        reply: takes the one answer, on the main thread; hands off and never waits or raises.
    """

    verb: ClassVar[str]
    door_id: str = ""
    request_id: str | None = None
    reply: Callable[[CommandResult], None] = field(default=_unheard, compare=False, repr=False)

    def answer(self, summary: str, *, done: bool) -> None:
        """Tell the sender what has become of it."""
        self.reply(CommandResult(self.verb, done, summary, self.door_id, self.request_id))


@dataclass(frozen=True, slots=True)
class RingCommand(DoorCommand):
    """Somebody pressed: ring for whoever is at the door."""

    verb: ClassVar[str] = "ring"


@dataclass(frozen=True, slots=True)
class MuteCommand(DoorCommand):
    """Silence the chimes, or let them sound again.

    Attributes:
        muted: whether to silence them.
        minutes: for how long; None until somebody lets them sound again.
    """

    verb: ClassVar[str] = "mute"
    muted: bool
    minutes: float | None = None


@dataclass(frozen=True, slots=True)
class VolumeCommand(DoorCommand):
    """Let the chimes sound so loud, 0 (silent) to 1."""

    verb: ClassVar[str] = "volume"
    volume: float


@dataclass(frozen=True, slots=True)
class ChimeCommand(DoorCommand):
    """Let that built-in chime be the default one; None for the configuration's."""

    verb: ClassVar[str] = "chime"
    chime: str | None


@dataclass(frozen=True, slots=True)
class QuietHoursCommand(DoorCommand):
    """Keep the quiet hours of the configuration, or don't."""

    verb: ClassVar[str] = "quiet_hours"
    on: bool


@dataclass(frozen=True, slots=True)
class PrivacyCommand(DoorCommand):
    """Make no pictures, or make them again."""

    verb: ClassVar[str] = "privacy"
    on: bool


@dataclass(frozen=True, slots=True)
class NameCommand(DoorCommand):
    """Say who a stranger is.

    Attributes:
        stranger_id: who.
        name: of somebody new, or enrolled.
    """

    verb: ClassVar[str] = "name"
    stranger_id: int
    name: str


@dataclass(frozen=True, slots=True)
class CorrectCommand(DoorCommand):
    """Say who a visit was in truth.

    Attributes:
        visit: its identifier, or ``last``.
        person: the name of somebody enrolled; None for nobody of the household's acquaintance.
        learn: whether the faces of the visit become samples of the person.
    """

    verb: ClassVar[str] = "correct"
    visit: str
    person: str | None
    learn: bool = False


@dataclass(frozen=True, slots=True)
class IgnoreCommand(DoorCommand):
    """Never ring for whoever a visit was of, or ring again.

    Attributes:
        visit: its identifier, or ``last``.
        ignored: whether to ignore them.
    """

    verb: ClassVar[str] = "ignore"
    visit: str
    ignored: bool = True


@dataclass(frozen=True, slots=True)
class EnrollCommand(DoorCommand):
    """Enroll the one visitor in sight under a name."""

    verb: ClassVar[str] = "enroll"
    name: str


@dataclass(frozen=True, slots=True)
class ForgetCommand(DoorCommand):
    """Delete a person, with every sample, visit and picture."""

    verb: ClassVar[str] = "forget"
    name: str


Command: TypeAlias = (
    RingCommand
    | MuteCommand
    | VolumeCommand
    | ChimeCommand
    | QuietHoursCommand
    | PrivacyCommand
    | EnrollCommand
    | ForgetCommand
    | NameCommand
    | CorrectCommand
    | IgnoreCommand
)
