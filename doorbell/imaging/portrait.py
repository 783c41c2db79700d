"""A face cut out of a picture as a portrait: a small square with some room above the head."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from doorbell.domain import Float32Array, UInt8Array
from doorbell.imaging.annotation import encode_jpeg
from doorbell.imaging.visit_picture import decode_jpeg, jpeg_size

SIDE_PIXELS, QUALITY = 256, 88
# So many times the larger side of the face's box; of what is added more above than below, as the
# box of a face ends at the brow.
SIDES_OF_FACE, RAISED_PART = 2.0, 0.12
# A portrait has some 15 kB.
MAX_BYTES = 100_000


def crop_portrait(pixels: UInt8Array, box_xyxy: Float32Array | Sequence[float]) -> bytes:
    """Cut a portrait out of a picture.

    Args:
        pixels: (height, width, 3) uint8, RGB.
        box_xyxy: of the face, in pixels; a part of it may lie outside.

    Returns:
        A JPEG of 256 by 256 pixels, without any other data in it. Where the picture ends, its edge
        is drawn on.
    """
    left, top, right, bottom = (float(edge) for edge in box_xyxy)
    side = max(SIDES_OF_FACE * max(right - left, bottom - top), 1.0)
    x = (left + right - side) / 2
    y = (top + bottom - side) / 2 - RAISED_PART * (bottom - top)
    scale = SIDE_PIXELS / side
    if scale < 1.0:  # by area first, or small structures would flicker
        height, width = pixels.shape[:2]
        first, last = (int(np.clip(edge, 0, width)) for edge in (x - 1, x + side + 2))
        upper, lower = (int(np.clip(edge, 0, height)) for edge in (y - 1, y + side + 2))
        part = pixels[upper : max(lower, upper + 1), first : max(last, first + 1)]
        if part.size:
            size = (
                max(round(part.shape[1] * scale), 1),
                max(round(part.shape[0] * scale), 1),
            )
            pixels = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
            x, y, scale = (x - first) * scale, (y - upper) * scale, 1.0
    matrix = np.array([[scale, 0, -x * scale], [0, scale, -y * scale]], np.float32)
    square = cv2.warpAffine(
        pixels,
        matrix,
        (SIDE_PIXELS, SIDE_PIXELS),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return encode_jpeg(np.asarray(square, np.uint8), QUALITY)


def is_portrait(jpeg: bytes) -> bool:
    """Whether bytes are a portrait, by their size and their header."""
    if len(jpeg) > MAX_BYTES or (size := jpeg_size(jpeg)) is None:
        return False
    return max(size) <= SIDE_PIXELS


def smaller_portrait(jpeg: bytes, width: int) -> bytes:
    """A portrait, no wider than that."""
    size = jpeg_size(jpeg)
    if size is None or size[0] <= width or not is_portrait(jpeg):
        return jpeg
    pixels = decode_jpeg(jpeg)
    if pixels is None:
        return jpeg
    small = cv2.resize(pixels, (width, width), interpolation=cv2.INTER_AREA)
    return encode_jpeg(np.asarray(small, np.uint8), QUALITY)
