"""Sections on what sounds: chimes, what is said at the door, and what is said inside."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field, model_validator

from doorbell.config.section import Section
from doorbell.config.values import Fraction, LocalTime
from doorbell.domain import REPLY_ID

AlsaDevice: TypeAlias = Annotated[
    str,
    Field(
        max_length=128,
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_:,.=+@-]*$",
        description='an ALSA device, as in "plughw:CARD=Door" (aplay -L lists them)',
    ),
]
ReplyId: TypeAlias = Annotated[str, Field(pattern=REPLY_ID, description="the id of a quick reply")]


class ChimeSection(Section):
    """``[chime]``: sounds. A chime is the name of a built-in one or the path of a WAV file."""

    enabled: bool = True
    device: AlsaDevice | None = None
    default: str = "westminster"
    stranger: str = "alert"
    volume: Fraction = 0.8
    quiet_from: LocalTime | None = None
    quiet_to: LocalTime | None = None
    quiet_volume: Fraction = 0.0
    cooldown_seconds: Annotated[float, Field(ge=0.0, le=3600.0)] = 10.0

    @model_validator(mode="after")
    def _both_or_neither(self) -> ChimeSection:
        if (self.quiet_from is None) != (self.quiet_to is None):
            msg = "quiet_from and quiet_to belong together: set both or neither"
            raise ValueError(msg)
        return self


class AnnouncementsSection(Section):
    """``[announcements]``: who is at the door, said after the chime."""

    enabled: bool = False


class TalkSection(Section):
    """``[talk]``: the loudspeaker and the microphone at the door."""

    enabled: bool = True
    device: AlsaDevice | None = None
    volume: Fraction = 0.8
    microphone: bool = False
    microphone_device: AlsaDevice | None = None


class RepliesSection(Section):
    """``[replies]``: what is said at the door where nobody answers."""

    after_seconds: Annotated[int, Field(ge=0, le=60)] = 0
    unanswered: ReplyId = "coming"
