"""Two backends' answers compared: how far apart, and whether that is near enough.

Runs nothing and knows no device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from doorbell.detection.blazeface import iou
from doorbell.domain import Face, Float32Array

# Less of an overlap is another face.
SAME_FACE_IOU = 0.5

# A face and its unit vector; None where a picture shows none.
Found = tuple[Face, Float32Array] | None


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far a device may be from the reference.

    Attributes:
        output_cosine: least cosine of an output of one network for the same input.
        shift: furthest that an edge of a box or a keypoint may lie, in widths of the face.
        embedding_cosine: least cosine of the vectors of one face, all networks together.
    """

    output_cosine: float
    shift: float
    embedding_cosine: float


def output_cosine(
    reference: Mapping[str, Float32Array], found: Mapping[str, Float32Array]
) -> float:
    """The lowest cosine of an output with its reference; NaN where they cannot be compared."""
    if {n: v.shape for n, v in reference.items()} != {n: v.shape for n, v in found.items()}:
        return float("nan")
    return float(np.min([_cosine(reference[name], found[name]) for name in reference]))


@dataclass(frozen=True, slots=True)
class FaceDifferences:
    """How far the faces of some pictures are apart.

    Attributes:
        faces: that the reference found.
        missed: pictures in which only one of them found a face, or both another one.
        shift: largest shift of an edge of a box or of a keypoint, in widths of the face.
        embedding_cosine: lowest of two vectors.
    """

    faces: int
    missed: int
    shift: float
    embedding_cosine: float

    def within(self, bounds: Bounds) -> bool:
        """Whether every face was found by both, in the same place and alike."""
        return (
            self.faces > 0
            and self.missed == 0
            and self.shift <= bounds.shift
            and self.embedding_cosine >= bounds.embedding_cosine
        )


def compare_faces(reference: Sequence[Found], found: Sequence[Found]) -> FaceDifferences:
    """Compare the faces of the same pictures, one a picture."""
    shifts, cosines, missed = [0.0], [1.0], 0
    for expected, other in zip(reference, found, strict=True):
        if expected is None or other is None:
            missed += expected is not other
        elif iou(expected[0].box_xyxy, other[0].box_xyxy[None])[0] < SAME_FACE_IOU:
            missed += 1
        else:
            shifts.append(_shift(expected[0], other[0]))
            cosines.append(float(expected[1] @ other[1]))
    count = sum(expected is not None for expected in reference)
    # Unlike max and min, these pass on what is no number.
    return FaceDifferences(count, missed, float(np.max(shifts)), float(np.min(cosines)))


def _shift(face: Face, other: Face) -> float:
    edges = np.abs(face.box_xyxy - other.box_xyxy).max()
    points = np.linalg.norm(face.keypoints_xy - other.keypoints_xy, axis=1).max()
    return float(max(edges, points) / face.width_pixels)


def _cosine(a: Float32Array, b: Float32Array) -> float:
    x, y = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
    return float(x @ y / max(np.linalg.norm(x) * np.linalg.norm(y), np.finfo(np.float64).tiny))
