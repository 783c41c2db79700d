"""The copy of the gallery that a machine decides by: a gallery's file, with an outbox in it.

Whatever its stores write is noted in the outbox within the same transaction. People, and what the
household says, are changed on the server alone, and come back from there.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from doorbell.config import GallerySection, StorageSection
from doorbell.domain import FaceSample, Stranger, Visit
from doorbell.errors import GalleryError
from doorbell.gallery.codec import WRITE_ENCRYPTED_AS
from doorbell.gallery.database import GalleryFile
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.link.writes import (
    DATES,
    AddStranger,
    Date,
    EndVisits,
    ForgetStranger,
    NoteVisit,
    SaveVisit,
    SeeVisits,
    Write,
    decoded,
    encoded,
)
from doorbell.gallery.migrations import ENCRYPTED, SCHEMA
from doorbell.gallery.people import PeopleStore
from doorbell.gallery.queries import at_one_of
from doorbell.gallery.records import Forgotten
from doorbell.gallery.store import Changes
from doorbell.gallery.strangers import StrangerStore
from doorbell.gallery.vector_place import VectorPlace
from doorbell.gallery.visits import VisitStore
from doorbell.storage.encryption import NO_CIPHER, Cipher, open_cipher
from doorbell.storage.sqlite_copies import remove_logs

log = logging.getLogger(__name__)

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


class GalleryCopy(Gallery):
    """The open copy: a ``Gallery`` whose visits and strangers go to the server, too."""

    file: CopyFile
    file_class: ClassVar[type[CopyFile]] = CopyFile

    def __init__(self, file: CopyFile, place: VectorPlace | None = None) -> None:
        super().__init__(file, place)
        self.strangers = _Strangers(self._changes, file)
        self.visits = _Visits(self._changes, self.people, file)


def open_own(
    storage: StorageSection, section: GallerySection | None = None, *, look_through: bool = False
) -> Gallery:
    """Open what this machine decides by: its gallery, or its copy of one on a server.

    Args:
        storage: with the files of this machine.
        section: with a server, if it names one, and when templates are in mapped files.
        look_through: as ``Gallery.open``.

    Raises:
        GalleryError, EncryptionError, ConfigError: see ``Gallery.of``.
    """
    most = None if section is None else section.vectors_in_memory
    is_shared = section is not None and section.url is not None
    opened: type[Gallery] = GalleryCopy if is_shared else Gallery
    return opened.open(
        storage.copy_path if is_shared else storage.gallery_path,
        open_cipher(storage.key_file),
        look_through=look_through,
        vectors_in_memory=most,
    )


def delete_copy(storage: StorageSection) -> None:
    """Delete a copy that is followed no more: nobody would forget anyone in it.

    One that holds what never reached the server stays, and that is said.

    Raises:
        GalleryError, EncryptionError: it cannot be read.
    """
    path = storage.copy_path
    if not path.exists():
        return
    with closing(CopyFile(path, open_cipher(storage.key_file))) as copy:
        waiting = copy.count_waiting() + copy.count_aside()
    if waiting:
        log.error(
            "%s holds %d writes that never reached the server it is a copy of: set gallery.url "
            "again and start the doorbell to bring them there, or delete it",
            path,
            waiting,
        )
        return
    log.info("%s is deleted: gallery.url is not set any more", path)
    remove_logs(path)
    path.unlink()


class _Strangers(StrangerStore):
    def __init__(self, changes: Changes, file: CopyFile) -> None:
        super().__init__(changes)
        self._copy = file

    def add(self, samples: Sequence[FaceSample], seen_at: float) -> Stranger:
        with self._copy.writing():
            stranger = super().add(samples, seen_at)
            self._copy.note(AddStranger(stranger.stranger_id, seen_at, samples))
        return stranger

    def note_visit(
        self, stranger_id: int, seen_at: float, samples: Sequence[FaceSample]
    ) -> Stranger:
        with self._copy.writing():
            stranger = super().note_visit(stranger_id, seen_at, samples)
            self._copy.note(NoteVisit(stranger_id, seen_at, samples))
        return stranger

    def _forget(self, stranger_id: int) -> Forgotten:
        forgotten = super()._forget(stranger_id)
        self._copy.note(ForgetStranger(stranger_id))
        return forgotten


class _Visits(VisitStore):
    def __init__(self, changes: Changes, people: PeopleStore, file: CopyFile) -> None:
        super().__init__(changes, people)
        self._copy = file

    def save(
        self,
        visit: Visit,
        samples: Sequence[FaceSample] = (),
        *,
        rang_at: float | None = None,
        stopped_at: float | None = None,
    ) -> None:
        with self._copy.writing():
            super().save(visit, samples, rang_at=rang_at, stopped_at=stopped_at)
            self._copy.note(SaveVisit(visit, samples, rang_at, stopped_at))

    def touch(self, last_seen_at: Mapping[str, float]) -> None:
        with self._copy.writing():
            super().touch(last_seen_at)
            self._copy.note(SeeVisits(last_seen_at))

    def close_open(self, but: Collection[str] = (), doors: Collection[str] | None = None) -> int:
        at_doors, door_ids = at_one_of(doors)
        with self._copy.writing():
            rows = self._copy.rows(
                f"SELECT id FROM visits WHERE {at_doors} AND ended_at IS NULL "  # noqa: S608 - our own words
                f"AND NOT (id {self._copy.among})",
                *door_ids,
                self._copy.listed(list(but)),
            )
            if not rows:
                return 0
            self._copy.note(EndVisits([row["id"] for row in rows]))
            return super().close_open(but, doors)

    def follow_clock(self, since: float, until: float, seconds: float, after: int) -> None:
        with self._copy.writing():
            before = self._dates(after)
            super().follow_clock(since, until, seconds, after)
            changed = [
                [row for row in rows if row not in earlier]
                for rows, earlier in zip(self._dates(after), before, strict=True)
            ]
            if any(changed):
                self._copy.note(Date(*changed))

    def _dates(self, after: int) -> list[list[list[object]]]:
        """Times of the visits that were stored after this one, and of who came in them."""
        return [
            [
                list(row.values())
                for row in self._copy.rows(
                    f"SELECT id, {', '.join(DATES[table])} FROM {table} WHERE {where}",  # noqa: S608 - our own words
                    after,
                )
            ]
            for table, where in (
                ("visits", "rowid > ?"),
                ("strangers", "id IN (SELECT stranger_id FROM visits WHERE rowid > ?)"),
            )
        ]
