"""The settings in force: read at the start, changed by commands, told to every output and kept.

What the disk refuses holds until the next start, and the answer says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import time
from typing import TypeAlias

from typing_extensions import assert_never

from doorbell.config import Config, StorageSection
from doorbell.domain import (
    CHIME_NAMES,
    AnnouncementsCommand,
    ChimeCommand,
    MuteCommand,
    PrivacyCommand,
    QuietHoursCommand,
    SettingsCommand,
    VolumeCommand,
)
from doorbell.errors import SettingsError, UsageError
from doorbell.settings import SettingsFile
from doorbell.status import ClockStep, MuteState, SettingsState, State

log = logging.getLogger(__name__)

# For how long things are kept.
DAYS = ("pictures_days", "visits_days", "strangers_days")

SettingCommand: TypeAlias = (
    MuteCommand
    | VolumeCommand
    | ChimeCommand
    | QuietHoursCommand
    | PrivacyCommand
    | AnnouncementsCommand
    | SettingsCommand
)


def longest(sections: Sequence[StorageSection]) -> StorageSection:
    """For how long anything is kept by one of several doors; 0 is for ever.

    Args:
        sections: of the doors, at least one.
    """
    days = {name: [getattr(each, name) for each in sections] for name in DAYS}
    return sections[0].model_copy(
        update={name: 0 if 0 in of_doors else max(of_doors) for name, of_doors in days.items()}
    )


class SettingsInForce:
    """What holds now: what people have changed, and else the configuration.

    Args:
        config: of the door; the file is in its storage's own directory.
        publish: tells every output, at once.
    """

    def __init__(self, config: Config, publish: Callable[[State], None]) -> None:
        self._config = config
        self._publish = publish
        self._file = SettingsFile(config.storage.settings_path)
        self._settings = self._file.read()
        self._is_kept = True
        self._dated_by_this_run = False

    @property
    def privacy(self) -> bool:
        """Whether no pictures are made."""
        return self._settings.privacy

    @property
    def storage(self) -> StorageSection:
        """``[storage]``, with for how long things are kept."""
        storage, settings = self._config.storage, self._settings
        changes = {name: getattr(settings, name) for name in DAYS}
        return storage.model_copy(update={k: v for k, v in changes.items() if v is not None})

    def tell(self, wall_time: float) -> None:
        """Tell every output, at the start.

        Args:
            wall_time: seconds since the epoch.
        """
        self._end_mute(wall_time)
        self._tell()

    def reconfigure(self, config: Config) -> None:
        """Tell every output what holds by another configuration."""
        self._config = config
        self._tell()

    def look(self, wall_time: float) -> None:
        """Let the chimes sound again once the time of a mute is over; every turn, and cheap."""
        if self._end_mute(wall_time):
            log.info("chimes are on again")
            self._tell()

    def follow_clock(self, step: ClockStep) -> None:
        """Move the end of a mute that this run has dated by the clock that was set."""
        until = self._settings.muted_until
        if until is not None and self._dated_by_this_run:
            self._keep(muted_until=max(until + step.seconds, 0.0))
            self._tell()

    def change(self, command: SettingCommand, wall_time: float) -> str:
        """Do what a command asks for; what was done.

        Args:
            command: which setting, and what it is to be.
            wall_time: seconds since the epoch.

        Raises:
            SettingsError: the value is not allowed.
            UsageError: there is nothing that it could change.
        """
        match command:
            case MuteCommand(muted=muted, minutes=minutes):
                until = None if minutes is None or not muted else wall_time + 60.0 * minutes
                unkept = self._keep(muted=muted, muted_until=until)
                self._dated_by_this_run = True
                for_long = "" if until is None else f" for {_rounded(minutes)} minutes"
                done = f"chimes are {'muted' if muted else 'on'}{for_long}"
            case VolumeCommand(volume=volume):
                unkept = self._keep(volume=volume)
                done = f"chimes sound at {volume:.0%}"
            case ChimeCommand(chime=chime):
                unkept = self._keep(default_chime=chime)
                done = f"the default chime is {chime or 'the one of the configuration'}"
            case QuietHoursCommand(on=on):
                if on and self._quiet_between is None:
                    raise UsageError(
                        "there are no quiet hours: set chime.quiet_from and chime.quiet_to first"
                    )
                unkept = self._keep(quiet_hours=on)
                done = f"quiet hours are {'kept' if on else 'off'}"
            case PrivacyCommand(on=on):
                unkept = self._keep(privacy=on)
                done = f"pictures are {'no longer made' if on else 'made'}"
            case AnnouncementsCommand(on=on):
                unkept = self._keep(announcements=on)
                done = f"who is at the door is {'said' if on else 'no longer said'} inside"
            case SettingsCommand(changes=changes):
                self._require_both_times(changes)
                unkept = self._keep(**changes)
                done = "the settings are changed"
            case _:
                assert_never(command)
        self._tell()
        return done if unkept is None else f"{done} until the next start only: {unkept}"

    @property
    def _quiet_between(self) -> tuple[time, time] | None:
        """When the quiet hours begin and end, kept or not; None where there are none."""
        if self._settings.quiet_between is not None:
            return self._settings.quiet_between
        start, end = self._config.chime.quiet_from, self._config.chime.quiet_to
        return None if start is None or end is None else (start, end)

    def _require_both_times(self, changes: Mapping[str, object]) -> None:
        changed = self._settings.changed(**changes)
        if (changed.quiet_from is None) != (changed.quiet_to is None):
            raise SettingsError("quiet hours have a beginning and an end: give both")
        there_are = changed.quiet_between is not None or self._config.chime.quiet_from is not None
        if changes.get("quiet_hours") and not there_are:
            raise SettingsError("there are no quiet hours yet: say from when to when they are")

    def _keep(self, **changes: object) -> str | None:
        """Change settings and keep them; why they cannot be kept."""
        changed = self._settings.changed(**changes)
        if changed == self._settings and self._is_kept:
            return None
        self._settings = changed
        try:
            self._file.write(changed)
        except SettingsError as exc:
            self._is_kept = False
            log.error("a setting holds until the next start only: %s", exc)
            return str(exc)
        self._is_kept = True
        return None

    def _end_mute(self, wall_time: float) -> bool:
        until = self._settings.muted_until
        if until is None or wall_time < until:
            return False
        self._keep(muted=False, muted_until=None)
        return True

    def _tell(self) -> None:
        settings, chime, door_id = self._settings, self._config.chime, self._config.device.id
        between = self._quiet_between if settings.quiet_hours is not False else None
        storage, replies = self.storage, self._config.replies
        announcements, after = settings.announcements, settings.reply_after_seconds
        self._publish(MuteState(settings.muted, door_id))
        self._publish(
            SettingsState(
                volume=chime.volume if settings.volume is None else settings.volume,
                default_chime=settings.default_chime
                or (chime.default if chime.default in CHIME_NAMES else None),
                quiet_hours=between is not None,
                privacy=settings.privacy,
                muted=settings.muted,
                muted_until=settings.muted_until,
                quiet_from=None if between is None else between[0],
                quiet_to=None if between is None else between[1],
                pictures_days=storage.pictures_days,
                visits_days=storage.visits_days,
                strangers_days=storage.strangers_days,
                announcements=self._config.announcements.enabled
                if announcements is None
                else announcements,
                reply_after_seconds=replies.after_seconds if after is None else after,
                unanswered_reply=settings.unanswered_reply or replies.unanswered,
                door_id=door_id,
            )
        )


def _rounded(minutes: float | None) -> str:
    return f"{minutes:.0f}" if minutes is not None and minutes >= 10 else f"{minutes:g}"
