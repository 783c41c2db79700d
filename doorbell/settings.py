"""What people change while the doorbell runs, and what it still knows after a restart or a kill.

A few typed and bounded values in one file beside the gallery, for its owner alone. What stands
there goes before the configuration; what was never changed follows it. Never a path, an address or
a command: who may change a setting may not run or read anything by it.
"""

from __future__ import annotations

import json
import logging
import os
import stat
from datetime import time
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from doorbell.domain import CHIME_NAMES, REPLY_ID
from doorbell.errors import SettingsError
from doorbell.storage.files import write_whole

# Many times what all settings take; a larger file is none of ours.
MAX_BYTES = 10_000

log = logging.getLogger(__name__)


def _built_in(chime: str) -> str:
    if chime not in CHIME_NAMES:
        msg = f"there is no built-in chime {chime!r}; those there are: {', '.join(CHIME_NAMES)}"
        raise ValueError(msg)
    return chime


_Time = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
_Days = Annotated[int, Field(ge=0, le=3650)]


class Settings(BaseModel):
    """What people have changed; None follows the configuration.

    Attributes:
        muted: whether the chimes are silenced.
        muted_until: wall time, seconds since the epoch, at which that ends; None for never.
        volume: instead of ``chime.volume``.
        default_chime: a built-in one, instead of ``chime.default``.
        quiet_hours: whether there are any.
        quiet_from, quiet_to: when they begin and end, instead of ``chime.quiet_from`` and ``_to``.
        privacy: whether no pictures are made.
        pictures_days, visits_days, strangers_days: instead of those of ``[storage]``.
        announcements: instead of ``announcements.enabled``.
        reply_after_seconds: instead of ``replies.after_seconds``.
        unanswered_reply: instead of ``replies.unanswered``.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    muted: bool = False
    muted_until: Annotated[float, Field(ge=0.0, le=1e11)] | None = None
    volume: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    default_chime: Annotated[str, AfterValidator(_built_in)] | None = None
    quiet_hours: bool | None = None
    quiet_from: _Time | None = None
    quiet_to: _Time | None = None
    privacy: bool = False
    pictures_days: _Days | None = None
    visits_days: _Days | None = None
    strangers_days: _Days | None = None
    announcements: bool | None = None
    reply_after_seconds: Annotated[int, Field(ge=0, le=60)] | None = None
    unanswered_reply: Annotated[str, Field(pattern=REPLY_ID)] | None = None

    @property
    def quiet_between(self) -> tuple[time, time] | None:
        """When the quiet hours begin and end; None where the configuration says it."""
        if self.quiet_from is None or self.quiet_to is None:
            return None
        return time.fromisoformat(self.quiet_from), time.fromisoformat(self.quiet_to)

    def changed(self, **changes: Any) -> Settings:
        """The settings with some of them changed.

        Raises:
            SettingsError: a value is not allowed.
        """
        try:
            return Settings.model_validate({**self.model_dump(), **changes})
        except ValidationError as exc:
            raise SettingsError(_words(exc)) from exc


class SettingsFile:
    """Where settings are kept.

    Args:
        path: of the file; its directory is there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Settings:
        """Read them; what is damaged or not allowed is logged, and follows the configuration."""
        try:
            content = self._content()
        except OSError as exc:
            log.error("settings are not read from %s: %s", self._path, exc.strerror)
            return Settings()
        if content is None:
            return Settings()
        try:
            stored = dict(json.loads(content).items())
        except (ValueError, AttributeError, RecursionError) as exc:
            log.error(
                "%s is damaged, so the configuration holds until a setting is changed: %s",
                self._path,
                str(exc)[:100],
            )
            return Settings()
        try:
            return Settings.model_validate(stored)
        except ValidationError as exc:
            log.error("%s: these follow the configuration: %s", self._path, _words(exc))
            wrong = {each["loc"][0] for each in exc.errors()}
            kept = {key: value for key, value in stored.items() if key not in wrong}
            return Settings.model_validate(kept)

    def write(self, settings: Settings) -> None:
        """Keep them: on the disk at the end, or the earlier ones still.

        Raises:
            SettingsError: the disk refuses.
        """
        text = settings.model_dump_json(exclude_defaults=True)
        try:
            write_whole(self._path, text.encode())
        except OSError as exc:
            raise SettingsError(f"cannot write {self._path}: {exc.strerror}") from exc

    def _content(self) -> bytes | None:
        """What is in the file; None where there is none."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        try:
            # A pipe would be waited for, and a directory cannot be read.
            is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
            return os.read(descriptor, MAX_BYTES) if is_file else b""
        finally:
            os.close(descriptor)


def _words(error: ValidationError) -> str:
    """Say what is wrong with each value."""
    return "; ".join(
        f"{each['loc'][0]} = {str(each['input'])[:60]!r}: {each['msg']}" for each in error.errors()
    )
