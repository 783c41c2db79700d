"""The daemon as a process, started and stopped as a service manager does, in a real household."""

import os
import random
import re
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import pytest
from household import (
    DOORBELL,
    Listener,
    Mosquitto,
    SoundCard,
    Visitor,
    eventually,
    listening,
    simulated,
    sounds_like,
)

from doorbell.config import load_config
from doorbell.household.enrollment import Enroller
from doorbell.models.store import face_path
from doorbell.outputs.chimes import synthesize
from doorbell.perception import Perception
from doorbell.recognition.gallery import Gallery

pytestmark = pytest.mark.system

OBAMA = "Barack Obama"
KILLS = 3
WATCHDOG_SECONDS = 1.2
STOP_SECONDS = 5.0

# Known from 0.3 s to 4.7 s; a stranger from 7 s on, who stays.
VISITORS = (
    Visitor(enters=0.3, approach=1.5, stays=2.0, leave=0.9),
    Visitor(enters=7.0, approach=1.5, portrait="biden", from_x=0.55),
)


class ServiceManager:
    """The socket that systemd listens on, and the environment it sets."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._path))
        self._heard: list[tuple[float, str]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "NOTIFY_SOCKET": str(self._path),
            "WATCHDOG_USEC": str(round(WATCHDOG_SECONDS * 1e6)),
        }

    @property
    def heard(self) -> list[str]:
        """Names of the variables sent so far, in order."""
        return [message.partition("=")[0] for _, message in self._heard]

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", str(self._path))
        self._reader.join()
        self._socket.close()

    def _read(self) -> None:
        while message := self._socket.recv(4096):
            self._heard.append((time.monotonic(), message.decode()))


class Doorbell:
    """A daemon process of its own household."""

    def __init__(
        self, folder: Path, camera: str, *settings: str, environment: Mapping[str, str]
    ) -> None:
        config = folder / "doorbell.toml"
        config.write_text(
            f'[camera]\nuri = "{camera}"\nwidth = 640\nheight = 360\nframes_per_second = 10\n'
            f'[storage]\ndirectory = "{folder}"\n'
            "[visits]\nabsence_seconds = 1.5\n"
            "[chime]\ncooldown_seconds = 0\n"
        )
        command = [DOORBELL, "run", "--config", str(config)]
        for setting in settings:
            command += ["--set", setting]
        self.log = folder / "log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env={**os.environ, **environment}, stdout=log, stderr=log
            )

    def terminate(self) -> float:
        """Ask it to end; how many seconds that took."""
        asked = time.monotonic()
        self.process.terminate()
        self.process.wait(20)
        return time.monotonic() - asked

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Start(Protocol):
    """Starts the doorbell before a camera, with settings."""

    def __call__(
        self, camera: str, *settings: str, manager: ServiceManager | None = None
    ) -> Doorbell: ...


@pytest.fixture
def start(tmp_path: Path, card: SoundCard) -> Iterator[Start]:
    started: list[Doorbell] = []

    def start_one(camera: str, *settings: str, manager: ServiceManager | None = None) -> Doorbell:
        environment = {**card.environment, **(manager.environment if manager else {})}
        started.append(Doorbell(tmp_path, camera, *settings, environment=environment))
        return started[-1]

    yield start_one
    for doorbell in started:
        doorbell.kill()


@pytest.fixture
def card(tmp_path: Path) -> SoundCard:
    return SoundCard(tmp_path)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    with closing(ServiceManager(tmp_path)) as manager:
        yield manager


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path, "allow_anonymous true")
    yield broker
    broker.stop()


@pytest.fixture
def scene(tmp_path: Path, models_directory: Path, perception: Perception) -> str:
    """The camera's URI; the first visitor is enrolled from another photo, with a chime."""
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        enroller = Enroller(perception, gallery, load_config(None))
        enroller.enroll_photos(OBAMA, [face_path("obama2", models_directory)])
        gallery.people.set_chime(OBAMA, "sunrise")
    return simulated(tmp_path, models_directory, *VISITORS)


def speaking_to(broker: Mosquitto) -> list[str]:
    return ["mqtt.enabled=true", "mqtt.host=127.0.0.1", f"mqtt.port={broker.port}"]


def types_of(listener: Listener) -> list[str]:
    return [event["event_type"] for event in listener.documents("event")]


def sound_of(card: SoundCard, chime: str) -> np.ndarray:
    assert eventually(partial(card.has_recorded, synthesize(chime).seconds), 15)
    return card.take()


