"""A visitor against the light, whom the real daemon exposes and names."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from doorbell.config import load_config
from doorbell.gallery.gallery import Gallery
from doorbell.household.enrollment import Enroller
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.models.store import face_path
from doorbell.outputs.pictures import picture_path
from doorbell.pipeline.perception import Perception
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.daemon_process import DaemonProcess, run_command
from doorbell.testbed.scenes import Visitor, simulated
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

# Of the porch's light.
SHADE = 0.01

# Means of grey, 0 to 255. A face that is exposed is at about 100.
DARK, LIGHT = 35.0, 70.0


@dataclass(frozen=True)
class Seen:
    """What came of two visits.

    Attributes:
        people: named as they left.
        brightness: of the face in the picture of the second.
        log: of the daemon.
    """

    people: list[str | None]
    brightness: float
    log: str


Watch = Callable[[str], Seen]


@pytest.fixture
def watch(
    tmp_path: Path, models_directory: Path, faces: Path, perception: Perception, broker: Mosquitto
) -> Watch:
    """Enrolls Barack, lets him come twice against the light, and tells what was seen of him."""
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        enroller = Enroller(perception, gallery, load_config(None))
        enroller.enroll_photos("Barack", [face_path("obama2", models_directory)])

    def seen(setting: str) -> Seen:
        # The second time the camera is exposed already, so that no picture is of before.
        visitors = (
            Visitor(enters=0.5, approach=1.0, stays=6.0),
            Visitor(enters=11.0, approach=1.0, stays=3.0),
        )
        camera = simulated(tmp_path, faces, *visitors, shade=SHADE)
        command = run_command(
            f"storage.directory={tmp_path}",
            f"camera.uri={camera}",
            setting,
            *("camera.width=1280", "camera.height=720", "camera.frames_per_second=10"),
            *("mqtt.enabled=true", "mqtt.host=127.0.0.1", f"mqtt.port={broker.port}"),
            *("visits.absence_seconds=1", "chime.enabled=false"),
        )
        with (
            Subscriber(broker.port) as listener,
            DaemonProcess(command, tmp_path / "log") as daemon,
        ):
            assert eventually(lambda: len(_left(listener)) == 2, 60), daemon.log
            log = daemon.log
        left = _left(listener)
        picture = picture_path(tmp_path / "pictures", left[1]["visit_id"])
        return Seen([each["person"] for each in left], _brightness(perception, picture), log)

    return seen


def _left(listener: Subscriber) -> list[dict[str, Any]]:
    return [event for event in listener.documents("event") if event["event_type"] == "left"]


def _brightness(perception: Perception, path: Path) -> float:
    pixels = decode_photo(read_photo(path), "picture")
    face = max(perception.detect_still(pixels), key=lambda each: each.width_pixels)
    left, top, right, bottom = (max(int(edge), 0) for edge in face.box_xyxy)
    grey = cv2.cvtColor(pixels[top:bottom, left:right], cv2.COLOR_RGB2GRAY)
    return float(np.median(grey))  # what is drawn over the face does not count


def test_whoever_stands_against_the_light_is_exposed_and_named(watch: Watch) -> None:
    seen = watch("camera.expose_faces=true")
    assert "scene.toml is exposed by the face" in seen.log
    assert seen.brightness > LIGHT
    assert seen.people == ["Barack", "Barack"]


def test_the_automatic_of_the_camera_leaves_whoever_stands_against_the_light_dark(
    watch: Watch,
) -> None:
    seen = watch("camera.expose_faces=false")
    assert "is exposed by the face" not in seen.log
    assert seen.brightness < DARK
