"""The gallery's file: created, checked, migrated.

A file that is damaged, foreign, of a later version or of another key is refused and left as it is,
byte for byte.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from sqlite_utils import Database

from doorbell.errors import EncryptionError, GalleryError, GalleryLostError
from doorbell.gallery.codec import StoredEmbedding
from doorbell.gallery.inspection import inspect
from doorbell.gallery.migrations import ENCRYPTED, SCHEMA
from doorbell.storage.encryption import NO_CIPHER, Cipher
from doorbell.storage.files import OWNER_ONLY, make_private_directory
from doorbell.storage.sqlite import (
    Schema,
    advice_for,
    connect,
    empty_log,
    is_damage,
    key_proof,
    migrate,
    note_key_proof,
    number,
    reading,
    rewrite,
    transaction,
)
from doorbell.storage.sqlite_copies import (
    advice_to_restore,
    backups,
    before_migration,
    copy_database,
    make_backups_directory,
    remove_logs,
)
from doorbell.storage.sqlite_schema import renew_additions

_LOG = logging.getLogger(__name__)

# A command looks through so much before it answers, which takes a quarter of a second; the daemon
# looks through all of it when it starts.
LOOKED_THROUGH_BYTES = 50_000_000

_ADVICE = "check the disk and who may write there, or give another storage.directory"


class GalleryFile:
    """The open file: a ``GalleryDatabase``.

    Attributes:
        schema: what is in it.
        encrypted: by table, the column that a key encrypts.
    """

    among = "IN (SELECT value FROM json_each(?))"
    gone = "namings"
    schema = SCHEMA
    encrypted: ClassVar[Mapping[str, str]] = ENCRYPTED
    has_copies = False

    def __init__(
        self, path: Path, cipher: Cipher = NO_CIPHER, *, look_through: bool = False
    ) -> None:
        """Open the file, creating or migrating it as needed.

        It is readable by its owner only (0600), and so is a directory made for it (0700).

        Args:
            path: of the file.
            cipher: how embeddings are kept in it.
            look_through: whether to look through all of it for damage, however large it is. Of a
                large one, damage is else found where it is read.

        Raises:
            GalleryError: it is damaged, not a gallery, of a later version, or out of reach.
            EncryptionError: its embeddings are encrypted with another key, or are and should not
                be.
        """
        self.path = path
        self.cipher = cipher
        with self._translated():
            make_private_directory(path.parent)
            with alone_in(path.parent):
                if not path.exists() or path.stat().st_size == 0:
                    _create(path, self.schema)
                look_through = look_through or path.stat().st_size <= LOOKED_THROUGH_BYTES
                version = inspect(path, look_through=look_through, schema=self.schema)
                if version < self.schema.version:
                    _keep_copy(path, version)
                self._identity = _identity(path)
                self._connection = _open(path, self.schema)
                self._database = Database(self._connection, execute_plugins=False)
                try:
                    with transaction(self._connection):
                        self._check_seal()
                except BaseException:
                    self._connection.close()
                    raise

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def close(self) -> None:
        """Release the file; idempotent."""
        with self._translated():
            self._connection.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction that writes: all of it or nothing.

        Raises:
            GalleryLostError: what was written is in no file that anybody would find.
        """
        with self._translated(), transaction(self._connection):
            self.require_seal()
            yield
        self._require_file()

    def require_seal(self) -> None:
        """Go on only if embeddings are still kept as they were when the file was opened.

        Raises:
            EncryptionError: another process encrypted or decrypted them, or changed the key.
        """
        if key_proof(self._connection, "sealing") != self.cipher.proof:
            raise EncryptionError(
                f"the gallery {self.path} was encrypted or decrypted meanwhile; nothing was "
                "written; start this again"
            )

    def reencrypt(self, cipher: Cipher, change: Callable[[str, bytes], bytes]) -> bool:
        """Keep what is ``encrypted`` in another way from now on, and leave no trace of before.

        Args:
            cipher: the new way.
            change: brings what is stored in a table into it, within the one transaction.

        Returns:
            False if another process still reads; the write-ahead log then keeps the earlier.
        """
        with self.writing():
            for table, column in self.encrypted.items():
                rewrite(self._connection, table, column, partial(change, table))
            note_key_proof(self._connection, "sealing", cipher.proof)
        self.cipher = cipher
        with self._translated():
            self._connection.execute("VACUUM")
        return self.empty_log()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Several reads of one state, whatever other processes write."""
        with self._translated():
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")

    def rows(self, sql: str, *parameters: object) -> list[dict[str, Any]]:
        """Every row of a query, by column."""
        with self._translated():
            return list(self._database.query(sql, parameters))

    def batches(self, size: int, sql: str, *parameters: object) -> Iterator[list[tuple[Any, ...]]]:
        """Every row of a query as a tuple, so many at a time; within ``reading``."""
        with self._translated():
            cursor = self._connection.execute(sql, parameters)
            while batch := cursor.fetchmany(size):
                yield batch

    def execute(self, sql: str, *parameters: object) -> int:
        """Change rows, within ``writing``; how many."""
        return self._connection.execute(sql, parameters).rowcount

    def insert(self, table: str, **columns: object) -> int:
        """Add a row, within ``writing``; its identifier."""
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        cursor = self._connection.execute(
            f"INSERT INTO {table} ({names}) VALUES ({marks})",  # noqa: S608 - our own words
            tuple(columns.values()),
        )
        return int(cursor.lastrowid or 0)

    def last_given(self, table: str) -> int:
        """As the file notes it of people and strangers; of others, the largest there is."""
        sql = f"SELECT max(rowid) AS latest FROM {table}"  # noqa: S608 - our own words
        numbers = [row["latest"] for row in self.rows(sql)]
        noted = self.rows("SELECT seq FROM sqlite_sequence WHERE name = ?", table)
        numbers += [row["seq"] for row in noted]
        return max(number or 0 for number in numbers)

    def give_after(self, table: str, number: int) -> None:
        """Number people and strangers to come after this; others go on from the largest."""
        self.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = ?", number, table)

    def listed(self, values: Collection[int] | Collection[str]) -> str:
        """Values as JSON."""
        return json.dumps(list(values))

    def keep_change_log(self) -> None:
        """Let the file note its changes from now on, if it does not yet."""
        needed = {statement.split()[5] for statement in self.schema.additions}
        if not needed <= {row["name"] for row in self.rows("SELECT name FROM sqlite_schema")}:
            with self.writing():
                for statement in self.schema.additions:
                    self.execute(statement)

    def wait_at_most(self, seconds: float) -> None:
        """Give up on a file that another process keeps locked for longer than this."""
        self.rows(f"PRAGMA busy_timeout = {round(seconds * 1000)}")

    def sees_every_visit(self) -> bool:
        """All that there are, are in the file."""
        return True

    def most_alike(
        self, column: str, model_id: str, embedding: StoredEmbedding, count: int
    ) -> None:
        """A file finds nobody by itself."""

    def foreign_version(self) -> int:
        """A number that changes whenever another connection, in any process, has written.

        Raises:
            GalleryLostError: the file was deleted or replaced.
        """
        self._require_file()
        with self._translated():
            return number(self._connection, "data_version")

    def last_deleted_change(self) -> int:
        """A file has all of its changes."""
        return 0

    def empty_log(self) -> bool:
        """Bring the write-ahead log into the file; False if a reader elsewhere still needs it."""
        with self._translated():
            return empty_log(self._connection)

    def overwrite_deleted(self) -> None:
        """Leave no byte of what was deleted: the write-ahead log has pages from before."""
        if not self.empty_log():
            _LOG.warning(
                "the gallery is in use by another process: what was forgotten is deleted, but its "
                "bytes stay in %s-wal until that process closes or writes more",
                self.path,
            )

    def advice_to_restore(self) -> str:
        """Which copy to put in its place."""
        return advice_to_restore(self.path)

    def _check_seal(self) -> None:
        proof = key_proof(self._connection, "sealing")
        if proof == self.cipher.proof:
            return
        if proof is None and not any(
            self.rows(f"SELECT 1 FROM {table} LIMIT 1")  # noqa: S608 - our own words
            for table in self.encrypted
        ):
            note_key_proof(self._connection, "sealing", self.cipher.proof)
        else:
            raise wrong_key(self.path, proof, self.cipher)

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
        except (sqlite3.Error, OSError, UnicodeError) as exc:
            if is_damage(exc):
                raise GalleryLostError(
                    f"the gallery {self.path} is damaged: {exc}; {advice_to_restore(self.path)}"
                ) from exc
            raise GalleryError(
                f"the gallery {self.path} failed: {exc}; {advice_for(self.path.parent, _ADVICE)}"
            ) from exc


def wrong_key(path: Path, proof: bytes | None, cipher: Cipher) -> EncryptionError:
    """What to do about a gallery that is kept in another way than it is asked for in.

    Args:
        path: the gallery.
        proof: that of the key it is encrypted with; None for none.
        cipher: how it was asked for.
    """
    if proof is None:
        return EncryptionError(
            f"the gallery {path} is not encrypted, and storage.key_file asks for it; "
            "encrypt it with: doorbell gallery encrypt"
        )
    if cipher.proof is None:
        return EncryptionError(
            f"the gallery {path} is encrypted; set storage.key_file to its key; "
            "the file was left as it was"
        )
    return EncryptionError(
        f"the gallery {path} is encrypted with another key than that of "
        "storage.key_file; give its own; the file was left as it was"
    )


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


def _create(path: Path, schema: Schema) -> None:
    """Make an empty gallery elsewhere and move it here: a kill leaves all of it or nothing."""
    scratch = path.with_name(path.name + ".new")
    if scratch.exists():
        shutil.rmtree(scratch)  # left by a kill
    make_private_directory(scratch)
    new = scratch / path.name
    new.touch(mode=OWNER_ONLY)
    _open(new, schema).close()
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
    target = before_migration(path, SCHEMA.version)
    with reading(path, SCHEMA.busy_seconds) as connection:
        copy_database(connection, target)
    _LOG.warning(
        "the gallery %s is brought from version %d to %d; as it was, it is kept in %s",
        path,
        version,
        SCHEMA.version,
        target,
    )


def _open(path: Path, schema: Schema) -> sqlite3.Connection:
    connection = connect(path, schema)
    try:
        renew_additions(connection, schema)
        migrate(connection, schema)
    except BaseException:
        connection.close()
        raise
    return connection
