"""Requests that go on: the connection is for nothing else from then on."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from doorbell.control.schema import DoorId, Request, Width


class Events(Request):
    """What happens, as it does, each with ``event``.

    ``ring``, ``arrived``, ``recognized``, ``unknown`` and ``left`` have event_id, occurred_at,
    pressed and visit (or null); ``changed`` has what (visits, people, settings, replies, camera,
    sound, microphone, storage or broker); ``alive`` comes once a second.
    """

    verb = "events"
    only_reads = True


class Frames(Request):
    """Frames in shared memory.

    First and at each change of size ``ring_of_frames`` with width, height and the memory's
    descriptor; then for each frame ``frame`` with seq, slot, captured_at and time_seconds (in
    seconds) and faces, each with box (left, top, right, bottom in parts of the picture), visit_id,
    label and kind (of the visitor, or undecided), pixels (the face's size in the camera's own
    frame) and recognizable (whether it is large enough to be compared).
    """

    verb = "frames"
    only_reads = True
    door_id: DoorId | None = None
    max_width: Width | None = None
    per_second: Annotated[float, Field(gt=0.0, le=240.0)] = 10.0
