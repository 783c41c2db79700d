"""The daemon as a process, started and stopped as a service manager does, and all it drives."""

import random
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import pytest
from hearing import sounds_like

from doorbell.config import load_config
from doorbell.gallery.gallery import Gallery
from doorbell.household.enrollment import Enroller
from doorbell.models.store import face_path
from doorbell.outputs.sound.synthesis import synthesize
from doorbell.pipeline.perception import Perception
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.daemon_process import WATCHING, DaemonProcess, run_command
from doorbell.testbed.scenes import STRANGER, Visitor, simulated
from doorbell.testbed.service_manager import ServiceManager
from doorbell.testbed.sound_card import SoundCard
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

OBAMA = "Barack Obama"
KILLS = 3
WATCHDOG_SECONDS = 1.2
STOP_SECONDS = 5.0

# Known from 0.3 s to 4.7 s; a stranger from 7 s on, who stays.
VISITORS = (
    Visitor(enters=0.3, approach=1.5, stays=2.0, leave=0.9),
    Visitor(enters=7.0, approach=1.5, who=STRANGER, from_x=0.55),
)


class Start(Protocol):
    """Starts the doorbell before a camera, with settings."""

    def __call__(
        self, camera: str, *settings: str, manager: ServiceManager | None = None
    ) -> DaemonProcess: ...


@pytest.fixture
def start(tmp_path: Path, card: SoundCard) -> Iterator[Start]:
    config = tmp_path / "doorbell.toml"
    config.write_text(
        "[camera]\nwidth = 640\nheight = 360\nframes_per_second = 10\n"
        f'[storage]\ndirectory = "{tmp_path}"\n'
        "[visits]\nabsence_seconds = 1.5\n"
        "[chime]\ncooldown_seconds = 0\n"
    )
    started: list[DaemonProcess] = []

    def start_one(
        camera: str, *settings: str, manager: ServiceManager | None = None
    ) -> DaemonProcess:
        environment = {**card.environment, **(manager.environment if manager else {})}
        command = run_command(f"camera.uri={camera}", *settings, config=config)
        started.append(DaemonProcess(command, tmp_path / "log", environment=environment))
        return started[-1]

    yield start_one
    for daemon in started:
        daemon.kill()


@pytest.fixture
def card(tmp_path: Path) -> SoundCard:
    return SoundCard(tmp_path)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    with ServiceManager(tmp_path, watchdog_seconds=WATCHDOG_SECONDS) as manager:
        yield manager


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path, "allow_anonymous true")
    yield broker
    broker.stop()


@pytest.fixture
def scene(tmp_path: Path, models_directory: Path, faces: Path, perception: Perception) -> str:
    """The camera's URI; the first visitor is enrolled from another photo, with a chime."""
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        enroller = Enroller(perception, gallery, load_config(None))
        enroller.enroll_photos(OBAMA, [face_path("obama2", models_directory)])
        gallery.people.set_chime(OBAMA, "sunrise")
    return simulated(tmp_path, faces, *VISITORS)


def speaking_to(broker: Mosquitto) -> list[str]:
    return ["mqtt.enabled=true", "mqtt.host=127.0.0.1", f"mqtt.port={broker.port}"]


def types_of(listener: Subscriber) -> list[str]:
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
    with Subscriber(broker.port) as listener:
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
        assert doorbell.terminate(STOP_SECONDS) == 0, doorbell.log
        assert eventually(lambda: listener.of("availability") == [b"online", b"offline"])

        assert listener.topics()[:2] == [
            "homeassistant/device/doorbell_front-door/config",
            "presence",
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
    with Subscriber(broker.port) as later:
        assert eventually(lambda: {"availability", "visitor", "image"} <= set(later.topics()))
        assert later.of("availability") == [b"offline"]
        assert later.documents("visitor")[0]["visitor"] == "stranger-1"
        [status] = later.documents("status")
        stages = ["capture", "detect", "align", "embed", "decide", "publish", "frame"]
        assert list(status["stages"]) == stages
        assert status["stages"]["frame"]["p50_ms"] == round(status["latency_ms_p50"], 3) > 0
        assert status["stages"]["publish"]["count"] > len(events)
        assert later.of("event") == []
    heard = manager.names
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
    with Subscriber(broker.port) as listener:
        assert eventually(lambda: types_of(listener)[:3] == ["arrived", "recognized", "ring"])
        assert doorbell.terminate(STOP_SECONDS) == 0, doorbell.log
    assert doorbell.log.count("no broker at") == 1


def test_a_gallery_outlives_a_daemon_killed_during_a_visit(
    tmp_path: Path, start: Start, scene: str
) -> None:
    moment = random.Random(4)  # noqa: S311 - moments, not secrets
    path = tmp_path / "gallery.sqlite"
    for kills in range(KILLS):
        doorbell = start(scene)
        if kills:  # the one visit goes on
            assert doorbell.says("were left open"), doorbell.log
        assert eventually(partial(has_visits, path, 1, 1), 15), doorbell.log
        time.sleep(moment.uniform(0, 0.8))
        doorbell.kill()
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    doorbell = start(scene)
    log = tmp_path / "log"
    assert eventually(lambda: log.read_text().count("were left open") == KILLS)
    assert doorbell.terminate(STOP_SECONDS) == 0
    assert has_visits(path, 1, 0)


def test_a_daemon_that_is_stopped_while_it_starts_opens_nothing_more(
    tmp_path: Path, start: Start, scene: str
) -> None:
    doorbell = start(scene, "log.level=info")
    assert eventually((tmp_path / "gallery.sqlite-wal").exists)
    assert doorbell.terminate(STOP_SECONDS) == 0, doorbell.log
    assert WATCHING not in doorbell.log


def test_no_frame_of_a_recording_passes_while_networks_are_compiled(
    start: Start, tmp_path: Path
) -> None:
    video = tmp_path / "recording.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (160, 120))
    for level in range(30):
        writer.write(np.full((120, 160, 3), 60 + level, np.uint8))
    writer.release()
    doorbell = start(str(video), f"inference.cache_directory={tmp_path / 'nothing'}")
    assert doorbell.wait(60) == 0
    (summary,) = re.findall(r"frames/s, (\d+) dropped", doorbell.log)
    assert int(summary) <= 3  # while the first frame warms up; compiling takes longer


def has_visits(path: Path, total: int, still_open: int) -> bool:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        counted = connection.execute("SELECT count(*), sum(ended_at IS NULL) FROM visits")
        return tuple(counted.fetchone()) == (total, still_open)
