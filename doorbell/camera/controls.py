"""A camera's controls of exposure, by the names and values of V4L2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

# Values of EXPOSURE_AUTO (enum v4l2_exposure_auto_type). Webcams call their automatic 3.
AUTO, MANUAL, SHUTTER_PRIORITY, APERTURE_PRIORITY = range(4)
# EXPOSURE_TIME counts in this unit (V4L2_CID_EXPOSURE_ABSOLUTE).
EXPOSURE_UNIT_SECONDS = 1e-4


class Name(Enum):
    """Which control, as ``v4l2-ctl`` writes it."""

    EXPOSURE_AUTO = "auto_exposure"
    EXPOSURE_TIME = "exposure_time_absolute"
    GAIN_AUTO = "gain_automatic"
    GAIN = "gain"
    BACKLIGHT = "backlight_compensation"
    BRIGHTNESS = "brightness"


@dataclass(frozen=True, slots=True)
class Control:
    """What one control can do, and where it stands.

    Attributes:
        minimum, maximum, step, default: of its values, as the driver tells.
        value: now.
        choices: the values of a menu; empty where all in the range are allowed.
    """

    minimum: int
    maximum: int
    step: int
    default: int
    value: int
    choices: tuple[int, ...] = ()


class Controls(Protocol):
    """The controls of an open camera, used by the thread that reads it."""

    def read(self) -> Mapping[Name, Control]:
        """Tell those that the camera has and lets others set.

        Raises:
            OSError: the camera is gone.
        """

    def set(self, name: Name, value: int) -> None:
        """Set one.

        Raises:
            OSError: the driver refuses, or the camera is gone.
        """

    def close(self) -> None:
        """Let go of the camera; idempotent."""
