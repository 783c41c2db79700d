"""Faces of one frame joined to faces of the frames before: ids and ageing only.

Pure: no pictures, no clock of its own, no idea who anybody is.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import numpy as np
from numpy.typing import NDArray

from doorbell.config import TrackingSection
from doorbell.domain import Face, Float32Array, Track

# A face belongs to a track if its centre lies within this many face sizes of where the track is,
# and neither is more than this many times as large as the other.
MAX_DISTANCE = 0.7
MAX_SIZE_RATIO = 1.8

# Who runs goes farther between two frames of a slow camera: beyond these seconds since a track was
# seen the distance grows with the time, up to so many face sizes.
USUAL_SECONDS = 1 / 15
# Between two frames; what is closer together says nothing of a speed.
SHORTEST_SECONDS = 1e-3
MAX_DISTANCE_LATER = 1.4

# Where frames are farther apart than this, everybody moves by more than their own size. A face then
# belongs to a track, too, if it is that near to where the track's own movement has led to by now,
# for so many seconds at most. Of a face that was found once no movement is known: nobody is named
# by it either, so it may have gone as far as the fastest, up to so many face sizes. Who comes to
# the door in two seconds grows threefold: so much is allowed each half second.
SLOW_SECONDS = 0.1
LED_SECONDS = 1.0
MAX_DISTANCE_ONCE_SEEN = 3.0
SIZE_RATIO_SECONDS = 0.5
MAX_SIZE_RATIO_LATER = 3.0

# ``confirm_hits`` frames are waited for as long as they come at least so many seconds apart; of a
# slower camera as many frames as come in that time, but not fewer than this.
CONFIRM_SECONDS_PER_HIT = 0.25
FEWEST_HITS = 2

# A face found in the frame before is not lost, however slow the camera is: up to so many seconds
# between two frames, counted as the median of the last few. After a longer gap it is.
MAX_PERIOD_SECONDS = 3.0
PERIODS = 5
MISSED_PERIODS = 1.5

# How much of the way to the new face a track goes: little while it stands still, so that boxes do
# not shake, and more the farther the face has moved, in its own sizes, so that they do not lag.
STILL_STEP = 0.2
STEP_PER_DISTANCE = 4.0


class Tracker:
    """Follows faces through one camera's frames."""

    def __init__(self, section: TrackingSection) -> None:
        self._section = section
        self._tracks: list[Track] = []
        self._next_id = 1
        self._speeds: dict[int, Float32Array] = {}  # (2,) pixels a second, of who was found twice
        self._periods: deque[float] = deque(maxlen=PERIODS)
        self._updated_seconds = -math.inf

    @property
    def _period_seconds(self) -> float:
        """From frame to frame that was looked at; 0 as long as it is not known.

        Also where it is the machine that is slow: what is not seen moves on all the same.
        """
        return median(self._periods) if len(self._periods) >= 2 else 0.0

    @property
    def tracks(self) -> tuple[Track, ...]:
        """Every live track, those unseen for a moment included, most hits first."""
        return tuple(sorted(self._tracks, key=lambda track: -track.hits))

    def update(self, faces: Sequence[Face], time_seconds: float) -> list[Track]:
        """Join the faces of one frame to the tracks.

        Args:
            faces: of this frame.
            time_seconds: stream time of the frame.

        Returns:
            The track of each face, in the order of ``faces``.
        """
        self._lose(time_seconds)
        pairs = self._match(faces, time_seconds)
        seen: list[Track] = []
        for index, face in enumerate(faces):
            position = pairs.get(index)
            if position is None:
                track = Track(self._next_id, face, time_seconds, time_seconds, 1)
                self._next_id += 1
                self._tracks.append(track)
            else:
                old = self._tracks[position]
                track = replace(
                    old,
                    face=_steadied(old.face, face),
                    last_seen_seconds=time_seconds,
                    hits=old.hits + 1,
                )
                self._tracks[position] = track
                elapsed = time_seconds - old.last_seen_seconds
                if elapsed >= SHORTEST_SECONDS:
                    moved = track.face.centre_xy - old.face.centre_xy
                    self._speeds[track.track_id] = np.asarray(moved / elapsed, np.float32)
            seen.append(track)
        if time_seconds > self._updated_seconds > -math.inf:
            self._periods.append(time_seconds - self._updated_seconds)
        self._updated_seconds = time_seconds
        return seen

    def is_confirmed(self, track: Track) -> bool:
        """Whether the face has been found often enough not to be a passing mistake."""
        hits = self._section.confirm_hits
        slowness = self._period_seconds / CONFIRM_SECONDS_PER_HIT
        if slowness > 1:
            hits = min(hits, max(math.ceil(hits / slowness - 1e-6), FEWEST_HITS))
        return track.hits >= hits

    def rescale(self, across: float, down: float) -> None:
        """Go on in frames of another size: so many times as wide, and so many times as high."""
        factors = np.array([across, down], np.float32)
        self._speeds = {track_id: each * factors for track_id, each in self._speeds.items()}
        self._tracks = [
            replace(
                track,
                face=Face(
                    track.face.box_xyxy * np.tile(factors, 2),
                    track.face.keypoints_xy * factors,
                    track.face.score,
                ),
            )
            for track in self._tracks
        ]

    def restart(self, track_id: int) -> Track:
        """Follow the face of a live track as a new one from here: it is somebody else's.

        Returns:
            The new track.
        """
        [position] = [i for i, each in enumerate(self._tracks) if each.track_id == track_id]
        old = self._tracks[position]
        new = Track(self._next_id, old.face, old.last_seen_seconds, old.last_seen_seconds, 1)
        self._tracks[position] = new
        self._next_id += 1
        return new

    def _lose(self, time_seconds: float) -> None:
        """Let go of the tracks that were not found for too long."""
        lost_before = time_seconds - self._section.lost_seconds
        longest = MISSED_PERIODS * min(self._period_seconds, MAX_PERIOD_SECONDS)
        if time_seconds - self._updated_seconds <= longest:
            lost_before = min(lost_before, self._updated_seconds)
        self._tracks = [t for t in self._tracks if t.last_seen_seconds >= lost_before]
        live = {track.track_id for track in self._tracks}
        self._speeds = {key: value for key, value in self._speeds.items() if key in live}

    def _match(self, faces: Sequence[Face], time_seconds: float) -> dict[int, int]:
        """Pair faces with tracks, nearest first: index of face -> position of track."""
        if not faces or not self._tracks:
            return {}
        new = np.stack([face.box_xyxy for face in faces])  # (f, 4)
        old = np.stack([track.face.box_xyxy for track in self._tracks])  # (t, 4)
        unseen = np.array(
            [time_seconds - track.last_seen_seconds for track in self._tracks]
        )  # (t,)
        fastest = MAX_DISTANCE * unseen / USUAL_SECONDS
        reach = np.clip(fastest, MAX_DISTANCE, MAX_DISTANCE_LATER)
        ratio = np.full(len(old), MAX_SIZE_RATIO)
        cost = _distances(new, old, reach, ratio)  # (f, t)
        if self._period_seconds > SLOW_SECONDS:
            once = np.array([track.hits == 1 for track in self._tracks])
            reach = np.where(once, np.clip(fastest, MAX_DISTANCE, MAX_DISTANCE_ONCE_SEEN), reach)
            later = np.maximum(unseen / SIZE_RATIO_SECONDS, 1.0)
            ratio = np.minimum(MAX_SIZE_RATIO**later, MAX_SIZE_RATIO_LATER)
            cost = np.minimum(cost, _distances(new, self._led(old, unseen), reach, ratio))
        pairs: dict[int, int] = {}
        taken: set[int] = set()
        for flat in np.argsort(cost, axis=None, kind="stable"):
            row, column = divmod(int(flat), cost.shape[1])
            if not np.isfinite(cost[row, column]):
                break
            if row not in pairs and column not in taken:
                pairs[row] = column
                taken.add(column)
        return pairs

    def _led(self, old: Float32Array, unseen: NDArray[np.float64]) -> Float32Array:
        """Where the boxes (t, 4) of the tracks are by now if each goes on as it went: (t, 4)."""
        still = np.zeros(2, np.float32)
        speeds = np.stack([self._speeds.get(each.track_id, still) for each in self._tracks])
        ways = speeds * np.minimum(unseen, LED_SECONDS)[:, None]  # (t, 2)
        return np.asarray(old + np.tile(ways, 2), np.float32)


