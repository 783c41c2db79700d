"""A webcam behind the kernel's own driver (uvcvideo), exposed by the face where a kernel has it.

``tools/camera_machine.py`` boots one that has.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from usb_camera import FACE_XYXY, HOST_CONTROLLER, UsbCamera

from doorbell.camera.controls import APERTURE_PRIORITY, MANUAL, Name
from doorbell.camera.exposed import can_be_exposed
from doorbell.camera.exposure import RELEASE_SECONDS
from doorbell.camera.latest import LatestFrame
from doorbell.camera.opening import open_latest
from doorbell.camera.v4l2 import V4l2Controls
from doorbell.config import CameraSection
from doorbell.domain import Face
from doorbell.errors import CameraError
from doorbell.imaging.light import face_light
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

FACE = Face(np.array(FACE_XYXY, np.float32), np.zeros((6, 2), np.float32), 0.9)
NAME = "UVC Camera (1d6b:0102)"


@pytest.fixture
def webcam() -> Iterator[UsbCamera]:
    subprocess.run(["modprobe", "--quiet", "--all", "vhci_hcd", "uvcvideo"], check=False)
    if not HOST_CONTROLLER.exists() or not Path("/sys/module/uvcvideo").exists():
        pytest.skip("this kernel has no vhci_hcd and uvcvideo, or this user may not load them")
    with closing(UsbCamera()) as webcam:
        yield webcam


@pytest.fixture
def section(webcam: UsbCamera) -> CameraSection:
    assert webcam.is_automatic
    assert eventually(lambda: bool(devices()), 20)
    [device] = devices()
    assert eventually(device.exists, 5)
    return CameraSection(uri=str(device), backend="opencv", expose_faces=True, timeout_seconds=5.0)


def devices() -> list[Path]:
    """Devices of the webcam that give pictures; uvcvideo makes another for what is said of them."""
    found = Path("/sys/class/video4linux").glob("video*")
    return [
        Path("/dev") / each.name
        for each in found
        if (each / "name").read_text().strip() == NAME and (each / "index").read_text() == "0\n"
    ]


def test_its_controls_are_found(section: CameraSection) -> None:
    with closing(V4l2Controls(Path(section.uri))) as controls:
        found = controls.read()

    assert set(found) == {Name.EXPOSURE_AUTO, Name.EXPOSURE_TIME, Name.GAIN, Name.BRIGHTNESS}
    assert found[Name.EXPOSURE_AUTO].choices == (MANUAL, APERTURE_PRIORITY)
    assert (found[Name.EXPOSURE_TIME].minimum, found[Name.EXPOSURE_TIME].maximum) == (3, 2047)
    assert can_be_exposed(section)


def test_a_dark_face_is_exposed_and_the_automatic_gets_everything_back(
    webcam: UsbCamera, section: CameraSection
) -> None:
    with closing(open_latest(section)) as camera:
        begin = grey(camera)
        assert begin < 40
        assert watch(camera, [FACE], 15.0, lambda: abs(grey(camera) - 115) < 25)
        assert not webcam.is_automatic
        assert webcam.exposure_time == 333
        assert webcam.gain > 100
        watch(camera, [FACE], 3.0, lambda: False)
        settled = dict(webcam.values)
        watch(camera, [FACE], 5.0, lambda: False)
        assert webcam.values == settled

        assert not watch(camera, [], RELEASE_SECONDS - 2.0, lambda: webcam.is_automatic)
        assert watch(camera, [], 10.0, lambda: webcam.is_automatic)
        assert webcam.gain == 0
        assert watch(camera, [], 5.0, lambda: abs(grey(camera) - begin) < 3)

        assert watch(camera, [FACE], 15.0, lambda: webcam.gain > 0)
    assert webcam.is_automatic, "at close too"
    assert webcam.gain == 0
    assert webcam.refusals == 0


def test_what_a_kill_left_by_hand_is_given_back_at_the_next_start(
    webcam: UsbCamera, section: CameraSection
) -> None:
    with closing(V4l2Controls(Path(section.uri))) as controls:
        controls.set(Name.EXPOSURE_AUTO, MANUAL)
        controls.set(Name.EXPOSURE_TIME, 333)
        controls.set(Name.GAIN, 200)
    assert not webcam.is_automatic
    assert (webcam.exposure_time, webcam.gain) == (333, 200)

    with closing(open_latest(section)) as camera:
        camera.get(10.0)
        assert webcam.is_automatic
        assert webcam.gain == 0


def test_a_webcam_that_is_pulled_out_while_it_is_exposed_is_lost_like_any_other(
    webcam: UsbCamera, section: CameraSection
) -> None:
    with closing(open_latest(section)) as camera:
        assert watch(camera, [FACE], 15.0, lambda: not webcam.is_automatic)
        webcam.close()
        assert eventually(lambda: not camera.state.gives_frames, 20)
        with pytest.raises(CameraError):
            camera.get(0.1)


def watch(
    camera: LatestFrame, faces: list[Face], seconds: float, until: Callable[[], bool]
) -> bool:
    """Take frames with these faces in them, until something is so; whether it came to that."""
    assert camera.meter is not None
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        camera.meter.look(camera.get(5.0).pixels, faces)
        if until():
            return True
    return False


def grey(camera: LatestFrame) -> float:
    light = face_light(camera.get(5.0).pixels, FACE)
    assert light is not None
    return light.grey
