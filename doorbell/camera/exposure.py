"""Exposure by the face at the door: how much light it got in, values of a camera's controls out.

Pure: no camera, no clock. A camera's automatic looks at the whole picture, so a face before a
bright sky stays dark. Here the face alone counts: where it is far too dark or too bright, the
camera's controls are taken over and moved, seldom and by little, until it is right; when nobody has
been seen for some time, the camera's automatic gets them back.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping

from doorbell.camera.controls import (
    APERTURE_PRIORITY,
    AUTO,
    EXPOSURE_UNIT_SECONDS,
    MANUAL,
    SHUTTER_PRIORITY,
    Control,
    Name,
)
from doorbell.imaging.light import CLIPPED_PART, FaceLight, linear

# Where a face belongs, as a grey value: mid-grey. A lighter or darker skin is exposed alike.
TARGET_GREY = 115.0
# How far off it may be, in stops (factors of two of the light), before the controls are taken over,
# and once they are.
TAKE_OVER_STOPS = 1.0
HOLD_STOPS = 0.4
# At most one step in so many seconds, and each from what was seen later than the first part of it:
# a changed exposure shows some frames later.
PERIOD_SECONDS = 0.5
SETTLE_SECONDS = 0.25
# Frames that a step is taken from, at least: one face in one frame is no reason.
MIN_FRAMES = 2
# The most that one step changes, in stops; halved each time that it went too far. Less than the
# least is not worth another step.
STEP_STOPS = 1.5
LEAST_STOPS = 0.25
# The camera's automatic gets its controls back when no face has been seen for so long.
RELEASE_SECONDS = 10.0
# No longer exposure than this, if the camera did not take a longer one by itself: who walks is
# smeared. Light is made up for by gain then, whose noise does less harm.
LONGEST_SECONDS = 1 / 30
# V4L2 does not say what a gain's or a brightness's numbers mean. Their whole range is taken for so
# many stops: if it is another, steps are shorter, or go too far and are halved.
RANGE_STOPS = 4.0

# In the order in which they are used to get more light, the other way round for less.
_SENSOR = (Name.EXPOSURE_TIME, Name.GAIN)
# What changes numbers after the sensor, where its exposure cannot be set.
_AFTER = (Name.BACKLIGHT, Name.BRIGHTNESS)
# Modes in which the exposure time is ours.
_BY_HAND = (MANUAL, SHUTTER_PRIORITY)


class ExposureLoop:
    """Decides, from what the face of a frame shows, what a camera's controls are set to.

    Time is that of the frames, in seconds, and never runs backwards.

    Attributes:
        disputed: whether somebody else has switched the camera's automatic on again meanwhile; then
            they are left alone.
    """

    def __init__(self) -> None:
        self.disputed = False
        self._held: set[Name] = set()
        self._seen: list[FaceLight] = []
        self._stepped_seconds = -math.inf
        self._seen_seconds = -math.inf
        self._reach_stops = STEP_STOPS
        self._direction = 0.0

    @property
    def holds(self) -> bool:
        """Whether controls have been moved and not been given back."""
        return bool(self._held)

    def step(
        self,
        light: FaceLight | None,
        time_seconds: float,
        read: Callable[[], Mapping[Name, Control]],
    ) -> dict[Name, int]:
        """Take in one frame.

        Args:
            light: of the face that counts; None where no face was seen.
            time_seconds: of the frame.
            read: tells the controls; called only where something is to be done.

        Returns:
            What is to be set, in this order; seldom anything.
        """
        if self.disputed:
            return {}
        if light is None:
            if self.holds and time_seconds - self._seen_seconds > RELEASE_SECONDS:
                return self.release(read())
            return {}
        self._seen_seconds = time_seconds
        since = time_seconds - self._stepped_seconds
        if since >= SETTLE_SECONDS:
            self._seen.append(light)
        if since < PERIOD_SECONDS or len(self._seen) < MIN_FRAMES:
            return {}
        stops = self._missing_stops()
        self._seen.clear()
        self._stepped_seconds = time_seconds
        return self._move(stops, read) if stops else {}

    def release(self, controls: Mapping[Name, Control]) -> dict[Name, int]:
        """Give everything that was moved back to the camera's automatic."""
        values = {name: controls[name].default for name in Name if name in self._held & {*controls}}
        self._held.clear()
        self._seen.clear()
        self._reach_stops, self._direction = STEP_STOPS, 0.0
        return values | automatic(controls)

    def _missing_stops(self) -> float:
        """How many times the light would have to double; 0 where it is near enough."""
        darkest = linear(1.0)  # black says no more than that it is far too dark
        levels = [max(each.level, darkest) for each in self._seen]
        stops = math.log2(linear(TARGET_GREY) / statistics.median(levels))
        near = HOLD_STOPS if self.holds else TAKE_OVER_STOPS
        if statistics.median(each.clipped for each in self._seen) > CLIPPED_PART:
            stops = min(stops, -1.25 * near)
        if abs(stops) <= near:
            self._reach_stops, self._direction = STEP_STOPS, 0.0
            return 0.0
        if self._reach_stops < LEAST_STOPS and abs(stops) <= TAKE_OVER_STOPS:
            return 0.0  # too much and too little lie side by side: it gets no better
        return stops

    def _move(self, stops: float, read: Callable[[], Mapping[Name, Control]]) -> dict[Name, int]:
        controls = read()
        levers = _levers(controls)
        switches = _manual(controls, levers)
        if self.holds and switches:
            self.disputed = True
            return {}
        if stops * self._direction < 0:
            self._reach_stops /= 2
        self._direction = math.copysign(1.0, stops)
        stops = min(max(stops, -self._reach_stops), self._reach_stops)
        for name in levers if stops > 0 else levers[::-1]:
            control = controls[name]
            value = _moved(name, control, stops, lowest=_lowest(name, control, levers))
            if value != control.value:
                self._held.add(name)
                return switches | {name: value}
        return {}


