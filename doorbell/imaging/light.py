"""How much light a face got: pixels in, linear light out.

Pixels go by a root of the light (sRGB, by its usual approximation); exposure multiplies the light.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from doorbell.domain import Face, Float32Array, UInt8Array

GAMMA = 2.2
# (256,) float32: the light of each value of a pixel, 0 to 1.
LINEAR: Float32Array = ((np.arange(256) / 255) ** GAMMA).astype(np.float32)
# From here on a pixel is as good as white: whatever was there is lost.
CLIPPED_GREY = 250
# A face of which more than this is white is too bright, whatever its median: one side in the sun.
CLIPPED_PART = 0.15
# The middle of a face's box, as fractions of it: skin, whatever the hair and background are.
_SKIN_X, _SKIN_Y = (0.2, 0.8), (0.2, 0.9)
# A face wider than this is looked at in fewer pixels.
_ENOUGH_PIXELS = 48


@dataclass(frozen=True, slots=True)
class FaceLight:
    """How a face is exposed.

    Attributes:
        level: linear light of its skin, the median, 0 (black) to 1 (white).
        clipped: the part of it that is white, 0 to 1.
    """

    level: float
    clipped: float

    @property
    def grey(self) -> float:
        """The level as a pixel has it, 0 to 255."""
        return 255.0 * math.pow(self.level, 1 / GAMMA)


def to_pixels(light: Float32Array) -> UInt8Array:
    """Light of 0 to 1 as pixels, of the same shape; what is brighter than white is white."""
    return np.round(255 * np.clip(light, 0, 1) ** (1 / GAMMA)).astype(np.uint8)


def linear(grey: float) -> float:
    """Tell the light of a grey value of 0 to 255, as 0 to 1."""
    return math.pow(max(grey, 0.0) / 255.0, GAMMA)


def face_light(pixels: UInt8Array, face: Face) -> FaceLight | None:
    """Measure a face; None where it is out of the picture.

    Args:
        pixels: (height, width, 3) uint8, RGB.
        face: in pixels of it.
    """
    left, top, right, bottom = (float(edge) for edge in face.box_xyxy)
    wide, high = right - left, bottom - top
    columns = _within(left + _SKIN_X[0] * wide, left + _SKIN_X[1] * wide, pixels.shape[1])
    rows = _within(top + _SKIN_Y[0] * high, top + _SKIN_Y[1] * high, pixels.shape[0])
    skin = pixels[slice(*rows), slice(*columns)]
    if skin.size == 0:
        return None
    some = skin[:: 1 + skin.shape[0] // _ENOUGH_PIXELS, :: 1 + skin.shape[1] // _ENOUGH_PIXELS]
    grey = cv2.cvtColor(np.ascontiguousarray(some), cv2.COLOR_RGB2GRAY)
    return FaceLight(linear(float(np.median(grey))), float((grey >= CLIPPED_GREY).mean()))


def _within(first: float, last: float, size: int) -> tuple[int, int]:
    return min(max(round(first), 0), size), min(max(round(last), 0), size)
