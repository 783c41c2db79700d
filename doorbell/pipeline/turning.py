"""Which way up a picture is: pixels in, its faces and by how much it has to be turned out.

Where a face lies on its side or stands on its head the detector finds one all the same, with
keypoints as if it were upright; only the embedding tells that they are none. So a picture whose
faces tell little is turned by quarters and looked at again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from doorbell.domain import FaceSample, UInt8Array
from doorbell.pipeline.perception import FaceCrop, Perception

# Of 12 press portraits, turned and found again (2026-11-28), the best face has a quality of 0.51 to
# 0.71 upright and rolled by up to 45 degrees, at most 0.43 on its head, and 0.1 on its side. A
# picture that is better than the first is not turned; another turn must be better by the margin.
UPRIGHT_QUALITY, TURNED_MARGIN = 0.56, 0.1
QUARTERS = (2, 1, 3)
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
    best = _faces(perception, pixels, 0)
    if best.quality >= UPRIGHT_QUALITY or best.found > MAX_FACES:
        return best
    turned = [
        _faces(perception, np.ascontiguousarray(np.rot90(pixels, -quarters)), 90 * quarters)
        for quarters in QUARTERS
    ]
    other = max(turned, key=lambda each: each.quality)
    return other if other.quality >= best.quality + TURNED_MARGIN else best


def _faces(perception: Perception, pixels: UInt8Array, degrees: int) -> UprightFaces:
    found = perception.detect_still(pixels)
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
