"""The anchors of the person detector, which its network has outputs for and its decoding reads.

Loads nothing that writes networks, so that the daemon can read it. Source: the anchor generator of
the published graph (``ssd_anchor_generator`` of TensorFlow's Object Detection API).
"""

from __future__ import annotations

SIZE = 300  # pixels a side of the input

# Of each level: cells a side, and the (scale, width over height) of each anchor in a cell.
_RATIOS = (1.0, 2.0, 0.5, 3.0, 0.3333)
LEVELS: tuple[tuple[int, tuple[tuple[float, float], ...]], ...] = (
    (19, ((0.1, 1.0), (0.2, 2.0), (0.2, 0.5))),
    *(
        (cells, (*((scale, ratio) for ratio in _RATIOS), (between, 1.0)))
        for cells, scale, between in (
            (10, 0.35, 0.418330),
            (5, 0.5, 0.570088),
            (3, 0.65, 0.721110),
            (2, 0.8, 0.871780),
            (1, 0.95, 0.974679),
        )
    ),
)
