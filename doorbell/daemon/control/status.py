"""Requests about the doorbell itself: how everything is, its chimes, a check of all its parts."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Protocol

from doorbell.clock import iso_utc
from doorbell.config import Config
from doorbell.control import requests
from doorbell.control.wire import Document
from doorbell.daemon.control.documents import reply_document, settings_document
from doorbell.daemon.control.output import Latest
from doorbell.daemon.control.server import Answer
from doorbell.daemon.control.visits import VisitRequests
from doorbell.domain import CHIME_NAMES
from doorbell.errors import RefusedError, UsageError

# What examining everything may take on a slow machine.
CHECK_SECONDS = 180.0
CHECK_COMMAND = (sys.executable, "-m", "doorbell.diagnostics")


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
    """Answers what is asked of the doorbell itself.

    Args:
        config: of the daemon.
        latest: what was told last.
        visits: describes visits.
        chimes: plays them.
        chime_wav: a built-in chime as a WAV file.
        broker: None without home automation.
        notifications: how those who are told are.
        check_command: examines every part; told the configuration on its standard input.
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
        check_command: Sequence[str] = CHECK_COMMAND,
    ) -> None:
        self._config = config
        self._latest = latest
        self._visits = visits
        self._chimes = chimes
        self._chime_wav = chime_wav
        self._broker = broker
        self._notifications = notifications
        self._started = time.monotonic()
        self._check_command = tuple(check_command)
        self._checking = threading.Lock()

    def status(self, _request: requests.Status) -> Answer:
        """How everything is.

        Keys: device (id, name), version, uptime_seconds, camera (condition, reason, since_at,
        gives_frames; or null), sound and door_speaker (each works, reason; or null), talk
        (enabled), microphone (enabled, is_open), replies (as of ``replies.list``), storage (what
        fails: part, reason), broker (enabled, connected, problem), notifications (see
        ``NoticeRequests.status``), statistics (of the last minute, or null), settings,
        at_the_door (visits), people and strangers (how many, or null), min_face_pixels,
        built_in_chimes, quiet_now.
        """
        latest, device = self._latest, self._config.device
        statistics, settings = latest.statistics, latest.settings
        return Answer(
            {
                "device": {"id": device.id, "name": device.name},
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

    def check(self, _request: requests.Check) -> Answer:
        """Examine every part, in a process of its own: it opens what takes time and memory."""
        if not self._checking.acquire(blocking=False):  # each is as large as the daemon itself
            raise RefusedError("a check goes on already; wait for its end", "too_fast")
        try:
            return self._check()
        finally:
            self._checking.release()

    def _check(self) -> Answer:
        config = self._config
        settings = self._latest.settings
        if (settings is not None and settings.muted) or self._chimes.is_quiet_at(time.time()):
            # Sound is tried all the same, and nobody is woken.
            silent = {"volume": 0.0}
            chime, talk = (each.model_copy(update=silent) for each in (config.chime, config.talk))
            config = config.model_copy(update={"chime": chime, "talk": talk})
        try:
            done = subprocess.run(
                self._check_command,
                input=config.model_dump_json(),
                capture_output=True,
                text=True,
                timeout=CHECK_SECONDS,
                check=False,
            )
            findings: list[Document] = json.loads(done.stdout)
        except subprocess.TimeoutExpired as exc:
            raise RefusedError("the check takes too long; look at the log", "failed") from exc
        except (OSError, ValueError) as exc:
            raise RefusedError("the check could not be made; look at the log", "failed") from exc
        return Answer({"findings": findings})

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
