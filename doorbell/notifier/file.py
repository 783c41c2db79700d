"""The file in which the notifier keeps what waits: opened, verified, and set aside if damaged."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from doorbell.errors import OutputError
from doorbell.storage.files import make_private_directory
from doorbell.storage.sqlite import (
    Schema,
    advice_for,
    open_or_set_aside,
    transaction,
)
from doorbell.storage.sqlite_schema import open_own

# "DoNr" in ASCII; SQLite keeps it in the file's header.
APPLICATION_ID = 0x446F4E72
FILE_NAME = "notifier.sqlite"

_TABLES = (
    "CREATE TABLE progress (journal TEXT NOT NULL, number INTEGER NOT NULL) STRICT",
    """CREATE TABLE notices (
        notice_id TEXT PRIMARY KEY,
        visit_id TEXT,
        document TEXT NOT NULL,
        picture BLOB,
        wall_seconds REAL NOT NULL,
        boot_seconds REAL NOT NULL,
        boot_id TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE waiting (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        target TEXT NOT NULL,
        notice_id TEXT NOT NULL REFERENCES notices ON DELETE CASCADE,
        UNIQUE (target, notice_id)
    ) STRICT""",
    """CREATE TABLE told (
        target TEXT NOT NULL,
        notice_id TEXT NOT NULL,
        visit_id TEXT,
        announced TEXT NOT NULL,
        at REAL NOT NULL,
        PRIMARY KEY (target, notice_id)
    ) STRICT""",
    """CREATE TABLE targets (
        target TEXT PRIMARY KEY,
        last_at REAL,
        problem TEXT
    ) STRICT""",
    """CREATE TABLE bots (
        bot TEXT PRIMARY KEY,
        next_update INTEGER NOT NULL,
        open_until REAL NOT NULL
    ) STRICT""",
    f"PRAGMA application_id = {APPLICATION_ID}",
)

SCHEMA = Schema(
    APPLICATION_ID,
    (_TABLES,),
    # FULL: once the doorbell is told that it is kept here, no power cut may lose it.
    settings=(
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "secure_delete = ON",
    ),
    busy_seconds=2.0,
)

log = logging.getLogger(__name__)


class NotifierFileError(OutputError):
    """The notifier's file cannot be opened, read or written."""

    exit_code = 3


class NotifierFile:
    """The open file; threads take turns with it.

    Args:
        directory: where it is; made if missing.

    Raises:
        NotifierFileError: another notifier has it open, it is out of reach, or another program's.
            The latter two may come of every method.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._lock = threading.Lock()
        with self._translated():
            make_private_directory(directory)
            self._held: int | None = _held(directory)
            try:
                opened = partial(open_own, self._path, SCHEMA)
                self._connection = open_or_set_aside(self._path, opened, self._say_damage)
            except BaseException:
                os.close(self._held)
                raise

    def close(self) -> None:
        """Release the file; idempotent."""
        with self._lock:
            self._connection.close()
            if self._held is not None:
                os.close(self._held)
                self._held = None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Ask for something."""
        with self._lock, self._translated():
            yield self._connection

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Change something: all of it or nothing."""
        with self._lock, self._translated(), transaction(self._connection):
            yield self._connection

    def _say_damage(self, exc: Exception, aside: Path) -> None:
        log.error(
            "what waited to be told is lost: %s was damaged (%s) and is now %s",
            *(self._path, exc, aside.name),
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            advice = advice_for(self._path.parent, "its next start sets a damaged file aside")
            raise NotifierFileError(f"{self._path} cannot be used: {exc}; {advice}") from exc
        except OSError as exc:
            raise NotifierFileError(
                f"{self._path} cannot be used: {exc.strerror}; set notifications.directory to a "
                "directory of the notifier's own user, and run this as that user"
            ) from exc


def _held(directory: Path) -> int:
    """Hold a directory, as long as what is returned is open: two would tell everything twice.

    Raises:
        NotifierFileError: another notifier holds it.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        os.close(descriptor)
        raise NotifierFileError(
            f"another notifier runs with {directory}; stop it first (systemctl stop "
            "doorbell-notifier), or set notifications.directory to another"
        ) from exc
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
