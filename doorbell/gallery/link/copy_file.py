"""The file of a machine's copy: that of a gallery, with an outbox and numbers to give away."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from doorbell.errors import GalleryError
from doorbell.gallery.codec import WRITE_ENCRYPTED_AS
from doorbell.gallery.database import GalleryFile
from doorbell.gallery.link.writes import (
    AddStranger,
    Write,
    decoded,
    encoded,
)
from doorbell.gallery.migrations import ENCRYPTED, SCHEMA
from doorbell.storage.encryption import NO_CIPHER, Cipher

# By which the copy has whatever corrections say of faces.
CORRECTION = 1

_LINK = (
    # The only row says which copy this is, of which gallery, and up to which of its changes.
    """CREATE TABLE IF NOT EXISTS copy (
        number INTEGER PRIMARY KEY CHECK (number = 1),
        identity TEXT NOT NULL,
        gallery TEXT,
        followed_revision INTEGER NOT NULL DEFAULT 0,
        has_missed INTEGER NOT NULL DEFAULT 0
    ) STRICT""",
    # What the server refuses for good is put aside: it waits no more, and is kept.
    """CREATE TABLE IF NOT EXISTS outbox (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        content BLOB NOT NULL,
        new_stranger_id INTEGER,
        is_aside INTEGER NOT NULL DEFAULT 0
    ) STRICT""",
    # Numbers that the server has given this machine for strangers to come, the first first.
    """CREATE TABLE IF NOT EXISTS numbers (
        next INTEGER PRIMARY KEY,
        last INTEGER NOT NULL
    ) STRICT""",
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A write that waits for the server.

    Attributes:
        sequence: its number; later ones have larger numbers, and none is given again.
        write: what was written.
    """

    sequence: int
    write: Write


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a copy has followed.

    Attributes:
        identity: of the copy, by chance.
        gallery: the identity of the gallery that it follows; None before the first time.
        revision: the number of the last change that it has.
        has_missed: whether visits have changed in ways that nobody can tell any more.
    """

    identity: str
    gallery: str | None
    revision: int
    has_missed: bool

    @property
    def is_whole(self) -> bool:
        """Whether the copy had all that there was, at some time."""
        return self.gallery is not None and not self.has_missed


class CopyFile(GalleryFile):
    """The open file of a copy; its transactions may be within each other."""

    schema = replace(SCHEMA, additions=(*SCHEMA.additions, *_LINK))
    encrypted: ClassVar[Mapping[str, str]] = {**ENCRYPTED, "outbox": "content"}

    def __init__(
        self, path: Path, cipher: Cipher = NO_CIPHER, *, look_through: bool = False
    ) -> None:
        super().__init__(path, cipher, look_through=look_through)
        self._is_writing = False
        try:
            self.keep_change_log()
            with self.writing():
                self.execute(
                    "INSERT INTO copy (number, identity) VALUES (1, ?) ON CONFLICT DO NOTHING",
                    secrets.token_hex(16),
                )
                # The household's corrections are on the server.
                self.execute(
                    "INSERT INTO corrections (id) VALUES (?) ON CONFLICT DO NOTHING", CORRECTION
                )
        except BaseException:
            self.close()
            raise

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction that writes, or a part of the one that goes on."""
        if self._is_writing:
            yield
            return
        with super().writing():
            self._is_writing = True
            try:
                yield
            finally:
                self._is_writing = False

    def insert(self, table: str, **columns: object) -> int:
        """Add a row; a stranger gets a number of those that the server has given.

        Raises:
            GalleryError: none of these is left.
        """
        if table == "strangers" and "id" not in columns:
            columns = {"id": self._take_number(), **columns}
        return super().insert(table, **columns)

    def insert_all(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> None:
        """Add rows, within ``writing``."""
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        sql = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - our own words
        self._connection.executemany(sql, rows)

    def sees_every_visit(self) -> bool:
        """It has those at the doors of its machine."""
        return False

    def note(self, write: Write) -> None:
        """Let a write wait for the server, within ``writing``."""
        self._add(write, is_aside=False)

    def _add(self, write: Write, *, is_aside: bool) -> None:
        self.execute(
            "INSERT INTO outbox (content, new_stranger_id, is_aside) VALUES (?, ?, ?)",
            self._sealed(write),
            write.stranger_id if isinstance(write, AddStranger) else None,
            is_aside,
        )

    def _sealed(self, write: Write) -> bytes:
        return self.cipher.encrypt(encoded(write), WRITE_ENCRYPTED_AS)

    def waiting(self, at_most: int) -> list[Waiting]:
        """The writes that wait, the first first."""
        return self._kept("NOT is_aside ORDER BY sequence LIMIT ?", at_most)

    def aside(self) -> list[Waiting]:
        """The writes that are put aside, the first first."""
        return self._kept("is_aside ORDER BY sequence")

    def _kept(self, where: str, *parameters: object) -> list[Waiting]:
        return [
            Waiting(
                row["sequence"], decoded(self.cipher.decrypt(row["content"], WRITE_ENCRYPTED_AS))
            )
            for row in self.rows(f"SELECT * FROM outbox WHERE {where}", *parameters)  # noqa: S608 - our own words
        ]

    def count_waiting(self) -> int:
        """How many writes wait."""
        [row] = self.rows("SELECT count(*) AS n FROM outbox WHERE NOT is_aside")
        return int(row["n"])

    def count_aside(self) -> int:
        """How many writes are put aside."""
        [row] = self.rows("SELECT count(*) AS n FROM outbox WHERE is_aside")
        return int(row["n"])

    def new_strangers_wait(self) -> bool:
        """Whether somebody new has come whom the server does not know of."""
        return bool(self.rows("SELECT 1 FROM outbox WHERE new_stranger_id IS NOT NULL LIMIT 1"))

    def waits_after(self, sequence: int) -> bool:
        """Whether a write later than this waits."""
        return bool(
            self.rows("SELECT 1 FROM outbox WHERE sequence > ? AND NOT is_aside LIMIT 1", sequence)
        )

    def drop(self, sequence: int) -> None:
        """Forget the writes up to this one, which are on the server."""
        with self.writing():
            self.execute("DELETE FROM outbox WHERE sequence <= ? AND NOT is_aside", sequence)

    def put_aside(
        self, waiting: Waiting, part: Write | None = None, rest: Write | None = None
    ) -> None:
        """Let a write wait no more, but keep it.

        Args:
            waiting: the write.
            part: of it, where only that is put aside.
            rest: what goes on to wait then.
        """
        with self.writing():
            if part is None or rest is None:
                self.execute("UPDATE outbox SET is_aside = 1 WHERE sequence = ?", waiting.sequence)
                return
            self._add(part, is_aside=True)
            self.execute(
                "UPDATE outbox SET content = ? WHERE sequence = ?",
                self._sealed(rest),
                waiting.sequence,
            )

    def try_again(self) -> None:
        """Let what was put aside wait once more, in its order, where what waits is not done yet."""
        with self.writing():
            if self.count_aside():
                last = self.last_sequence()
                self.execute(
                    "INSERT INTO outbox (content, new_stranger_id) "
                    "SELECT content, new_stranger_id FROM outbox ORDER BY sequence"
                )
                self.execute("DELETE FROM outbox WHERE sequence <= ?", last)

    def last_sequence(self) -> int:
        """The largest number that a write was ever given; 0 for none."""
        return self.last_given("outbox")

    def progress(self) -> Progress:
        """How far this copy has followed."""
        [row] = self.rows("SELECT * FROM copy")
        return Progress(
            row["identity"], row["gallery"], row["followed_revision"], bool(row["has_missed"])
        )

    def note_progress(self, gallery: str, revision: int) -> None:
        """Note how far this copy has followed, within ``writing``."""
        self.execute("UPDATE copy SET gallery = ?, followed_revision = ?", gallery, revision)

    def note_missed(self, *, missed: bool) -> None:
        """Note whether visits have to be compared, within ``writing``."""
        self.execute("UPDATE copy SET has_missed = ?", missed)

    def become_another(self) -> None:
        """Be unknown to the server from now on: as the one it was, it has written more there."""
        with self.writing():
            self.execute("UPDATE copy SET identity = ?", secrets.token_hex(16))
            self.drop_numbers()  # some of them may be strangers' since

    def drop_numbers(self) -> None:
        """Give none of the numbers that the server has given, within ``writing``."""
        self.execute("DELETE FROM numbers")

    def numbers_left(self) -> int:
        """How many strangers can be given a number without the server."""
        [row] = self.rows("SELECT coalesce(sum(last - next + 1), 0) AS n FROM numbers")
        return int(row["n"])

    def add_numbers(self, first: int, last: int) -> None:
        """Keep numbers that the server has given, both included."""
        with self.writing():
            self.execute("INSERT INTO numbers (next, last) VALUES (?, ?)", first, last)

    def _take_number(self) -> int:
        for row in self.rows("SELECT next, last FROM numbers ORDER BY next LIMIT 1"):
            if row["next"] == row["last"]:
                self.execute("DELETE FROM numbers WHERE next = ?", row["next"])
            else:
                self.execute("UPDATE numbers SET next = next + 1 WHERE next = ?", row["next"])
            return int(row["next"])
        raise GalleryError(
            f"the copy {self.path} has no number left for a new stranger: it gets more when the "
            "server of gallery.url answers"
        )
