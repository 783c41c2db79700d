"""The loop of exposure by the face, closed over a sensor: linear light, gain, clipping, delay."""

from __future__ import annotations

import itertools
import math
from collections import deque
from dataclasses import dataclass, field, replace

import pytest

from doorbell.camera.controls import APERTURE_PRIORITY, AUTO, MANUAL, Control, Name
from doorbell.camera.exposure import (
    HOLD_STOPS,
    LONGEST_SECONDS,
    PERIOD_SECONDS,
    RELEASE_SECONDS,
    TARGET_GREY,
    ExposureLoop,
    automatic,
    can_expose,
)
from doorbell.imaging.light import FaceLight, linear

FRAME_SECONDS = 1 / 15

WEBCAM = {
    Name.EXPOSURE_AUTO: Control(
        0, 3, 1, APERTURE_PRIORITY, APERTURE_PRIORITY, (MANUAL, APERTURE_PRIORITY)
    ),
    Name.EXPOSURE_TIME: Control(3, 2047, 1, 250, 100),
    Name.GAIN: Control(0, 255, 1, 0, 0),
    Name.BRIGHTNESS: Control(-64, 64, 1, 0, 0),
}
GAIN_ONLY = {
    Name.GAIN_AUTO: Control(0, 1, 1, 1, 1),
    Name.GAIN: Control(16, 128, 4, 32, 32),
}
BRIGHTNESS_ONLY = {Name.BRIGHTNESS: Control(0, 255, 1, 128, 128)}


@dataclass
class Scene:
    """A face before a sensor whose own automatic leaves it where it is.

    Attributes:
        controls: of the sensor.
        light: on the face; 1 is white at the values that the controls begin with.
        bright_side: the part of the face in the sun, at eight times that.
        gain_stops: what the whole range of the gain amounts to.
        delay: frames until a change shows.
    """

    controls: dict[Name, Control]
    light: float
    bright_side: float = 0.0
    gain_stops: float = 4.0
    delay: int = 3
    loop: ExposureLoop = field(default_factory=ExposureLoop)
    now: float = 0.0
    log: list[tuple[float, dict[Name, int]]] = field(default_factory=list)
    reads: int = 0

    def __post_init__(self) -> None:
        self._start = dict(self.controls)
        self._coming = deque([self._measure()] * self.delay)

    def run(self, seconds: float, *, face: bool = True) -> FaceLight:
        """Let time pass; what the face shows at the end, the delay over."""
        for _ in range(round(seconds / FRAME_SECONDS)):
            self._coming.append(self._measure())
            seen = self._coming.popleft()
            values = self.loop.step(seen if face else None, self.now, self._read)
            if values:
                self.log.append((self.now, values))
            for name, value in values.items():
                control = self.controls[name]
                assert control.minimum <= value <= control.maximum
                assert (value - control.minimum) % control.step == 0
                self.controls[name] = replace(control, value=value)
            self.now += FRAME_SECONDS
        return self._measure()

    def value(self, name: Name) -> int:
        return self.controls[name].value

    def _read(self) -> dict[Name, Control]:
        self.reads += 1
        return dict(self.controls)

    def _measure(self) -> FaceLight:
        stops = 0.0
        if Name.EXPOSURE_TIME in self.controls and self.value(Name.EXPOSURE_AUTO) == MANUAL:
            started = self._start[Name.EXPOSURE_TIME].value
            stops += math.log2(self.value(Name.EXPOSURE_TIME) / started)
        if Name.GAIN in self.controls:
            gain = self.controls[Name.GAIN]
            moved = gain.value - self._start[Name.GAIN].value
            stops += self.gain_stops * moved / (gain.maximum - gain.minimum)
        added = 0
        if Name.BRIGHTNESS in self.controls:
            added = self.value(Name.BRIGHTNESS) - self._start[Name.BRIGHTNESS].value
        level = min(self.light * 2.0**stops, 1.0)
        grey = min(max(255 * level ** (1 / 2.2) + added, 0.0), 255.0)
        bright = 8 * self.light * 2.0**stops >= 1.0
        return FaceLight(linear(grey), self.bright_side if bright else float(level >= 1.0))


def stops_off(light: FaceLight) -> float:
    return abs(math.log2(max(light.level, 1e-6) / linear(TARGET_GREY)))


@pytest.mark.parametrize("light", [0.004, 0.01, 0.03, 0.06, 0.6, 1.0, 3.0])
def test_a_face_against_the_light_in_the_dark_or_in_the_sun_is_exposed(light: float) -> None:
    scene = Scene(dict(WEBCAM), light)

    settled = scene.run(6.0)

    assert stops_off(settled) <= HOLD_STOPS + 0.1
    assert scene.log[0][1][Name.EXPOSURE_AUTO] == MANUAL
    assert scene.value(Name.BRIGHTNESS) == 0
    before = len(scene.log)
    scene.run(20.0)
    assert len(scene.log) == before, "it settles, and is left alone then"


def test_steps_are_few_and_far_between() -> None:
    scene = Scene(dict(WEBCAM), 0.005)
    scene.run(10.0)

    times = [time for time, _ in scene.log]
    assert 2 <= len(times) <= 5
    assert all(b - a >= PERIOD_SECONDS - 1e-9 for a, b in itertools.pairwise(times))


def test_light_is_made_up_for_by_time_first_and_by_gain_where_it_would_smear() -> None:
    scene = Scene(dict(WEBCAM), 0.01)
    scene.run(10.0)

    assert scene.value(Name.EXPOSURE_TIME) == round(LONGEST_SECONDS * 1e4)
    assert scene.value(Name.GAIN) > 0


