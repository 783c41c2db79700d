"""A camera whose controls are moved between its frames: what it reads, refuses and gives back."""

from __future__ import annotations

import errno
import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from doorbell.camera import open_camera
from doorbell.camera.controls import APERTURE_PRIORITY, MANUAL, Control, Name
from doorbell.camera.exposed import ExposedCamera, FaceMeter, open_exposed
from doorbell.camera.exposure import RELEASE_SECONDS
from doorbell.config import CameraSection
from doorbell.domain import Face, Frame, UInt8Array

MODES = Control(0, 3, 1, APERTURE_PRIORITY, APERTURE_PRIORITY, (MANUAL, APERTURE_PRIORITY))
TIME = Control(3, 2047, 1, 250, 100)
GAIN = Control(0, 255, 1, 0, 0)
BRIGHTNESS = Control(0, 255, 1, 128, 128)

FACE = Face(np.array([4, 4, 28, 28], np.float32), np.zeros((6, 2), np.float32), 0.9)


class DarkCamera:
    """Shows the same dark face for ever, ten times a second."""

    def __init__(self) -> None:
        self.index = 0
        self.closed = 0

    def read(self) -> Frame:
        self.index += 1
        return Frame(grey(20), self.index / 10, 0.0, self.index)

    def close(self) -> None:
        self.closed += 1


class Driver:
    """Controls in memory, some of which are refused."""

    def __init__(self, controls: dict[Name, Control], refused: dict[Name, int] | None = None):
        self.controls = controls
        self.refused = refused or {}
        self.asked: list[Name] = []
        self.closed = False

    def read(self) -> dict[Name, Control]:
        return dict(self.controls)

    def set(self, name: Name, value: int) -> None:
        self.asked.append(name)
        if name in self.refused:
            raise OSError(self.refused[name], os.strerror(self.refused[name]))
        self.controls[name] = replace(self.controls[name], value=value)

    def close(self) -> None:
        self.closed = True

    def value(self, name: Name) -> int:
        return self.controls[name].value


def grey(value: int) -> UInt8Array:
    return np.full((32, 32, 3), value, np.uint8)


def play(camera: ExposedCamera, meter: FaceMeter, seconds: float, *faces: Face) -> None:
    for _ in range(round(10 * seconds)):
        meter.look(camera.read().pixels, faces)


def webcam() -> dict[Name, Control]:
    return {Name.EXPOSURE_AUTO: MODES, Name.EXPOSURE_TIME: TIME, Name.GAIN: GAIN}


def test_the_automatic_is_switched_off_before_the_exposure_is_set_and_on_at_close() -> None:
    camera, driver, meter = DarkCamera(), Driver(webcam()), FaceMeter()
    exposed = ExposedCamera(camera, driver, meter)
    play(exposed, meter, 2.0, FACE)
    assert driver.asked[:2] == [Name.EXPOSURE_AUTO, Name.EXPOSURE_TIME]
    assert driver.value(Name.EXPOSURE_AUTO) == MANUAL
    assert driver.value(Name.EXPOSURE_TIME) == 333

    exposed.close()
    exposed.close()

    assert driver.value(Name.EXPOSURE_AUTO) == APERTURE_PRIORITY
    assert driver.value(Name.GAIN) == 0
    assert driver.closed
    assert camera.closed


def test_what_a_kill_left_by_hand_gets_its_automatic_back_at_the_start() -> None:
    left = {
        Name.EXPOSURE_AUTO: replace(MODES, value=MANUAL),
        Name.EXPOSURE_TIME: replace(TIME, value=333),
        Name.GAIN: replace(GAIN, value=200),
    }
    driver = Driver(left)
    ExposedCamera(DarkCamera(), driver, FaceMeter())

    assert driver.asked[-1] == Name.EXPOSURE_AUTO, "a driver refuses what its automatic decides"
    assert driver.value(Name.EXPOSURE_AUTO) == APERTURE_PRIORITY
    assert driver.value(Name.GAIN) == 0


def test_a_frame_is_read_while_nobody_looks_at_frames() -> None:
    driver, meter = Driver(webcam()), FaceMeter()
    exposed = ExposedCamera(DarkCamera(), driver, meter)
    assert [exposed.read().index for _ in range(50)] == [*range(1, 51)]
    assert driver.asked == []


def test_controls_are_given_back_when_the_face_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    driver, meter = Driver(webcam()), FaceMeter()
    exposed = ExposedCamera(DarkCamera(), driver, meter, "/dev/video0")
    with caplog.at_level(logging.INFO):
        play(exposed, meter, 3.0, FACE)
        play(exposed, meter, RELEASE_SECONDS + 1.0)

    assert driver.value(Name.EXPOSURE_AUTO) == APERTURE_PRIORITY
    assert [record.message for record in caplog.records] == [
        "/dev/video0 is exposed by the face",
        "/dev/video0 is exposed by its automatic",
    ]


