"""Where a network's anchors are and how large, and which of them are to find which face.

The networks give boxes in pixels from an anchor's centre, so sizes play a part in training alone:
an anchor learns the faces that it overlaps (Liu et al., "SSD: Single Shot MultiBox Detector",
2016).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from doorbell.detection.blazeface import SHORT_RANGE, AnchorLayer, Geometry, anchor_centres
from doorbell.domain import Float32Array
from doorbell.networks.blazeface import REGRESSOR_VALUES, published
from doorbell.networks.graph import Builder
from doorbell.networks.mobilenet_ssd import mobilenet_ssd
from doorbell.training.labels import Labels


@dataclass(frozen=True, slots=True)
class Trainable:
    """A detector that can be trained.

    Attributes:
        graph: the name of its graph, by which its weights are known.
        write: the function that builds it.
        geometry: of its anchors.
        sides: in pixels, of the anchors of a cell, layer by layer.
    """

    graph: str
    write: Callable[[Builder[Any]], Any]
    geometry: Geometry
    sides: tuple[tuple[float, ...], ...]


TRAINABLE: Mapping[str, Trainable] = {
    "table1": Trainable(
        "blazeface_published", published, SHORT_RANGE, ((9, 16), (24, 33, 44, 58, 76, 100))
    ),
    "mobilenet-ssd": Trainable(
        "mobilenet_v2_ssd",
        mobilenet_ssd,
        Geometry(SHORT_RANGE.input_pixels, tuple(AnchorLayer(cells, 2) for cells in (16, 8, 4, 2))),
        ((9, 16), (24, 36), (50, 68), (86, 108)),
    ),
}

# An anchor that overlaps a face by so much learns it, one that overlaps it less is background; what
# lies between learns nothing.
MATCHED_IOU, BACKGROUND_IOU = 0.45, 0.35
# So much of an anchor may lie in what is ignored, or overlap it, before it learns nothing.
IGNORED_PART = 0.4


@dataclass(frozen=True, eq=False, slots=True)
class Targets:
    """What the anchors of one picture are to give.

    Attributes:
        kinds: (anchors,) float32: 1 a face, 0 none, -1 nothing is said.
        values: (anchors, 16) float32 in pixels, where a face is.
        weights: (anchors, 16) float32: 1 over the face's size where a value is known, else 0.
    """

    kinds: Float32Array
    values: Float32Array
    weights: Float32Array


class Anchors:
    """The anchors of one network."""

    def __init__(self, network: Trainable) -> None:
        geometry = network.geometry
        self.centres = anchor_centres(geometry) * geometry.input_pixels  # (anchors, 2)
        sides = [
            np.tile(np.array(of_cell, np.float32), layer.cells**2)
            for layer, of_cell in zip(geometry.layers, network.sides, strict=True)
        ]
        self.sides = np.concatenate(sides)  # (anchors,)
        half = self.sides[:, None] / 2
        self._boxes = np.concatenate([self.centres - half, self.centres + half], axis=1)
        self._areas = self.sides**2

    def match(self, labels: Labels) -> Targets:
        """Say what each anchor is to give for a picture, whose labels are in its pixels."""
        kinds = np.zeros(len(self.sides), np.float32)
        values = np.zeros((len(self.sides), REGRESSOR_VALUES), np.float32)
        weights = np.zeros_like(values)
        if len(labels.ignored_xyxy):
            shared = _shared(self._boxes, labels.ignored_xyxy)
            area = np.prod(labels.ignored_xyxy[:, 2:] - labels.ignored_xyxy[:, :2], axis=1)
            within = shared / self._areas[:, None]
            overlaps = shared / (self._areas[:, None] + area - shared)
            kinds[np.maximum(within, overlaps).max(axis=1) > IGNORED_PART] = -1
        if not len(labels.boxes_xyxy):
            return Targets(kinds, values, weights)
        boxes = labels.boxes_xyxy
        shared = _shared(self._boxes, boxes)  # (anchors, n)
        size = boxes[:, 2:] - boxes[:, :2]
        overlaps = shared / (self._areas[:, None] + np.prod(size, axis=1) - shared)
        best = overlaps.max(axis=1)
        whose = overlaps.argmax(axis=1)
        nearest = overlaps.argmax(axis=0)  # (n,): every face is somebody's
        whose[nearest], best[nearest] = np.arange(len(boxes)), 1
        faces = best >= MATCHED_IOU
        kinds[(best >= BACKGROUND_IOU) & ~faces] = -1
        kinds[faces] = 1
        chosen = whose[faces]
        centres = self.centres[faces]
        values[faces] = np.concatenate(
            [
                (boxes[chosen, :2] + boxes[chosen, 2:]) / 2 - centres,
                size[chosen],
                (labels.keypoints_xy[chosen] - centres[:, None]).reshape(len(chosen), -1),
            ],
            axis=1,
        )
        known = np.repeat(labels.known[chosen], 2, axis=1)
        weights[faces] = np.concatenate([np.ones((len(chosen), 4)), known], axis=1)
        weights[faces] /= size[chosen].mean(axis=1, keepdims=True)
        return Targets(kinds, values, weights)


def _shared(boxes: Float32Array, others: Float32Array) -> Float32Array:
    """Shared area of (n, 4) and (m, 4) boxes xyxy: (n, m)."""
    near = np.maximum(boxes[:, None, :2], others[None, :, :2])
    far = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.asarray(np.prod(np.maximum(far - near, 0), axis=2), np.float32)
