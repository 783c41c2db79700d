"""A face found once more before it is embedded: a face in, the same with better keypoints out.

A followed face is found in every frame by the network for near faces, which is cheap and shakes
little. The crop that is embedded needs the points themselves, and there another look is worth more
than it costs: by the network for far faces, whose grid is finer, or, where light is scattered in
the lens and a face is a grey patch before something bright, close up and in the face's own light.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from doorbell.detection.blazeface import BlazeFace, Picture, blend, iou, letterbox
from doorbell.detection.regions import Region, RegionKind
from doorbell.domain import Face, Float32Array, UInt8Array
from doorbell.imaging.light import LINEAR, to_pixels

# How many times as large as the face the square is that is looked at, by the network for far faces
# and in the face's own light. ARCHITECTURE.md says what others gave.
FAR_SIDE, LIT_SIDE = 3.5, 2.2
# These hundredths of the face's values become black and nearly white, in linear light.
DARK, LIGHT = 2, 90
LIGHT_LEVEL = 0.75
# Boxes of one face by two looks overlap by this at least.
SAME_IOU = 0.3


def look_with_finer_grid(far: BlazeFace, picture: Picture, face: Face, min_iou: float) -> Face:
    """Find a face once more; the same one where it is not found again.

    Args:
        far: the network for far faces.
        picture: with the face.
        face: from the first look, in pixels of the picture.
        min_iou: as ``blend`` takes it.
    """
    found = blend(far.candidates(picture, [_square(face, FAR_SIDE)]), min_iou)
    points = _points_of(found, face.box_xyxy)
    return face if points is None else Face(face.box_xyxy, points, face.score)


def look_in_its_light(near: BlazeFace, pixels: UInt8Array, face: Face, min_iou: float) -> Face:
    """Find a face behind scattered light once more; the same one where it is not found again.

    Args:
        near: the network for near faces.
        pixels: (height, width, 3) uint8, RGB.
        face: from the first look, in pixels of it.
        min_iou: as ``blend`` takes it.
    """
    square, side = _square(face, LIT_SIDE), near.input_pixels
    picture = np.empty((side, side, 3), np.uint8)
    letterbox(pixels, square, picture)
    corner, scale = np.array([square.left, square.top]), square.side / side
    box = ((face.box_xyxy.reshape(2, 2) - corner) / scale).astype(np.float32)
    (left, top), (right, bottom) = np.clip(np.rint(box), 0, side).astype(int)
    lit = _lit(picture, picture[top:bottom, left:right])
    found = blend(near.candidates(lit, [Region(0, 0, side, RegionKind.TRACK)]), min_iou)
    points = _points_of(found, box.ravel())
    if points is None:
        return face
    return Face(face.box_xyxy, (points * scale + corner).astype(np.float32), face.score)


def _square(face: Face, side: float) -> Region:
    left, top, right, bottom = (float(edge) for edge in face.box_xyxy)
    pixels = max(round(side * max(right - left, bottom - top)), 1)
    return Region(
        round((left + right - pixels) / 2),
        round((top + bottom - pixels) / 2),
        pixels,
        RegionKind.TRACK,
    )


def _points_of(found: Sequence[Face], box: Float32Array) -> Float32Array | None:
    """The keypoints of the face that a box (4,) is of, (6, 2); None where it is not among them."""
    if not found:
        return None
    overlaps = iou(box, np.stack([each.box_xyxy for each in found]))
    nearest = int(overlaps.argmax())
    return found[nearest].keypoints_xy if overlaps[nearest] >= SAME_IOU else None


def _lit(picture: UInt8Array, face: UInt8Array) -> UInt8Array:
    """A picture in such light that a part of it is neither dark nor pale."""
    if not face.size:
        return picture
    dark, light = LINEAR[np.percentile(face, [DARK, LIGHT]).astype(np.intp)]
    table = to_pixels((LINEAR - dark) / max(light - dark, 1e-3) * LIGHT_LEVEL)
    return np.asarray(table[picture], np.uint8)