def can_expose(controls: Mapping[Name, Control]) -> bool:
    """Whether a camera has what ``ExposureLoop`` needs."""
    return bool(_levers(controls))


def automatic(controls: Mapping[Name, Control]) -> dict[Name, int]:
    """Tell what switches the camera's automatic on again, where it has one that is off."""
    values: dict[Name, int] = {}
    exposure, gain = controls.get(Name.EXPOSURE_AUTO), controls.get(Name.GAIN_AUTO)
    if exposure is not None and exposure.value in _BY_HAND:
        for mode in (exposure.default, APERTURE_PRIORITY, AUTO):
            if mode in exposure.choices and mode not in _BY_HAND:
                values[Name.EXPOSURE_AUTO] = mode
                break
    if gain is not None and not gain.value:
        values[Name.GAIN_AUTO] = 1
    return values


def _levers(controls: Mapping[Name, Control]) -> list[Name]:
    """What exposure can be set by, first what is best for more light."""
    auto = controls.get(Name.EXPOSURE_AUTO)
    # An automatic that cannot be switched off makes up for whatever is done to the sensor.
    if auto is None or {*_BY_HAND} & {*auto.choices}:
        found = [name for name in _SENSOR if name in controls]
    else:
        found = []
    if Name.EXPOSURE_TIME in found:
        return found
    return found + [name for name in _AFTER if name in controls]


def _manual(controls: Mapping[Name, Control], levers: list[Name]) -> dict[Name, int]:
    """What switches the sensor's automatic off, where it is on and stands in the way."""
    values: dict[Name, int] = {}
    if not {*levers} & {*_SENSOR}:
        return values
    exposure, gain = controls.get(Name.EXPOSURE_AUTO), controls.get(Name.GAIN_AUTO)
    if exposure is not None and exposure.value not in _BY_HAND:
        by_hand = MANUAL if MANUAL in exposure.choices else SHUTTER_PRIORITY
        values[Name.EXPOSURE_AUTO] = by_hand
    if gain is not None and gain.value:
        values[Name.GAIN_AUTO] = 0
    return values


def _lowest(name: Name, control: Control, levers: list[Name]) -> int:
    """Below its default brightness only makes the picture flat: less light is a sensor's matter."""
    after = name in _AFTER and {*levers} & {*_SENSOR}
    return min(control.default, control.value) if after else control.minimum


def _moved(name: Name, control: Control, stops: float, *, lowest: int) -> int:
    """The value of a control by which the light changes so, as far as the control goes."""
    highest = control.maximum
    if name is Name.EXPOSURE_TIME:
        longest = round(LONGEST_SECONDS / EXPOSURE_UNIT_SECONDS)
        highest = min(highest, max(longest, control.value))
        wanted = max(control.value, 1) * 2.0**stops
    else:
        wanted = control.value + stops / RANGE_STOPS * (control.maximum - control.minimum)
    step = max(control.step, 1)
    steps = round((wanted - control.value) / step) or (1 if stops > 0 else -1)
    most, least = (highest - control.value) // step, -((control.value - lowest) // step)
    return control.value + step * min(max(steps, least), most)
