"""Faces of one frame joined to faces of the frames before: ids and ageing only.

Pure: no pictures, no clock of its own, no idea who anybody is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

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
MAX_DISTANCE_LATER = 1.4

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
        lost_before = time_seconds - self._section.lost_seconds
        self._tracks = [t for t in self._tracks if t.last_seen_seconds >= lost_before]
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
            seen.append(track)
        return seen

    def is_confirmed(self, track: Track) -> bool:
        """Whether the face has been found often enough not to be a passing mistake."""
        return track.hits >= self._section.confirm_hits

    def rescale(self, across: float, down: float) -> None:
        """Go on in frames of another size: so many times as wide, and so many times as high."""
        factors = np.array([across, down], np.float32)
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

    def _match(self, faces: Sequence[Face], time_seconds: float) -> dict[int, int]:
        """Pair faces with tracks, nearest first: index of face -> position of track."""
        if not faces or not self._tracks:
            return {}
        new = np.stack([face.box_xyxy for face in faces])  # (f, 4)
        old = np.stack([track.face.box_xyxy for track in self._tracks])  # (t, 4)
        unseen = np.array(
            [time_seconds - track.last_seen_seconds for track in self._tracks]
        )  # (t,)
        reach = np.clip(MAX_DISTANCE * unseen / USUAL_SECONDS, MAX_DISTANCE, MAX_DISTANCE_LATER)
        cost = _distances(new, old, reach)  # (f, t)
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


def _steadied(old: Face, new: Face) -> Face:
    """The new face, drawn towards the old one as far as it has hardly moved."""
    moved = (new.box_xyxy - old.box_xyxy).reshape(2, 2).mean(axis=0)  # (2,) of the centre
    distance = float(np.linalg.norm(moved)) / max(new.width_pixels, 1.0)
    step = np.float32(min(STILL_STEP + STEP_PER_DISTANCE * distance, 1.0))
    return Face(
        old.box_xyxy + step * (new.box_xyxy - old.box_xyxy),
        old.keypoints_xy + step * (new.keypoints_xy - old.keypoints_xy),
        new.score,
    )


def _distances(new: Float32Array, old: Float32Array, reach: NDArray[np.float64]) -> Float32Array:
    """Distance of centres over the larger size; infinite where a pair is impossible: (f, t).

    Args:
        new: (f, 4) float32 xyxy.
        old: (t, 4) float32 xyxy.
        reach: (t,) the largest possible distance.
    """
    centre_new, centre_old = (new[:, :2] + new[:, 2:]) / 2, (old[:, :2] + old[:, 2:]) / 2
    size_new = np.maximum((new[:, 2:] - new[:, :2]).mean(axis=1), 1e-3)  # (f,)
    size_old = np.maximum((old[:, 2:] - old[:, :2]).mean(axis=1), 1e-3)  # (t,)
    larger = np.maximum(size_new[:, None], size_old[None])
    smaller = np.minimum(size_new[:, None], size_old[None])
    distance = np.linalg.norm(centre_new[:, None] - centre_old[None], axis=2) / larger
    impossible = (distance > reach) | (larger / smaller > MAX_SIZE_RATIO)
    return np.where(impossible, np.inf, distance).astype(np.float32)
