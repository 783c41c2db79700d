"""Whether an SQLite file has what our own statements make, and nothing else.

A file may come from anywhere. A trigger, a view or a generated column in it would run with ours:
what a file consists of is compared, before anything is read or written, with a new one.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from doorbell.storage.files import OWNER_ONLY
from doorbell.storage.sqlite import (
    NotOursError,
    Schema,
    connect,
    is_empty,
    migrate,
    number,
    transaction,
    verify,
)

# What SQLite makes by itself: the last identifiers given, and what ANALYZE has counted.
_OF_SQLITE = frozenset({"sqlite_sequence", "sqlite_stat1", "sqlite_stat4"})


class ChangedSchemaError(NotOursError):
    """A database of ours with something in it that we have not made, or made otherwise."""


@dataclass(frozen=True, slots=True)
class Part:
    """A table, index, view or trigger of a file.

    Attributes:
        kind: as SQLite calls it.
        name: its name.
        sql: by which it was made, without white space and quotes of names, which renaming adds;
            empty for SQLite's own indexes.
    """

    kind: str
    name: str
    sql: str

    def __str__(self) -> str:
        return f"the {self.kind} {self.name!r}"


def _parts_of(connection: sqlite3.Connection) -> dict[str, Part]:
    """What a file consists of, by name."""
    rows = connection.execute(
        "SELECT type, CAST(name AS BLOB), CAST(coalesce(sql, '') AS BLOB) FROM sqlite_schema"
    )
    texts = [[str(value, "utf-8", "replace") for value in row[1:]] + [row[0]] for row in rows]
    return {
        name: Part(kind, name, re.sub(r'[\s"]+', "", sql))
        for name, sql, kind in texts
        if not (kind == "table" and name in _OF_SQLITE)
    }


def require_own(connection: sqlite3.Connection, schema: Schema) -> None:
    """Refuse a file that has anything but what our statements make; before ``verify``.

    Checking the pages runs what is in the file. One of another program or a later version passes:
    ``verify`` refuses it. What ``schema.additions`` make may be missing, and an index or a trigger
    of these may be as another version of ours made it: see ``renew_additions``.

    Raises:
        ChangedSchemaError: it has; what, is said.
    """
    version = number(connection, "user_version")
    if number(connection, "application_id") != schema.application_id or version > schema.version:
        return
    found, ours, additions = _parts_of(connection), _own(schema, version), _additions(schema)
    for name, part in found.items():
        if name in additions:
            is_ours = part == additions[name] or part.kind == additions[name].kind != "table"
        else:
            is_ours = part == ours.get(name)
        if not is_ours:
            changed = " is another than ours" if name in ours else " is none of ours"
            raise ChangedSchemaError(f"{part}{changed}")
    missing = ours.keys() - found.keys()
    if missing:
        raise ChangedSchemaError(f"{ours[min(missing)]} is missing")


def open_own(path: Path, schema: Schema) -> sqlite3.Connection:
    """Open a file that nobody but us writes, and make it where it is missing; for any thread.

    Args:
        path: in a directory that is there.
        schema: what it is; an earlier version is brought to the present one.

    Raises:
        sqlite3.DatabaseError, OSError: as ``require_own``, ``verify`` and ``connect``.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, OWNER_ONLY))
    connection = connect(path, schema, any_thread=True)
    try:
        version = 0
        if not is_empty(connection):
            require_own(connection, schema)
            version = verify(connection, schema)
        if version < schema.version:  # else nobody's transaction is waited for
            migrate(connection, schema)
        for statement in schema.additions:
            connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return connection


def renew_additions(connection: sqlite3.Connection, schema: Schema) -> None:
    """Make anew the triggers and indexes of ``schema.additions`` that another version has made."""
    found, additions = _parts_of(connection), _additions(schema)
    different = [found[name] for name in additions.keys() & found.keys()]
    different = [part for part in different if part != additions[part.name]]
    if not different:
        return
    with transaction(connection):
        for part in different:
            connection.execute(f'DROP {part.kind} "{part.name}"')  # a name of ours
        for statement in schema.additions:
            connection.execute(statement)


@cache
def _own(schema: Schema, version: int) -> Mapping[str, Part]:
    """What our statements make up to a version, by name."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as new:
        migrate(new, schema, version)
        return _parts_of(new)


@cache
def _additions(schema: Schema) -> Mapping[str, Part]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as new:
        migrate(new, schema)
        before = _parts_of(new)
        for statement in schema.additions:
            new.execute(statement)
        return {name: part for name, part in _parts_of(new).items() if name not in before}
