"""The journal's file: notices that the notifier does not have yet, and what may be answered.

Lets SQLite's errors through: what to do about a full disk or a damaged file is the caller's
business.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from doorbell.clock import BootTime
from doorbell.domain import Notice
from doorbell.errors import EncryptionError
from doorbell.outputs.notices.notice import decode, encode
from doorbell.storage.encryption import Cipher
from doorbell.storage.sqlite import Schema, transaction
from doorbell.storage.waiting_file import (
    BUSY_SECONDS,
    KEYS_TABLE,
    SETTINGS,
    SealedColumn,
    WaitingFile,
)

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
    f"PRAGMA application_id = {APPLICATION_ID}",
)

SCHEMA = Schema(
    APPLICATION_ID,
    (_TABLES, ("ALTER TABLE told ADD COLUMN door_id TEXT NOT NULL DEFAULT ''",)),
    settings=SETTINGS,
    busy_seconds=BUSY_SECONDS,
    additions=(KEYS_TABLE,),
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
        door_id: at which door; empty where an earlier doorbell has told it.
    """

    visit_id: str
    kind: str
    kept: BootTime
    used: frozenset[str] = frozenset()
    door_id: str = ""


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


class JournalFile(WaitingFile):
    """The open file; see ``WaitingFile``.

    Attributes:
        journal_id: of this file, for ever.
    """

    schema = SCHEMA
    sealed = (
        SealedColumn("notices", "document", _DOCUMENT),
        SealedColumn("notices", "jpeg", _PICTURE),
    )
    what = "notices that wait for the notifier"

    def __init__(self, path: Path, cipher: Cipher) -> None:
        super().__init__(path, cipher)
        try:
            row = self._connection.execute("SELECT id FROM journal").fetchone()
            if row is None:
                row = (secrets.token_hex(8),)
                self._connection.execute("INSERT INTO journal VALUES (?)", row)
        except BaseException:
            self.close()
            raise
        self.journal_id = str(row[0])

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
            "SELECT notice_id, visit_id, kind, used, door_id, wall_seconds, boot_seconds, boot_id"
            " FROM told ORDER BY rowid"
        )
        return {
            notice_id: Told(visit_id, kind, BootTime(*moment), frozenset(used.split()), door_id)
            for notice_id, visit_id, kind, used, door_id, *moment in rows
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
            self._execute_for(changes.removed, "DELETE FROM notices WHERE number = ?")
            self._execute_for(
                changes.without_picture, "UPDATE notices SET jpeg = x'' WHERE number = ?"
            )
            for notice_id, told in changes.told.items():
                if told is None:
                    self._connection.execute("DELETE FROM told WHERE notice_id = ?", (notice_id,))
                else:
                    self._note(notice_id, told)
        self._unsynced = True

    def _decoded(self, document: bytes) -> Notice | None:
        try:
            return decode(self._opened(document, _DOCUMENT))
        except (EncryptionError, ValueError):
            return None

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

    def _note(self, notice_id: str, told: Told) -> None:
        kept = told.kept
        self._connection.execute(
            "INSERT INTO told (notice_id, visit_id, kind, used, door_id,"
            " wall_seconds, boot_seconds, boot_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (notice_id) DO UPDATE SET used = excluded.used",
            (
                *(notice_id, told.visit_id, told.kind),
                *(" ".join(sorted(told.used)), told.door_id),
                *(kept.wall_seconds, kept.boot_seconds, kept.boot_id),
            ),
        )
