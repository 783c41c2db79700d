"""Requests about one door: how everything is, and its chimes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Protocol

from doorbell.clock import iso_utc
from doorbell.config import Config
from doorbell.control import requests
from doorbell.control.wire import Document
from doorbell.daemon.control.documents import reply_document, settings_document
from doorbell.daemon.control.latest import Latest
from doorbell.daemon.control.server import Answer
from doorbell.daemon.control.visits import VisitRequests
from doorbell.domain import CHIME_NAMES
from doorbell.errors import RefusedError, UsageError


class Chimes(Protocol):
    """What plays chimes."""

    def play(self, name: str) -> str | None:
        """Let a built-in one sound; why it does not."""

    def is_quiet_at(self, epoch_seconds: float) -> bool:
        """Whether that moment is in the quiet hours."""


class Broker(Protocol):
    """What speaks to home automation."""

    @property
    def connected(self) -> bool:
        """Whether the broker has taken us."""

    @property
    def problem(self) -> str | None:
        """What it does not take."""


class StatusRequests:
    """Answers what is asked of one door.

    Args:
        config: of the door.
        latest: what was told last of it.
        visits: describes visits.
        chimes: plays them.
        chime_wav: a built-in chime as a WAV file.
        broker: None without home automation.
        notifications: how those who are told are.
        doors: id and name of each door of the house.
    """

    def __init__(
        self,
        config: Config,
        latest: Latest,
        *,
        visits: VisitRequests,
        chimes: Chimes,
        chime_wav: Callable[[str], bytes],
        broker: Broker | None,
        notifications: Callable[[], Document],
        doors: Sequence[tuple[str, str]],
    ) -> None:
        self._config = config
        self._latest = latest
        self._visits = visits
        self._chimes = chimes
        self._chime_wav = chime_wav
        self._broker = broker
        self._notifications = notifications
        self._started = time.monotonic()
        self._doors = [{"id": door_id, "name": name} for door_id, name in doors]

    def status(self, _request: requests.Status) -> Answer:
        """How everything is.

        Keys: device (id, name) of the door, doors (those of the house), version, uptime_seconds,
        camera (condition, reason, since_at, gives_frames; or null), sound and door_speaker (each
        works, reason; or null), talk (enabled), microphone (enabled, is_open), replies (as of
        ``replies.list``), storage (what fails: part, reason), broker (enabled, connected, problem),
        notifications (see ``NoticeRequests.status``), statistics (of the last minute, or null),
        settings, at_the_door (visits), people and strangers (how many, or null), min_face_pixels,
        built_in_chimes, quiet_now.
        """
        latest, device = self._latest, self._config.device
        statistics, settings = latest.statistics, latest.settings
        return Answer(
            {
                "device": {"id": device.id, "name": device.name},
                "doors": self._doors,
                "version": version("doorbell"),
                "uptime_seconds": round(time.monotonic() - self._started, 1),
                "camera": self._camera(),
                "sound": None
                if latest.sound is None
                else {"works": latest.sound.works, "reason": latest.sound.reason},
                "door_speaker": None
                if latest.door_speaker is None or not self._config.talk.enabled
                else {"works": latest.door_speaker.works, "reason": latest.door_speaker.reason},
                "talk": {"enabled": self._config.talk.enabled},
                "microphone": {
                    "enabled": self._config.talk.microphone,
                    "is_open": latest.microphone is not None and latest.microphone.is_open,
                },
                "replies": [reply_document(each) for each in latest.replies],
                "storage": [
                    {"part": part, "reason": reason}
                    for part, reason in sorted(latest.storage.items())
                    if reason is not None
                ],
                "broker": {
                    "enabled": self._broker is not None,
                    "connected": self._broker and self._broker.connected,
                    "problem": self._broker and self._broker.problem,
                },
                "notifications": self._notifications(),
                "statistics": None
                if statistics is None
                else {
                    "frames_per_second": round(statistics.frames_per_second, 1),
                    "frames_dropped": statistics.frames_dropped,
                    "latency_ms_p50": round(statistics.latency_ms_p50, 1),
                    "latency_ms_p99": round(statistics.latency_ms_p99, 1),
                },
                "people": statistics and statistics.people,
                "strangers": statistics and statistics.strangers,
                "settings": settings and settings_document(settings),
                "at_the_door": [
                    self._visits.document(visit) for visit in latest.at_the_door.values()
                ],
                "min_face_pixels": self._config.recognition.min_face_pixels,
                "built_in_chimes": list(CHIME_NAMES),
                "quiet_now": self._chimes.is_quiet_at(time.time()),
            }
        )

    @property
    def is_silent(self) -> bool:
        """Whether nobody in the house is to be woken now."""
        settings = self._latest.settings
        is_muted = settings is not None and settings.muted
        return is_muted or self._chimes.is_quiet_at(time.time())

    def play_chime(self, request: requests.PlayChime) -> Answer:
        """Let a chime sound at the door."""
        _require_built_in(request.chime)
        silent = self._chimes.play(request.chime)
        if silent is not None:
            raise RefusedError(f"the chime does not sound: {silent}")
        return Answer({"summary": f"{request.chime} sounds at the door"})

    def chime_sound(self, request: requests.ChimeSound) -> Answer:
        """The sound of a chime."""
        _require_built_in(request.chime)
        return Answer({"type": "audio/wav"}, self._chime_wav(request.chime))

    def _camera(self) -> Document | None:
        camera = self._latest.camera
        if camera is None:
            return None
        return {
            "condition": camera.condition.value,
            "reason": camera.reason,
            "since_at": iso_utc(camera.since_at),
            "gives_frames": camera.gives_frames,
        }


def _require_built_in(chime: str) -> None:
    if chime not in CHIME_NAMES:
        raise UsageError(f"there is no built-in chime {chime!r}")
