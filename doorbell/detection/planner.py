"""Where to look in each frame: size of the frame, motion and live tracks in, regions out.

The short-range network sees 128 x 128 pixels. Over the whole of a 640 x 480 frame a visitor two
metres away is 12 of them wide and is missed; in a region of 256 frame pixels that same face is 30
wide and is found. Who is farther away takes the full-range network, which sees 192 x 192 pixels
with a finer grid. The cost of a frame is bounded by ``regions_per_frame``: the whole frame, the
neighbourhood of every live track (so that a face once found is looked at in every frame), far
tiles, and as many near tiles as are left. Tiles where something moves come first; all have their
turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from doorbell.config import DetectionSection
from doorbell.detection.motion import Motion
from doorbell.detection.regions import Region, own_region, tiles, whole_frame
from doorbell.domain import Track, UInt8Array

# A face's own region is kept until the face has left these bounds, because boxes jitter less in a
# fixed region.
FACE_PART_BOUNDS = (0.25, 0.52)
MAX_OFF_CENTRE = 0.12

# A region for the full-range network takes the places of so many others: it has 3.4 times the
# multiplications.
FAR_COST = 3

# A tile with all the motion in it is looked at so many times more often than one without.
EAGERNESS = 12.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Where to look with the short-range network, and where with the full-range one."""

    near: list[Region]
    far: list[Region]


class RegionPlanner:
    """Chooses the regions of each frame of one camera."""

    def __init__(self, section: DetectionSection) -> None:
        self._section = section
        self._size = (0, 0)
        self._motion = Motion()
        self._near = _Turns([])
        self._far = _Turns([])
        self._track_regions: dict[int, Region] = {}

    def plan(self, pixels: UInt8Array, tracks: Sequence[Track]) -> Plan:
        """Regions for one frame, at most ``regions_per_frame``.

        Args:
            pixels: (height, width, 3) uint8, RGB.
            tracks: live tracks, most important first.
        """
        section = self._section
        height, width = pixels.shape[:2]
        if (width, height) != self._size:
            self._size = (width, height)
            self._motion = Motion()
            self._near = _Turns(tiles(width, height, section.tile_pixels, section.tile_overlap))
            self._far = _Turns(tiles(width, height, section.far_tile_pixels, section.tile_overlap))
            self._track_regions.clear()
        self._motion.watch(pixels)
        # The whole, one track and one near tile have their places in any case.
        places = (section.regions_per_frame - 3) // FAR_COST
        far = self._far.take(min(section.far_regions_per_frame, places), self._motion)
        budget = section.regions_per_frame - FAR_COST * len(far)
        near = [whole_frame(width, height)]
        # One place in the batch stays with the tiles, so that newcomers are found in any company.
        followed = tracks[: max(budget - 1 - min(len(self._near), 1), 0)]
        self._track_regions = {track.track_id: self._follow(track) for track in followed}
        near += self._track_regions.values()
        return Plan(near + self._near.take(budget - len(near), self._motion), far)

    def _follow(self, track: Track) -> Region:
        held = self._track_regions.get(track.track_id)
        if held is not None:
            left, top, right, bottom = (float(value) for value in track.face.box_xyxy)
            part = max(right - left, bottom - top, 1.0) / held.side
            off_x = abs((left + right) / 2 - held.left - held.side / 2) / held.side
            off_y = abs((top + bottom) / 2 - held.top - held.side / 2) / held.side
            if (
                FACE_PART_BOUNDS[0] <= part <= FACE_PART_BOUNDS[1]
                and max(off_x, off_y) <= MAX_OFF_CENTRE
            ):
                return held
        return own_region(track.face)


class _Turns:
    """Tiles that wait to be looked at."""

    def __init__(self, regions: list[Region]) -> None:
        self._regions = regions
        self._waited = np.ones(len(regions))

    def __len__(self) -> int:
        return len(self._regions)

    def take(self, count: int, motion: Motion) -> list[Region]:
        """Choose those that have waited longest; what moves makes them impatient."""
        count = min(max(count, 0), len(self._regions))
        if not count:
            return []
        shares = np.array([motion.share(region) for region in self._regions])
        urgency = self._waited * (1 + EAGERNESS * shares)
        chosen = np.argsort(-urgency, kind="stable")[:count]
        self._waited += 1
        self._waited[chosen] = 1
        return [self._regions[i] for i in sorted(chosen)]
