"""What BlazeFace's network would say of a face, written by hand."""

import numpy as np

from doorbell.detection.blazeface import SHORT_RANGE, anchor_centres
from doorbell.detection.regions import Region
from doorbell.domain import Float32Array

SIDE = SHORT_RANGE.input_pixels
CENTRES = anchor_centres(SHORT_RANGE)

# Where the six points of a face lie, as parts of its box.
POINTS = np.array(
    [[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.5, 0.75], [0.05, 0.4], [0.95, 0.4]], np.float32
)


def points_in(box: Float32Array) -> Float32Array:
    return np.asarray(box[:2] + POINTS * (box[2:] - box[:2]), np.float32)


class Outputs:
    """What the network would say, written by hand."""

    def __init__(self, regions: int) -> None:
        self.regressors = np.zeros((regions, 896, 16), np.float32)
        self.logits = np.full((regions, 896, 1), -20, np.float32)

    def put(
        self, index: int, region: Region, box: Float32Array, *, logit: float = 4, neighbour: int = 0
    ) -> None:
        """Say that a box of the frame is a face, at the anchor nearest to its centre."""
        corners = (box.reshape(2, 2) - [region.left, region.top]) / region.side
        middle, size = corners.mean(axis=0), corners[1] - corners[0]
        points = (points_in(box) - [region.left, region.top]) / region.side
        anchor = int(np.linalg.norm(CENTRES - middle, axis=1).argmin()) + neighbour
        self.regressors[index, anchor, :2] = (middle - CENTRES[anchor]) * SIDE
        self.regressors[index, anchor, 2:4] = size * SIDE
        self.regressors[index, anchor, 4:] = ((points - CENTRES[anchor]) * SIDE).ravel()
        self.logits[index, anchor] = logit
