"""Who is recognized by which tone of skin, told by the colour of the cheeks.

The individual typology angle (Chardon et al., 1991) is the angle of lightness over yellowness in
CIELAB: above 55 degrees very light skin, below -30 dark. Of a photograph it depends on the light
and the camera too, so that a person's is the median of several.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import cv2
import numpy as np

from doorbell.domain import Float32Array, UInt8Array
from doorbell.recognition.alignment import align

# Of an aligned face, rows and columns: both cheeks, beside the tip of the nose.
CHEEKS = ((slice(66, 80), slice(29, 41)), (slice(66, 80), slice(71, 83)))

THIRDS = ("darkest third", "middle third", "lightest third")

# Less yellow than this is a photograph without colour.
MIN_YELLOWNESS = 1.0


def typology_angle(pixels: UInt8Array, keypoints_xy: Float32Array) -> float | None:
    """The individual typology angle of a face; None where the photograph has no colour.

    Args:
        pixels: (height, width, 3) uint8, RGB.
        keypoints_xy: (6, 2) float32, of the face, in BlazeFace's order.

    Returns:
        Degrees, the higher the lighter.
    """
    crop = align(pixels, keypoints_xy).astype(np.float32) / 255
    lab = cv2.cvtColor(crop, cv2.COLOR_RGB2LAB)
    cheeks = np.concatenate([lab[rows, columns].reshape(-1, 3) for rows, columns in CHEEKS])
    lightness, _, yellowness = np.median(cheeks, axis=0)
    if yellowness < MIN_YELLOWNESS:
        return None
    return float(np.degrees(np.arctan2(lightness - 50, yellowness)))


def person_angles(angles: Mapping[str, Sequence[float | None]]) -> dict[str, float]:
    """Each person's median angle, of those of whom one photograph has a colour."""
    seen = {name: [a for a in of_one if a is not None] for name, of_one in angles.items()}
    return {name: float(np.median(of_one)) for name, of_one in seen.items() if of_one}


def third_bounds(angles: Iterable[float]) -> tuple[float, float] | None:
    """The angles that part people in thirds; None where there are fewer than three."""
    each = sorted(angles)
    if len(each) < len(THIRDS):
        return None
    first, second = np.quantile(each, [1 / 3, 2 / 3])
    return float(first), float(second)


def third_of(angle: float, bounds: tuple[float, float]) -> str:
    """In which of the thirds an angle is."""
    return THIRDS[int(np.searchsorted(bounds, angle, side="right"))]


def gap(rates: Sequence[float]) -> float:
    """By how much the best off are better off than the worst off."""
    return max(rates) - min(rates) if rates else 0.0
