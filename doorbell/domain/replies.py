"""Quick replies: what can be said at the door without talking."""

from __future__ import annotations

from dataclasses import dataclass

# The form of an identifier of a reply: of a built-in one, or given to a recording.
REPLY_ID = r"^[a-z0-9][a-z0-9_-]{0,63}$"


@dataclass(frozen=True, slots=True)
class Reply:
    """Something that is said at the door.

    Attributes:
        reply_id: unique, of the form ``REPLY_ID``.
        label: what people are shown.
        is_recording: whether it is a recording of the household's; else it is spoken.
        seconds: how long a recording lasts; None of what is spoken.
    """

    reply_id: str
    label: str
    is_recording: bool = False
    seconds: float | None = None
