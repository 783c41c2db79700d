"""What moves before the camera: frames in, moving places out.

Compares small grey pictures of two frames, so that it costs less than looking at one more region.
Refuses to know what moves.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from doorbell.detection.regions import Region
from doorbell.domain import UInt8Array

THUMBNAIL_PIXELS = 160  # of the longer side

# Grey levels by which a thumbnail's pixel must differ from the frame before. Noise of a camera at
# dusk, 8 levels, is below 1 once 64 pixels are averaged.
MOVING_LEVELS = 5

# A place counts as moving for as many frames as it may take until each tile there had its turn.
REMEMBERED_FRAMES = 8


class Motion:
    """Remembers where something has just moved in the frames of one camera."""

    def __init__(self) -> None:
        self._before: UInt8Array | None = None
        self._scale = 1.0
        self._remembered: NDArray[np.int64] = np.zeros((1, 1), np.int64)

    def watch(self, pixels: UInt8Array) -> None:
        """Take in the next frame: (height, width, 3) uint8, always of the same size."""
        height, width = pixels.shape[:2]
        self._scale = min(THUMBNAIL_PIXELS / max(width, height), 1.0)
        size = (max(round(width * self._scale), 1), max(round(height * self._scale), 1))
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        grey: UInt8Array = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
        if self._before is None:
            self._remembered = np.zeros(grey.shape, np.int64)
        else:
            moving = cv2.absdiff(grey, self._before) > MOVING_LEVELS
            self._remembered = np.where(
                moving, REMEMBERED_FRAMES, np.maximum(self._remembered - 1, 0)
            )
        self._before = grey

    def share(self, region: Region) -> float:
        """How much of all that has just moved is in a region of the frame: 0 to 1."""
        everywhere = np.count_nonzero(self._remembered)
        if not everywhere:
            return 0.0
        left, top = (max(int(edge * self._scale), 0) for edge in (region.left, region.top))
        right = int((region.left + region.side) * self._scale) + 1
        bottom = int((region.top + region.side) * self._scale) + 1
        return float(np.count_nonzero(self._remembered[top:bottom, left:right]) / everywhere)
