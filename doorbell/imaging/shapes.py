"""Shapes to draw with: coordinates in, how far inside of a shape each place is out.

A shape is above 0 inside, 0 on its border and less outside, so that the minimum of two is what they
share, and the maximum what either covers.
"""

from __future__ import annotations

import numpy as np

from doorbell.domain import Float32Array


def ellipse(
    x: Float32Array,
    y: Float32Array,
    centre: tuple[float, float],
    axes: tuple[float, float],
    *,
    power: float = 2.0,
) -> Float32Array:
    """An ellipse, 1 at its centre; a power above 2 has corners.

    Args:
        x: coordinates of the places, of any shape and unit, which the result has too.
        y: likewise.
        centre: x and y.
        axes: half its width and height.
        power: of the distances that are added up.
    """
    across, down = np.abs((x - centre[0]) / axes[0]), np.abs((y - centre[1]) / axes[1])
    return np.asarray(1 - (across**power + down**power) ** (1 / power), np.float32)


def soft(inside: Float32Array, edge: float) -> Float32Array:
    """0 to 1 where a shape is; over its edge, so wide in the shape's own values, in between."""
    return np.asarray(np.clip(inside / edge + 0.5, 0, 1), np.float32)
