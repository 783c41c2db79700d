"""A face found once more, close up and in its own light: a face in, the same with better keypoints.

Where light is scattered in the lens a face is a grey patch before something bright. The networks
still say where it is, and no longer where its eyes are.
"""

from __future__ import annotations

import numpy as np

from doorbell.detection.blazeface import BlazeFace, blend, iou, letterbox
from doorbell.detection.regions import Region, RegionKind
from doorbell.domain import Face, UInt8Array
from doorbell.imaging.light import GAMMA

# How many times as large as the face the square is that is looked at: closer than a followed face's
# own region, with less of what is bright around it. Of 1.7, 2.2, 3 and 4 this is where faces before
# the light were found best.
SIDE_PER_FACE = 2.2
# These hundredths of the face's values become black and nearly white, in linear light.
DARK, LIGHT = 2, 90
LIGHT_LEVEL = 0.75
# Boxes of one face by two looks overlap by this at least.
SAME_IOU = 0.3

_LINEAR = (np.arange(256) / 255) ** GAMMA  # (256,) values of a picture in linear light


def look_again(network: BlazeFace, pixels: UInt8Array, face: Face, min_iou: float) -> Face | None:
    """Find a face once more; None where it is not found again.

    Args:
        network: the one for near faces.
        pixels: (height, width, 3) uint8, RGB.
        face: in pixels of it, from the first look.
        min_iou: as ``blend`` takes it.
    """
    left, top, right, bottom = (float(edge) for edge in face.box_xyxy)
    side = round(SIDE_PER_FACE * max(right - left, bottom - top))
    corner = np.array([round((left + right - side) / 2), round((top + bottom - side) / 2)])
    picture = np.empty((network.input_pixels, network.input_pixels, 3), np.uint8)
    scale = side / network.input_pixels
    if scale <= 0:
        return None
    letterbox(pixels, Region(int(corner[0]), int(corner[1]), side, RegionKind.TRACK), picture)
    box = (face.box_xyxy.reshape(2, 2) - corner) / scale  # in pixels of the picture
    inner = (
        slice(round(float(box[0, 1])), round(float(box[1, 1]))),
        slice(round(float(box[0, 0])), round(float(box[1, 0]))),
    )
    lit = _lit(picture, picture[inner])
    whole = Region(0, 0, network.input_pixels, RegionKind.TRACK)
    found = blend(network.candidates(lit, [whole]), min_iou)
    if not found:
        return None
    overlaps = iou(box.ravel().astype(np.float32), np.stack([each.box_xyxy for each in found]))
    nearest = int(overlaps.argmax())
    if overlaps[nearest] < SAME_IOU:
        return None
    again = found[nearest]
    return Face(
        (again.box_xyxy.reshape(2, 2) * scale + corner).ravel().astype(np.float32),
        (again.keypoints_xy * scale + corner).astype(np.float32),
        face.score,
    )


def _lit(picture: UInt8Array, face: UInt8Array) -> UInt8Array:
    """A picture in such light that a part of it is neither dark nor pale."""
    dark, light = _LINEAR[np.percentile(face, [DARK, LIGHT]).astype(np.intp)]
    part = np.clip((_LINEAR - dark) / max(light - dark, 1e-3) * LIGHT_LEVEL, 0, 1)
    table = np.round(255 * part ** (1 / GAMMA)).astype(np.uint8)
    return np.asarray(table[picture], np.uint8)
