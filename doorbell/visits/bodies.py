"""Which visit a body is of, and which bodies begin one: somebody without a face to be seen.

A body goes on with the visit whose face it holds, or whose body it was before; so a visitor who
turns away does not leave, and whoever is rung for by the figure is not rung for again by the face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from doorbell.domain import Body, BodyTrack
from doorbell.visits.open_visit import OpenVisit

# A body is believed after so many looks found it, so many of them moving.
CONFIRMED_HITS = 3
CONFIRMED_MOVES = 2

# A body is where it was seen for so long: at two looks a second, two bodies that are followed and
# something else that moves are each looked at every 2.1 seconds.
FRESH_SECONDS = 3.0

# Whoever is a smaller part of the frame's height is farther away than a door's visitor: somebody of
# 1.7 metres is a quarter of it at 5 metres, before a camera that sees 70 degrees up and down.
LEAST_HEIGHT_PART = 0.25

# A face is in sight that was found so lately: trackers miss one now and then.
FACE_SECONDS = 0.5

# A body that was lost is found again where so much of the smaller of the two boxes is shared.
SAME_PLACE_PART = 0.5


@dataclass(frozen=True, eq=False, slots=True)
class BodySighting:
    """One body in a frame in which it was looked for and found.

    Attributes:
        track: as it stands.
        is_ignored: whether it is where nobody begins a visit, or too far away.
    """

    track: BodyTrack
    is_ignored: bool = False


def is_far(body: Body, frame_height: int) -> bool:
    """Whether somebody is too far away to be at the door, in a frame of so many pixels."""
    return body.height_pixels < LEAST_HEIGHT_PART * frame_height


class Bodies:
    """Gives bodies to visits."""

    def __init__(self) -> None:
        # Of bodies of no visit that may begin one: since when, and when last; stream time.
        self._since: dict[int, float] = {}
        self._last: dict[int, float] = {}

    def attend(
        self,
        sightings: Sequence[BodySighting],
        visits: Sequence[OpenVisit],
        time_seconds: float,
        wall_time: float,
    ) -> None:
        """Give the bodies of a frame to the open visits that they are of.

        Args:
            sightings: those found in it.
            visits: going on.
            time_seconds: stream time of the frame.
            wall_time: seconds since the epoch.
        """
        for seen in sightings:
            track = seen.track
            entry = _visit_of(track, visits, time_seconds)
            if entry is None:
                if seen.is_ignored:
                    self._since.pop(track.track_id, None)
                else:
                    self._since.setdefault(track.track_id, time_seconds)
                continue
            self._since.pop(track.track_id, None)
            for each in visits:
                each.bodies.discard(track.track_id)
            entry.saw_body(track, time_seconds, wall_time)
        self._last |= {seen.track.track_id: time_seconds for seen in sightings}
        gone = [key for key, at in self._last.items() if at < time_seconds - FRESH_SECONDS]
        for key in gone:
            del self._last[key]
            self._since.pop(key, None)

    def waited_seconds(self, track: BodyTrack, time_seconds: float) -> float | None:
        """For how long a body that is of no visit has been there; None where it is not believed."""
        since = self._since.get(track.track_id)
        if since is None or track.hits < CONFIRMED_HITS or track.moves < CONFIRMED_MOVES:
            return None
        return time_seconds - since


def _visit_of(
    track: BodyTrack, visits: Sequence[OpenVisit], time_seconds: float
) -> OpenVisit | None:
    """The visit whose face the body holds now, that it was of before, or that was there last.

    Whoever comes to the place of somebody known who has been gone for a while is somebody else.
    """
    held = [each for each in visits if each.face is not None and track.body.holds(each.face)]
    in_sight = [each for each in held if each.face_seen_seconds >= time_seconds - FACE_SECONDS]
    own = [each for each in visits if track.track_id in each.bodies]
    near = [each for each in visits if each.body is not None and _is_same_place(each.body, track)]
    taken_up = [
        each
        for each in (*held, *near)
        if each.visit.visitor is None or each.last_seen_seconds >= time_seconds - FRESH_SECONDS
    ]
    for group in (in_sight, own, taken_up):
        if group:
            return max(group, key=lambda each: each.last_seen_seconds)
    return None


def _is_same_place(before: Body, track: BodyTrack) -> bool:
    """Whether a body, lost and found again, is where that of a visit was."""
    overlap = np.minimum(before.box_xyxy[2:], track.body.box_xyxy[2:]) - np.maximum(
        before.box_xyxy[:2], track.body.box_xyxy[:2]
    )
    shared = float(np.prod(np.maximum(overlap, 0)))
    areas = [float(np.prod(box[2:] - box[:2])) for box in (before.box_xyxy, track.body.box_xyxy)]
    return shared > SAME_PLACE_PART * min(areas)
