"""Which way up a picture is: pixels in, its faces and by how much it has to be turned out.

Where a face lies on its side or stands on its head the detector finds one all the same, with
keypoints as if it were upright; only the embedding tells that they are none. So a picture whose
faces tell little is turned by quarters and looked at again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from doorbell.domain import Face, FaceSample, UInt8Array
from doorbell.pipeline.perception import FaceCrop, Perception

# Of 12 press portraits, turned and found again (2026-11-28), the best face has a quality of 0.51 to
# 0.71 upright and rolled by up to 45 degrees, at most 0.43 on its head, and 0.1 on its side. A
# picture that is better than the first is not turned; another turn must be better by the margin.
UPRIGHT_QUALITY, TURNED_MARGIN = 0.56, 0.1
QUARTERS = (2, 1, 3)
# Faces are looked for in a copy of so many pixels on its longer side, and turned ones in a smaller
# one: time goes with the area, and whoever is to be enrolled fills more than a fortieth of it. They
# are cut out of the picture itself.
LOOKED_AT_PIXELS, TURNED_PIXELS = 800, 400
# Of a picture with more faces than this none is looked at closely: it shows a crowd, or was made to
# take time and memory.
MAX_FACES = 16


@dataclass(frozen=True, eq=False, slots=True)
class UprightFaces:
    """What a picture shows once it is turned.

    Attributes:
        degrees: clockwise, by which it was turned: 0, 90, 180 or 270.
        found: how many faces the detector found, before any was embedded.
        faces: those that are faces, with their samples, in pixels of the turned picture.
    """

    degrees: int
    found: int
    faces: tuple[tuple[FaceCrop, FaceSample], ...]

    @property
    def quality(self) -> float:
        """Of the best face; 0 without any."""
        return max((sample.quality for _, sample in self.faces), default=0.0)


def find_upright(perception: Perception, pixels: UInt8Array) -> UprightFaces:
    """Find the faces of a single picture, (height, width, 3) uint8, whichever way up it is.

    A picture is left as it is unless turning it shows a face clearly better.
    """
    best = _faces(perception, pixels, 0, LOOKED_AT_PIXELS)
    if best.quality >= UPRIGHT_QUALITY or best.found > MAX_FACES:
        return best
    turned = [
        _faces(perception, turn(pixels, 90 * quarters), 90 * quarters, TURNED_PIXELS)
        for quarters in QUARTERS
    ]
    other = max(turned, key=lambda each: each.quality)
    if other.quality < best.quality + TURNED_MARGIN:
        return best
    return _faces(perception, turn(pixels, other.degrees), other.degrees, LOOKED_AT_PIXELS)


def turn(pixels: UInt8Array, degrees: int) -> UInt8Array:
    """The picture turned clockwise by quarters."""
    return np.ascontiguousarray(np.rot90(pixels, -degrees // 90)) if degrees else pixels


def _faces(
    perception: Perception, pixels: UInt8Array, degrees: int, most_pixels: int
) -> UprightFaces:
    found = _detect(perception, pixels, most_pixels)
    if len(found) > MAX_FACES:
        return UprightFaces(degrees, len(found), ())
    portraits = [perception.crop_face(pixels, face) for face in found]
    samples = perception.embed(portraits, mirrored=True)
    return UprightFaces(
        degrees,
        len(found),
        tuple(
            (portrait, sample)
            for portrait, sample in zip(portraits, samples, strict=True)
            if sample is not None
        ),
    )


def _detect(perception: Perception, pixels: UInt8Array, most_pixels: int) -> list[Face]:
    """The faces of a picture, in its own pixels, found in a copy that is no larger than that."""
    height, width = pixels.shape[:2]
    scale = most_pixels / max(height, width)
    if scale >= 1.0:
        return perception.detect_still(pixels)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    back = np.array([width / size[0], height / size[1]], np.float32)
    return [
        replace(
            face,
            box_xyxy=np.asarray(face.box_xyxy * np.tile(back, 2), np.float32),
            keypoints_xy=np.asarray(face.keypoints_xy * back, np.float32),
        )
        for face in perception.detect_still(small)
    ]
