"""A gallery made anew from the rows of another file, which may come from anywhere.

Of that file nothing is taken over but the values of the columns that a gallery has: no trigger,
view or other table comes along, and what cannot be is left out and named.
"""

# ruff: noqa: S608 - the words put into statements are table and column names written here

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from doorbell.domain import is_door_id, is_visit_id
from doorbell.errors import GalleryError, InvalidNameError
from doorbell.gallery.codec import LAST_WALL_TIME, preferences_from
from doorbell.gallery.migrations import SCHEMA
from doorbell.gallery.names import clean_name
from doorbell.imaging.portrait import MAX_BYTES as MAX_PORTRAIT_BYTES
from doorbell.storage.files import give_to_owner_of, whole_file
from doorbell.storage.sqlite import migrate, transaction

# What is counted on from. Larger ones could not be, or are no whole numbers in JSON.
LAST_ID = 2**53
MOST_VISITS = 10**9
MAX_CHIME_CHARACTERS = 1000

_ROWS_AT_ONCE = 1_000


def rebuild(source: sqlite3.Connection, version: int, target: Path) -> list[str]:
    """Make a gallery of what another has in its tables.

    Args:
        source: which is read only.
        version: of what is in it; the new one is of the same.
        target: the new file: 0600, checked, on the disk, whole or not there.

    Returns:
        What was left out or changed, each in a sentence.

    Raises:
        GalleryError: a table or column is missing, or holds what a gallery cannot hold.
        sqlite3.Error: it cannot be read.
        OSError: the new one cannot be written.
    """
    with whole_file(target) as partial:
        with closing(sqlite3.connect(partial, isolation_level=None)) as new:
            new.execute("PRAGMA secure_delete = ON").fetchall()
            migrate(new, SCHEMA, version)
            names = (
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            )
            try:
                with transaction(new):
                    for (table,) in new.execute(names).fetchall():
                        _copy(source, new, table)
                    _go_on_counting(source, new)
                new.execute("PRAGMA foreign_keys = ON")
                with transaction(new):
                    told = _mend(new)
            except sqlite3.IntegrityError as exc:
                raise GalleryError(f"it holds what no gallery can hold: {exc}") from exc
            (verdict,) = new.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict != "ok":
                raise GalleryError(f"it is damaged: {verdict}")
        give_to_owner_of(target.parent, partial)
    return told


def _copy(source: sqlite3.Connection, new: sqlite3.Connection, table: str) -> None:
    columns = [row[1] for row in new.execute(f"PRAGMA table_xinfo({table})")]
    found = source.execute(
        "SELECT type, sql LIKE 'CREATE VIRTUAL %' FROM sqlite_schema WHERE name = ?", (table,)
    ).fetchone()
    if found is None or found[0] != "table" or found[1]:
        raise GalleryError(f"the table {table} is not there")
    # Hidden is what is computed, when it is read, by an expression of whoever made the file.
    stored = {row[1] for row in source.execute(f"PRAGMA table_xinfo({table})") if not row[6]}
    if missing := set(columns) - stored:
        raise GalleryError(f"the column {min(missing)} of {table} is not there")
    listed, marks = ", ".join(columns), ", ".join("?" * len(columns))
    rows = source.execute(f"SELECT {listed} FROM {table} ORDER BY rowid")
    while batch := rows.fetchmany(_ROWS_AT_ONCE):
        new.executemany(f"INSERT INTO {table} ({listed}) VALUES ({marks})", batch)


def _go_on_counting(source: sqlite3.Connection, new: sqlite3.Connection) -> None:
    """Give nobody the number of somebody who was forgotten."""
    for table in ("people", "strangers"):
        (lowest, highest) = new.execute(
            f"SELECT coalesce(min(id), 1), coalesce(max(id), 0) FROM {table}"
        ).fetchone()
        if lowest < 1 or highest > LAST_ID:
            raise GalleryError(f"{table} have numbers from {lowest} to {highest}, which cannot be")
        given = [
            row[0]
            for row in source.execute(f"SELECT seq FROM sqlite_sequence WHERE name = '{table}'")
            if isinstance(row[0], int) and 0 <= row[0] <= LAST_ID
        ]
        new.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        new.execute(
            "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)",
            (table, max(highest, *given, 0)),
        )