def test_a_camera_that_exposes_longer_by_itself_is_not_cut_short_in_the_dark() -> None:
    controls = WEBCAM | {Name.EXPOSURE_TIME: replace(WEBCAM[Name.EXPOSURE_TIME], value=660)}
    scene = Scene(controls, 0.01)
    scene.run(10.0)

    assert scene.value(Name.EXPOSURE_TIME) == 660
    assert scene.value(Name.GAIN) > 0


@pytest.mark.parametrize("light", [0.1, 0.16, 0.3])
def test_a_face_that_is_well_exposed_leaves_the_camera_alone(light: float) -> None:
    scene = Scene(dict(WEBCAM), light)
    scene.run(10.0)

    assert scene.log == []
    assert scene.reads == 0


def test_nobody_at_the_door_changes_nothing() -> None:
    scene = Scene(dict(WEBCAM), 0.001)
    scene.run(30.0, face=False)

    assert scene.log == []


def test_one_face_in_one_frame_is_no_reason() -> None:
    scene = Scene(dict(WEBCAM), 0.001)
    scene.run(FRAME_SECONDS)
    scene.run(5.0, face=False)

    assert scene.log == []


def test_the_automatic_gets_everything_back_when_nobody_is_seen_any_more() -> None:
    scene = Scene(dict(WEBCAM), 0.002)
    scene.run(6.0)
    scene.run(RELEASE_SECONDS - 1.0, face=False)
    assert scene.value(Name.EXPOSURE_AUTO) == MANUAL

    scene.run(2.0, face=False)

    assert {name: each.value for name, each in scene.controls.items()} == {
        name: each.default for name, each in WEBCAM.items()
    }
    given_back = len(scene.log)
    scene.run(30.0, face=False)
    assert len(scene.log) == given_back


@pytest.mark.parametrize("gain_stops", [1.5, 4.0, 9.0])
def test_a_gain_whose_numbers_mean_something_else_is_found_out(gain_stops: float) -> None:
    scene = Scene(dict(GAIN_ONLY), 0.05, gain_stops=gain_stops)
    scene.run(8.0)
    before = len(scene.log)
    settled = scene.run(20.0)

    reached = scene.value(Name.GAIN) == 128
    assert stops_off(settled) <= 2 * HOLD_STOPS or reached
    assert len(scene.log) - before <= 1
    assert scene.value(Name.GAIN_AUTO) == 0


def test_brightness_is_moved_where_the_sensor_cannot_be_set() -> None:
    scene = Scene(dict(BRIGHTNESS_ONLY), 0.02)
    settled = scene.run(8.0)

    assert stops_off(settled) <= HOLD_STOPS + 0.1
    assert scene.value(Name.BRIGHTNESS) > 128


def test_an_automatic_that_cannot_be_switched_off_is_not_fought() -> None:
    fixed = Control(0, 3, 1, AUTO, AUTO, (AUTO,))
    controls = WEBCAM | {Name.EXPOSURE_AUTO: fixed}
    scene = Scene(controls, 0.02)
    scene.run(8.0)

    assert {name for _, values in scene.log for name in values} == {Name.BRIGHTNESS}
    assert not can_expose({Name.EXPOSURE_AUTO: fixed, Name.GAIN: WEBCAM[Name.GAIN]})


def test_a_face_half_in_the_sun_comes_to_rest() -> None:
    scene = Scene(dict(WEBCAM), 0.05, bright_side=0.4)
    scene.run(15.0)
    before = len(scene.log)
    scene.run(30.0)

    assert len(scene.log) == before


def test_light_that_changes_is_followed_also_later() -> None:
    scene = Scene(dict(WEBCAM), 0.02)
    scene.run(8.0)
    scene.light *= 16
    assert stops_off(scene.run(6.0)) <= HOLD_STOPS + 0.1
    scene.light /= 16
    assert stops_off(scene.run(6.0)) <= HOLD_STOPS + 0.1


def test_somebody_who_switches_the_automatic_on_again_is_left_in_peace() -> None:
    scene = Scene(dict(WEBCAM), 0.002)
    scene.run(1.5)
    assert scene.value(Name.EXPOSURE_AUTO) == MANUAL

    scene.controls[Name.EXPOSURE_AUTO] = WEBCAM[Name.EXPOSURE_AUTO]
    before = len(scene.log)
    scene.run(30.0)

    assert len(scene.log) == before
    assert scene.loop.disputed


def test_controls_that_do_nothing_are_moved_to_their_end_and_left_there() -> None:
    scene = Scene(dict(GAIN_ONLY), 0.002, gain_stops=0.0)
    scene.run(30.0)

    assert scene.value(Name.GAIN) == 128
    assert len(scene.log) <= 6


def test_what_the_automatic_is_called_depends_on_the_camera() -> None:
    manual = Control(0, 3, 1, AUTO, MANUAL, (AUTO, MANUAL))
    assert automatic({Name.EXPOSURE_AUTO: manual}) == {Name.EXPOSURE_AUTO: AUTO}
    webcam = replace(WEBCAM[Name.EXPOSURE_AUTO], value=MANUAL, default=MANUAL)
    assert automatic({Name.EXPOSURE_AUTO: webcam}) == {Name.EXPOSURE_AUTO: APERTURE_PRIORITY}
    assert automatic(WEBCAM) == {}
    no_automatic = Control(1, 1, 1, MANUAL, MANUAL, (MANUAL,))
    assert automatic({Name.EXPOSURE_AUTO: no_automatic}) == {}
