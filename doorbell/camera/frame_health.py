"""What a live camera shows: the door, darkness, or one picture for ever.

Looks at some of the pixels only, which takes some ten microseconds.
"""

from __future__ import annotations

import math

import numpy as np

from doorbell.domain import Frame, UInt8Array
from doorbell.errors import CameraError
from doorbell.status import CameraCondition

# The pixels looked at: about so many rows and columns. A face near enough to be found covers some.
_ROWS, _COLUMNS = 24, 32
# Of 255. A covered lens or a night without light; a lamp somewhere spreads the values.
_DARK_MEAN = 12.0
_DARK_SPREAD = 6.0
# Brighter than this everything is clipped, and no noise is left that would show a live picture.
_CLIPPED_MEAN = 250.0
# Nothing can be found in less, and no camera makes it.
_LEAST_PIXELS = 16


class FrameHealth:
    """Tells darkness and a frozen picture from a live one.

    Args:
        dark_seconds: how long it must be dark before it is reported; 0 never reports it.
        frozen_seconds: likewise of a picture that does not change in a single bit.
    """

    def __init__(self, *, dark_seconds: float, frozen_seconds: float) -> None:
        self._dark_seconds = dark_seconds or math.inf
        self.frozen_seconds = frozen_seconds or math.inf
        self._seen: tuple[object, bytes] | None = None
        self._changed_at = -math.inf
        self._bright_at = -math.inf

    def begin(self, now_seconds: float) -> None:
        """Begin anew after a time without pictures, in which none could change."""
        self._changed_at = now_seconds

    def look(self, pixels: UInt8Array, now_seconds: float) -> CameraCondition:
        """Look at the next picture.

        Args:
            pixels: (height, width, 3) uint8.
            now_seconds: monotonic time.
        """
        height, width = pixels.shape[:2]
        some = pixels[:: max(1, height // _ROWS), :: max(1, width // _COLUMNS)]
        seen = pixels.shape, some.tobytes()
        mean = float(some.mean())
        dark = mean < _DARK_MEAN and float(some.std()) < _DARK_SPREAD
        if seen != self._seen or dark or mean > _CLIPPED_MEAN:
            self._changed_at = now_seconds
        if not dark or math.isinf(self._bright_at):
            self._bright_at = now_seconds
        self._seen = seen
        if now_seconds - self._changed_at >= self.frozen_seconds:
            return CameraCondition.FROZEN
        if now_seconds - self._bright_at >= self._dark_seconds:
            return CameraCondition.DARK
        return CameraCondition.LIVE


def refuse_malformed(frame: Frame) -> None:
    """Refuse what is no picture.

    Raises:
        CameraError: other than (height, width, 3) uint8, or smaller than any camera's picture.
    """
    pixels = frame.pixels
    if (
        pixels.dtype != np.uint8
        or pixels.ndim != 3
        or pixels.shape[2] != 3
        or min(pixels.shape[:2]) < _LEAST_PIXELS
    ):
        raise CameraError(
            f"the camera gave an array of {pixels.shape} {pixels.dtype}, which is no picture; "
            "check camera.uri and the camera's own settings"
        )
