"""MobileNetV2-SSDLite of 300 pixels as code: finds people by their figure.

Source: as trained and published with TensorFlow's Object Detection API
(ssdlite_mobilenet_v2, one class): MobileNetV2, four further levels, and on each of the six levels a
separable head for boxes and one for classes. Decoding is the detector's.
"""

from __future__ import annotations

from doorbell.networks.graph import Builder, Network, Tensor
from doorbell.networks.mobilenet_ssd import backbone
from doorbell.networks.pedestrian_anchors import LEVELS, SIZE

ANCHORS = sum(cells * cells * len(shapes) for cells, shapes in LEVELS)
# Channels of the four further levels: squeezed, and after the step to half the size.
FURTHER = ((256, 512), (128, 256), (128, 256), (64, 128))
BOX_VALUES = 4
# Background and person.
CLASSES = 2


def pedestrian_ssd(g: Builder[Network]) -> Network:
    """Build the detector."""
    *_, fine, coarse = backbone(g, g.image(SIZE))  # 19x19, 10x10
    levels = [fine, coarse]
    for squeezed, channels in FURTHER:
        x = g.relu6(g.convolution(levels[-1], squeezed))
        x = g.relu6(g.depthwise(x, stride=2))
        levels.append(g.relu6(g.convolution(x, channels)))
    boxes, scores = [], []
    for level, (_, shapes) in zip(levels, LEVELS, strict=True):
        boxes.append(_head(g, level, len(shapes), BOX_VALUES))
        scores.append(_head(g, level, len(shapes), CLASSES))
    g.concatenate_anchors(boxes, output="regressors")
    g.concatenate_anchors(scores, output="scores")
    return g.model(
        "pedestrian_ssd", {"regressors": (ANCHORS, BOX_VALUES), "scores": (ANCHORS, CLASSES)}
    )


def _head(g: Builder[object], x: Tensor, per_cell: int, values: int) -> str:
    y = g.convolution(g.relu6(g.depthwise(x)), per_cell * values)
    return g.per_anchor(y, values)
