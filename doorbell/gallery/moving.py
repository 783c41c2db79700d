"""Moving a gallery from one database to another, row by row, so that it can be gone on with.

What was copied is compared in the end, by count and digest of each table. What differs, because the
source went on between two attempts, is copied anew.
"""

# ruff: noqa: S608 - the words put into statements are table and column names written here

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from doorbell.errors import EncryptionError, GalleryError
from doorbell.gallery.codec import (
    ENCRYPTED_AS,
    PORTRAIT_ENCRYPTED_AS,
    StoredEmbedding,
    fault_of,
)
from doorbell.gallery.sql import GalleryDatabase

# Every table and what numbers its rows, each after those that it refers to.
KEYS = {
    "people": "id",
    "strangers": "id",
    "visits": "rowid",
    "corrections": "id",
    "samples": "id",
    "variants": "id",
    "visit_samples": "id",
    "negatives": "id",
    "non_faces": "id",
    "portraits": "id",
    "namings": "correction_id",
    "moved": "id",
}

# What refers to a later table, and is filled in when that is there.
_LATER = {"strangers": ("added_by", "hidden_by"), "visits": ("hidden_by",)}

# A statement has that many rows; SQLite takes 32,766 values.
_ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Moved:
    """What is in one table on both sides.

    Attributes:
        table: which.
        rows: how many.
        digest: SHA-256 of all of them, in hexadecimal; of embeddings and portraits as they are
            without encryption.
    """

    table: str
    rows: int
    digest: str


def move(
    source: GalleryDatabase, target: GalleryDatabase, progress: Callable[[str, int], None]
) -> list[Moved]:
    """Bring everything into a gallery that is empty, or as an earlier attempt left it.

    Nobody else writes to the source meanwhile. The source stays as it is.

    Args:
        source: what is moved.
        target: where to; the caller has made sure that nobody uses it yet.
        progress: told the table, and how many of its rows are there.

    Raises:
        GalleryError: either fails; something cannot be moved; or both differ in the end.
        EncryptionError: something in the source was encrypted with another key.
    """
    with source.writing():
        _copy_all(source, target, progress)
        if _differing(source, target):  # the source has changed since the attempt before
            _empty(target)
            _copy_all(source, target, progress)
        if differing := _differing(source, target):
            raise GalleryError(
                f"what was written to {target.name} is not what {source.name} has in "
                f"{', '.join(differing)}; nothing was changed there, go on with it and report this"
            )
        return [_moved(target, table) for table in KEYS]


def is_empty(database: GalleryDatabase) -> bool:
    """Whether a gallery has nothing in it."""
    return not any(database.rows(f"SELECT 1 FROM {table} LIMIT 1") for table in KEYS)


def _copy_all(
    source: GalleryDatabase, target: GalleryDatabase, progress: Callable[[str, int], None]
) -> None:
    for table in KEYS:
        _copy(source, target, table, progress)
    for table, columns in _LATER.items():
        _fill_in(source, target, table, columns)
    given = {table: source.last_given(table) for table in KEYS}
    with target.writing():
        for table, number in given.items():
            target.give_after(table, number)


def _copy(
    source: GalleryDatabase,
    target: GalleryDatabase,
    table: str,
    progress: Callable[[str, int], None],
) -> None:
    key = KEYS[table]
    [row] = target.rows(f"SELECT count(*) AS n, max({key}) AS latest FROM {table}")
    copied = int(row["n"])
    for rows in _in_blocks(source, table, after=row["latest"]):
        values = [
            {**row, **dict.fromkeys(_LATER.get(table, ()))} for row in _sealed(rows, table, target)
        ]
        marks = f"({', '.join('?' * len(values[0]))})"
        with target.writing():
            target.execute(
                f"INSERT INTO {table} ({', '.join(values[0])}) "
                f"VALUES {', '.join([marks] * len(values))}",
                *(value for row in values for value in row.values()),
            )
        copied += len(rows)
        progress(table, copied)


def _fill_in(
    source: GalleryDatabase, target: GalleryDatabase, table: str, columns: Sequence[str]
) -> None:
    said = " OR ".join(f"{column} IS NOT NULL" for column in columns)
    settings = ", ".join(f"{column} = ?" for column in columns)
    with target.writing():
        for row in source.rows(f"SELECT id, {', '.join(columns)} FROM {table} WHERE {said}"):
            target.execute(
                f"UPDATE {table} SET {settings} WHERE id = ?",
                *(row[column] for column in columns),
                row["id"],
            )


def _empty(target: GalleryDatabase) -> None:
    with target.writing():
        for table in reversed(KEYS):
            target.execute(f"DELETE FROM {table}")


def _in_blocks(
    database: GalleryDatabase, table: str, after: int | None = None
) -> Iterator[list[dict[str, Any]]]:
    """Rows in the order of their numbers, so many at a time, without encryption."""
    key = KEYS[table]
    columns = "rowid, *" if key == "rowid" else "*"
    last = 0 if after is None else after
    while rows := database.rows(
        f"SELECT {columns} FROM {table} WHERE {key} > ? ORDER BY {key} LIMIT {_ROWS_AT_ONCE}", last
    ):
        last = rows[-1][key]
        yield [_opened(row, table, database) for row in rows]


def _opened(row: dict[str, Any], table: str, database: GalleryDatabase) -> dict[str, Any]:
    """A row without encryption.

    Raises:
        GalleryError: it has no embedding where one has to be.
        EncryptionError: it was encrypted with another key.
    """
    if "embedding" in row:
        if (fault := fault_of(row, database.cipher)) is not None:
            raise GalleryError(
                f"row {row['id']} of {table} in {database.name} cannot be moved: {fault}; see "
                "whose it is with: doorbell gallery check"
            )
        plain = database.cipher.decrypt(row["embedding"], ENCRYPTED_AS)
        row["embedding"] = StoredEmbedding(plain)
    if "jpeg" in row:
        try:
            row["jpeg"] = database.cipher.decrypt(row["jpeg"], PORTRAIT_ENCRYPTED_AS)
        except EncryptionError:
            raise GalleryError(
                f"portrait {row['id']} in {database.name} cannot be moved: it is damaged; choose "
                "another one, or delete it"
            ) from None
    return row


def _sealed(
    rows: Sequence[dict[str, Any]], table: str, target: GalleryDatabase
) -> Iterator[dict[str, Any]]:
    """Rows as the target keeps them."""
    for row in rows:
        if "embedding" in row:
            kept = target.cipher.encrypt(row["embedding"], ENCRYPTED_AS)
            yield {**row, "embedding": StoredEmbedding(kept)}
        elif table == "portraits":
            yield {**row, "jpeg": target.cipher.encrypt(row["jpeg"], PORTRAIT_ENCRYPTED_AS)}
        else:
            yield row


def _differing(source: GalleryDatabase, target: GalleryDatabase) -> list[str]:
    return [table for table in KEYS if _moved(source, table) != _moved(target, table)]


def _moved(database: GalleryDatabase, table: str) -> Moved:
    digest, count = sha256(), 0
    for rows in _in_blocks(database, table):
        count += len(rows)
        for row in rows:
            digest.update(repr(sorted(row.items())).encode())
    return Moved(table, count, digest.hexdigest())
