"""When and where people are looked for by their figure: what moves and has no face.

At most so many looks a second, each at one square of the frame, so that the cost is bounded; a
porch where nothing moves costs none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from doorbell.detection.bodies import BodyDetector
from doorbell.detection.motion import Motion
from doorbell.detection.planner import body_box
from doorbell.detection.regions import Region, RegionKind, whole_frame
from doorbell.domain import Body, BodyTrack, Float32Array, Track, UInt8Array

# A figure that is followed fills this part of its square.
BODY_PART = 0.75

# A frame in which faces are embedded is passed over, so that none does both. Where all are such for
# so long, as beside a stranger before a slow camera, waiting for another would only cost looks.
PUT_OFF_SECONDS = 0.2


class BodyWatch:
    """Looks for people in the frames of one camera.

    Args:
        detector: finds them.
        looks_per_second: at most so many; 0 never looks by itself.
    """

    def __init__(self, detector: BodyDetector, looks_per_second: float) -> None:
        self._detector = detector
        self._looks_per_second = looks_per_second
        self._pause_seconds = 1 / looks_per_second if looks_per_second else math.inf
        self._looked_seconds = -math.inf
        self._busy_since: float | None = None
        self._followed_last = False

    def another(self) -> BodyWatch:
        """One for the frames of another camera, with the same network."""
        return BodyWatch(self._detector, self._looks_per_second)

    def close(self) -> None:
        """Release the network; idempotent."""
        self._detector.close()

    def everywhere(self, pixels: UInt8Array) -> list[Body]:
        """Find people in a whole picture: (height, width, 3) uint8, RGB."""
        height, width = pixels.shape[:2]
        return self._detector.find(pixels, [whole_frame(width, height)])

    def look(
        self,
        pixels: UInt8Array,
        time_seconds: float,
        motion: Motion,
        faces: Sequence[Track],
        followed: Sequence[BodyTrack],
        *,
        busy: bool = False,
    ) -> list[Body] | None:
        """Look once, where it is due.

        Args:
            pixels: (height, width, 3) uint8, RGB.
            time_seconds: stream time of the frame.
            motion: that has seen this frame.
            faces: followed now.
            followed: bodies followed now.
            busy: whether faces of the frame were embedded, so that the next one is better.

        Returns:
            The bodies in the square that was looked at; None where none was.
        """
        if math.isinf(self._pause_seconds):
            return None
        busy_seconds = self._follow_busy(time_seconds, busy=busy)
        since = time_seconds - self._looked_seconds
        if 0 <= since < self._pause_seconds - 1e-6:  # below 0 another stream has begun
            return None
        if busy and busy_seconds < PUT_OFF_SECONDS - 1e-6:
            return None
        height, width = pixels.shape[:2]
        explained = [body_box(track, height) for track in faces]
        # Whose face is followed need not be followed by the figure.
        alone = [
            each for each in followed if not any(each.body.holds(track.face) for track in faces)
        ]
        moving = motion.box([*explained, *(each.body.box_xyxy for each in alone)])
        if alone and (moving is None or not self._followed_last):
            waiting = min(alone, key=lambda each: each.last_seen_seconds)
            region = _around(waiting.body.box_xyxy, width, height)
            self._followed_last = True
        elif moving is not None:
            region = _tall(moving, width, height)
            self._followed_last = False
        else:
            return None
        self._looked_seconds = time_seconds
        found = self._detector.find(pixels, [region])
        return [replace(each, is_moving=motion.is_within(each.box_xyxy)) for each in found]

    def _follow_busy(self, time_seconds: float, *, busy: bool) -> float:
        """For how many seconds every frame has been a busy one."""
        if not busy:
            self._busy_since = None
            return 0.0
        if self._busy_since is None or time_seconds < self._busy_since:
            self._busy_since = time_seconds
        return time_seconds - self._busy_since


def _around(box: Float32Array, width: int, height: int) -> Region:
    """The square in which a figure is looked for again."""
    left, top, right, bottom = (float(edge) for edge in box)
    side = min(max(right - left, bottom - top) / BODY_PART, max(width, height))
    return _square((left + right) / 2, (top + bottom) / 2, side, width, height)


def _tall(box: Float32Array, width: int, height: int) -> Region:
    """A square as high as the frame around what moves; the whole frame where that is wider."""
    left, _, right, _ = (float(edge) for edge in box)
    side = min(width, height)
    if right - left > side or height > width:
        return whole_frame(width, height)
    return _square((left + right) / 2, height / 2, side, width, height)


def _square(centre_x: float, centre_y: float, side: float, width: int, height: int) -> Region:
    """A square about a point, moved into the frame where it fits."""
    edges = [
        float(np.clip(centre - side / 2, 0, length - side))
        if side < length
        else (length - side) / 2
        for centre, length in ((centre_x, width), (centre_y, height))
    ]
    return Region(round(edges[0]), round(edges[1]), round(side), RegionKind.TILE)
