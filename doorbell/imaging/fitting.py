"""Pictures made smaller for whoever takes no more than so many bytes, or pixels."""

from __future__ import annotations

import cv2
import numpy as np

from doorbell.domain import UInt8Array
from doorbell.imaging.annotation import encode_jpeg
from doorbell.imaging.visit_picture import decode_jpeg

QUALITY = 80
# Below this width nobody is recognized in the picture of a porch.
LEAST_WIDTH_PIXELS = 64
# A JPEG has somewhat more bytes for each pixel the smaller it is.
STEP = 0.85


def fit_jpeg(jpeg: bytes, most_bytes: int) -> bytes | None:
    """Make a JPEG smaller until it fits.

    Args:
        jpeg: a picture; returned as it is where it fits.
        most_bytes: that it may have.

    Returns:
        The same picture with fewer pixels; None where it is none, or does not fit at any width
        worth looking at.
    """
    if len(jpeg) <= most_bytes:
        return jpeg
    pixels = decode_jpeg(jpeg)
    if pixels is None:
        return None
    height, width = pixels.shape[:2]
    # The bytes go roughly with the number of pixels.
    scale = min(1.0, (most_bytes / len(jpeg)) ** 0.5)
    while scale * width >= LEAST_WIDTH_PIXELS:
        size = round(scale * width), max(1, round(scale * height))
        smaller = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        encoded = encode_jpeg(np.asarray(smaller, np.uint8), QUALITY)
        if len(encoded) <= most_bytes:
            return encoded
        scale *= STEP
    return None


def fit_width(pixels: UInt8Array, max_width: int) -> UInt8Array:
    """Make a picture no wider than that; returned as it is where it fits."""
    height, width = pixels.shape[:2]
    if width <= max_width:
        return pixels
    size = (max_width, max(1, round(height * max_width / width)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
