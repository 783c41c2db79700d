"""BlazeFace as code: the three released networks and the one of the paper.

Anchors and decoding are the detector's, not the network's.

Source: Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs" (2019),
and the files of MediaPipe's face detection, whose channels are written down here.
"""

from __future__ import annotations

from doorbell.networks.graph import Builder, Network, Tensor

# dx, dy, width, height and six keypoints.
REGRESSOR_VALUES = 16

SHORT_RANGE_SIZE = 128
BACK_SIZE = 256
TWO_LAYER_ANCHORS = 16 * 16 * 2 + 8 * 8 * 6
FULL_RANGE_SIZE = 192
FULL_RANGE_ANCHORS = 48 * 48


def blaze_block(
    g: Builder[object], x: Tensor, channels: int, *, kernel: int, stride: int = 1
) -> Tensor:
    """Add a single BlazeBlock (figure 1 of the paper, left): depthwise, project, add, ReLU."""
    y = g.convolution(g.depthwise(x, kernel=kernel, stride=stride), channels)
    return g.relu(g.add(_shortcut(g, x, channels, stride), y))


def double_blaze_block(
    g: Builder[object], x: Tensor, bottleneck: int, channels: int, *, kernel: int, stride: int = 1
) -> Tensor:
    """Add a double BlazeBlock (figure 1 of the paper, right): squeeze to a bottleneck, expand."""
    y = g.convolution(g.depthwise(x, kernel=kernel, stride=stride), bottleneck)
    y = g.convolution(g.depthwise(g.relu(y), kernel=kernel), channels)
    return g.relu(g.add(_shortcut(g, x, channels, stride), y))


def short_range(g: Builder[Network]) -> Network:
    """Build the released short-range network: 128 pixels, 896 anchors, single 3x3 blocks."""
    x = g.relu(g.convolution(g.image(SHORT_RANGE_SIZE), 24, kernel=5, stride=2))  # 64x64
    for channels, stride in ((24, 1), (28, 1), (32, 2), (36, 1), (42, 1), (48, 2)):
        x = blaze_block(g, x, channels, kernel=3, stride=stride)
    for channels in (56, 64, 72, 80, 88):
        x = blaze_block(g, x, channels, kernel=3)
    fine = x  # 16x16
    x = blaze_block(g, x, 96, kernel=3, stride=2)
    for _ in range(4):
        x = blaze_block(g, x, 96, kernel=3)
    return _two_layer_heads(g, fine, x, "blazeface_short")


def back(g: Builder[Network]) -> Network:
    """Build the released network for a phone's back camera: 256 pixels, 896 anchors.

    Seven and three times eight single 3x3 blocks on four levels; the last step has no shortcut.
    """
    x = g.relu(g.convolution(g.image(BACK_SIZE), 24, kernel=5, stride=2))  # 128x128
    for channels, first_stride, blocks in ((24, 1, 7), (24, 2, 8), (48, 2, 8), (96, 2, 8)):
        x = blaze_block(g, x, channels, kernel=3, stride=first_stride)
        for _ in range(blocks - 1):
            x = blaze_block(g, x, channels, kernel=3)
    fine = x  # 16x16
    x = g.relu(g.convolution(g.depthwise(x, kernel=3, stride=2), 96))  # 8x8
    return _two_layer_heads(g, fine, x, "blazeface_back")


def full_range(g: Builder[Network]) -> Network:
    """Build the released full-range network: 192 pixels, one anchor in each of 48x48 cells.

    Double blocks down to 6x6, then up again, each level joined with the one of the way down.
    """
    x = g.relu(g.convolution(g.image(FULL_RANGE_SIZE), 32, kernel=3, stride=2))  # 96x96
    down = (
        ((8, 32, 1), (8, 32, 1)),
        ((12, 48, 2), (12, 48, 1), (16, 64, 1)),
        ((24, 96, 2), (32, 128, 1), (32, 128, 1)),
        ((36, 144, 2), (48, 192, 1), (64, 256, 1)),
        ((96, 384, 2), (96, 384, 1), (96, 384, 1), (96, 384, 1)),
    )
    levels = []
    for level in down:
        for bottleneck, channels, stride in level:
            x = double_blaze_block(g, x, bottleneck, channels, kernel=3, stride=stride)
        levels.append(x)
    for lateral, bottleneck, channels, blocks in (
        (levels[3], 48, 96, 2),
        (levels[2], 32, 64, 2),
        (levels[1], 24, 48, 1),
    ):
        above, beside = g.convolution(x, channels), g.convolution(lateral, channels)
        x = g.add(g.relu(beside), g.upsample(g.relu(above)))
        for _ in range(blocks):
            x = double_blaze_block(g, x, bottleneck, channels, kernel=3)
    g.per_anchor(g.convolution(x, 1), 1, output="scores")
    g.per_anchor(g.convolution(x, REGRESSOR_VALUES), REGRESSOR_VALUES, output="regressors")
    return _model(g, "blazeface_full", FULL_RANGE_ANCHORS)


def published(g: Builder[Network]) -> Network:
    """Build the network of the paper's Table 1: 128 pixels, 5 single and 6 double 5x5 blocks.

    No weights were published for it. The heads are those of figure 3: 2 anchors in each of 16x16
    cells, 6 in each of 8x8.
    """
    x = g.relu(g.convolution(g.image(SHORT_RANGE_SIZE), 24, kernel=5, stride=2))  # 64x64
    for channels, stride in ((24, 1), (24, 1), (48, 2), (48, 1), (48, 1)):
        x = blaze_block(g, x, channels, kernel=5, stride=stride)
    for stride in (2, 1, 1):
        x = double_blaze_block(g, x, 24, 96, kernel=5, stride=stride)
    fine = x  # 16x16
    for stride in (2, 1, 1):
        x = double_blaze_block(g, x, 24, 96, kernel=5, stride=stride)
    return _two_layer_heads(g, fine, x, "blazeface_published")


def _shortcut(g: Builder[object], x: Tensor, channels: int, stride: int) -> Tensor:
    return g.pad_channels(g.max_pool(x) if stride == 2 else x, channels)


def _two_layer_heads(g: Builder[Network], fine: Tensor, coarse: Tensor, name: str) -> Network:
    layers = ((fine, 2), (coarse, 6))  # anchors per cell
    scores = [g.per_anchor(g.convolution(x, anchors), 1) for x, anchors in layers]
    regressors = [
        g.per_anchor(g.convolution(x, anchors * REGRESSOR_VALUES), REGRESSOR_VALUES)
        for x, anchors in layers
    ]
    g.concatenate_anchors(scores, output="scores")
    g.concatenate_anchors(regressors, output="regressors")
    return _model(g, name, TWO_LAYER_ANCHORS)


def _model(g: Builder[Network], name: str, anchors: int) -> Network:
    return g.model(name, {"regressors": (anchors, REGRESSOR_VALUES), "scores": (anchors, 1)})
