"""How the doorbell is doing, and everything that goes over its one bus.

Pure data. Events tell what happens at the door; states tell how the camera, the sound, the storage
and the daemon are, who is known and what was forgotten. Together they are the messages that every
output hears. What is of one door carries the door's id; what is of the whole house, such as the
gallery and the clock, has none. ``*_at`` is wall time in seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import time
from enum import Enum
from typing import Literal, TypeAlias

from doorbell.domain import Event, Person, Reply, Visit


class CameraCondition(Enum):
    """How it stands with the camera."""

    STARTING = "starting"
    LIVE = "live"
    DARK = "dark"
    FROZEN = "frozen"
    LOST = "lost"
    STUCK = "stuck"
    SLOW = "slow"


_SEEING = (CameraCondition.LIVE, CameraCondition.DARK, CameraCondition.SLOW)


@dataclass(frozen=True, slots=True)
class CameraState:
    """How it stands with the camera, since when and why.

    Attributes:
        condition: dark where it sees nothing though it gives frames; slow where it gives too few to
            recognize anybody by; frozen where it gives one
            frame for ever; lost where it gives none; stuck where it does not even say so.
        reason: words for people, without credentials; empty while it is live, or as long as one
            waits for it to start.
        since_at: wall time, seconds since the epoch.
        door_id: of the door that it watches; empty until the daemon has put it in.
    """

    condition: CameraCondition
    reason: str
    since_at: float
    door_id: str = ""

    @property
    def gives_frames(self) -> bool:
        """Whether the door is being looked at; in the dark too, where nothing may be seen."""
        return self.condition in _SEEING


@dataclass(frozen=True, slots=True)
class SoundState:
    """Whether the last chime was played.

    Attributes:
        works: None before the first.
        reason: why not, in words for people; else empty.
        door_id: of the door that it sounds for.
    """

    works: bool | None = None
    reason: str = ""
    door_id: str = ""


@dataclass(frozen=True, slots=True)
class DoorSpeakerState:
    """Whether the last thing that was said at the door was heard there.

    Attributes:
        works: None before the first.
        reason: why not, in words for people; else empty.
        door_id: of the door that it is at.
    """

    works: bool | None = None
    reason: str = ""
    door_id: str = ""


@dataclass(frozen=True, slots=True)
class MicrophoneState:
    """Whether the microphone at the door is open: somebody listens.

    Attributes:
        is_open: whether it is.
        door_id: of the door that it is at.
    """

    is_open: bool
    door_id: str = ""


@dataclass(frozen=True, slots=True)
class DoorAnswered:
    """Somebody in the house has answered the bell.

    Attributes:
        how: watched, talked, replied or silenced.
        door_id: of which door.
    """

    how: Literal["watched", "talked", "replied", "silenced"]
    door_id: str = ""


@dataclass(frozen=True, slots=True)
class RepliesState:
    """Which quick replies there are; told at the start and whenever that changes.

    Attributes:
        replies: built-in ones first.
    """

    replies: tuple[Reply, ...]


@dataclass(frozen=True, slots=True)
class StageLatency:
    """How long one stage took over a period.

    Attributes:
        p50_ms, p95_ms, p99_ms: percentiles of the times that it ran.
        count: how often it ran.
    """

    p50_ms: float
    p95_ms: float
    p99_ms: float
    count: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """How the daemon has been doing since the last report; one a minute.

    Attributes:
        uptime_seconds: since the daemon started.
        frames_per_second: frames processed over the period.
        frames_dropped: frames overwritten before they were processed, over the period.
        latency_ms_p50, latency_ms_p99: capture to end of processing over the period.
        visits_open: visitors at the door now.
        people, strangers: in the gallery.
        camera_online: whether the camera gives frames.
        stages: by name, of ``doorbell.pipeline.latency``; without those that did not run.
        door_id: of the door that is watched.
    """

    uptime_seconds: float
    frames_per_second: float
    frames_dropped: int
    latency_ms_p50: float
    latency_ms_p99: float
    visits_open: int
    people: int
    strangers: int
    camera_online: bool
    stages: Mapping[str, StageLatency] = field(default_factory=dict)
    door_id: str = ""


@dataclass(frozen=True, slots=True)
class MuteState:
    """Whether the household has silenced the doorbell.

    Attributes:
        muted: whether it has.
        door_id: of which door.
    """

    muted: bool
    door_id: str = ""


@dataclass(frozen=True, slots=True)
class SettingsState:
    """What people may change while the doorbell runs, as it holds now.

    Told at the start and after each change. That the chimes are muted is told by ``MuteState`` too.

    Attributes:
        muted_until: wall time at which the chimes sound again, seconds since the epoch; None where
            they are not muted, or until somebody lets them.
        volume: of the chimes, 0 to 1.
        default_chime: the built-in one; None for the configuration's.
        quiet_hours: whether there are any, and they are kept.
        privacy: whether no pictures are made.
        muted: whether the chimes are silenced.
        quiet_from, quiet_to: when the quiet hours begin and end, by the clock on the wall; None
            where there are none, and for those of the configuration.
        pictures_days, visits_days, strangers_days: for how long they are kept, 0 for ever; None as
            the configuration says.
        announcements: whether it is said inside who is at the door.
        reply_after_seconds: after how long a ring that nobody answered is replied to; 0 for never.
        unanswered_reply: the reply that is said then.
        door_id: of which door.
    """

    volume: float
    default_chime: str | None = None
    quiet_hours: bool = False
    privacy: bool = False
    muted: bool = False
    muted_until: float | None = None
    quiet_from: time | None = None
    quiet_to: time | None = None
    pictures_days: int | None = None
    visits_days: int | None = None
    strangers_days: int | None = None
    announcements: bool = False
    reply_after_seconds: int = 0
    unanswered_reply: str = ""
    door_id: str = ""


@dataclass(frozen=True, slots=True)
class VisitCorrected:
    """The household has said who a visit was of; or that it was of nobody it knows."""

    visit: Visit


@dataclass(frozen=True, slots=True)
class StorageState:
    """Whether one part of what is stored can be kept.

    Attributes:
        part: which: ``gallery``, ``pictures``, or what else stores something.
        problem: why it cannot be kept now, in words for people; None where it can.
    """

    part: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class KnownVisitors:
    """Who is in the gallery; told at the start and whenever the gallery has changed.

    Attributes:
        people: everybody enrolled.
        stranger_ids: of everybody known by an identifier only; what is so at any time, so it is
            asked only while this is handled.
        gone: how many were removed since the start, forgotten or made one with others.
        open_visits: at the start, those that an earlier run left open and that may go on.
        last_visits: the last of each of the people, where there is one; told at the start only.
    """

    people: tuple[Person, ...]
    stranger_ids: Set[int]
    gone: int = 0
    open_visits: tuple[Visit, ...] = ()
    last_visits: tuple[Visit, ...] = ()


@dataclass(frozen=True, slots=True)
class VisitsForgotten:
    """Visits were deleted: whoever keeps or shows anything of them drops it now.

    Attributes:
        visit_ids: which.
        beside: other visits of their time and door, whose pictures may show the same faces.
    """

    visit_ids: tuple[str, ...]
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClockStep:
    """The wall clock was set.

    Attributes:
        since, until: wall times, as it went before, from this run's start to the step.
        seconds: by how much it is later now; negative where it was set back.
    """

    since: float
    until: float
    seconds: float


@dataclass(frozen=True, slots=True)
class ClockState:
    """What time it is; told every few seconds, for what is done now and again.

    Attributes:
        time_seconds: by a clock that nobody sets.
        wall_time: seconds since the epoch; None where that clock is not to be trusted, and nothing
            may be deleted for its age.
    """

    time_seconds: float
    wall_time: float | None


State: TypeAlias = (
    CameraState
    | SoundState
    | DoorSpeakerState
    | MicrophoneState
    | DoorAnswered
    | RepliesState
    | MuteState
    | SettingsState
    | StorageState
    | Statistics
    | KnownVisitors
    | VisitsForgotten
    | VisitCorrected
    | ClockStep
    | ClockState
)
Message: TypeAlias = Event | State
