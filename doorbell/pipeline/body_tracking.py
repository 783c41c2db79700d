"""Bodies of one look to tracks of bodies. Pure: figures in, tracks out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from doorbell.domain import Body, BodyTrack

# A body is the one of an earlier look if its middle has moved by at most so many heights since, and
# neither is more than so many times as high as the other: looks are half a second apart, or up to
# 0.7, in which somebody walks less than half of their height.
MAX_DISTANCE = 0.6
MAX_HEIGHT_RATIO = 1.6

# A body that is not found for so long is lost: two bodies and something else that moves are each
# looked at every 2.1 seconds, at two looks a second.
LOST_SECONDS = 3.0

# Nobody stands so still for so long: a coat on a hook, a statue, a shadow.
STILL_SECONDS = 20.0


class BodyTracker:
    """Follows bodies through the frames of one camera in which they were looked for."""

    def __init__(self) -> None:
        self._tracks: list[BodyTrack] = []
        self._next_id = 1

    @property
    def tracks(self) -> tuple[BodyTrack, ...]:
        """Every live track."""
        return tuple(self._tracks)

    def expire(self, time_seconds: float) -> None:
        """Lose those that were not found or did not move for too long."""
        self._tracks = [
            track
            for track in self._tracks
            if time_seconds - track.last_seen_seconds <= LOST_SECONDS
            and time_seconds - track.last_moved_seconds <= STILL_SECONDS
        ]

    def update(self, bodies: Sequence[Body], time_seconds: float) -> list[BodyTrack]:
        """Join the bodies of one look to the tracks.

        Args:
            bodies: found by it, best first.
            time_seconds: stream time of the frame.

        Returns:
            The track of each body. One that does not move begins none.
        """
        free = list(self._tracks)
        seen: list[BodyTrack] = []
        for body in bodies:
            before = min(free, key=lambda track: _distance(track.body, body), default=None)
            if before is None or _distance(before.body, body) > MAX_DISTANCE:
                if not body.is_moving:
                    continue
                track = BodyTrack(
                    self._next_id, body, time_seconds, time_seconds, time_seconds, hits=1, moves=1
                )
                self._next_id += 1
            else:
                free.remove(before)
                self._tracks.remove(before)
                track = replace(
                    before,
                    body=body,
                    last_seen_seconds=time_seconds,
                    last_moved_seconds=time_seconds
                    if body.is_moving
                    else before.last_moved_seconds,
                    hits=before.hits + 1,
                    moves=before.moves + body.is_moving,
                )
            self._tracks.append(track)
            seen.append(track)
        return seen

    def clear(self) -> None:
        """Lose all: the stream has changed its size."""
        self._tracks = []


def _distance(before: Body, now: Body) -> float:
    """Between their middles, in heights of the larger; infinite where the sizes do not fit."""
    larger = max(before.height_pixels, now.height_pixels, 1.0)
    if larger > MAX_HEIGHT_RATIO * min(before.height_pixels, now.height_pixels):
        return float("inf")
    return float(np.linalg.norm(now.centre_xy - before.centre_xy)) / larger
