"""The controls of a camera's driver: the kernel's virtual one (vivid), where this kernel has it.

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

from doorbell.camera.controls import Name
from doorbell.camera.exposure import RELEASE_SECONDS
from doorbell.camera.latest import LatestFrame
from doorbell.camera.opening import open_latest
from doorbell.camera.v4l2 import V4l2Controls
from doorbell.config import CameraSection
from doorbell.domain import Face
from doorbell.imaging.light import face_light

pytestmark = pytest.mark.system


@pytest.fixture
def device() -> Path:
    subprocess.run(["modprobe", "--quiet", "vivid"], check=False)
    for name in Path("/sys/class/video4linux").glob("video*/name"):
        device = Path("/dev") / name.parent.name
        if name.read_text().startswith("vivid") and "vid-cap" in name.read_text():
            return device
    pytest.skip("this kernel has no vivid, or this user may not load it")


@pytest.fixture
def controls(device: Path) -> Iterator[V4l2Controls]:
    with closing(V4l2Controls(device)) as controls:
        yield controls
        for name, control in controls.read().items():
            controls.set(name, control.default)


def test_the_driver_s_controls_are_read_and_set(controls: V4l2Controls) -> None:
    found = controls.read()

    assert set(found) == {Name.GAIN_AUTO, Name.GAIN, Name.BRIGHTNESS}
    assert (found[Name.BRIGHTNESS].minimum, found[Name.BRIGHTNESS].maximum) == (0, 255)
    assert found[Name.GAIN_AUTO].value == 1
    controls.set(Name.GAIN_AUTO, 0)
    controls.set(Name.GAIN, 201)
    controls.set(Name.BRIGHTNESS, 77)
    values = {name: control.value for name, control in controls.read().items()}
    assert values == {Name.GAIN_AUTO: 0, Name.GAIN: 201, Name.BRIGHTNESS: 77}
    with pytest.raises(OSError, match="Invalid argument"):
        controls.set(Name.EXPOSURE_TIME, 100)


def test_a_dark_face_is_exposed_and_the_driver_gets_its_automatic_back(
    device: Path, controls: V4l2Controls
) -> None:
    section = CameraSection(uri=str(device), backend="opencv", expose_faces=True)
    with closing(open_latest(section)) as camera:
        frame = camera.get(10.0)
        # The seventh of the eight bars that vivid draws is blue, and the darkest but one.
        left, right = frame.width * 6.1 / 8, frame.width * 6.9 / 8
        box = np.array([left, 0.6 * frame.height, right, 0.9 * frame.height], np.float32)
        face = Face(box, np.zeros((6, 2), np.float32), 0.9)
        begin = grey(camera, face)
        assert begin < 40

        def held() -> bool:
            values = controls.read()
            return values[Name.GAIN_AUTO].value == 0 and values[Name.BRIGHTNESS].value > 128

        assert watch(camera, [face], 15.0, held)
        watch(camera, [face], 4.0, lambda: False)
        assert 85 < grey(camera, face) < 150
        settled = controls.read()
        watch(camera, [face], 3.0, lambda: False)
        assert controls.read() == settled

        def given_back() -> bool:
            values = controls.read()
            return values[Name.GAIN_AUTO].value == 1 and values[Name.BRIGHTNESS].value == 128

        assert not watch(camera, [], RELEASE_SECONDS - 2, given_back)
        assert watch(camera, [], 10.0, given_back)
        assert watch(camera, [], 5.0, lambda: abs(grey(camera, face) - begin) < 3)

        assert watch(camera, [face], 15.0, held)
    assert given_back(), "at close too"


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


def grey(camera: LatestFrame, face: Face) -> float:
    light = face_light(camera.get(5.0).pixels, face)
    assert light is not None
    return light.grey
