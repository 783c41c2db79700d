"""SQLite files: opened, verified, migrated and changed.

What a file is, and what to say of one that fails, is its owner's business: SQLite's own errors pass
through. ``NotOursError`` and ``LaterVersionError`` are two more of them.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from doorbell.storage.files import OWNER_ONLY

# Without it a database may not even open: its log has an index of 32 KiB or more beside it, and
# some rows are to go in.
ROOM_BYTES = 1_000_000
# SQLite's words for what passes by itself, with the file left open.
_PASSING = ("database or disk is full", "database is locked")

Opened = TypeVar("Opened")


class NotOursError(sqlite3.DatabaseError):
    """A database of another program."""


class LaterVersionError(NotOursError):
    """A database of ours, of a version that is not known yet.

    Attributes:
        version: which.
    """

    def __init__(self, version: int) -> None:
        super().__init__(f"it is of version {version}")
        self.version = version


@dataclass(frozen=True, slots=True)
class Schema:
    """What a kind of file is known by, and how one is made.

    Attributes:
        application_id: in the file's header, by which programs tell their own files.
        migrations: each entry leads from the version of its index to the next. Entries are only
            ever appended; the first sets ``application_id``.
        settings: pragmas of each connection, ``name = value``.
        busy_seconds: how long to wait for another process's transaction.
        additions: statements (IF NOT EXISTS) for triggers and indexes that a file of any version
            may have besides.
    """

    application_id: int
    migrations: tuple[tuple[str, ...], ...]
    settings: tuple[str, ...]
    busy_seconds: float
    additions: tuple[str, ...] = ()

    @property
    def version(self) -> int:
        """The present one (``PRAGMA user_version``)."""
        return len(self.migrations)


def connect(path: Path, schema: Schema, *, any_thread: bool = False) -> sqlite3.Connection:
    """Open a file to change it, and close it to other users; transactions are the caller's.

    On a full disk it can still be read: see ``_with_room``.

    Args:
        path: the file; what it holds is not looked at.
        schema: whose settings apply.
        any_thread: whether threads take turns with it.
    """
    if path.stat().st_mode & 0o077:
        path.chmod(OWNER_ONLY)  # SQLite gives its -wal and -shm files the same mode

    def opened(_alone: bool) -> sqlite3.Connection:
        return sqlite3.connect(
            path,
            timeout=schema.busy_seconds,
            isolation_level=None,
            check_same_thread=not any_thread,
        )

    return _with_room(path, schema.settings, opened)


@contextmanager
def reading(path: Path, busy_seconds: float) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write, also to a file that others change meanwhile."""
    uri = path.absolute().as_uri()

    def opened(alone: bool) -> sqlite3.Connection:
        mode = "rw" if alone else "ro"  # read only, SQLite wants the index in a file
        return sqlite3.connect(
            f"{uri}?mode={mode}", uri=True, timeout=busy_seconds, isolation_level=None
        )

    with closing(_with_room(path, ("query_only = ON",), opened)) as connection:
        yield connection


def _with_room(
    path: Path, settings: tuple[str, ...], opened: Callable[[bool], sqlite3.Connection]
) -> sqlite3.Connection:
    """A connection that has read its file; where the disk is full, one that needs no room.

    Processes that share a file keep an index of its log beside it, and on a full disk there is no
    room for one. A process that has the file for itself keeps that index in memory
    (https://www.sqlite.org/wal.html#use_of_wal_without_shared_memory). Where another has it open,
    its index is there.

    Args:
        path: the file.
        settings: pragmas of the connection, ``name = value``.
        opened: a new connection, told whether it is to have the file for itself.
    """
    try:
        return _ready(opened(False), settings)
    except sqlite3.OperationalError:
        if not _is_full(path.parent):
            raise
    return _ready(opened(True), ("locking_mode = EXCLUSIVE", *settings))


def _ready(connection: sqlite3.Connection, settings: tuple[str, ...]) -> sqlite3.Connection:
    """The connection with its settings, which has read its file; closed on any error."""
    try:
        connection.execute("PRAGMA trusted_schema = OFF").fetchall()
        for setting in settings:
            connection.execute(f"PRAGMA {setting}").fetchall()
        try:
            number(connection, "schema_version")  # reads the file
        except sqlite3.DatabaseError as exc:
            if not is_damage(exc):
                raise
    except BaseException:
        connection.close()
        raise
    return connection


def verify(connection: sqlite3.Connection, schema: Schema, *, look_through: bool = True) -> int:
    """Refuse what is not ours to touch; the version of what is.

    Args:
        connection: to the file.
        schema: what it is to be.
        look_through: whether to read all of it, which takes four seconds a gigabyte.

    Raises:
        NotOursError: it belongs to another program.
        LaterVersionError: a later version wrote it.
        sqlite3.DatabaseError: that is no other: it is damaged; see ``is_damage``.
    """
    if number(connection, "application_id") != schema.application_id:
        raise NotOursError("it is a database of another program")
    version = number(connection, "user_version")
    if version > schema.version:
        raise LaterVersionError(version)
    if version < 0:
        raise NotOursError(f"it is of version {version}")
    if look_through:
        try:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except UnicodeDecodeError as exc:  # its message has a name that is no text
            raise sqlite3.DatabaseError(f"a name in it is no text: {exc.reason}") from exc
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
    return version


