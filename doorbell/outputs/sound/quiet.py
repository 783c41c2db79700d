"""When the household wants silence: muted, or in its quiet hours."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time
from time import time as wall_time

from doorbell.clock import is_between
from doorbell.config import ChimeSection
from doorbell.status import Message, MuteState, SettingsState


def with_settings(section: ChimeSection, settings: SettingsState) -> ChimeSection:
    """The configuration as people have changed it."""
    changes: dict[str, object] = {"volume": settings.volume}
    if settings.default_chime is not None:
        changes["default"] = settings.default_chime
    if not settings.quiet_hours or settings.quiet_from is not None:
        changes |= {"quiet_from": settings.quiet_from, "quiet_to": settings.quiet_to}
    return section.model_copy(update=changes)


def is_quiet(section: ChimeSection, local_time: time) -> bool:
    """Whether a time of day is in the quiet hours."""
    return is_between(local_time, section.quiet_from, section.quiet_to)


def local_time_at(epoch_seconds: float) -> time:
    """Wall time of a moment in the machine's time zone."""
    return datetime.fromtimestamp(epoch_seconds).astimezone().time()


class QuietTimes:
    """Follows when the household wants silence, for all that sounds.

    Args:
        section: ``[chime]``.
        local_time: wall time of a moment, seconds since the epoch, where the doorbell hangs.
        wall_time: seconds since the epoch.

    Attributes:
        local_time: as given.
    """

    def __init__(
        self,
        section: ChimeSection,
        *,
        local_time: Callable[[float], time] = local_time_at,
        wall_time: Callable[[], float] = wall_time,
    ) -> None:
        self._configured = self._section = section
        self._wall_time = wall_time
        self._muted = False
        self.local_time = local_time

    @property
    def section(self) -> ChimeSection:
        """``[chime]`` as people have changed it; from any thread."""
        return self._section

    @property
    def muted(self) -> bool:
        """Whether the household has silenced the chimes; from any thread."""
        return self._muted

    def reconfigure(self, section: ChimeSection) -> None:
        """Go by another ``[chime]``; what people have set is told after this."""
        self._configured = self._section = section

    def handle(self, message: Message) -> None:
        """Follow what people want."""
        match message:
            case MuteState(muted=muted):
                self._muted = muted
            case SettingsState():
                self._section = with_settings(self._configured, message)
            case _:
                pass

    def is_quiet_at(self, epoch_seconds: float) -> bool:
        """Whether a moment is in the quiet hours; from any thread."""
        return is_quiet(self._section, self.local_time(epoch_seconds))

    def reason_now(self) -> str | None:
        """Why nothing may be said now, in words for people; None where it may; from any thread.

        Spoken words keep silent also where chimes are only low.
        """
        if self._muted:
            return "muted"
        return "quiet hours" if self.is_quiet_at(self._wall_time()) else None
