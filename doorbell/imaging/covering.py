"""Faces and figures painted over, for good."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from doorbell.domain import UInt8Array

# Boxes end at the forehead and the chin: this much of them is painted over on each side as well.
COVER_MARGIN = 0.4
_COVER = 96  # grey


def cover(
    pixels: UInt8Array,
    boxes_xyxy: Iterable[Sequence[float] | np.ndarray],
    margin: float = COVER_MARGIN,
) -> UInt8Array:
    """Paint over faces or figures, on a copy.

    Args:
        pixels: (height, width, 3) uint8; left as it is.
        boxes_xyxy: left, top, right, bottom of each.
        margin: on each side, in widths and heights of the box.
    """
    covered: UInt8Array = pixels.copy()
    for left, top, right, bottom in boxes_xyxy:
        margin_x, margin_y = margin * (right - left), margin * (bottom - top)
        edges = (left - margin_x, top - margin_y, right + margin_x, bottom + margin_y)
        x0, y0, x1, y1 = (max(0, round(float(edge))) for edge in edges)
        covered[y0:y1, x0:x1] = np.uint8(_COVER)
    return covered
