"""The outbox's file: events that wait for the broker, on the disk.

Lets SQLite's errors through: what to do about a full disk or a damaged file is the caller's
business.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from doorbell.clock import BootTime
from doorbell.errors import EncryptionError
from doorbell.storage.encryption import Cipher, is_encrypted
from doorbell.storage.files import OWNER_ONLY, make_private_directory, sync
from doorbell.storage.sqlite import (
    NotOursError,
    Schema,
    connect,
    empty_log,
    is_empty,
    key_proof,
    migrate,
    note_key_proof,
    rewrite,
    transaction,
    verify,
)
from doorbell.storage.sqlite_schema import require_own

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
    # NORMAL: a commit outlives a kill and costs the pipeline no wait for the disk; ``sync``
    # follows. FULL vacuum: an outage's pictures give back their space.
    settings=(
        "auto_vacuum = FULL",
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
        "secure_delete = ON",
    ),
    # Nobody else has business here: a stranger's lock must not keep the pipeline waiting.
    busy_seconds=0.05,
    additions=("CREATE TABLE IF NOT EXISTS keys (proof BLOB NOT NULL) STRICT",),
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


class OutboxFile:
    """The open file. Under the caller's lock, but for ``sync``.

    Args:
        path: made if missing; its directory as well.
        cipher: how documents and pictures are kept; what an earlier run kept plain is read too.

    Raises:
        sqlite3.DatabaseError: that ``is_damage``: it is damaged, or not an outbox.
        sqlite3.OperationalError, OSError: out of reach, or the disk is full.
        EncryptionError: what waits was encrypted with another key, or is and there is none; it
            stays.
    """

    def __init__(self, path: Path, cipher: Cipher) -> None:
        self._cipher = cipher
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        make_private_directory(path.parent)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY))
        self._connection = connect(path, SCHEMA, any_thread=True)
        try:
            self._prepare()
            self._check_key()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Release the file; idempotent."""
        self._connection.close()

    def sync(self) -> None:
        """Bring what was written to the disk, beyond a power cut; on any thread, without lock."""
        with suppress(FileNotFoundError):  # it is in the file itself
            sync(self._log)

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

    def _check_key(self) -> None:
        """Refuse another key before anything new is put behind what it cannot read.

        One event that cannot be read was altered; another key is one that proves nothing.
        """
        if key_proof(self._connection, "keys") == self._cipher.proof:
            return
        documents = self._connection.execute("SELECT document FROM events")
        refusals = [self._refusal_of(each) for (each,) in documents if is_encrypted(each)]
        refusal = None if None in refusals else next(iter(refusals), None)
        if refusal is not None:
            raise EncryptionError(
                f"events that wait for the broker cannot be read: {refusal}; or delete "
                f"{self._path}, and they are lost"
            ) from refusal
        with transaction(self._connection):
            note_key_proof(self._connection, "keys", self._cipher.proof)

    def _refusal_of(self, document: bytes) -> EncryptionError | None:
        try:
            self._opened(document, _DOCUMENT)
        except EncryptionError as exc:
            return exc
        return None

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
            return
        connection = self._connection
        with transaction(connection):
            for event in new:
                self._insert(event)
            connection.executemany(
                "INSERT OR REPLACE INTO pictures VALUES (?, ?)",
                [
                    (number, self._cipher.encrypt(jpeg, _PICTURE))
                    for number, jpeg in pictures.items()
                ],
            )
            connection.executemany("DELETE FROM events WHERE number = ?", _each(removed))
            connection.executemany("DELETE FROM pictures WHERE number = ?", _each(without_picture))

    def empty_log(self) -> None:
        """Leave no bytes of what was removed in the write-ahead log."""
        empty_log(self._connection)

    def reencrypt(self, cipher: Cipher) -> None:
        """Keep what waits in another way, and leave no trace of the earlier."""
        with transaction(self._connection):
            for table, column, about in (
                ("events", "document", _DOCUMENT),
                ("pictures", "jpeg", _PICTURE),
            ):
                rewrite(self._connection, table, column, partial(self._sealed_anew, cipher, about))
            note_key_proof(self._connection, "keys", cipher.proof)
        self._cipher = cipher
        self.empty_log()

    def _sealed_anew(self, cipher: Cipher, about: str, data: bytes) -> bytes:
        return cipher.encrypt(self._opened(data, about), about)

    def _opened(self, data: bytes, about: str) -> bytes:
        return self._cipher.decrypt(data, about) if is_encrypted(data) else data

    def _insert(self, event: QueuedEvent) -> None:
        kept = event.kept
        self._connection.execute(
            "INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?)",
            (
                *(event.number, self._cipher.encrypt(event.document, _DOCUMENT)),
                *(kept.wall_seconds, kept.boot_seconds, kept.boot_id),
            ),
        )

    def _prepare(self) -> None:
        connection = self._connection
        require_own(connection, SCHEMA)
        if is_empty(connection):
            migrate(connection, SCHEMA)
        elif verify(connection, SCHEMA) != SCHEMA.version:
            raise NotOursError(f"not an outbox of version {SCHEMA.version}")
        for statement in SCHEMA.additions:
            connection.execute(statement)


def seal_outbox(path: Path, before: Cipher, after: Cipher) -> None:
    """Keep what waits in another way, if anything does; nobody else may have the file open.

    Raises:
        EncryptionError: the file is damaged or out of reach, or what is in it is kept in neither
            way.
    """
    if not path.exists():
        return
    try:
        try:
            file = OutboxFile(path, after)  # plain, or done by a run that was interrupted
        except EncryptionError:
            file = OutboxFile(path, before)
        with closing(file):
            file.reencrypt(after)
    except (sqlite3.Error, OSError, EncryptionError) as exc:
        raise EncryptionError(
            f"events that wait for the broker stay as they are: {path}: {exc}; delete the file if "
            "they may be lost"
        ) from exc


def _each(numbers: Iterable[int]) -> Sequence[tuple[int]]:
    return [(number,) for number in numbers]
