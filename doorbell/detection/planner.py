"""Where to look in each frame: size of the frame, motion and live tracks in, regions out.

The short-range network sees 128 x 128 pixels. Over the whole of a 640 x 480 frame a visitor two
metres away is 12 of them wide and is missed; in a region of 256 frame pixels that same face is 30
wide and is found. The full-range network sees 192 x 192 pixels with a finer grid, for 3.4 times the
work: it finds a face in a whole that is ten times as large.

So a face once found is looked at in every frame, from near. What moves and has no face yet gets a
window of the full-range network in the very frame in which it starts to. All else is searched in
turns, tile by tile, with both networks: who stands still, and what a window missed. While
somebody is followed there are fewer turns, so that a visitor costs little more than their own face.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from doorbell.config import DetectionSection
from doorbell.detection.motion import Motion
from doorbell.detection.regions import Region, own_region, tiles, whole_frame
from doorbell.domain import Float32Array, Track, UInt8Array

# A face's own region is kept until the face has left these bounds, because boxes jitter less in a
# fixed region.
FACE_PART_BOUNDS = (0.25, 0.52)
MAX_OFF_CENTRE = 0.12

# A region for the full-range network takes the places of so many others: it has 3.4 times the
# multiplications.
FAR_COST = 3

# A tile with all the motion in it is looked at so many times more often than one without.
EAGERNESS = 12.0

# What goes on moving in a window that was looked at opens the next one after so many frames: at a
# porch with nobody (a tree in the wind), and where somebody is followed (their arms).
EMPTY_REST_FRAMES = 3
FOLLOWED_REST_FRAMES = 6

# Frames from one turn of a tile to the next, near and far, in the same two cases.
EMPTY_TURNS = (1, 3)
FOLLOWED_TURNS = (3, 12)

# Frames between looks at a track that was missed in the last frame while others were found.
MISSED_TURN = 3

# What moves within so many widths of a visitor's face, and below it, is the visitor. Every so many
# frames even that is looked at: somebody may stand behind.
BODY_WIDTHS = 1.2
DOUBT_FRAMES = 15


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
        self._start()

    def _start(self) -> None:
        """Begin with a stream of another size."""
        section = self._section
        width, height = self._size
        whole = [whole_frame(width, height)]
        self._near = _Turns(whole + tiles(width, height, section.tile_pixels, section.tile_overlap))
        far_pixels = section.far_tile_pixels
        self._far = _Turns(whole + tiles(width, height, far_pixels, section.tile_overlap))
        self._motion = Motion()
        self._frames = 0
        self._track_regions: dict[int, Region] = {}
        self._latest_seconds = -math.inf

    @property
    def motion(self) -> Motion:
        """What has moved, up to the frame that was planned last."""
        return self._motion

    def plan(self, pixels: UInt8Array, tracks: Sequence[Track], worth: int = 1) -> Plan:
        """Regions for one frame, at most ``regions_per_frame`` with far ones counted at their cost.

        Args:
            pixels: (height, width, 3) uint8, RGB.
            tracks: live tracks, most important first.
            worth: as how many frames this one counts: of a slow camera each may cost more.
        """
        height, width = pixels.shape[:2]
        if (width, height) != self._size:
            self._size = width, height
            self._start()
        self._motion.watch(pixels)
        # One place stays free, so that newcomers are found in any company.
        most = self._section.regions_per_frame * worth
        followed = self._due(tracks, worth)[: most - 1]
        self._track_regions = {track.track_id: self._follow(track) for track in followed}
        near = list(self._track_regions.values())
        budget = most - len(near)
        # Whose face has just been lost may be anywhere: that is looked for as a newcomer's.
        found = self._just_found(followed)
        places = min(self._section.far_regions_per_frame * worth, (budget - 1) // FAR_COST)
        far = self._far_regions(found, places, worth)
        budget -= FAR_COST * len(far)
        near_pause, _ = FOLLOWED_TURNS if found else EMPTY_TURNS
        if self._near.is_new or not self._section.far_regions_per_frame:
            near += self._near.take(budget, self._motion)
        else:
            near += self._near.take(min(self._turns(near_pause, worth), budget), self._motion)
        self._frames += worth
        return Plan(near, far)

    def _turns(self, pause: int, worth: int) -> int:
        """How many turns are due with this frame, one each ``pause`` frames."""
        return (self._frames + worth - 1) // pause - (self._frames - 1) // pause

    def _due(self, tracks: Sequence[Track], worth: int) -> list[Track]:
        """Those to look at in this frame."""
        if self._turns(MISSED_TURN, worth):
            return list(tracks)
        latest = max((track.last_seen_seconds for track in tracks), default=0.0)
        return [track for track in tracks if track.last_seen_seconds == latest]

    def _just_found(self, tracks: Sequence[Track]) -> list[Track]:
        """Those whose face was found in the frame before."""
        before = self._latest_seconds
        self._latest_seconds = max((track.last_seen_seconds for track in tracks), default=-math.inf)
        if self._latest_seconds == before:
            return []
        return [track for track in tracks if track.last_seen_seconds == self._latest_seconds]

    def _far_regions(self, found: Sequence[Track], places: int, worth: int) -> list[Region]:
        """Windows on what moves, else a turn."""
        if places < 1:
            return []
        doubtful = self._turns(DOUBT_FRAMES, worth) > 0
        bodies = [] if doubtful else [body_box(track, self._size[1]) for track in found]
        windows = self._motion.windows(bodies, self._section.far_tile_pixels)[:places]
        rest = FOLLOWED_REST_FRAMES if found else EMPTY_REST_FRAMES
        for window in windows:
            self._motion.rest(window, rest // worth)
        _, pause = FOLLOWED_TURNS if found else EMPTY_TURNS
        turns = self._turns(pause, worth) - len(windows)
        return windows + self._far.take(min(turns, places - len(windows)), self._motion)

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


def body_box(track: Track, height: int) -> Float32Array:
    """Where a visitor's own motion is: (4,) xyxy."""
    left, top, right, bottom = track.face.box_xyxy
    aside = BODY_WIDTHS * (right - left)
    return np.array([left - aside, top - (bottom - top) / 2, right + aside, height], np.float32)


class _Turns:
    """Regions that wait to be looked at, the first of them first."""

    def __init__(self, regions: list[Region]) -> None:
        self._regions = regions
        self._squares = np.array([[r.left, r.top, r.side] for r in regions])  # (n, 3)
        self._waited = np.ones(len(regions))
        self._seen = np.zeros(len(regions), np.bool_)

    @property
    def is_new(self) -> bool:
        """Whether some region has not had its first turn."""
        return not self._seen.all()

    def take(self, count: int, motion: Motion) -> list[Region]:
        """Choose those that have waited longest; what moves makes them impatient."""
        urgency = self._waited * (1 + EAGERNESS * motion.shares(self._squares))
        chosen = np.argsort(-urgency, kind="stable")[: max(count, 0)]
        self._waited += 1
        self._waited[chosen] = 1
        self._seen[chosen] = True
        return [self._regions[i] for i in sorted(chosen)]
