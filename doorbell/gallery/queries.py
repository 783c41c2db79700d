"""The statements that several verbs of the gallery share.

Those that write are called within ``GalleryDatabase.writing``.
"""

# ruff: noqa: S608 - the words put into statements are table and column names written here

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain

from doorbell.domain import FaceSample, Person, Stranger, Visit, Visitor
from doorbell.gallery.codec import (
    PERSON_COLUMNS,
    encode_embedding,
    is_visit,
    person_from,
    readable,
    stranger_from,
    visit_from,
)
from doorbell.gallery.names import name_key
from doorbell.gallery.sql import GalleryDatabase

_LOG = logging.getLogger(__name__)

# The best are kept: enough for several poses, and a bound for a stranger who comes every day.
MAX_STRANGER_SAMPLES = 16

# Kept with a visit, so that a correction has something to teach.
MAX_VISIT_SAMPLES = 5

WEEK_SECONDS = 7 * 86400.0

# What visits of nobody known have that are listed.
UNDECIDED = "person_id IS NULL AND stranger_id IS NULL AND hidden_by IS NULL"

# Every stranger, as ``stranger_from`` reads them; those that a correction hid are left out.
STRANGERS = f"""SELECT strangers.*, (
        SELECT count(*) FROM visits WHERE stranger_id = strangers.id
        AND started_at > strangers.last_seen_at - {WEEK_SECONDS}
    ) AS visits_week
    FROM strangers WHERE hidden_by IS NULL"""


def all_people(file: GalleryDatabase) -> list[Person]:
    """Everybody enrolled, in order of enrollment."""
    return [
        person_from(row) for row in file.rows(f"SELECT {PERSON_COLUMNS} FROM people ORDER BY id")
    ]


def all_strangers(file: GalleryDatabase) -> list[Stranger]:
    """Every stranger, in order of first appearance."""
    return [stranger_from(row) for row in file.rows(f"{STRANGERS} ORDER BY id")]


def person_by_id(file: GalleryDatabase, person_id: int) -> Person:
    """A person who is there."""
    (row,) = file.rows(f"SELECT {PERSON_COLUMNS} FROM people WHERE id = ?", person_id)
    return person_from(row)


def find_or_create_person(file: GalleryDatabase, cleaned_name: str) -> tuple[int, bool]:
    """The identifier of the person of that name, and whether there was none."""
    key = name_key(cleaned_name)
    for row in file.rows("SELECT id FROM people WHERE name_key = ?", key):
        return int(row["id"]), False
    return file.insert("people", name=cleaned_name, name_key=key), True


def samples_of(file: GalleryDatabase, visitor: Visitor, model_id: str) -> list[FaceSample]:
    """Somebody's samples by one embedder, the oldest first; those damaged are left out.

    Raises:
        EncryptionError: another process encrypted the gallery, decrypted it or changed its key.
    """
    file.require_seal()
    _, column, visitor_id = place_of(visitor)
    rows = file.rows(
        f"SELECT id, embedding, quality FROM samples WHERE {column} = ? AND model_id = ? "
        "AND hidden_by IS NULL ORDER BY id",
        visitor_id,
        model_id,
    )
    return [
        FaceSample(embedding, model_id, row["quality"])
        for row, embedding in zip(*readable(rows, file.cipher), strict=True)
    ]


def add_sample(
    file: GalleryDatabase,
    person_id: int,
    sample: FaceSample,
    source_sha256: str | None,
    added_at: float | None = None,
) -> tuple[int, bool]:
    """Store a person's sample, unless they have that picture already.

    Returns:
        The identifier of what is stored, and whether it was not before.
    """
    embedding = encode_embedding(sample, file.cipher)
    for row in file.rows(
        "SELECT id FROM samples WHERE person_id = ? AND model_id = ? AND source_sha256 = ?",
        person_id,
        sample.model_id,
        source_sha256,
    ):
        return row["id"], False
    sample_id = file.insert(
        "samples",
        person_id=person_id,
        model_id=sample.model_id,
        embedding=embedding,
        quality=sample.quality,
        source_sha256=source_sha256,
        added_at=added_at,
    )
    return sample_id, True


def add_variants(file: GalleryDatabase, sample_id: int, variants: Mapping[str, FaceSample]) -> int:
    """Store what was drawn over a sample, but for the drawings that it has; how many were stored.

    Args:
        file: the gallery.
        sample_id: of a person's sample.
        variants: by the name of the drawing.
    """
    return sum(
        file.execute(
            "INSERT INTO variants (sample_id, drawing, embedding, quality) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            sample_id,
            drawing,
            encode_embedding(sample, file.cipher),
            sample.quality,
        )
        for drawing, sample in variants.items()
    )


