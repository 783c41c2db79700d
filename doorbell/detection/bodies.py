"""People by their figure: regions of a frame in, bodies out.

Anchors, decoding and suppression of MobileNetV2-SSDLite, written once above the ``Runner``. Source:
the anchors and the box coder of TensorFlow's Object Detection API as the published graph has them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from doorbell.detection.blazeface import iou, letterbox
from doorbell.detection.regions import Region
from doorbell.domain import Body, Float32Array, UInt8Array
from doorbell.inference import Runner
from doorbell.networks.pedestrian_anchors import LEVELS, SIZE

# Regressors are y, x, height and width: offsets in these parts of the anchor, and logarithms.
OFFSET_SCALE, SIZE_SCALE = 10.0, 5.0

# Boxes that overlap by more are one body; people side by side overlap by less.
SAME_BODY_IOU = 0.5


def anchors() -> Float32Array:
    """All anchors, as parts of the input: (1917, 4) float32, centre x, y, width, height."""
    found = [
        ((column + 0.5) / cells, (row + 0.5) / cells, scale * ratio**0.5, scale / ratio**0.5)
        for cells, shapes in LEVELS
        for row in range(cells)
        for column in range(cells)
        for scale, ratio in shapes
    ]
    return np.array(found, np.float32)


class BodyDetector:
    """Finds people in regions of a frame.

    Args:
        runner: the network.
        min_score: 0 to 1; what scores less is nobody.
    """

    def __init__(self, runner: Runner, min_score: float) -> None:
        self._runner = runner
        self._min_score = min_score
        self._anchors = anchors()

    def close(self) -> None:
        """Release the network; idempotent."""
        self._runner.close()

    def find(self, pixels: UInt8Array, regions: Sequence[Region]) -> list[Body]:
        """Find people.

        Args:
            pixels: (height, width, 3) uint8, RGB.
            regions: squares to look at.

        Returns:
            Bodies in pixels of the frame, within it, best score first.
        """
        boxes, scores = [np.empty((0, 4), np.float32)], [np.empty(0, np.float32)]
        for region in regions:
            found, their_scores = self._look(pixels, region)
            boxes.append(found)
            scores.append(their_scores)
        height, width = pixels.shape[:2]
        limits = np.array([width, height, width, height], np.float32)
        return _bodies(np.clip(np.concatenate(boxes), 0, limits), np.concatenate(scores))

    def _look(self, pixels: UInt8Array, region: Region) -> tuple[Float32Array, Float32Array]:
        """Candidates in one region: boxes (k, 4) xyxy in pixels of the frame, scores (k,)."""
        cut = np.empty((SIZE, SIZE, 3), np.uint8)
        letterbox(pixels, region, cut)
        tensor = cut.transpose(2, 0, 1)[None].astype(np.float32, order="C") / 127.5 - 1
        outputs = self._runner.infer({"image": np.ascontiguousarray(tensor, np.float32)})
        scores = 1 / (1 + np.exp(-np.clip(outputs["scores"][0, :, 1], -80, 80)))
        chosen = np.flatnonzero(scores >= self._min_score)
        raw, near = outputs["regressors"][0, chosen], self._anchors[chosen]
        centre = near[:, :2] + raw[:, 1::-1] / OFFSET_SCALE * near[:, 2:]
        half = np.exp(np.minimum(raw[:, :1:-1] / SIZE_SCALE, 5)) * near[:, 2:] / 2
        boxes = np.concatenate([centre - half, centre + half], axis=1) * region.side
        boxes += np.array([region.left, region.top] * 2, np.float32)
        return boxes.astype(np.float32), scores[chosen].astype(np.float32)


def _bodies(boxes: Float32Array, scores: Float32Array) -> list[Body]:
    """Keep the best of those that overlap."""
    order = np.argsort(-scores, kind="stable")
    bodies = []
    while order.size:
        best = order[0]
        bodies.append(Body(boxes[best], float(scores[best])))
        order = order[1:][iou(boxes[best], boxes[order[1:]]) <= SAME_BODY_IOU]
    return bodies
