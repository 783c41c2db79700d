"""Noise of a camera on pictures that tests draw."""

import cv2
import numpy as np

from doorbell.domain import UInt8Array

# A picture's noise begins anywhere in so many rows and columns of the field.
_PLACES = 64


class CameraNoise:
    """Normal noise, the same in each run; each picture's is cut anew out of one field.

    To draw it for every pixel of every picture takes longer than most of what is tested with it.

    Args:
        height, width: of the pictures, in pixels.
        sigma: of a channel's values, 0 to 255.
    """

    def __init__(self, height: int, width: int, sigma: float) -> None:
        drawn = np.random.default_rng(0).standard_normal(
            (height + _PLACES, width + _PLACES, 3), np.float32
        )
        self._field = np.rint(drawn * sigma).astype(np.int16)

    def on(self, pixels: UInt8Array, number: int) -> UInt8Array:
        """Add the noise of the picture with this number to (height, width, 3) pixels."""
        top, left = np.random.default_rng(number).integers(0, _PLACES, 2)
        height, width = pixels.shape[:2]
        noise = self._field[top : top + height, left : left + width]
        return np.asarray(cv2.add(pixels, noise, dtype=cv2.CV_8U), np.uint8)