def move_to_person(
    file: GalleryDatabase, column: str, visitor_id: int, person_id: int, naming_id: int
) -> None:
    """Give a person whatever is of another person or of a stranger, as ``column`` says.

    What cannot be had twice is hidden by the naming.
    """
    # A photo that both have counts once.
    file.execute(
        f"UPDATE samples SET source_sha256 = NULL, hidden_by = ? WHERE {column} = ? AND EXISTS "
        "(SELECT 1 FROM samples AS theirs WHERE theirs.person_id = ? AND theirs.model_id = "
        "samples.model_id AND theirs.source_sha256 = samples.source_sha256)",
        naming_id,
        visitor_id,
        person_id,
    )
    for table in ("samples", "visits", "negatives", "corrections", "namings"):
        file.execute(
            f"UPDATE {table} SET stranger_id = NULL, person_id = ? WHERE {column} = ?",
            person_id,
            visitor_id,
        )
    file.execute("UPDATE negatives SET hidden_by = ? WHERE not_person_id = person_id", naming_id)


def visits_since(file: GalleryDatabase, stranger_id: int, started_at: float) -> int:
    """How many visits of a stranger began after a wall time."""
    (row,) = file.rows(
        "SELECT count(*) AS n FROM visits WHERE stranger_id = ? AND started_at > ?",
        stranger_id,
        started_at,
    )
    return int(row["n"])


def add_stranger_samples(
    file: GalleryDatabase, stranger_id: int, samples: Sequence[FaceSample]
) -> None:
    """Store a stranger's samples and keep the best of all."""
    _insert_samples(file, "samples", "stranger_id", stranger_id, samples)
    keep_best_samples(file, stranger_id)


def _insert_samples(
    file: GalleryDatabase,
    table: str,
    column: str,
    owner: int | str,
    samples: Collection[FaceSample],
) -> None:
    """Store samples in one statement: a server is asked no more often than needed."""
    if samples:
        rows = ", ".join(["(?, ?, ?, ?)"] * len(samples))
        values = (
            (owner, each.model_id, encode_embedding(each, file.cipher), each.quality)
            for each in samples
        )
        file.execute(
            f"INSERT INTO {table} ({column}, model_id, embedding, quality) VALUES {rows}",
            *chain.from_iterable(values),
        )


def keep_best_samples(
    file: GalleryDatabase, stranger_id: int, hidden_by: int | None = None
) -> None:
    """Delete all but the best of a stranger's samples, or hide them by a naming."""
    others = (
        "WHERE stranger_id = ? AND hidden_by IS NULL AND id NOT IN "
        "(SELECT id FROM samples WHERE stranger_id = ? AND hidden_by IS NULL "
        f"ORDER BY quality DESC, id LIMIT {MAX_STRANGER_SAMPLES})"
    )
    if hidden_by is None:
        file.execute(f"DELETE FROM samples {others}", stranger_id, stranger_id)
    else:
        file.execute(
            f"UPDATE samples SET hidden_by = ? {others}", hidden_by, stranger_id, stranger_id
        )


def see_at(file: GalleryDatabase, table: str, number: int | str, seen_at: float) -> None:
    """Note in strangers or visits when somebody was seen, unless it was later already."""
    file.execute(
        f"UPDATE {table} SET last_seen_at = ? WHERE id = ? AND last_seen_at < ?",
        seen_at,
        number,
        seen_at,
    )


def see_last(file: GalleryDatabase, where: str, *parameters: object) -> None:
    """Note of some strangers that they were last seen in the last of their visits."""
    last = "(SELECT max(last_seen_at) FROM visits WHERE stranger_id = strangers.id)"
    file.execute(
        f"UPDATE strangers SET last_seen_at = {last} WHERE {where} AND last_seen_at < {last}",
        *parameters,
    )


def upsert_visit(file: GalleryDatabase, visit: Visit) -> None:
    """Store a visit.

    Where there is no visitor, or the household has said who it was, the stored one stays. So it
    does where the visitor was named or merged meanwhile; where none is stored, it is whoever that
    became. A visit of somebody who was forgotten is not stored, and deleted. Nor does the door that
    is stored go where none is given.
    """
    columns: dict[str, object] = {
        "id": visit.visit_id,
        "started_at": visit.started_at,
        "last_seen_at": visit.last_seen_at,
        "ended_at": visit.ended_at,
        "similarity": visit.similarity,
        "frames_used": visit.frames_used,
        "seconds_to_decision": visit.seconds_to_decision,
    }
    if visit.door_id:
        columns["door_id"] = visit.door_id
    said = file.rows("SELECT 1 FROM corrections WHERE visit_id = ?", visit.visit_id)
    if visit.visitor is not None and not said:
        table, column, visitor_id = place_of(visit.visitor)
        if file.rows(f"SELECT 1 FROM {table} WHERE id = ?", visitor_id):
            columns |= {"person_id": None, "stranger_id": None, column: visitor_id}
        elif visitor_id > 0 and not _has_visitor(file, visit.visit_id):
            present = became(file, table, visitor_id)
            if present is None:
                file.execute("DELETE FROM visits WHERE id = ?", visit.visit_id)
                return
            columns |= present
    changes = ", ".join(f"{name} = ?" for name in columns)
    if not file.execute(
        f"UPDATE visits SET {changes} WHERE id = ?", *columns.values(), visit.visit_id
    ):
        file.insert("visits", **columns)


