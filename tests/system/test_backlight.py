"""A visitor against the light, whom the real daemon exposes and names."""

from pathlib import Path

import pytest

from doorbell.config import load_config
from doorbell.gallery.gallery import Gallery
from doorbell.household.enrollment import Enroller
from doorbell.models.store import face_path
from doorbell.pipeline.perception import Perception
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.daemon_process import DaemonProcess, run_command
from doorbell.testbed.scenes import Visitor, simulated
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

# Of the porch's light; the face is at a brightness of about 20 of 255 before it is exposed.
SHADE = 0.01


def test_whoever_stands_against_the_light_is_exposed_and_named(
    tmp_path: Path, models_directory: Path, faces: Path, perception: Perception, broker: Mosquitto
) -> None:
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        enroller = Enroller(perception, gallery, load_config(None))
        enroller.enroll_photos("Barack", [face_path("obama2", models_directory)])
    visitor = Visitor(enters=0.5, approach=1.5, stays=10.0)
    camera = simulated(tmp_path, faces, visitor, shade=SHADE)
    command = run_command(
        f"storage.directory={tmp_path}",
        f"camera.uri={camera}",
        "camera.expose_faces=true",
        *("camera.width=1280", "camera.height=720", "camera.frames_per_second=10"),
        *("mqtt.enabled=true", "mqtt.host=127.0.0.1", f"mqtt.port={broker.port}"),
        *("visits.absence_seconds=1", "chime.enabled=false"),
    )
    with (
        Subscriber(broker.port) as listener,
        DaemonProcess(command, tmp_path / "log") as daemon,
    ):
        assert eventually(
            lambda: [e["event_type"] for e in listener.documents("event")][-1:] == ["left"], 40
        ), daemon.log
        assert "scene.toml is exposed by the face" in daemon.log
    assert listener.documents("event")[-1]["person"] == "Barack"
