"""Parts of the picture in which nobody begins a visit."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from doorbell.domain import Float32Array


class IgnoredZones:
    """Polygons of the frame.

    Args:
        polygons: corners (x, y) of each, in parts of the frame's width and height.
    """

    def __init__(self, polygons: Sequence[Sequence[tuple[float, float]]]) -> None:
        self._polygons = [np.array(corners, np.float32)[:, None] for corners in polygons]

    def hold(self, box_xyxy: Float32Array, width: int, height: int) -> bool:
        """Whether the middle of a box (4,), in pixels of a frame of this size, lies in one."""
        if not self._polygons:
            return False
        x, y = (box_xyxy[:2] + box_xyxy[2:]) / 2
        middle = float(x) / width, float(y) / height
        return any(cv2.pointPolygonTest(each, middle, False) >= 0 for each in self._polygons)
