"""Plays the script on the real daemon, and notes what it did.

The camera is the simulated one, as fast as the daemon takes its frames, with some seconds of an
empty porch between visitors. Time stands still until the daemon has seen the next one come.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from doorbell.camera.simulated.script import Appearance, SceneScript
from doorbell.testbed.broker import Mosquitto, keeps_sessions
from doorbell.testbed.daemon_process import DOORBELL
from doorbell.testbed.process_clock import Clock
from doorbell.testbed.scenes import write_scene
from doorbell.testbed.sound_card import SoundCard
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually
from soaking.house import Doorbell, Footprint
from soaking.truth import Expected, Kept, read_kept
from soaking.week import (
    PICTURES_DAYS,
    QUIET_FROM,
    QUIET_TO,
    STRANGERS_DAYS,
    VISITORS,
    VISITS_DAYS,
    Broker,
    Check,
    Happening,
    NameStranger,
    SetClock,
    Start,
    Visit,
)

# While somebody is there the time passes about as fast as frames come.
RATE = 4.0
FRAMES_PER_SECOND = 10
# By the camera's time: how the porch is empty before a visitor, and before one who returns soon.
ABSENCE_SECONDS = 5.0
EMPTY_SECONDS = 15.0
RETURN_SECONDS = 6.5
COOLDOWN_SECONDS = 14.0
APPROACH_SECONDS, LEAVE_SECONDS = 1.8, 1.2
# How much longer it is empty while something else takes its real time: a fast machine passes up to
# 50 of the camera's seconds in one.
STARTING_SECONDS, CONNECTING_SECONDS, NAMING_SECONDS, CHECKING_SECONDS = 20.0, 600.0, 300.0, 500.0
# Real seconds: retention is looked after every five of them, a broker called back within ten.
RETENTION_SECONDS, RECONNECT_SECONDS = 6.0, 15.0
VISIT_SECONDS = 60.0
SETTLE_SECONDS = 2.0
SOUNDING_SECONDS = 1.0


_DuringLife: TypeAlias = Visit | SetClock | Broker | NameStranger | Check


@dataclass
class Played:
    """What happened.

    Attributes:
        expected: the scripted visits, with the daemon's identifiers of what it took them for.
        kept: at each check, its time and what the gallery and the folder of pictures held.
        lives: of each life of the daemon, what it held after each visit.
        problems: what did not happen, or not in time.
    """

    expected: list[Expected] = field(default_factory=list)
    kept: list[tuple[float, Kept]] = field(default_factory=list)
    lives: list[list[Footprint]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class Week:
    """The house and who lives in it.

    Args:
        folder: for everything.
        models: ``models/built``.
        happenings: the script.
    """

    def __init__(self, folder: Path, models: Path, happenings: Sequence[Happening]) -> None:
        self.folder, self._models, self._happenings = folder, models, happenings
        self.clock = Clock(folder, happenings[0].at, RATE)
        self.broker = Mosquitto(folder, "allow_anonymous true", *keeps_sessions(folder))
        self.broker.start()
        self.subscriber = Subscriber(self.broker.port, client_id="soak")
        self.sound = SoundCard(folder, keep_all=True)
        self.played = Played()
        self._config = folder / "doorbell.toml"
        self._write_config()
        self._enroll()
        self._doorbell: Doorbell | None = None
        self._broker_runs = True
        self._left_open: list[str] = []
        self._lives = 0

    def play(self) -> Played:
        """Play it to the end."""
        for start, life in _lives(self._happenings):
            self._begin(start, life)
            for each in life:
                self._do(each)
        self._end(signal.SIGTERM)
        time.sleep(SETTLE_SECONDS)
        return self.played

    def close(self) -> None:
        """End every process; idempotent."""
        if self._doorbell is not None:
            self._doorbell.end(signal.SIGKILL)
            self._doorbell = None
        self.subscriber.close()
        self.broker.stop()

    def _do(self, happening: _DuringLife) -> None:
        match happening:
            case Visit():
                self._visit(happening)
            case SetClock(at=at, clock_error=error):
                self.clock.hold_at(at)
                self.clock.set_error(error)
            case Broker():
                self._set_broker(happening)
            case NameStranger(at=at, who=who, name=name):
                self.clock.hold_at(at)
                labels = [each.label for each in self.played.expected if each.who == who]
                self._command("strangers", "name", labels[-1] or "0", name)
            case Check(at=at):
                self.clock.hold_at(at)
                time.sleep(RETENTION_SECONDS)
                self.played.kept.append((at, read_kept(self.folder)))

    def _begin(self, start: Start, life: Sequence[_DuringLife]) -> None:
        self._end(signal.SIGTERM)
        self.clock.hold_at(start.at)
        self.clock.set_error(start.clock_error)
        scene = self.folder / f"life-{self._lives}.toml"
        camera = write_scene(scene, _scene(life, self._models / "faces"))
        self._lives += 1
        self._doorbell = Doorbell(
            ["--config", str(self._config), "--set", f"camera.uri={camera}"],
            {**self.sound.environment, **self.clock.environment, "TZ": "Europe/Berlin"},
            self.folder / "log",
        )
        self.played.lives.append([])
        if self._left_open:  # of whom was there when the life before was killed
            said = self._doorbell.next_said(VISIT_SECONDS)
            if said is None or said.what != "left" or said.visit_id not in self._left_open:
                self._note(f"{said} where a visit of the life before was to end", start.at)
            self._left_open = []

    def _end(self, number: int) -> None:
        if self._doorbell is not None:
            code = self._doorbell.end(number)
            wanted = 0 if number == signal.SIGTERM else -number
            if code != wanted:
                self._note(f"the doorbell ended with {code}")
        self._doorbell = None

    @property
    def _running(self) -> Doorbell:
        if self._doorbell is None:
            raise RuntimeError("the script needs a Start after a visit with an ending")
        return self._doorbell

    def _visit(self, visit: Visit) -> None:
        doorbell = self._running
        if not visit.returns:
            if doorbell.has_said_more:
                self._note(f"{_name(visit)} came before this program let time pass", visit.at)
            self.clock.hold_at(visit.at)
        connected = self._broker_runs and doorbell.connections > 0
        mine = [Expected(visit, who) for who in visit.who]
        ids: list[str] = []
        left, rang = 0, False
        deadline = time.monotonic() + VISIT_SECONDS
        while left < max(len(visit.who), len(ids)):
            said = doorbell.next_said(deadline - time.monotonic())
            if said is None:
                self._note(f"{_name(visit)} was not seen to leave", visit.at)
                break
            if said.what == "arrived" and said.visit_id not in ids:
                ids.append(said.visit_id)
                self.clock.go()
            elif said.visit_id not in ids:
                self._note(f"{said} where {_name(visit)} was expected", visit.at)
            if said.what in ("recognized", "unknown"):
                _assign(mine, said.visit_id, said.visitor)
                if visit.clock_set is not None:
                    self.clock.set_error(visit.clock_set)
            left += said.what == "left"
            rang = rang or said.what == "ring"
            if rang and visit.ending:
                time.sleep(SOUNDING_SECONDS)
                self._end(signal.SIGKILL if visit.ending == "kill" else signal.SIGTERM)
                self._left_open = ids if visit.ending == "kill" else []
                break
        for each in mine:
            each.ids = ids if len(visit.who) == 1 else each.ids
            each.on_time = connected and not visit.ending
            each.late = not self._broker_runs
            each.clock_error = self.clock.error_seconds
        self.played.expected += mine
        if self._doorbell is not None:
            self.played.lives[-1].append(self._doorbell.footprint())

    def _set_broker(self, happening: Broker) -> None:
        doorbell = self._running
        self.clock.hold_at(happening.at)
        match happening.does:
            case "stop":
                self.broker.terminate()
            case "kill":
                self.broker.stop()
            case "start":
                before = doorbell.connections
                self.broker.start()
                if not eventually(lambda: doorbell.connections > before, RECONNECT_SECONDS):
                    self._note("the doorbell did not find the broker again", happening.at)
                time.sleep(SETTLE_SECONDS)
        self._broker_runs = happening.does == "start"

    def _note(self, problem: str, at: float | None = None) -> None:
        moment = time.strftime("%a %H:%M", time.gmtime(self.clock.now if at is None else at))
        self.played.problems.append(f"{moment} UTC: {problem}")

    def _write_config(self) -> None:
        settings: dict[str, dict[str, object]] = {
            "camera": {
                "realtime": False,
                "width": 640,
                "height": 360,
                "frames_per_second": FRAMES_PER_SECOND,
            },
            "inference": {"models_directory": str(self._models)},
            "visits": {"absence_seconds": ABSENCE_SECONDS, "cooldown_seconds": COOLDOWN_SECONDS},
            "storage": {
                "directory": str(self.folder / "storage"),
                "pictures_days": PICTURES_DAYS,
                "strangers_days": STRANGERS_DAYS,
                "visits_days": VISITS_DAYS,
            },
            "chime": {
                "quiet_from": QUIET_FROM,
                "quiet_to": QUIET_TO,
                "cooldown_seconds": 0.0,
            },
            "mqtt": {"enabled": True, "host": "127.0.0.1", "port": self.broker.port},
        }
        lines = []
        for section, keys in settings.items():
            lines.append(f"[{section}]")
            for key, value in keys.items():
                bare = isinstance(value, (bool, int, float, str))
                lines.append(f"{key} = {json.dumps(value) if bare else value}")
        self._config.write_text("\n".join(lines) + "\n")

    def _enroll(self) -> None:
        for who in VISITORS:
            if who.name is not None:
                photo = self._models / "faces" / f"{who.enrolled_by}.jpg"
                self._command("enroll", who.name, str(photo))
                if who.chime is not None:
                    self._command("people", "chime", who.name, who.chime)

    def _command(self, *words: str) -> None:
        command = [*DOORBELL, "--config", str(self._config), *words]
        subprocess.run(
            command,
            env={**os.environ, **self.clock.environment},
            check=True,
            stdout=subprocess.DEVNULL,
        )


def _lives(happenings: Sequence[Happening]) -> Iterator[tuple[Start, list[_DuringLife]]]:
    """Each start with what comes before the next."""
    life: list[_DuringLife] = []
    start: Start | None = None
    for each in happenings:
        if not isinstance(each, Start):
            life.append(each)
            continue
        if start is not None:
            yield start, life
        start, life = each, []
    if start is not None:
        yield start, life


def _scene(life: Sequence[_DuringLife], faces: Path) -> SceneScript:
    """What the camera of one life shows."""
    seconds = STARTING_SECONDS
    appearances = []
    for each in life:
        match each:
            case Visit():
                seconds += RETURN_SECONDS if each.returns else EMPTY_SECONDS
                together = len(each.who) > 1
                appearances += [
                    Appearance(
                        faces / f"{who.portrait}.jpg",
                        who.face_xyxy,
                        enters_seconds=seconds + 0.5 * place,
                        stays_seconds=each.stays_seconds,
                        approach_seconds=APPROACH_SECONDS,
                        leave_seconds=LEAVE_SECONDS,
                        from_x=(0.05, 0.95)[place] if together else 0.2,
                        door_x=(0.27, 0.73)[place] if together else 0.5,
                    )
                    for place, who in enumerate(each.who)
                ]
                seconds += APPROACH_SECONDS + each.stays_seconds + LEAVE_SECONDS
            case Broker(does="start"):
                seconds += CONNECTING_SECONDS
            case NameStranger():
                seconds += NAMING_SECONDS
            case Check():
                seconds += CHECKING_SECONDS
            case _:
                pass
    return SceneScript(tuple(appearances), seconds + 3600.0)


def _assign(mine: Sequence[Expected], visit_id: str, visitor: str) -> None:
    """Note a visit under whom it was taken for, or under the one that nothing was noted for."""
    free = [each for each in mine if each.label is None]
    if not free:
        return
    best = next((each for each in free if each.who.name == visitor), None)
    if best is None:
        best = next((each for each in free if each.who.name is None), free[0])
    best.label = visitor
    best.ids = [visit_id]


def _name(visit: Visit) -> str:
    return " and ".join(who.name or who.portrait for who in visit.who)