def _has_visitor(file: GalleryDatabase, visit_id: str) -> bool:
    return bool(
        file.rows(
            "SELECT 1 FROM visits WHERE id = ? AND coalesce(person_id, stranger_id) IS NOT NULL",
            visit_id,
        )
    )


def became(file: GalleryDatabase, table: str, visitor_id: int) -> dict[str, object] | None:
    """Whom somebody was named or merged into, as columns; None where nothing says so any more."""
    for row in file.rows(
        f"SELECT person_id, stranger_id, before FROM {file.gone} ORDER BY correction_id DESC"
    ):
        if gone_in(row["before"]) == (table, visitor_id):
            return {"person_id": row["person_id"], "stranger_id": row["stranger_id"]}
    return None


def gone_in(before: str) -> tuple[str, int] | None:
    """Who went by a naming, as table and number, by what was noted of it; None where damaged."""
    try:
        gone = json.loads(before)["gone"]
        return gone["table"], gone["id"]
    except (ValueError, RecursionError, TypeError, KeyError):
        return None


def replace_visit_samples(
    file: GalleryDatabase, visit_id: str, samples: Iterable[FaceSample]
) -> None:
    """Keep the best samples of a visit with it, and note which of its visitor's are the same."""
    file.execute("DELETE FROM visit_samples WHERE visit_id = ?", visit_id)
    best = sorted(samples, key=lambda each: -each.quality)[:MAX_VISIT_SAMPLES]
    _insert_samples(file, "visit_samples", "visit_id", visit_id, best)
    file.execute(
        "UPDATE samples SET visit_id = visits.id FROM visits WHERE visits.id = ? "
        "AND samples.visit_id IS NULL AND embedding IN "
        "(SELECT embedding FROM visit_samples WHERE visit_id = visits.id) "
        "AND (samples.person_id = visits.person_id OR samples.stranger_id = visits.stranger_id)",
        visit_id,
    )


def select_visits(file: GalleryDatabase, where: str, *parameters: object) -> list[Visit]:
    """Visits with their visitors; ``where`` goes on with the order and the limit."""
    found = file.rows(
        "SELECT *, EXISTS (SELECT 1 FROM corrections WHERE visit_id = visits.id) AS corrected "
        f"FROM visits WHERE {where}",
        *parameters,
    )
    rows = [row for row in found if is_visit(row)]
    if len(rows) < len(found):
        _LOG.warning(
            "%d visits are left out, whose identifier or time cannot be: see them with "
            "doorbell gallery check",
            len(found) - len(rows),
        )

    def distinct(column: str) -> object:
        return file.listed(sorted({row[column] for row in rows} - {None}))

    among = f"id {file.among}"
    people = {
        row["id"]: person_from(row)
        for row in file.rows(
            f"SELECT {PERSON_COLUMNS} FROM people WHERE {among}", distinct("person_id")
        )
    }
    strangers = {
        row["id"]: stranger_from(row)
        for row in file.rows(f"{STRANGERS} AND {among}", distinct("stranger_id"))
    }
    return [
        visit_from(row, people.get(row["person_id"]) or strangers.get(row["stranger_id"]))
        for row in rows
    ]


def place_of(visitor: Visitor) -> tuple[str, str, int]:
    """Where somebody is: the table, the column elsewhere that points to it, and the number."""
    match visitor:
        case Person():
            return "people", "person_id", visitor.person_id
        case Stranger():
            return "strangers", "stranger_id", visitor.stranger_id


def move_portraits(file: GalleryDatabase, gone_id: int, kept_id: int, naming_id: int) -> None:
    """Give somebody's portraits to whom they become; hidden where these have one of their own."""
    file.execute(
        "UPDATE portraits SET hidden_by = ? WHERE person_id = ? AND hidden_by IS NULL "
        "AND EXISTS (SELECT 1 FROM portraits WHERE person_id = ? AND hidden_by IS NULL)",
        naming_id,
        gone_id,
        kept_id,
    )
    file.execute("UPDATE portraits SET person_id = ? WHERE person_id = ?", kept_id, gone_id)


def at_one_of(doors: Collection[str] | None) -> tuple[str, tuple[str, ...]]:
    """What visits at one of some doors have, or at any, and the parameters of that."""
    if doors is None:
        return "TRUE", ()
    if not doors:
        return "FALSE", ()
    # Of several, the index by door would have all of them sorted: so the newest are looked through.
    column = "door_id" if len(doors) == 1 else "door_id || ''"
    return f"{column} IN ({', '.join('?' * len(doors))})", tuple(doors)
