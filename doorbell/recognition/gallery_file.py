"""The gallery's file: created, checked, migrated.

Enters: a path, and how embeddings are kept. Leaves: an open database of the present version. A
file that is damaged, foreign, of a later version or of another key is refused and left as it is,
byte for byte. Knows no person.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from doorbell.errors import GalleryError, GalleryLostError, SealError
from doorbell.recognition.gallery_copies import (
    advice_to_go_back,
    advice_to_restore,
    backups,
    before_migration,
    copy_database,
    make_backups_directory,
    remove_logs,
)
from doorbell.recognition.gallery_schema import APPLICATION_ID, EMBEDDING_TABLES, MIGRATIONS
from doorbell.sealing import PLAIN, Seal

_LOG = logging.getLogger(__name__)

# How long a writer waits for another process: enrolling from the command line beside the daemon.
BUSY_TIMEOUT_SECONDS = 5.0

# Without it a gallery may not even open: its log has an index of 32 KiB or more beside it, and a
# few visits are to go in.
ROOM_BYTES = 1_000_000


class GalleryFile:
    """The open file; used by the one thread that opened it.

    Whatever SQLite or the system says against it becomes a ``GalleryError`` that names the file.
    """

    def __init__(self, path: Path, seal: Seal = PLAIN) -> None:
        """Open the file, creating or migrating it as needed.

        It is readable by its owner only (0600), and so is a directory made for it (0700).

        Raises:
            GalleryError: it is damaged, not a gallery, of a later version, or out of reach.
            SealError: its embeddings are encrypted with another key, or are and should not be.
        """
        self.path = path
        self.seal = seal
        with self._translated():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with alone_in(path.parent):
                if not path.exists() or path.stat().st_size == 0:
                    _create(path)
                version = inspect(path)
                if version < len(MIGRATIONS):
                    _keep_copy(path, version)
                if path.stat().st_mode & 0o077:
                    path.chmod(0o600)  # SQLite gives its -wal and -shm files the same mode
                self._identity = _identity(path)
                self._database = _connect(path)
                try:
                    with _transaction(self._database):
                        self._check_seal()
                except BaseException:
                    self._database.close()
                    raise

    def close(self) -> None:
        """Release the file; idempotent."""
        with self._translated():
            self._database.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction that writes: all of it or nothing.

        Raises:
            GalleryLostError: what was written is in no file that anybody would find.
        """
        with self._translated(), _transaction(self._database):
            self.require_seal()
            yield
        self._require_file()

    def require_seal(self) -> None:
        """Go on only if embeddings are still kept as they were when the file was opened.

        Raises:
            SealError: another process encrypted or decrypted them, or changed the key.
        """
        if self._proof() != self.seal.proof:
            raise SealError(
                f"the gallery {self.path} was encrypted or decrypted meanwhile; nothing was "
                "written; start this again"
            )

    def seal_anew(self, seal: Seal, rewrite: Callable[[], None]) -> bool:
        """Keep embeddings in another way from now on, and leave no trace of the earlier.

        Args:
            seal: the new way.
            rewrite: brings what is stored into it, within the one transaction.

        Returns:
            False if another process still reads; the write-ahead log then keeps the earlier.
        """
        with self.writing():
            rewrite()
            self.execute("DELETE FROM sealing")
            if seal.proof is not None:
                self.insert("sealing", id=1, proof=seal.proof)
        self.seal = seal
        with self._translated():
            self._database.execute("VACUUM")
        return self.empty_log()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Several reads of one state, whatever other processes write."""
        with self._translated():
            self._database.execute("BEGIN")
            try:
                yield
            finally:
                self._database.execute("ROLLBACK")

    def rows(self, sql: str, *parameters: object) -> list[dict[str, Any]]:
        """Every row of a query, by column."""
        with self._translated():
            return list(self._database.query(sql, parameters))

    def batches(self, size: int, sql: str, *parameters: object) -> Iterator[list[tuple[Any, ...]]]:
        """Every row of a query as a tuple, so many at a time; within ``reading``."""
        with self._translated():
            cursor = self._database.execute(sql, parameters)
            while batch := cursor.fetchmany(size):
                yield batch

    def execute(self, sql: str, *parameters: object) -> int:
        """Change rows, within ``writing``; how many."""
        return self._database.execute(sql, parameters).rowcount

    def insert(self, table: str, **columns: object) -> int:
        """Add a row, within ``writing``; its identifier."""
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        cursor = self._database.execute(
            f"INSERT INTO {table} ({names}) VALUES ({marks})",  # noqa: S608 - our own words
            tuple(columns.values()),
        )
        return int(cursor.lastrowid or 0)

    def foreign_version(self) -> int:
        """A number that changes whenever another connection, in any process, has written.

        Raises:
            GalleryLostError: the file was deleted or replaced.
        """
        self._require_file()
        with self._translated():
            (version,) = self._database.conn.execute("PRAGMA data_version").fetchone()
        return int(version)

    def empty_log(self) -> bool:
        """Bring the write-ahead log into the file; False if a reader elsewhere still needs it."""
        with self._translated():
            (busy, *_) = self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def _check_seal(self) -> None:
        proof = self._proof()
        if proof == self.seal.proof:
            return
        if proof is None and not any(
            self.rows(f"SELECT 1 FROM {table} LIMIT 1")  # noqa: S608 - our own words
            for table in EMBEDDING_TABLES
        ):
            self.insert("sealing", id=1, proof=self.seal.proof)
        elif proof is None:
            raise SealError(
                f"the gallery {self.path} is not encrypted, and storage.key_file asks for it; "
                "encrypt it with: doorbell gallery encrypt"
            )
        elif self.seal.proof is None:
            raise SealError(
                f"the gallery {self.path} is encrypted; set storage.key_file to its key; "
                "the file was left as it was"
            )
        else:
            raise SealError(
                f"the gallery {self.path} is encrypted with another key than that of "
                "storage.key_file; give its own; the file was left as it was"
            )

    def _proof(self) -> bytes | None:
        for row in self.rows("SELECT proof FROM sealing"):
            return bytes(row["proof"])
        return None

    def _require_file(self) -> None:
        """SQLite goes on with a file that nobody else can find any more, and says nothing."""
        with self._translated():
            identity = _identity(self.path)
        if identity != self._identity:
            raise GalleryLostError(
                f"the gallery {self.path} was deleted or replaced while it was in use; start the "
                "doorbell again to use what is there now, or, where nothing is, "
                + advice_to_restore(self.path)
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, UnicodeEncodeError) as exc:
            if type(exc) is sqlite3.DatabaseError:  # its children are about anything but damage
                raise GalleryLostError(
                    f"the gallery {self.path} is damaged: {exc}; {advice_to_restore(self.path)}"
                ) from exc
            raise GalleryError(
                f"the gallery {self.path} failed: {exc}; {_advice(self.path.parent)}"
            ) from exc


def _advice(directory: Path) -> str:
    """What to do about a file that fails."""
    with suppress(OSError):
        disk = os.statvfs(directory)
        free = disk.f_bavail * disk.f_frsize
        if free < ROOM_BYTES:  # SQLite may call it an I/O error
            return f"only {free:,} bytes are free in {directory}: delete something on that disk"
    return "check the disk and who may write there, or give another storage.directory"


@contextmanager
def _transaction(database: Database) -> Iterator[None]:
    # IMMEDIATE waits for another process's writer at the start. A transaction that began by
    # reading would fail at once when it came to write after the other.
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.conn.in_transaction:
            database.execute("ROLLBACK")
        raise


def _identity(path: Path) -> tuple[int, int] | None:
    """By which a file is known, whatever its name; None where there is none."""
    try:
        about = path.stat()
    except FileNotFoundError:
        return None
    return about.st_dev, about.st_ino


@contextmanager
def alone_in(directory: Path) -> Iterator[None]:
    """Keep other processes out while the file is made or migrated.

    SQLite's busy timeout does not cover the change to WAL. The lock is on the directory: closing
    the database's file a second time would drop SQLite's own locks on it.
    """
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)  # the name of a new file, too, is to outlive a power cut
    finally:
        os.close(descriptor)


def _create(path: Path) -> None:
    """Make an empty gallery elsewhere and move it here: a kill leaves all of it or nothing."""
    scratch = path.with_name(path.name + ".new")
    if scratch.exists():
        shutil.rmtree(scratch)  # left by a kill
    scratch.mkdir(mode=0o700)
    new = scratch / path.name
    new.touch(mode=0o600)
    _connect(new).close()
    remove_logs(path)  # left by one that was deleted
    new.replace(path)
    scratch.rmdir()
    if backups(path):
        _LOG.warning(
            "there was no gallery at %s: began an empty one; if that is not what you want, %s",
            path,
            advice_to_restore(path),
        )


def _keep_copy(path: Path, version: int) -> None:
    """Keep the gallery as an earlier doorbell can read it, before it is migrated."""
    make_backups_directory(path)
    target = before_migration(path, len(MIGRATIONS))
    with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS)) as connection:
        copy_database(connection, target)
    _LOG.warning(
        "the gallery %s is brought from version %d to %d; as it was, it is kept in %s",
        path,
        version,
        len(MIGRATIONS),
        target,
    )


def inspect(path: Path, advice: str | None = None) -> int:
    """Refuse what is not ours to touch, through a connection that cannot write.

    Args:
        path: the file.
        advice: what to do about one that is refused; None for that about the gallery in use.

    Returns:
        The version of what is in it.

    Raises:
        GalleryError: it is damaged, not a gallery, or of a later version.
    """
    if not path.is_file():
        raise GalleryError(f"{path} is not a file; {advice or 'give another storage.directory'}")
    restore = advice or f"the file was left as it was; {advice_to_restore(path)}"
    advice = advice or (
        "the file was left as it is; move it away, or give another storage.directory"
    )
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_SECONDS)) as connection:
            (application_id,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if application_id != APPLICATION_ID:
                raise GalleryError(
                    f"{path} is not a gallery: it is a database of another program; {advice}"
                )
            if version > len(MIGRATIONS):
                raise GalleryError(
                    f"the gallery {path} is of version {version}, written by a later doorbell; "
                    f"this one knows versions up to {len(MIGRATIONS)}: "
                    f"{advice_to_go_back(path, len(MIGRATIONS))}; {advice}"
                )
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError:
        raise  # busy, or out of reach: no word about what is in it
    except sqlite3.DatabaseError as exc:
        raise GalleryError(f"the gallery {path} is damaged: {exc}; {restore}") from exc
    if verdict != "ok":
        raise GalleryError(f"the gallery {path} is damaged: {verdict}; {restore}")
    return int(version)


def _connect(path: Path) -> Database:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)
    try:
        database = Database(connection, execute_plugins=False)
        _configure(database)
        _migrate(database)
    except BaseException:
        connection.close()
        raise
    return database


def _configure(database: Database) -> None:
    # WAL: the command line reads and writes while the daemon runs. FULL: a doorbell has no
    # shutdown before a power cut; what was acknowledged must be on the disk. Writes are rare.
    for setting in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "secure_delete = ON",  # a forgotten face is overwritten, not merely unlinked
    ):
        database.execute(f"PRAGMA {setting}").fetchall()


def _migrate(database: Database) -> None:
    with _transaction(database):
        (version,) = database.execute("PRAGMA user_version").fetchone()
        for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
            for statement in statements:
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {number}")