def _without_orphans(new: sqlite3.Connection) -> int:
    """Do to rows whose parent is not there what its deletion would have done; to how many."""
    count = 0
    while orphans := new.execute("PRAGMA foreign_key_check").fetchall():
        for table, rowid, _, number in orphans:
            keys = new.execute(f"PRAGMA foreign_key_list({table})").fetchall()
            column, on_delete = next((key[3], key[6]) for key in keys if key[0] == number)
            if on_delete == "SET NULL":
                new.execute(f"UPDATE {table} SET {column} = NULL WHERE rowid = ?", (rowid,))
            else:
                new.execute(f"DELETE FROM {table} WHERE rowid = ?", (rowid,))
        count += len(orphans)
    return count


def _mend(new: sqlite3.Connection) -> list[str]:
    """Leave out what cannot be; what, in sentences."""
    told = []
    if count := _without_orphans(new):
        told.append(f"{count} rows were left out, or parted from what they named: it is not there")
    new.create_function("is_visit_id", 1, lambda text: isinstance(text, str) and is_visit_id(text))
    between = f"BETWEEN 0 AND {LAST_WALL_TIME}"
    count = new.execute(
        "DELETE FROM visits WHERE NOT is_visit_id(id) "
        f"OR NOT (started_at {between}) OR NOT (last_seen_at {between}) "
        f"OR NOT (coalesce(ended_at, 0) {between})"
    ).rowcount
    if count:
        told.append(f"{count} visits were left out, whose identifier or time cannot be")
    count = new.execute(
        f"DELETE FROM strangers WHERE NOT (first_seen_at {between}) "
        f"OR NOT (last_seen_at {between}) OR visits NOT BETWEEN -{MOST_VISITS} AND {MOST_VISITS}"
    ).rowcount
    if count:
        told.append(f"{count} strangers were left out, whose times or visits cannot be")
    told += _mend_doors(new)
    told += _mend_portraits(new)
    # By which a photo is known again when it comes twice.
    new.execute(
        "UPDATE samples SET source_sha256 = NULL WHERE source_sha256 GLOB '*[^0-9a-f-]*' "
        "OR length(source_sha256) NOT BETWEEN 64 AND 70"
    )
    for person_id, name, chime, preferences in new.execute(
        "SELECT id, name, chime, preferences FROM people"
    ).fetchall():
        told += _mend_person(new, person_id, name, chime, preferences)
    return told


def _mend_doors(new: sqlite3.Connection) -> list[str]:
    columns = {row[1] for row in new.execute("PRAGMA table_info(visits)")}
    if "door_id" not in columns:
        return []  # of an earlier version
    new.create_function("is_door_id", 1, is_door_id)
    count = new.execute(
        "UPDATE visits SET door_id = '' WHERE door_id <> '' AND NOT is_door_id(door_id)"
    ).rowcount
    return [f"{count} visits were parted from a door that cannot be"] if count else []


def _mend_portraits(new: sqlite3.Connection) -> list[str]:
    if not new.execute("SELECT 1 FROM sqlite_schema WHERE name = 'portraits'").fetchone():
        return []  # of an earlier version
    # Where there is a key each grows by 24 bytes.
    count = new.execute(
        "DELETE FROM portraits WHERE length(jpeg) > ? "
        f"OR NOT (chosen_at BETWEEN 0 AND {LAST_WALL_TIME})",
        (2 * MAX_PORTRAIT_BYTES,),
    ).rowcount
    return [f"{count} portraits were left out, whose size or time cannot be"] if count else []


def _mend_person(
    new: sqlite3.Connection, person_id: int, name: str, chime: str | None, preferences: str
) -> list[str]:
    told = []
    try:
        clean_name(name)
    except InvalidNameError as exc:
        told.append(f"person {person_id}: {exc}; use: doorbell people rename")
    try:
        is_kept = preferences_from(preferences) is not None
    except ValueError:
        is_kept = False
    if not is_kept:
        new.execute("UPDATE people SET preferences = '{}' WHERE id = ?", (person_id,))
        told.append(f"the preferences of {name!r} were left out: they are none, or too large")
    if chime is not None and ("\0" in chime or len(chime) > MAX_CHIME_CHARACTERS):
        new.execute("UPDATE people SET chime = NULL WHERE id = ?", (person_id,))
        told.append(f"the chime of {name!r} was left out: it is no path")
    return told
