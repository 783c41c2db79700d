"""Visitors in the dark before the real daemon: known, or found and never made out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

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

# Of the day's light; the face is at a brightness of about 30 of 255.
NIGHT = 0.02

# Wider than any face here, so that none is near enough to be compared.
NEVER_NEAR = "recognition.min_face_pixels=1000"

Watch = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def card(tmp_path: Path) -> SoundCard:
    return SoundCard(tmp_path)


@pytest.fixture
def watch(  # noqa: PLR0917 - fixtures
    tmp_path: Path,
    models_directory: Path,
    faces: Path,
    perception: Perception,
    broker: Mosquitto,
    card: SoundCard,
) -> Watch:
    """Enrolls Barack, lets him come in the dark, and tells the events of his visit."""
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        enroller = Enroller(perception, gallery, load_config(None))
        enroller.enroll_photos("Barack", [face_path("obama2", models_directory)])

    def events(*settings: str) -> list[dict[str, Any]]:
        visitor = Visitor(enters=0.5, approach=1.5, stays=7.0)
        camera = simulated(tmp_path, faces, visitor, light=NIGHT)
        command = run_command(
            f"storage.directory={tmp_path}",
            f"camera.uri={camera}",
            *("camera.width=1280", "camera.height=720", "camera.frames_per_second=10"),
            *("mqtt.enabled=true", "mqtt.host=127.0.0.1", f"mqtt.port={broker.port}"),
            "visits.absence_seconds=1",
            *settings,
        )
        with (
            Subscriber(broker.port) as listener,
            DaemonProcess(command, tmp_path / "log", environment=card.environment) as daemon,
        ):
            assert eventually(
                lambda: [e["event_type"] for e in listener.documents("event")][-1:] == ["left"], 30
            ), daemon.log
            assert eventually(lambda: card.has_recorded(synthesize("alert").seconds), 5)
            return listener.documents("event")

    return events


def told(events: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    return [(event["event_type"], event["reason"]) for event in events]


def test_the_household_is_known_in_the_dark(watch: Watch) -> None:
    events = watch()
    assert told(events) == [
        ("arrived", None),
        ("recognized", None),
        ("ring", None),
        ("left", None),
    ]
    assert [event["person"] for event in events] == [None, "Barack", "Barack", "Barack"]


def test_whoever_is_never_made_out_is_rung_and_named_by_nobody(
    watch: Watch, tmp_path: Path, card: SoundCard
) -> None:
    events = watch(NEVER_NEAR)
    assert told(events) == [
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
