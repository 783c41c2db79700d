"""A visitor in the dark: found, never made out, and announced all the same by the real daemon."""

from pathlib import Path

import pytest
from hearing import sounds_like

from doorbell.config import load_config
from doorbell.gallery.gallery import Gallery
from doorbell.household.enrollment import Enroller
from doorbell.models.store import face_path
from doorbell.outputs.sound.synthesis import synthesize
from doorbell.pipeline.perception import Perception
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.daemon_process import DaemonProcess, run_command
from doorbell.testbed.scenes import Visitor, simulated
from doorbell.testbed.sound_card import SoundCard
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

# Of the day's light; the face is at a brightness of about 30 of 255, too dark to be compared.
NIGHT = 0.02


def test_whoever_comes_in_the_dark_is_rung_and_named_by_nobody(
    tmp_path: Path, models_directory: Path, faces: Path, perception: Perception, broker: Mosquitto
) -> None:
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        enroller = Enroller(perception, gallery, load_config(None))
        enroller.enroll_photos("Barack", [face_path("obama2", models_directory)])
    visitor = Visitor(enters=0.5, approach=1.5, stays=7.0)
    camera = simulated(tmp_path, faces, visitor, light=NIGHT)
    card = SoundCard(tmp_path)
    command = run_command(
        f"storage.directory={tmp_path}",
        f"camera.uri={camera}",
        *("camera.width=1280", "camera.height=720", "camera.frames_per_second=10"),
        *("mqtt.enabled=true", "mqtt.host=127.0.0.1", f"mqtt.port={broker.port}"),
        "visits.absence_seconds=1",
    )
    with (
        Subscriber(broker.port) as listener,
        DaemonProcess(command, tmp_path / "log", environment=card.environment) as daemon,
    ):
        assert eventually(
            lambda: [e["event_type"] for e in listener.documents("event")][-1:] == ["left"], 30
        ), daemon.log
        assert eventually(lambda: card.has_recorded(synthesize("alert").seconds), 5)
    events = listener.documents("event")
    told = [(event["event_type"], event["reason"]) for event in events]
    assert told == [
        ("arrived", None),
        ("unknown", "no_usable_face"),
        ("ring", "no_usable_face"),
        ("left", None),
    ]
    assert {(event["person"], event["stranger"]) for event in events} == {(None, None)}
    assert sounds_like(card.take(), "alert")
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        assert gallery.strangers.all() == []
        [visit] = gallery.visits.newest(2)
        assert visit.visitor is None
