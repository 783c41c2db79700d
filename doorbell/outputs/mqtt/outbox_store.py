"""The outbox's file: events that wait for the broker, on the disk.

Lets SQLite's errors through: what to do about a full disk or a damaged file is the caller's
business.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from doorbell.clock import BootTime
from doorbell.storage.sqlite import Schema, transaction
from doorbell.storage.waiting_file import (
    BUSY_SECONDS,
    KEYS_TABLE,
    SETTINGS,
    SealedColumn,
    WaitingFile,
)

# "DoOb" in ASCII; SQLite keeps it in the file's header.
APPLICATION_ID = 0x446F4F62
# What is encrypted. Without the number, which changes where an earlier run's events come before.
_DOCUMENT, _PICTURE = "an event that waits", "a picture that waits"

_TABLES = (
    """CREATE TABLE events (
        number INTEGER PRIMARY KEY,
        document BLOB NOT NULL,
        wall_seconds REAL NOT NULL,
        boot_seconds REAL NOT NULL,
        boot_id TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE pictures (
        number INTEGER PRIMARY KEY REFERENCES events ON DELETE CASCADE ON UPDATE CASCADE,
        jpeg BLOB NOT NULL
    ) STRICT""",
    f"PRAGMA application_id = {APPLICATION_ID}",
)

SCHEMA = Schema(
    APPLICATION_ID,
    (_TABLES,),
    settings=SETTINGS,
    busy_seconds=BUSY_SECONDS,
    additions=(KEYS_TABLE,),  # the first outboxes had none
)


@dataclass(frozen=True, slots=True)
class QueuedEvent:
    """An event that waits.

    Attributes:
        number: its place in the order.
        document: its JSON, as of an event on time.
        picture: JPEG; None where there is none, or none any more.
        kept: when it came.
    """

    number: int
    document: bytes
    picture: bytes | None = field(repr=False)
    kept: BootTime

    def is_late(self, now: BootTime, late_seconds: float) -> bool:
        """Whether it came longer ago than that, or nobody can tell how long."""
        return not 0 <= now.seconds_since(self.kept) <= late_seconds


@dataclass(frozen=True, slots=True)
class QueuedInfo:
    """A waiting event without its contents.

    Attributes:
        kept: when it came.
        document_bytes, picture_bytes: sizes.
    """

    kept: BootTime
    document_bytes: int
    picture_bytes: int


class OutboxFile(WaitingFile):
    """The open file; see ``WaitingFile``."""

    schema = SCHEMA
    sealed = (
        SealedColumn("events", "document", _DOCUMENT),
        SealedColumn("pictures", "jpeg", _PICTURE),
    )
    what = "events that wait for the broker"

    def summaries(self) -> dict[int, QueuedInfo]:
        """What waits, by number, in order."""
        rows = self._connection.execute(
            "SELECT number, length(document), coalesce(length(jpeg), 0), wall_seconds,"
            " boot_seconds, boot_id FROM events LEFT JOIN pictures USING (number) ORDER BY number"
        )
        return {
            number: QueuedInfo(BootTime(*moment), document_bytes, picture_bytes)
            for number, document_bytes, picture_bytes, *moment in rows
        }

    def renumber_below(self, first: int) -> None:
        """Put all before that number, where an earlier run's were out of reach at the start."""
        least, most = self._connection.execute(
            "SELECT min(number), max(number) FROM events"
        ).fetchone()
        if most is not None and most >= first:
            # By no less than all of them: no number is taken on the way.
            down = max(most - first + 1, most - least + 1)
            with transaction(self._connection):
                self._connection.execute("UPDATE events SET number = number - ?", (down,))

    def read(self, number: int) -> QueuedEvent:
        """One event.

        Raises:
            sqlite3.DatabaseError: it is not there, though it was written.
            EncryptionError: it was altered.
        """
        row = self._connection.execute(
            "SELECT document, jpeg, wall_seconds, boot_seconds, boot_id"
            " FROM events LEFT JOIN pictures USING (number) WHERE number = ?",
            (number,),
        ).fetchone()
        if row is None:
            raise sqlite3.DatabaseError(f"event {number} has gone")
        document, picture, *moment = row
        document = self._opened(document, _DOCUMENT)
        picture = picture and self._opened(picture, _PICTURE)
        return QueuedEvent(number, document, picture, BootTime(*moment))

    def document(self, number: int) -> bytes:
        """The document of one event, without reading its picture.

        Raises:
            sqlite3.DatabaseError, EncryptionError: as ``read``.
        """
        row = self._connection.execute(
            "SELECT document FROM events WHERE number = ?", (number,)
        ).fetchone()
        if row is None:
            raise sqlite3.DatabaseError(f"event {number} has gone")
        return self._opened(row[0], _DOCUMENT)

    def change(
        self,
        new: Collection[QueuedEvent],
        pictures: Mapping[int, bytes],
        *,
        removed: Collection[int],
        without_picture: Collection[int],
    ) -> None:
        """Add and remove events, and pictures of events that are there: all of it or nothing."""
        if len(new) == 1 and not (pictures or removed or without_picture):
            self._insert(*new)  # a transaction by itself, and quicker: this one is on its way
        else:
            with transaction(self._connection):
                for event in new:
                    self._insert(event)
                self._attach(pictures)
                self._execute_for(removed, "DELETE FROM events WHERE number = ?")
                self._execute_for(without_picture, "DELETE FROM pictures WHERE number = ?")
        self._unsynced = self._unsynced or bool(new)

    def _attach(self, pictures: Mapping[int, bytes]) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO pictures VALUES (?, ?)",
            [(number, self._cipher.encrypt(jpeg, _PICTURE)) for number, jpeg in pictures.items()],
        )

    def _insert(self, event: QueuedEvent) -> None:
        kept = event.kept
        self._connection.execute(
            "INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?)",
            (
                *(event.number, self._cipher.encrypt(event.document, _DOCUMENT)),
                *(kept.wall_seconds, kept.boot_seconds, kept.boot_id),
            ),
        )
