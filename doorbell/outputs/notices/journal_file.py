"""The journal's file: notices that the notifier does not have yet, and what may be answered.

Lets SQLite's errors through: what to do about a full disk or a damaged file is the caller's
business.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Collection
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from doorbell.clock import BootTime
from doorbell.domain import Notice
from doorbell.errors import EncryptionError
from doorbell.outputs.notices.notice import decode, encode
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

# "DoNo" in ASCII; SQLite keeps it in the file's header.
APPLICATION_ID = 0x446F4E6F
_DOCUMENT, _PICTURE = "a notice that waits", "the picture of a notice that waits"

_TABLES = (
    """CREATE TABLE notices (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        document BLOB NOT NULL,
        jpeg BLOB NOT NULL,
        wall_seconds REAL NOT NULL,
        boot_seconds REAL NOT NULL,
        boot_id TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE told (
        notice_id TEXT PRIMARY KEY,
        visit_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        used TEXT NOT NULL,
        wall_seconds REAL NOT NULL,
        boot_seconds REAL NOT NULL,
        boot_id TEXT NOT NULL
    ) STRICT""",
    "CREATE TABLE journal (id TEXT NOT NULL) STRICT",
    "CREATE TABLE keys (proof BLOB NOT NULL) STRICT",
    f"PRAGMA application_id = {APPLICATION_ID}",
)

SCHEMA = Schema(
    APPLICATION_ID,
    (_TABLES,),
    # As the outbox: a commit outlives a kill and costs the pipeline no wait for the disk.
    settings=(
        "auto_vacuum = FULL",
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "secure_delete = ON",
    ),
    busy_seconds=0.05,
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A notice that waits.

    Attributes:
        notice: what it says.
        kept: when it came.
        picture_bytes: size of its picture; 0 where it has none.
    """

    notice: Notice
    kept: BootTime
    picture_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """That something was told of a visit, and which answers to it were used.

    Attributes:
        visit_id: empty where somebody pressed with nobody in sight.
        kind: of the notice.
        kept: when.
        used: codes of answers.
    """

    visit_id: str
    kind: str
    kept: BootTime
    used: frozenset[str] = frozenset()


@dataclass(slots=True)
class Changes:
    """What the file does not know yet.

    Attributes:
        new: notices by number, without their pictures.
        pictures: JPEG, by number of new notices.
        removed: numbers of notices that have gone.
        without_picture: numbers of notices whose pictures have gone.
        told: by notice_id; None where it has gone.
    """

    new: dict[int, Waiting] = field(default_factory=dict)
    pictures: dict[int, bytes] = field(default_factory=dict, repr=False)
    removed: set[int] = field(default_factory=set)
    without_picture: set[int] = field(default_factory=set)
    told: dict[str, Told | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.new or self.removed or self.without_picture or self.told)


class JournalFile:
    """The open file. Under the caller's lock, but for ``sync``.

    Args:
        path: made if missing; its directory as well.
        cipher: how notices and pictures are kept; what an earlier run kept plain is read too.

    Attributes:
        journal_id: of this file, for ever.

    Raises:
        sqlite3.DatabaseError: that ``is_damage``: it is damaged, or no journal.
        sqlite3.OperationalError, OSError: out of reach, or the disk is full.
        EncryptionError: what waits was encrypted with another key, or is and there is none; it
            stays.
    """

    def __init__(self, path: Path, cipher: Cipher) -> None:
        self._cipher = cipher
        self._log = path.with_name(path.name + "-wal")
        make_private_directory(path.parent)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY))
        self._connection = connect(path, SCHEMA, any_thread=True)
        try:
            self._prepare()
            self._check_key()
            row = self._connection.execute("SELECT id FROM journal").fetchone()
            if row is None:
                row = (secrets.token_hex(8),)
                self._connection.execute("INSERT INTO journal VALUES (?)", row)
            self.journal_id = str(row[0])
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

    @property
    def last_number(self) -> int:
        """The highest that was ever given."""
        row = self._connection.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'notices'"
        ).fetchone()
        return 0 if row is None else int(row[0])

    def waiting(self) -> tuple[dict[int, Waiting], set[int]]:
        """What waits, by number, in order; and the numbers of what was altered."""
        found: dict[int, Waiting] = {}
        altered = set()
        rows = self._connection.execute(
            "SELECT number, document, length(jpeg), wall_seconds, boot_seconds, boot_id"
            " FROM notices ORDER BY number"
        )
        for number, document, picture_bytes, *moment in rows:
            notice = self._decoded(document)
            if notice is None:
                altered.add(number)
            else:
                found[number] = Waiting(notice, BootTime(*moment), picture_bytes)
        return found, altered

    def told(self) -> dict[str, Told]:
        """What was told, by notice_id, the oldest first."""
        rows = self._connection.execute(
            "SELECT notice_id, visit_id, kind, used, wall_seconds, boot_seconds, boot_id"
            " FROM told ORDER BY rowid"
        )
        return {
            notice_id: Told(visit_id, kind, BootTime(*moment), frozenset(used.split()))
            for notice_id, visit_id, kind, used, *moment in rows
        }

    def picture(self, number: int) -> bytes | None:
        """The picture of a notice.

        Raises:
            EncryptionError: it was altered.
        """
        row = self._connection.execute(
            "SELECT jpeg FROM notices WHERE number = ?", (number,)
        ).fetchone()
        return self._opened(row[0], _PICTURE) if row and row[0] else None

    def change(self, changes: Changes) -> None:
        """Write what has changed: all of it or nothing."""
        with transaction(self._connection):
            for number, each in changes.new.items():
                self._insert(number, each, changes.pictures.get(number, b""))
            self._remove(changes)
            for notice_id, told in changes.told.items():
                if told is None:
                    self._connection.execute("DELETE FROM told WHERE notice_id = ?", (notice_id,))
                else:
                    self._note(notice_id, told)

    def empty_log(self) -> None:
        """Leave no bytes of what was removed in the write-ahead log."""
        empty_log(self._connection)

    def reencrypt(self, cipher: Cipher) -> None:
        """Keep what waits in another way, and leave no trace of the earlier."""
        with transaction(self._connection):
            for column, about in (("document", _DOCUMENT), ("jpeg", _PICTURE)):
                again = partial(self._sealed_anew, cipher, about)
                rewrite(self._connection, "notices", column, again)
            note_key_proof(self._connection, "keys", cipher.proof)
        self._cipher = cipher
        self.empty_log()

    def _sealed_anew(self, cipher: Cipher, about: str, data: bytes) -> bytes:
        return data and cipher.encrypt(self._opened(data, about), about)

    def _decoded(self, document: bytes) -> Notice | None:
        try:
            return decode(self._opened(document, _DOCUMENT))
        except (EncryptionError, ValueError):
            return None

    def _opened(self, data: bytes, about: str) -> bytes:
        return self._cipher.decrypt(data, about) if is_encrypted(data) else data

    def _insert(self, number: int, waiting: Waiting, jpeg: bytes) -> None:
        kept = waiting.kept
        self._connection.execute(
            "INSERT OR REPLACE INTO notices VALUES (?, ?, ?, ?, ?, ?)",
            (
                *(number, self._cipher.encrypt(encode(waiting.notice), _DOCUMENT)),
                jpeg and self._cipher.encrypt(jpeg, _PICTURE),
                *(kept.wall_seconds, kept.boot_seconds, kept.boot_id),
            ),
        )

    def _remove(self, changes: Changes) -> None:
        execute = self._connection.executemany
        execute("DELETE FROM notices WHERE number = ?", _each(changes.removed))
        execute("UPDATE notices SET jpeg = x'' WHERE number = ?", _each(changes.without_picture))

    def _note(self, notice_id: str, told: Told) -> None:
        kept = told.kept
        self._connection.execute(
            "INSERT INTO told VALUES (?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (notice_id) DO UPDATE SET used = excluded.used",
            (
                *(notice_id, told.visit_id, told.kind, " ".join(sorted(told.used))),
                *(kept.wall_seconds, kept.boot_seconds, kept.boot_id),
            ),
        )

    def _check_key(self) -> None:
        """Refuse another key before anything new is put behind what it cannot read."""
        if key_proof(self._connection, "keys") == self._cipher.proof:
            return
        waiting, altered = self.waiting()
        if altered and not waiting:
            raise EncryptionError(
                "notices that wait were encrypted with another key; give its own key, or delete "
                "the file, and they are lost"
            )
        with transaction(self._connection):
            note_key_proof(self._connection, "keys", self._cipher.proof)

    def _prepare(self) -> None:
        connection = self._connection
        require_own(connection, SCHEMA)
        if is_empty(connection):
            migrate(connection, SCHEMA)
        elif verify(connection, SCHEMA) != SCHEMA.version:
            raise NotOursError(f"not a journal of version {SCHEMA.version}")


def seal_journal(path: Path, before: Cipher, after: Cipher) -> None:
    """Keep what waits in another way, if anything does; nobody else may have the file open.

    Raises:
        EncryptionError: the file is damaged or out of reach, or what is in it is kept in neither
            way.
    """
    if not path.exists():
        return
    try:
        try:
            file = JournalFile(path, after)  # plain, or done by a run that was interrupted
        except EncryptionError:
            file = JournalFile(path, before)
        with closing(file):
            file.reencrypt(after)
    except (sqlite3.Error, OSError, EncryptionError) as exc:
        raise EncryptionError(
            f"notices that wait for the notifier stay as they are: {path}: {exc}; delete the file "
            "if they may be lost"
        ) from exc


def _each(numbers: Collection[int]) -> list[tuple[int]]:
    return [(number,) for number in numbers]
