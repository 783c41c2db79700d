"""A camera that hangs on its side or upside down, whose pictures are turned upright."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import cv2
import numpy as np

from doorbell.domain import Frame, UInt8Array

# Clockwise, in degrees.
_TURNS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}


class _Camera(Protocol):
    def read(self) -> Frame: ...

    def close(self) -> None: ...


def rotate(pixels: UInt8Array, degrees: int) -> UInt8Array:
    """Turn a picture clockwise.

    Args:
        pixels: (height, width, 3) uint8.
        degrees: 0, 90, 180 or 270.

    Returns:
        The same for 0; else another array, which is (width, height, 3) for 90 and 270.
    """
    return np.asarray(cv2.rotate(pixels, _TURNS[degrees]), np.uint8) if degrees else pixels


class RotatedCamera:
    """Another camera, whose pictures are turned.

    They are turned by the processor (0.2 to 1 ms for 1280 x 720 pixels), so that no GPU sees their
    memory.

    Args:
        camera: gives them; closed with this.
        degrees: clockwise: 90, 180 or 270.

    Attributes:
        unturned: the other camera.
    """

    def __init__(self, camera: _Camera, degrees: int) -> None:
        self.unturned = camera
        self._degrees = degrees

    def read(self) -> Frame:
        """Return the next frame, upright."""
        frame = self.unturned.read()
        return replace(frame, pixels=rotate(frame.pixels, self._degrees), device_address=None)

    def close(self) -> None:
        """Release the camera; idempotent."""
        self.unturned.close()
