"""How it stands with the parts of the doorbell: the camera, the sound, the daemon itself.

Pure data, for home automation and whoever looks after the daemon. ``*_at`` is wall time in seconds
since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class CameraCondition(Enum):
    """How it stands with the camera."""

    STARTING = "starting"
    LIVE = "live"
    DARK = "dark"
    FROZEN = "frozen"
    LOST = "lost"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class CameraState:
    """How it stands with the camera, since when and why.

    Attributes:
        condition: dark where it sees nothing though it gives frames; frozen where it gives one
            frame for ever; lost where it gives none; stuck where it does not even say so.
        reason: words for people, without credentials; empty while it starts or is live.
        since_at: wall time, seconds since the epoch.
    """

    condition: CameraCondition
    reason: str
    since_at: float

    @property
    def gives_frames(self) -> bool:
        """Whether the door is being looked at; in the dark too, where nothing may be seen."""
        return self.condition in (CameraCondition.LIVE, CameraCondition.DARK)


@dataclass(frozen=True, slots=True)
class SoundState:
    """Whether the last chime was played.

    Attributes:
        works: None before the first.
        reason: why not, in words for people; else empty.
    """

    works: bool | None = None
    reason: str = ""


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
        stages: by name, of ``doorbell.latency``; without those that did not run.
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
