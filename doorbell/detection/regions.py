"""Where in the frame to look: size of the frame and live tracks in, square regions out.

The network sees 128 x 128 pixels. Over the whole of a 640 x 480 frame a visitor two metres away is
12 of them wide and is missed; in a region of 256 frame pixels that same face is 30 wide and is
found. All regions of a frame go through the network as one batch, so the cost of a frame is
bounded by ``regions_per_frame``: the whole frame, the neighbourhood of every live track (so that a
face once found is looked at in every frame), and as many tiles as are left, in turns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from doorbell.config import DetectionSection
from doorbell.domain import Track


class RegionKind(Enum):
    """What a region is for; where several see one face, the lowest value is believed."""

    TRACK = 0
    TILE = 1
    WHOLE = 2


@dataclass(frozen=True, slots=True)
class Region:
    """A square of the frame in pixels; it may reach beyond the frame."""

    left: int
    top: int
    side: int
    kind: RegionKind


# A face fills this part of its own region, as in the network's training pictures of faces within
# arm's length; the region is kept until the face has left these bounds, because boxes jitter less
# in a fixed region.
FACE_PART = 0.36
FACE_PART_BOUNDS = (0.25, 0.52)
MAX_OFF_CENTRE = 0.12

# A still's tile is at least this part of its longer side. A face worth enrolling fills more of a
# large photograph, and tiles of a fixed size would take time and memory as its pixels do: for one
# of 48 megapixels 45 s and 5 GB, against 4 s and 0.8 GB so (2 cores, OpenVINO, 2026-11-22).
STILL_TILE_PART = 1 / 8


def whole_frame(width: int, height: int) -> Region:
    """The smallest centred square that holds the frame: letterboxing."""
    side = max(width, height)
    return Region((width - side) // 2, (height - side) // 2, side, RegionKind.WHOLE)


def tiles(width: int, height: int, side: int, overlap: float) -> list[Region]:
    """Overlapping tiles that cover the frame, row by row; none where one tile would cover it."""
    if side >= max(width, height):
        return []
    return [
        Region(left, top, side, RegionKind.TILE)
        for top in _starts(height, side, overlap)
        for left in _starts(width, side, overlap)
    ]


def _starts(length: int, side: int, overlap: float) -> list[int]:
    if side >= length:
        return [(length - side) // 2]
    count = 1 + math.ceil((length - side) / (side * (1 - overlap)) - 1e-9)
    return [round(i * (length - side) / (count - 1)) for i in range(count)]


class RegionPlanner:
    """Chooses the regions of each frame of one camera."""

    def __init__(self, section: DetectionSection) -> None:
        self._section = section
        self._size = (0, 0)
        self._tiles: list[Region] = []
        self._next_tile = 0
        self._track_regions: dict[int, Region] = {}

    def plan(self, width: int, height: int, tracks: Sequence[Track]) -> list[Region]:
        """Regions for one frame, at most ``regions_per_frame``.

        Args:
            width: of the frame, pixels.
            height: of the frame, pixels.
            tracks: live tracks, most important first.
        """
        section = self._section
        if (width, height) != self._size:
            self._size = (width, height)
            self._tiles = tiles(width, height, section.tile_pixels, section.tile_overlap)
            self._next_tile = 0
            self._track_regions.clear()
        budget = section.regions_per_frame
        planned = [whole_frame(width, height)]
        # One place in the batch stays with the tiles, so that newcomers are found in any company.
        followed = tracks[: max(budget - 1 - min(len(self._tiles), 1), 0)]
        self._track_regions = {track.track_id: self._follow(track) for track in followed}
        planned += self._track_regions.values()
        for _ in range(min(max(budget - len(planned), 0), len(self._tiles))):
            planned.append(self._tiles[self._next_tile])
            self._next_tile = (self._next_tile + 1) % len(self._tiles)
        return planned

    def still(self, width: int, height: int) -> list[Region]:
        """Regions that cover a single picture, in tiles of doubling size up to the whole.

        Tiles of one size alone miss the faces between that and the whole. Measured 2026-11-22 on
        five portraits at 14 sizes each in pictures 1920 and 4000 pixels wide: 6 of 140 missed with
        one size, none with all.
        """
        side = max(self._section.tile_pixels, math.ceil(STILL_TILE_PART * max(width, height)))
        planned = [whole_frame(width, height)]
        while side < max(width, height):
            planned += tiles(width, height, side, self._section.tile_overlap)
            side *= 2
        return planned

    def _follow(self, track: Track) -> Region:
        left, top, right, bottom = (float(value) for value in track.face.box_xyxy)
        size = max(right - left, bottom - top, 1.0)
        centre_x, centre_y = (left + right) / 2, (top + bottom) / 2
        held = self._track_regions.get(track.track_id)
        if held is not None:
            part = size / held.side
            off_x = abs(centre_x - held.left - held.side / 2) / held.side
            off_y = abs(centre_y - held.top - held.side / 2) / held.side
            if (
                FACE_PART_BOUNDS[0] <= part <= FACE_PART_BOUNDS[1]
                and max(off_x, off_y) <= MAX_OFF_CENTRE
            ):
                return held
        side = round(size / FACE_PART)
        return Region(
            round(centre_x - side / 2), round(centre_y - side / 2), side, RegionKind.TRACK
        )
