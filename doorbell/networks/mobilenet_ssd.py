"""MobileNetV2-SSD as code: what the BlazeFace paper compares itself with, at the same input.

Nobody has published weights for it: it shows time and work, and finds no faces.

Source: the network is Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks"
(2018), Table 2, width 1.0, with the separable heads of its section 6.2 (SSDLite), which take the
expansion of the block that halves a level. The paper on BlazeFace (2019) does not say which width
it took. Its figure 2 shows two anchors a cell on 16x16, 8x8, 4x4 and 2x2 cells for SSD; those are
taken here. The level of 2x2 is made as in TensorFlow's SSD for MobileNetV2, 512 channels wide.
"""

from __future__ import annotations

from doorbell.networks.blazeface import REGRESSOR_VALUES, SHORT_RANGE_SIZE
from doorbell.networks.graph import Builder, Network, Tensor

# Table 2: expansion, channels, blocks, stride of the first block.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
LAST_CHANNELS = 1280
EXTRA_CHANNELS = 512
ANCHORS_PER_CELL = 2
ANCHORS = (16 * 16 + 8 * 8 + 4 * 4 + 2 * 2) * ANCHORS_PER_CELL


def mobilenet_ssd(g: Builder[Network]) -> Network:
    """Build the detector."""
    *_, fine, middle, coarse = backbone(g, g.image(SHORT_RANGE_SIZE))  # 16x16, 8x8, 4x4
    squeezed = g.relu6(g.convolution(coarse, EXTRA_CHANNELS // 2))
    reduced = g.relu6(g.depthwise(squeezed, stride=2))
    levels = (fine, middle, coarse, g.relu6(g.convolution(reduced, EXTRA_CHANNELS)))
    for output, values in (("scores", 1), ("regressors", REGRESSOR_VALUES)):
        parts = [g.per_anchor(_separable_head(g, level, values), values) for level in levels]
        g.concatenate_anchors(parts, output=output)
    return g.model(
        "mobilenet_v2_ssd", {"regressors": (ANCHORS, REGRESSOR_VALUES), "scores": (ANCHORS, 1)}
    )


def backbone(g: Builder[object], image: Tensor) -> list[Tensor]:
    """Add MobileNetV2 without its classifier.

    Returns:
        The last and widest tensor of each level: at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input.
    """
    levels = []
    x = g.relu6(g.convolution(image, 32, kernel=3, stride=2))
    for expansion, channels, blocks, first_stride in STAGES:
        for stride in (first_stride, *[1] * (blocks - 1)):
            expanded = x if expansion == 1 else g.relu6(g.convolution(x, x.channels * expansion))
            if stride == 2:
                levels.append(expanded)
            x = _project(g, x, expanded, channels, stride)
    return [*levels, g.relu6(g.convolution(x, LAST_CHANNELS))]


def _project(g: Builder[object], x: Tensor, expanded: Tensor, channels: int, stride: int) -> Tensor:
    """Finish an inverted residual: depthwise, then linear; added to its input where both fit."""
    y = g.convolution(g.relu6(g.depthwise(expanded, stride=stride)), channels)
    return g.add(x, y) if stride == 1 and x.channels == channels else y


def _separable_head(g: Builder[object], x: Tensor, values: int) -> Tensor:
    return g.convolution(g.relu6(g.depthwise(x)), ANCHORS_PER_CELL * values)
