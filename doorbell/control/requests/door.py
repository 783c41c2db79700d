"""What is asked of the doorbell itself: how it is, its bell, its chimes and its settings."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from doorbell.control.schema import Days, DoorId, ReplyId, Request, TimeOfDay


class Status(Request):
    """How everything is: see ``daemon.control.status``."""

    verb = "status"
    only_reads = True
    door_id: DoorId | None = None


class RingBell(Request):
    """Ring for whoever is at the door."""

    verb = "ring"
    door_id: DoorId | None = None


class Mute(Request):
    """Silence the chimes: until somebody lets them sound again, for minutes, or until a time."""

    verb = "mute"
    muted: bool
    minutes: Annotated[float, Field(gt=0, le=7 * 24 * 60, allow_inf_nan=False)] | None = None
    until: TimeOfDay | None = None
    door_id: DoorId | None = None


class ChangeSettings(Request):
    """Change what is given and leave the rest; null follows the configuration again."""

    verb = "settings.change"
    volume: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    default_chime: Annotated[str, StringConstraints(max_length=64)] | None = None
    quiet_hours: bool | None = None
    quiet_from: TimeOfDay | None = None
    quiet_to: TimeOfDay | None = None
    privacy: bool | None = None
    pictures_days: Days | None = None
    visits_days: Days | None = None
    strangers_days: Days | None = None
    announcements: bool | None = None
    reply_after_seconds: Annotated[int, Field(ge=0, le=60)] | None = None
    unanswered_reply: ReplyId | None = None
    door_id: DoorId | None = None


class Reload(Request):
    """Read the configuration anew, as ``systemctl reload`` does; the log says what was taken."""

    verb = "reload"


class PlayChime(Request):
    """Let a built-in chime sound at the door, unless the chimes are silenced."""

    verb = "chime.play"
    chime: Annotated[str, StringConstraints(max_length=64)]
    door_id: DoorId | None = None


class ChimeSound(Request):
    """The sound of a built-in chime: a WAV file in the blob."""

    verb = "chime.sound"
    only_reads = True
    chime: Annotated[str, StringConstraints(max_length=64)]


class Check(Request):
    """Everything that ``doorbell check`` looks at: ``findings``, a list of its documents."""

    verb = "check"
