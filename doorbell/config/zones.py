"""Zones of the picture as a configuration gives them: polygons in parts of its width and height."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field

from doorbell.config.messages import shown

# A polygon needs so many corners, and so large a part of the frame within them.
LEAST_CORNERS = 3
LEAST_ZONE = 1e-4


def _zone(corners: object) -> object:
    """Check one polygon of a frame's parts: at least three corners that span an area."""
    if not isinstance(corners, list | tuple) or any(
        not isinstance(corner, list | tuple) for corner in corners
    ):
        msg = (
            f"must be a list of zones, each a list of corners, not {shown(corners)}: "
            "[[[0, 0], [0.3, 0], [0.3, 1]]]"
        )
        raise ValueError(msg)
    if len(corners) < LEAST_CORNERS:
        msg = f"must be zones of {LEAST_CORNERS} corners or more, this one has {len(corners)}"
        raise ValueError(msg)
    points: list[tuple[float, float]] = []
    for corner in corners:
        if len(corner) != 2 or not all(
            isinstance(part, int | float) and not isinstance(part, bool) and 0 <= part <= 1
            for part in corner
        ):
            msg = (
                f"must be zones of corners [x, y], not {shown(corner)}: parts of the width and "
                "height of the picture from its upper left, 0 to 1"
            )
            raise ValueError(msg)
        points.append((float(corner[0]), float(corner[1])))
    following = [*points[1:], points[0]]
    area = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(points, following, strict=True))
    if abs(area) / 2 < LEAST_ZONE:
        msg = (
            f"must be zones of {LEAST_ZONE:g} of the picture or more, this one has "
            f"{abs(area) / 2:.2g}: its corners lie on one line, or its sides cross"
        )
        raise ValueError(msg)
    return tuple(points)


def _zones(zones: object) -> object:
    return tuple(_zone(each) for each in zones) if isinstance(zones, list | tuple) else zones


Zone: TypeAlias = tuple[tuple[float, float], ...]
Zones: TypeAlias = Annotated[
    tuple[Zone, ...],
    BeforeValidator(_zones),
    Field(max_length=64, description="a list of at most 64 zones, each a list of corners [x, y]"),
]
