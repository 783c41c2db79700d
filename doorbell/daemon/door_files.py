"""Files that a house of one door has beside the gallery, and each of several doors for itself.

Whoever adds a second door, or goes back to one, keeps what waits for the broker and what people
have set: it goes along to the door of that id, or to the first.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from doorbell.config import Config
from doorbell.errors import GalleryError
from doorbell.storage.files import make_private_directory

log = logging.getLogger(__name__)

_OUTBOX = "outbox.sqlite"
# In this order: the outbox comes last, so that a take-over that was interrupted goes on.
_NAMES = ("settings.json", "session.json", "image.json", _OUTBOX)


def take_over_files(config: Config) -> None:
    """Move the files to where the doors look for them; where nothing is to be done, do nothing.

    Call it while nobody else has them open.

    Args:
        config: of the house.

    Raises:
        GalleryError: they cannot be moved.
    """
    doors = config.doors
    heir = next((each for each in doors if each.device.id == config.device.id), doors[0])
    alone = config.storage.directory
    apart = config.storage.directory / "doors" / heir.device.id
    source, target = (apart, alone) if not config.door else (alone, apart)
    try:
        for each in doors:
            if config.door:
                make_private_directory(each.storage.own_directory)
        for name in _NAMES:
            if (source / name).exists() and not (target / name).exists():
                if name == _OUTBOX:
                    _fold(source / name)
                (source / name).rename(target / name)
                log.info("%s of %s is %s now", source / name, heir.device.name, target / name)
        if source == apart:
            with suppress(OSError):  # it is empty now, unless somebody put more into it
                apart.rmdir()
    except OSError as exc:
        raise GalleryError(
            f"cannot move {source} to {target}: {exc.strerror}; the doorbell's user has to own both"
        ) from exc


def _fold(path: Path) -> None:
    """Bring what SQLite keeps beside a file into it; who opens it says what is wrong with it."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
