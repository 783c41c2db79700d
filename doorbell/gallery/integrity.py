"""Whether a gallery is whole: its file, its rows, and what its values mean.

Changes nothing.
"""

from __future__ import annotations

import shlex
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

from doorbell.domain import is_door_id
from doorbell.errors import DoorbellError, EncryptionError, GalleryError, InvalidNameError
from doorbell.gallery.codec import PORTRAIT_ENCRYPTED_AS, fault_of, is_visit, person_from
from doorbell.gallery.database import wrong_key
from doorbell.gallery.inspection import advice_to_rebuild, inspect
from doorbell.gallery.migrations import EMBEDDING_TABLES, ENCRYPTED, SCHEMA
from doorbell.gallery.names import clean_name, name_key
from doorbell.imaging.portrait import is_portrait
from doorbell.storage.encryption import Cipher
from doorbell.storage.sqlite import key_proof, migrate, reading
from doorbell.storage.sqlite_copies import advice_to_restore, backups
from doorbell.storage.sqlite_schema import ChangedSchemaError, require_own

_PERSON = "SELECT name FROM people WHERE people.id ="

# Whose a row with an embedding is, by table.
_WHOSE = {
    "samples": f"coalesce(({_PERSON} person_id), 'stranger-' || stranger_id)",
    "variants": f"({_PERSON} (SELECT person_id FROM samples WHERE samples.id = sample_id))",  # noqa: S608 - our own words
    "visit_samples": "'visit ' || visit_id",
    "negatives": f"'who is not ' || ({_PERSON} not_person_id)",
    "non_faces": "'what is no face'",
}


@dataclass(frozen=True, slots=True)
class GalleryFinding:
    """What was found out about one part; if it is not well, with what to do."""

    part: str
    ok: bool
    message: str


def check_gallery(path: Path, cipher: Cipher, model_id: str) -> Iterator[GalleryFinding]:
    """Look at everything in a gallery, also while it is in use.

    Args:
        path: the gallery.
        cipher: how its embeddings are kept.
        model_id: the embedder in use; samples of others cannot be compared with faces.
    """
    try:
        version = inspect(path, exactly=False)
        with reading(path, SCHEMA.busy_seconds) as connection:
            connection.row_factory = sqlite3.Row
            yield GalleryFinding("file", True, _check_file(connection, path))
            if version < SCHEMA.version:
                message = f"of version {version}; the next start brings it to {SCHEMA.version}"
                yield GalleryFinding("version", True, message)
                return
            connection.execute("BEGIN")  # one state for all that follows
            tables = _find("tables", path, lambda: _check_tables(connection, path))
            yield tables
            if not tables.ok:
                return
            key = _find("key", path, lambda: _check_key(connection, path, cipher))
            yield key
            parts: dict[str, Callable[[], str]] = {
                "people": lambda: _check_people(connection),
                # Without the key nothing can be said of what it encrypts.
                **(
                    {
                        "samples": lambda: _check_samples(connection, path, cipher),
                        "portraits": lambda: _check_portraits(connection, cipher),
                    }
                    if key.ok
                    else {}
                ),
                "models": lambda: _check_models(connection, model_id),
                "visits": lambda: _check_visits(connection, path),
            }
            for part, check in parts.items():
                yield _find(part, path, check)
    except GalleryError as exc:
        yield GalleryFinding("file", False, str(exc))
    except sqlite3.Error as exc:
        yield GalleryFinding("file", False, f"{path}: {exc}; {advice_to_restore(path)}")
    found = backups(path)
    advice = "" if found else "; make one with: doorbell gallery backup"
    yield GalleryFinding("backups", True, f"{len(found)} in {path.parent / 'backups'}{advice}")


def _find(part: str, path: Path, check: Callable[[], str]) -> GalleryFinding:
    try:
        return GalleryFinding(part, True, check())
    except ChangedSchemaError as exc:
        return GalleryFinding(part, False, f"{exc}; {advice_to_rebuild(path)}")
    except DoorbellError as exc:
        return GalleryFinding(part, False, str(exc))


def _check_file(connection: sqlite3.Connection, path: Path) -> str:
    verdicts = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
    if verdicts != ["ok"]:
        raise GalleryError(f"damaged: {'; '.join(verdicts)}; {advice_to_restore(path)}")
    orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
    if orphans:
        table, row, parent = orphans[0][:3]
        raise GalleryError(
            f"{len(orphans)} rows belong to nothing, the first is {row} of {table}, whose row of "
            f"{parent} is gone; {advice_to_restore(path)}"
        )
    return f"{path}, {path.stat().st_size / 1e6:.1f} MB, every page and reference is right"


def _check_tables(connection: sqlite3.Connection, path: Path) -> str:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as new:
        migrate(new, SCHEMA)
        expected = _columns(new)
    missing = expected - _columns(connection)
    if missing:
        table, column = min(missing)
        raise GalleryError(
            f"{len(missing)} columns are not there, or of another type, the first is {column} of "
            f"{table}; {advice_to_restore(path)}"
        )
    require_own(connection, SCHEMA)
    return f"there with every column: {len({table for table, _ in expected})}"


