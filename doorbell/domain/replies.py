"""Quick replies: what can be said at the door without talking."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """Something that is said at the door.

    Attributes:
        reply_id: unique; lower-case letters, digits, - and _.
        label: what people are shown.
        is_recording: whether it is a recording of the household's; else it is spoken.
        seconds: how long a recording lasts; None of what is spoken.
    """

    reply_id: str
    label: str
    is_recording: bool = False
    seconds: float | None = None