def migrate(connection: sqlite3.Connection, schema: Schema, to: int | None = None) -> None:
    """Bring a file, an empty one too, to a version: all the way or not at all.

    Args:
        connection: to the file.
        schema: what it is.
        to: the version; None for the present one.
    """
    with transaction(connection):
        version = number(connection, "user_version")
        for reached, statements in enumerate(schema.migrations[version:to], start=version + 1):
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {reached}")


def is_empty(connection: sqlite3.Connection) -> bool:
    """Whether nobody has put anything into a file yet."""
    return not any(
        number(connection, each) for each in ("application_id", "user_version", "schema_version")
    )


def number(connection: sqlite3.Connection, pragma: str) -> int:
    """What a pragma says that is one number."""
    (value,) = connection.execute(f"PRAGMA {pragma}").fetchone()
    return int(value)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Change several rows: all of it or nothing."""
    # IMMEDIATE waits for another process's writer at the start. A transaction that began by
    # reading would fail at once when it came to write after the other.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def empty_log(connection: sqlite3.Connection) -> bool:
    """Bring the write-ahead log into the file; False if a reader elsewhere still needs it."""
    (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def key_proof(connection: sqlite3.Connection, table: str) -> bytes | None:
    """By which the key of what is in a file is known again; None where there is none."""
    row = connection.execute(f"SELECT proof FROM {table}").fetchone()  # noqa: S608 - our own words
    return None if row is None else bytes(row[0])


def note_key_proof(connection: sqlite3.Connection, table: str, proof: bytes | None) -> None:
    """Put a key's proof in the place of the earlier one, within a transaction."""
    connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our own words
    if proof is not None:
        connection.execute(f"INSERT INTO {table} (proof) VALUES (?)", (proof,))  # noqa: S608 - as above


def rewrite(
    connection: sqlite3.Connection, table: str, column: str, change: Callable[[bytes], bytes]
) -> None:
    """Change one column of every row, within a transaction."""
    rows = connection.execute(f"SELECT rowid, {column} FROM {table}").fetchall()  # noqa: S608 - our own words
    connection.executemany(
        f"UPDATE {table} SET {column} = ? WHERE rowid = ?",  # noqa: S608 - as above
        ((change(data), rowid) for rowid, data in rows),
    )


def is_damage(error: BaseException) -> bool:
    """Tell a file whose content is wrong from one that is out of reach, locked or full."""
    # The children that SQLite's module raises are about anything but the content.
    return type(error) is sqlite3.DatabaseError or isinstance(error, NotOursError)


def is_passing(error: BaseException) -> bool:
    """Tell what passes by itself, and needs no new connection: a full disk, another's lock."""
    return any(words in str(error) for words in _PASSING)


def set_aside(path: Path) -> Path:
    """Move a damaged file, and SQLite's own beside it, out of the way; an earlier one is replaced.

    Raises:
        OSError: it cannot be moved.
    """
    aside = path.with_name(path.name + ".damaged")
    for end in ("", "-wal", "-shm"):
        beside = path.with_name(path.name + end)
        if beside.exists():
            beside.replace(aside.with_name(aside.name + end))
    return aside


def open_or_set_aside(
    path: Path, opened: Callable[[], Opened], say: Callable[[Exception, Path], None]
) -> Opened:
    """Open a file, or a new one where it is damaged, which is set aside.

    Args:
        path: of the file.
        opened: opens it, and makes one where there is none.
        say: told what is wrong with the damaged one, and where that is now.

    Raises:
        sqlite3.Error: as ``opened``, but for damage.
        OSError: as ``opened``; or what is damaged cannot be moved.
    """
    try:
        return opened()
    except sqlite3.DatabaseError as exc:
        if not is_damage(exc):
            raise
        say(exc, set_aside(path))
        return opened()


def advice_for(directory: Path, otherwise: str) -> str:
    """What to do about a file that fails: make room where there is none, or the advice given."""
    free = _free_bytes(directory)
    if free is not None and free < ROOM_BYTES:  # SQLite may call it an I/O error
        return f"only {free:,} bytes are free in {directory}: delete something on that disk"
    return otherwise


def _is_full(directory: Path) -> bool:
    free = _free_bytes(directory)
    return free is not None and free < ROOM_BYTES


def _free_bytes(directory: Path) -> int | None:
    with suppress(OSError):
        disk = os.statvfs(directory)
        return disk.f_bavail * disk.f_frsize
    return None
