"""A front door with everything that belongs to it, as real processes, and the script of its visits.

The subscriber keeps its session at the broker, and the broker keeps it on the disk, as Home
Assistant's can: what the broker has acknowledged then reaches it, whoever starts anew.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from doorbell.testbed.broker import Mosquitto, keeps_sessions
from doorbell.testbed.daemon_process import WATCHING, DaemonProcess, run_command
from doorbell.testbed.network_camera import NetworkCamera
from doorbell.testbed.process_clock import Clock
from doorbell.testbed.scenes import Who
from doorbell.testbed.service_manager import ServiceManager
from doorbell.testbed.sound_card import SoundCard
from doorbell.testbed.subscriber import Subscriber
from faulting.truth import PRESS_KINDS, Judgement, Scripted, judge, scripted

POLL_SECONDS = 0.05
# Far more than anything takes: what is not there by then has been lost.
PATIENCE_SECONDS = 60.0
VISIT_SECONDS = 20.0
STOP_SECONDS = 15.0
SETTLING_SECONDS = 1.0
SETTINGS = {
    "camera.timeout_seconds": 0.5,
    "camera.stuck_seconds": 0.5,
    "camera.reopen_max_seconds": 1.0,
    "camera.dark_seconds": 1.0,
    "camera.frozen_seconds": 1.0,
    "visits.absence_seconds": 1.5,
    "visits.cooldown_seconds": 0.0,
    "chime.cooldown_seconds": 0.0,
    "mqtt.enabled": "true",
}


class NotRecoveredError(Exception):
    """Something has not come back in time."""


class BesideDoor(Protocol):
    """A second door of the same daemon."""

    def judgement(self) -> Judgement:
        """What the subscriber has heard of it so far, against the script."""


class Door:
    """A door whose daemon, camera and broker are started by ``open``.

    Args:
        folder: for everything, empty.
        gallery: a folder with the gallery to begin with; ``NAME`` is in it, the stranger is not.
        faces: the folder of portraits.

    Attributes:
        gallery: as given; may be changed before it opens.
        settings: of the daemon; may be changed before it starts.
        environment: of the daemon.
        script: what has been played so far.
        manager: whom the daemon tells that it is alive; None for nobody.
        config: its configuration file; None for none.
        speaker: at the door; None where what plays the chimes is all that there is.
        notifier: what tells phones; None for nothing.
        second: another door of the daemon; None where there is none.
        server: of the gallery; None where that is a file.
        watching: what the daemon says once every door is watched.
        stack: what is closed with the door, last of all.
    """

    def __init__(self, folder: Path, gallery: Path, faces: Path) -> None:
        self.folder = folder
        self.storage = folder / "storage"
        self.storage.mkdir(mode=0o700)
        self.faces = faces
        self.card = SoundCard(folder)
        self.camera = NetworkCamera(folder, faces)
        self.settings: dict[str, object] = {
            **SETTINGS,
            "camera.uri": self.camera.uri,
            "storage.directory": self.storage,
        }
        self.environment = dict(self.card.environment)
        self.script: list[Scripted] = []
        self.manager: ServiceManager | None = None
        self.config: Path | None = None
        self.speaker: SoundCard | None = None
        self.notifier: object | None = None
        self.second: BesideDoor | None = None
        self.server: object | None = None
        self.watching = WATCHING
        self.stack = ExitStack()
        self.broker = self.broker_with()
        self.gallery = gallery
        self._log = folder / "log"
        self._subscriber: Subscriber | None = None
        self._daemon: DaemonProcess | None = None
        self._clock: Clock | None = None

    def broker_with(
        self, *settings: str, host: str = "127.0.0.1", enter: tuple[str, ...] = ()
    ) -> Mosquitto:
        """A broker of this door that keeps sessions on the disk."""
        lines = ("allow_anonymous true", *keeps_sessions(self.folder), *settings)
        return Mosquitto(self.folder, *lines, host=host, enter=enter)

    def own_clock(self) -> None:
        """Give the daemon that starts next a wall clock of its own."""
        self._clock = Clock(self.folder, time.time(), rate=1.0)
        self._clock.go()
        self.environment |= self._clock.environment

    def set_clock(self, ahead_seconds: float) -> None:
        """Set that clock, so far ahead of the machine's."""
        if self._clock is None:
            raise RuntimeError("give the daemon a clock first")
        self._clock.set_error(ahead_seconds)

    def open(self) -> None:
        """Start everything, and wait until the door is watched."""
        shutil.copytree(self.gallery, self.storage, dirs_exist_ok=True)
        self.settings.setdefault("mqtt.host", self.broker.host)
        self.settings.setdefault("mqtt.port", self.broker.port)
        self.broker.start()
        self._subscriber = Subscriber(self.broker.port, self.broker.host, client_id="judge")
        self.camera.plug()
        self.start()

    @property
    def subscriber(self) -> Subscriber:
        """Who hears everything."""
        if self._subscriber is None:
            raise RuntimeError("open the door first")
        return self._subscriber

    @property
    def daemon(self) -> DaemonProcess:
        """The process."""
        if self._daemon is None:
            raise RuntimeError("open the door first")
        return self._daemon

    @property
    def log(self) -> str:
        """Of every daemon so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def command(self) -> list[str]:
        """What starts the daemon."""
        settings = (f"{key}={value}" for key, value in self.settings.items())
        return run_command(*settings, config=self.config)

    def start(self, *, until: str | None = None) -> float:
        """Start the daemon; how long it takes until it says something, as that it watches."""
        awaited = self.watching if until is None else until
        began = time.monotonic()
        daemon = DaemonProcess(self.command(), self._log, environment=self.environment)
        self._daemon = daemon
        return self.seconds_until(lambda: awaited in daemon.log, since=began)

    def kill(self) -> None:
        """Kill the daemon, as a power cut or the kernel short of memory does."""
        self.daemon.kill()

    def terminate(self) -> None:
        """End the daemon as a service manager does.

        Raises:
            NotRecoveredError: it ended with another code than 0, or not at all.
        """
        try:
            code = self.daemon.terminate(STOP_SECONDS)
        except subprocess.TimeoutExpired as exc:
            raise NotRecoveredError("the daemon did not end") from exc
        if code != 0:
            raise NotRecoveredError(f"the daemon ended with {code}")

    def comes(self, who: Who) -> None:
        """Somebody comes to the door; back once it has rung for them."""
        self.expect(who)
        rings = self.told("ring")
        self.camera.comes(who)
        self._wait(lambda: self.told("ring") > rings, VISIT_SECONDS)

    def expect(self, who: Who, *, rings: bool = True) -> None:
        """Note that a visit of somebody is to be told, with or without the bell."""
        self.script.append(scripted(who, rings=rings))

    def goes(self) -> None:
        """Whoever is there goes; back once the daemon has told it."""
        left = self.told("left")
        self.camera.goes()
        self._wait(lambda: self.told("left") > left, VISIT_SECONDS)

    def visit(self, who: Who) -> None:
        """Somebody comes and goes."""
        self.comes(who)
        self.goes()

    def press(self) -> float:
        """Somebody presses Home Assistant's button, nobody in sight; how long until it is told."""
        self.script.append(Scripted(None, PRESS_KINDS))
        began = time.monotonic()
        self.subscriber.publish("doorbell/front-door/ring", b"PRESS")
        seconds = self.seconds_until_told(began)
        # Whoever came now would be taken for the one who pressed.
        time.sleep(float(str(self.settings["visits.absence_seconds"])) + 0.2)
        return seconds

    def condition(self, device: str) -> str | None:
        """What was told last of the camera, the sound or the storage."""
        told = self.subscriber.documents(device)
        return str(told[-1]["condition"]) if told else None

    def await_condition(self, device: str, condition: str, since: float | None = None) -> float:
        """Wait until it is told; seconds since a moment, or since now."""
        since = time.monotonic() if since is None else since
        return self.seconds_until(lambda: self.condition(device) == condition, since=since)

    def judgement(self) -> Judgement:
        """What the subscriber has heard so far of every door, against the script."""
        own = judge(self.script, self.subscriber.documents("event"))
        return own if self.second is None else own + self.second.judgement()

    def seconds_until_told(self, since: float) -> float:
        """Seconds from a moment until the subscriber has heard everything."""
        return self.seconds_until(lambda: self.judgement().lost == 0, since=since)

    def seconds_until(
        self,
        condition: Callable[[], bool],
        *,
        since: float,
        within: float = PATIENCE_SECONDS,
    ) -> float:
        """Seconds from a moment until something is so.

        Raises:
            NotRecoveredError: it is not.
        """
        if not self._wait(condition, within):
            code = self.daemon.exit_code
            what = f"not after {within:g} s" if code is None else f"the daemon ended with {code}"
            raise NotRecoveredError(f"{what}; its log ends:\n{self.daemon.log_end}")
        return time.monotonic() - since

    def await_gone(self, visits: int, within: float) -> None:
        """Wait until so many visits have ended."""
        began = time.monotonic()
        self.seconds_until(lambda: self.told("left") >= visits, since=began, within=within)

    def settle(self) -> Judgement:
        """End the daemon, and judge everything."""
        self._wait(lambda: self.judgement().lost == 0, VISIT_SECONDS)
        self.terminate()
        time.sleep(SETTLING_SECONDS)
        return self.judgement()

    def close(self) -> None:
        """End everything; idempotent."""
        if self._daemon is not None:
            self._daemon.kill()
        self.camera.unplug()
        if self._subscriber is not None:
            self._subscriber.close()
        self.broker.stop()
        self.stack.close()

    def told(self, kind: str) -> int:
        """How often something was told of any door, as the log says."""
        return len(re.findall(rf" {kind} (?:door=\S+ )?visit=", self.log))

    def _wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait for something, or for the daemon to end; whether it came."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end or (self._daemon and self._daemon.exit_code is not None):
                return condition()
            time.sleep(POLL_SECONDS)
        return True
