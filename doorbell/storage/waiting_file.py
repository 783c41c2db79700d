"""A file of what waits to be handed on: opened, brought beyond a power cut, kept with a key.

Lets SQLite's errors through: what to do about a full disk or a damaged file is the caller's
business.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Collection
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from doorbell.errors import EncryptionError
from doorbell.storage.encryption import Cipher, is_encrypted
from doorbell.storage.files import make_private_directory, sync
from doorbell.storage.sqlite import (
    Schema,
    empty_log,
    key_proof,
    note_key_proof,
    rewrite,
    transaction,
)
from doorbell.storage.sqlite_schema import open_own

# By which the key of what waits is known again; each of these files has it.
KEYS_TABLE = "CREATE TABLE IF NOT EXISTS keys (proof BLOB NOT NULL) STRICT"
# NORMAL: a commit outlives a kill and costs the pipeline no wait for the disk; ``sync`` follows.
# FULL vacuum: an outage's pictures give back their space.
SETTINGS = (
    "auto_vacuum = FULL",
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "foreign_keys = ON",
    "secure_delete = ON",
)
# Nobody else has business there: a stranger's lock must not keep the pipeline waiting.
BUSY_SECONDS = 0.05

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column that is encrypted where there is a key; what is empty stays so.

    Attributes:
        table, column: which.
        about: what is in it, as the cipher is told.
    """

    table: str
    column: str
    about: str


class WaitingFile:
    """The open file, of a kind that a subclass gives. Under the caller's lock, but for ``sync``.

    Args:
        path: made if missing; its directory as well.
        cipher: how it is kept; what an earlier run kept plain is read too.

    Attributes:
        schema: of this kind; with ``KEYS_TABLE``.
        sealed: what is encrypted; by the first it is known whether it was with another key.
        what: waits, in words for people, as in ``events that wait for the broker``.

    Raises:
        sqlite3.DatabaseError: that ``is_damage``: it is damaged, or of another kind.
        sqlite3.OperationalError, OSError: out of reach, or the disk is full.
        EncryptionError: what waits was encrypted with another key, or is and there is none; it
            stays.
    """

    schema: ClassVar[Schema]
    sealed: ClassVar[tuple[SealedColumn, ...]]
    what: ClassVar[str]

    def __init__(self, path: Path, cipher: Cipher) -> None:
        self._cipher = cipher
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        self._unsynced = False
        make_private_directory(path.parent)
        self._connection = open_own(path, self.schema)
        try:
            self._check_key()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Release the file; idempotent."""
        self._connection.close()

    def sync(self) -> None:
        """Bring what was written to the disk, beyond a power cut; on any thread, without lock.

        What the disk refuses is tried again at the next call.
        """
        if not self._unsynced:
            return
        self._unsynced = False
        try:
            with suppress(FileNotFoundError):  # it is in the file itself
                sync(self._log)
        except OSError as exc:
            log.debug("could not sync %s: %s", self._path, exc)
            self._unsynced = True

    def _execute_for(self, numbers: Collection[int], statement: str) -> None:
        """Execute a statement for each of the numbers, its only parameter."""
        self._connection.executemany(statement, [(number,) for number in numbers])

    def empty_log(self) -> None:
        """Leave no bytes of what was removed in the write-ahead log."""
        empty_log(self._connection)

    @classmethod
    def reencrypt(cls, path: Path, before: Cipher, after: Cipher) -> None:
        """Keep what waits in another way, if anything does; nobody else may have the file open.

        Raises:
            EncryptionError: the file is damaged or out of reach, or what is in it is kept in
                neither way.
        """
        if not path.exists():
            return
        try:
            try:
                file = cls(path, after)  # plain, or done by a run that was interrupted
            except EncryptionError:
                file = cls(path, before)
            with closing(file):
                file._reencrypt(after)
        except (sqlite3.Error, OSError, EncryptionError) as exc:
            raise EncryptionError(
                f"{cls.what} stay as they are: {path}: {exc}; delete the file if they may be lost"
            ) from exc

    def _reencrypt(self, cipher: Cipher) -> None:
        """Leave no trace of the earlier way."""
        with transaction(self._connection):
            for each in self.sealed:
                again = partial(self._sealed_anew, cipher, each.about)
                rewrite(self._connection, each.table, each.column, again)
            note_key_proof(self._connection, "keys", cipher.proof)
        self._cipher = cipher
        self.empty_log()

    def _sealed_anew(self, cipher: Cipher, about: str, data: bytes) -> bytes:
        return data and cipher.encrypt(self._opened(data, about), about)

    def _opened(self, data: bytes, about: str) -> bytes:
        return self._cipher.decrypt(data, about) if is_encrypted(data) else data

    def _check_key(self) -> None:
        """Refuse another key before anything new is put behind what it cannot read.

        One that cannot be read was altered; another key is one that proves nothing.
        """
        if key_proof(self._connection, "keys") == self._cipher.proof:
            return
        first = self.sealed[0]
        rows = self._connection.execute(f"SELECT {first.column} FROM {first.table}")  # noqa: S608 - our own words
        refusals = [self._refusal_of(each, first.about) for (each,) in rows if is_encrypted(each)]
        refusal = None if None in refusals else next(iter(refusals), None)
        if refusal is not None:
            raise EncryptionError(
                f"{self.what} cannot be read: {refusal}; or delete {self._path}, and they are lost"
            ) from refusal
        with transaction(self._connection):
            note_key_proof(self._connection, "keys", self._cipher.proof)

    def _refusal_of(self, data: bytes, about: str) -> EncryptionError | None:
        try:
            self._opened(data, about)
        except EncryptionError as exc:
            return exc
        return None