@pytest.mark.parametrize("refused", [Name.EXPOSURE_TIME, Name.EXPOSURE_AUTO])
def test_without_what_is_refused_it_goes_on_with_the_rest(
    refused: Name, caplog: pytest.LogCaptureFixture
) -> None:
    controls = webcam() | {Name.BRIGHTNESS: BRIGHTNESS}
    driver, meter = Driver(controls, {refused: errno.EBUSY}), FaceMeter()
    exposed = ExposedCamera(DarkCamera(), driver, meter, "/dev/video0")
    play(exposed, meter, 8.0, FACE)

    assert driver.asked.count(refused) == 1
    assert driver.value(Name.EXPOSURE_TIME) == 100
    if refused is Name.EXPOSURE_TIME:
        assert driver.value(Name.GAIN) > 0
    else:
        assert driver.value(Name.GAIN) == 0
        assert driver.value(Name.BRIGHTNESS) > 128
    [said] = caplog.records
    assert f"/dev/video0 does not let {refused.value} be set" in said.message


def test_a_camera_that_refuses_everything_keeps_its_automatic() -> None:
    refused = dict.fromkeys((Name.EXPOSURE_TIME, Name.GAIN), errno.EINVAL)
    driver, meter = Driver(webcam(), refused), FaceMeter()
    exposed = ExposedCamera(DarkCamera(), driver, meter)
    play(exposed, meter, 5.0, FACE)

    assert driver.value(Name.EXPOSURE_AUTO) == APERTURE_PRIORITY
    assert driver.asked.count(Name.EXPOSURE_TIME) == driver.asked.count(Name.GAIN) == 1


def test_somebody_else_s_automatic_stays_and_that_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    driver, meter = Driver(webcam()), FaceMeter()
    exposed = ExposedCamera(DarkCamera(), driver, meter)
    play(exposed, meter, 1.0, FACE)
    driver.set(Name.EXPOSURE_AUTO, APERTURE_PRIORITY)
    before = len(driver.asked)
    play(exposed, meter, 30.0, FACE)
    exposed.close()

    assert len(driver.asked) == before
    assert [record.message for record in caplog.records] == [
        "somebody else has switched the automatic exposure of the camera on; it is left alone "
        "until the camera is opened again"
    ]


def test_a_camera_that_is_pulled_out_says_so_by_its_frames(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gone = dict.fromkeys(Name, errno.ENODEV)
    driver, meter = Driver(webcam(), gone), FaceMeter()
    exposed = ExposedCamera(DarkCamera(), driver, meter)
    play(exposed, meter, 3.0, FACE)
    exposed.close()

    assert len(driver.asked) == 1
    assert caplog.records == []


def test_what_cannot_be_exposed_is_said_once_however_often_it_is_opened(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for index in range(3):
        (tmp_path / f"{index}.bmp").write_bytes(_bitmap())
    section = CameraSection(uri=str(tmp_path), expose_faces=True, realtime=False)
    meter = FaceMeter()
    for _ in range(3):
        camera = open_exposed(section, None, meter)
        assert camera.read().width == 32
        camera.close()

    [said] = caplog.records
    assert "has no exposure that can be set from here" in said.message


def test_a_driver_without_any_lever_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    meter = FaceMeter()
    for _ in range(2):
        ExposedCamera(DarkCamera(), Driver({}), meter, "/dev/video0").close()

    [said] = caplog.records
    assert "/dev/video0 has no exposure, gain or brightness" in said.message


def test_a_simulated_visitor_in_the_shade_is_exposed(faces: Path, tmp_path: Path) -> None:
    from doorbell.testbed.scenes import Visitor, simulated

    visitor = Visitor(enters=0.0, approach=0.1, stays=20.0)
    uri = simulated(tmp_path, faces, visitor, duration_seconds=60.0, shade=0.03)
    section = CameraSection(uri=uri, width=640, height=360, frames_per_second=10, realtime=False)
    meter = FaceMeter()
    plain, exposed = open_camera(section), open_exposed(section, None, meter)
    face = Face(np.array([280, 85, 360, 185], np.float32), np.zeros((6, 2), np.float32), 0.9)

    def level(pixels: UInt8Array) -> float:
        return float(np.median(pixels[100:170, 296:344]))

    for _ in range(30):
        meter.look(exposed.read().pixels, [face])
        plain.read()

    before, after = level(plain.read().pixels), level(exposed.read().pixels)
    assert before < 45
    assert 85 < after < 150
    for _ in range(150):
        meter.look(exposed.read().pixels, [])
        last = plain.read()
    assert np.array_equal(exposed.read().pixels, plain.read().pixels)
    assert last.width == 640


def _bitmap() -> bytes:
    import cv2

    return cv2.imencode(".bmp", grey(90))[1].tobytes()