def test_a_day_at_the_door(
    tmp_path: Path,
    start: Start,
    scene: str,
    broker: Mosquitto,
    *,
    card: SoundCard,
    manager: ServiceManager,
) -> None:
    broker.start()
    with listening(broker.port) as listener:
        doorbell = start(scene, *speaking_to(broker), manager=manager)
        # A known visitor, and a stranger.
        known = sound_of(card, "sunrise")
        assert eventually(lambda: types_of(listener).count("ring") == 2, 15), types_of(listener)
        unknown = sound_of(card, "alert")
        assert sounds_like(known, "sunrise")
        assert sounds_like(unknown, "alert")
        assert not sounds_like(known, "alert")
        # Somebody presses; silenced; sounding again.
        command = "doorbell/front-door"
        listener.publish(f"{command}/ring", b"PRESS")
        assert sounds_like(sound_of(card, "alert"), "alert")
        listener.publish(f"{command}/mute", b"ON")
        assert eventually(lambda: listener.of("mute/state")[-1] == b"ON")
        listener.publish(f"{command}/ring", b"PRESS")
        assert eventually(lambda: types_of(listener).count("ring") == 4)
        time.sleep(0.5)
        assert not card.recording.exists()
        listener.publish(f"{command}/mute", b"OFF")
        assert eventually(lambda: listener.of("mute/state")[-1] == b"OFF")
        # The stranger is still there when the doorbell is told to stop.
        took = doorbell.terminate()
        assert took < STOP_SECONDS
        assert doorbell.process.returncode == 0, doorbell.log.read_text()
        assert eventually(lambda: listener.of("availability") == [b"online", b"offline"])

        assert listener.topics()[:2] == [
            "homeassistant/device/doorbell_front-door/config",
            "availability",
        ]
        events = listener.documents("event")
        assert [(event["event_type"], event["person"], event["stranger"]) for event in events] == [
            ("arrived", None, None),
            ("recognized", OBAMA, None),
            ("ring", OBAMA, None),
            ("left", OBAMA, None),
            ("arrived", None, None),
            ("unknown", None, "stranger-1"),
            ("ring", None, "stranger-1"),
            ("ring", None, "stranger-1"),
            ("ring", None, "stranger-1"),
            ("left", None, "stranger-1"),
        ]
        assert len({event["event_id"] for event in events}) == len(events)
        assert len({event["visit_id"] for event in events}) == 2
        assert not any(message.retain for message in listener.messages)
    with listening(broker.port) as later:
        assert eventually(lambda: {"availability", "visitor", "image"} <= set(later.topics()))
        assert later.of("availability") == [b"offline"]
        assert later.documents("visitor")[0]["visitor"] == "stranger-1"
        [status] = later.documents("status")
        stages = ["capture", "detect", "align", "embed", "decide", "publish", "frame"]
        assert list(status["stages"]) == stages
        assert status["stages"]["frame"]["p50_ms"] == round(status["latency_ms_p50"], 3) > 0
        assert status["stages"]["publish"]["count"] > len(events)
        assert later.of("event") == []
    heard = manager.heard
    assert heard[0] == "READY"
    assert heard.count("WATCHDOG") > 8
    assert heard.index("STOPPING") > max(i for i, name in enumerate(heard) if name == "WATCHDOG")
    pictures = sorted(path.stem for path in (tmp_path / "pictures").iterdir())
    assert pictures == sorted({event["visit_id"] for event in events})


def test_a_broker_that_comes_later_hears_of_the_visitor(
    start: Start, scene: str, broker: Mosquitto, card: SoundCard
) -> None:
    doorbell = start(scene, *speaking_to(broker))
    sound_of(card, "sunrise")
    broker.start()
    with listening(broker.port) as listener:
        assert eventually(lambda: types_of(listener)[:3] == ["arrived", "recognized", "ring"])
        assert doorbell.terminate() < STOP_SECONDS
    assert doorbell.process.returncode == 0
    assert doorbell.log.read_text().count("no broker at") == 1


def test_a_gallery_outlives_a_daemon_killed_during_a_visit(
    tmp_path: Path, start: Start, scene: str
) -> None:
    moment = random.Random(4)  # noqa: S311 - moments, not secrets
    path = tmp_path / "gallery.sqlite"
    for kills in range(KILLS):
        doorbell = start(scene)
        assert eventually(partial(has_visits, path, kills + 1, 1), 15), doorbell.log.read_text()
        time.sleep(moment.uniform(0, 0.8))
        doorbell.kill()
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    doorbell = start(scene)
    assert eventually(lambda: doorbell.log.read_text().count("were left open") == KILLS)
    assert doorbell.terminate() < STOP_SECONDS
    assert doorbell.process.returncode == 0
    assert has_visits(path, KILLS, 0)


def test_a_daemon_that_is_stopped_while_it_starts_opens_nothing_more(
    start: Start, scene: str
) -> None:
    doorbell = start(scene, "log.level=info")
    assert eventually((doorbell.log.parent / "gallery.sqlite-wal").exists)
    assert doorbell.terminate() < STOP_SECONDS
    assert doorbell.process.returncode == 0, doorbell.log.read_text()
    assert "watching the door" not in doorbell.log.read_text()


def test_no_frame_of_a_recording_passes_while_networks_are_compiled(
    start: Start, tmp_path: Path
) -> None:
    video = tmp_path / "recording.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (160, 120))
    for level in range(30):
        writer.write(np.full((120, 160, 3), 60 + level, np.uint8))
    writer.release()
    doorbell = start(str(video), f"inference.cache_directory={tmp_path / 'nothing'}")
    assert doorbell.process.wait(60) == 0
    (summary,) = re.findall(r"frames/s, (\d+) dropped", doorbell.log.read_text())
    assert int(summary) <= 3  # while the first frame warms up; compiling takes longer


def has_visits(path: Path, total: int, still_open: int) -> bool:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        counted = connection.execute("SELECT count(*), sum(ended_at IS NULL) FROM visits")
        return tuple(counted.fetchone()) == (total, still_open)
