"""The simulated camera's sensor: the same controls of exposure as a webcam's.

Its automatic exposes the empty porch by day, and does not make up for anything: as those that look
at the whole picture, it leaves a face before a bright sky dark.
"""

from __future__ import annotations

import errno
import os
from dataclasses import replace

from doorbell.camera.controls import APERTURE_PRIORITY, MANUAL, Control, Name

# The exposure of the automatic, in units of 100 us: 1/240 s, so that a frame has three stops more.
AUTOMATIC_TIME = 42
# The whole range of its gain, in stops.
GAIN_STOPS = 4.0
_GAIN_MOST = 100


class SimulatedSensor:
    """Its controls, and what they make of the light."""

    def __init__(self) -> None:
        self._controls = {
            Name.EXPOSURE_AUTO: Control(
                *(0, 3, 1, APERTURE_PRIORITY, APERTURE_PRIORITY), (MANUAL, APERTURE_PRIORITY)
            ),
            Name.EXPOSURE_TIME: Control(1, 500, 1, AUTOMATIC_TIME, AUTOMATIC_TIME),
            Name.GAIN: Control(0, _GAIN_MOST, 1, 0, 0),
        }

    @property
    def exposure(self) -> float:
        """How many times the light of the automatic falls on it."""
        return 1.0 if self._is_automatic else self._value(Name.EXPOSURE_TIME) / AUTOMATIC_TIME

    @property
    def gain(self) -> float:
        """How many times that is amplified, the noise with it."""
        if self._is_automatic:
            return 1.0
        return float(2.0 ** (GAIN_STOPS * self._value(Name.GAIN) / _GAIN_MOST))

    def read(self) -> dict[Name, Control]:
        """Tell all controls."""
        return dict(self._controls)

    def set(self, name: Name, value: int) -> None:
        """Set one.

        Raises:
            OSError: it has no such control or value.
        """
        control = self._controls.get(name)
        if control is None or not control.minimum <= value <= control.maximum:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._controls[name] = replace(control, value=value)

    def close(self) -> None:
        """Do nothing: what it was set to stays."""

    @property
    def _is_automatic(self) -> bool:
        return self._value(Name.EXPOSURE_AUTO) != MANUAL

    def _value(self, name: Name) -> int:
        return self._controls[name].value