def _columns(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """Every column, by its table and with its type."""
    tables = Database(connection, execute_plugins=False).tables
    return {(table.name, f"{each.name} {each.type}") for table in tables for each in table.columns}


def _check_key(connection: sqlite3.Connection, path: Path, cipher: Cipher) -> str:
    proof = key_proof(connection, "sealing")
    empty = not any(
        connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()  # noqa: S608 - our own words
        for table in ENCRYPTED
    )
    if proof != cipher.proof and not (proof is None and empty):
        raise wrong_key(path, proof, cipher)
    return "not encrypted" if proof is None else "encrypted with the key of storage.key_file"


def _check_people(connection: sqlite3.Connection) -> str:
    rows = connection.execute("SELECT * FROM people").fetchall()
    for row in rows:
        name = row["name"]
        person = person_from({key: row[key] for key in row.keys()})  # noqa: SIM118 - not a dict
        try:
            is_clean = clean_name(name) == name
        except InvalidNameError as exc:
            raise GalleryError(
                f"person {row['id']}: {exc}: doorbell people rename {shlex.quote(name)} NEW_NAME"
            ) from exc
        if not is_clean or name_key(name) != row["name_key"]:
            raise GalleryError(
                f"person {row['id']} has the name {name!r}, which cannot be found; "
                "rename them, or restore a backup"
            )
        if not person.preferences and row["preferences"] != "{}":
            raise GalleryError(
                f"the preferences of {name!r} are too large for events and are left out; set them "
                "anew with: doorbell people preferences"
            )
    (strangers,) = connection.execute("SELECT count(*) FROM strangers").fetchone()
    return f"people: {len(rows)}, strangers: {strangers}"


def _check_samples(connection: sqlite3.Connection, path: Path, cipher: Cipher) -> str:
    count, wrong = 0, []
    for table in EMBEDDING_TABLES:
        whose = _WHOSE[table]
        rows = connection.execute(
            f"SELECT id, embedding, quality, ({whose}) AS whose FROM {table}"  # noqa: S608 - our own words
        ).fetchall()
        for row in rows:
            fault = fault_of({key: row[key] for key in row.keys()}, cipher)  # noqa: SIM118 - not a dict
            if fault is None and not 0.0 <= row["quality"] <= 1.0:
                fault = f"it has the quality {row['quality']}, and 0 to 1 is expected"
            if fault is not None:
                wrong.append(f"row {row['id']} of {table}, of {row['whose']}: {fault}")
        count += len(rows)
    if wrong:
        raise GalleryError(
            f"{len(wrong)} of {count} embeddings are left out: {'; '.join(wrong[:5])}; forget "
            f"whose they are and enroll again, or {advice_to_restore(path)}"
        )
    return f"of the right size and length: {count}"


def _check_portraits(connection: sqlite3.Connection, cipher: Cipher) -> str:
    rows = connection.execute(
        "SELECT jpeg, name FROM portraits JOIN people ON people.id = person_id "
        "ORDER BY portraits.id"
    ).fetchall()
    for row in rows:
        try:
            is_whole = is_portrait(cipher.decrypt(row["jpeg"], PORTRAIT_ENCRYPTED_AS))
        except EncryptionError:
            is_whole = False
        if not is_whole:
            raise GalleryError(
                f"the portrait of {row['name']!r} is damaged; choose another one, or delete it"
            )
    return f"whole: {len(rows)}"


def _check_models(connection: sqlite3.Connection, model_id: str) -> str:
    others = connection.execute(
        "SELECT people.name, count(*) FROM people LEFT JOIN samples "
        "ON samples.person_id = people.id AND model_id = ? AND samples.hidden_by IS NULL "
        "GROUP BY people.id HAVING count(samples.id) = 0",
        (model_id,),
    ).fetchall()
    if others:
        names = ", ".join(row[0] for row in others[:5])
        raise GalleryError(
            f"{len(others)} people have no sample of {model_id} and are not recognized: {names}; "
            "enroll them again: doorbell enroll NAME PHOTO"
        )
    return f"everybody has samples of {model_id}"


def _check_visits(connection: sqlite3.Connection, path: Path) -> str:
    wrong = connection.execute(
        "SELECT id FROM visits WHERE last_seen_at < started_at OR ended_at < started_at "
        "OR (person_id IS NOT NULL AND stranger_id IS NOT NULL)"
    ).fetchall()
    if wrong:
        raise GalleryError(
            f"{len(wrong)} visits end before they begin or have two visitors, the first is "
            f"{wrong[0][0]}; restore a backup if that matters"
        )
    impossible = [
        row["id"]
        for row in connection.execute("SELECT id, started_at, last_seen_at, ended_at FROM visits")
        if not is_visit(row)
    ]
    if impossible:
        raise GalleryError(
            f"{len(impossible)} visits have an identifier or a time that cannot be and are left "
            f"out, the first is {impossible[0]!r}; stop the doorbell and rebuild the gallery with: "
            f"doorbell gallery restore {path}"
        )
    nowhere = [
        row["door_id"]
        for row in connection.execute("SELECT DISTINCT door_id FROM visits WHERE door_id <> ''")
        if not is_door_id(row["door_id"])
    ]
    if nowhere:
        raise GalleryError(
            f"visits are said to be at {len(nowhere)} doors that cannot be, the first is "
            f"{nowhere[0]!r}; stop the doorbell and rebuild the gallery with: "
            f"doorbell gallery restore {path}"
        )
    (count,) = connection.execute("SELECT count(*) FROM visits").fetchone()
    return f"in order: {count}"
