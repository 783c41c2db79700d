"""Which faces are worn by somebody: a print on clothes goes along with the face above it.

Pure: tracks in, identifiers of tracks out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from doorbell.domain import Float32Array, Track

# Clothes are so far below the middle of the wearer's face, and so far to a side at most, in widths
# of that face. A print is at most so large a part of it: a child who stands before a grown-up is
# nearer to the camera, and hardly smaller.
LEAST_BELOW, MOST_BELOW, MOST_ASIDE = 0.8, 4.0, 1.2
MOST_SIZE = 0.7

# Whoever has moved by so much against the face above is somebody: the wearer's turns, and the
# detector's tremor, move a print by less.
OWN_MOVEMENT = 0.45

# A wearer who was not found for longer tells nothing.
FRESH_SECONDS = 0.5


class WornFaces:
    """Remembers where each lower face was, as seen from the face above it."""

    def __init__(self) -> None:
        self._places: dict[tuple[int, int], Float32Array] = {}  # at first, by wearer and face
        self._moved: set[tuple[int, int]] = set()

    def update(self, tracks: Sequence[Track], time_seconds: float) -> frozenset[int]:
        """Take in one frame.

        Args:
            tracks: every live track.
            time_seconds: stream time of the frame.

        Returns:
            The tracks of faces that are worn.
        """
        live = {track.track_id for track in tracks}
        self._places = {k: v for k, v in self._places.items() if live.issuperset(k)}
        self._moved = {key for key in self._moved if live.issuperset(key)}
        now = [t for t in tracks if time_seconds - t.last_seen_seconds <= FRESH_SECONDS]
        return frozenset(
            face.track_id
            for wearer in now
            for face in now
            if face is not wearer and self._goes_along(wearer, face, time_seconds)
        )

    def _goes_along(self, wearer: Track, face: Track, time_seconds: float) -> bool:
        key = wearer.track_id, face.track_id
        if min(wearer.last_seen_seconds, face.last_seen_seconds) < time_seconds:
            return key in self._places and key not in self._moved
        size = max(wearer.face.width_pixels, 1.0)
        if face.face.width_pixels > MOST_SIZE * size:
            return False
        apart = (face.face.centre_xy - wearer.face.centre_xy) / size  # (2,)
        aside, below = abs(float(apart[0])), float(apart[1])
        if aside > MOST_ASIDE or not LEAST_BELOW <= below <= MOST_BELOW:
            return False
        first = self._places.setdefault(key, np.asarray(apart, np.float32))
        if float(np.abs(apart - first).max()) > OWN_MOVEMENT:
            self._moved.add(key)
        return key not in self._moved