def _steadied(old: Face, new: Face) -> Face:
    """The new face, drawn towards the old one as far as it has hardly moved."""
    distance = float(np.linalg.norm(new.centre_xy - old.centre_xy)) / max(new.width_pixels, 1.0)
    step = np.float32(min(STILL_STEP + STEP_PER_DISTANCE * distance, 1.0))
    return Face(
        old.box_xyxy + step * (new.box_xyxy - old.box_xyxy),
        old.keypoints_xy + step * (new.keypoints_xy - old.keypoints_xy),
        new.score,
    )


def _distances(
    new: Float32Array, old: Float32Array, reach: NDArray[np.float64], ratio: NDArray[np.float64]
) -> Float32Array:
    """Distance of centres over the larger size; infinite where a pair is impossible: (f, t).

    Args:
        new: (f, 4) float32 xyxy.
        old: (t, 4) float32 xyxy.
        reach: (t,) the largest possible distance.
        ratio: (t,) how many times as large as the other one of the two may be.
    """
    centre_new, centre_old = (new[:, :2] + new[:, 2:]) / 2, (old[:, :2] + old[:, 2:]) / 2
    size_new = np.maximum((new[:, 2:] - new[:, :2]).mean(axis=1), 1e-3)  # (f,)
    size_old = np.maximum((old[:, 2:] - old[:, :2]).mean(axis=1), 1e-3)  # (t,)
    larger = np.maximum(size_new[:, None], size_old[None])
    smaller = np.minimum(size_new[:, None], size_old[None])
    distance = np.linalg.norm(centre_new[:, None] - centre_old[None], axis=2) / larger
    impossible = (distance > reach) | (larger / smaller > ratio)
    return np.where(impossible, np.inf, distance).astype(np.float32)
