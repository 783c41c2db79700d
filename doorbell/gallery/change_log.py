"""Whose templates have changed in the gallery, and in which order: written by the file itself.

Triggers note every change of whatever templates are made of, whichever process or program makes it,
so that a reader need not compare everybody. An earlier doorbell can open a gallery that has them,
and keeps the log without knowing of it; therefore they are no new version of the file. So it is
with the indexes by which deleting a visit or a correction, what is old, and the last week of a
stranger are found without looking through everything.
"""

# ruff: noqa: S608 - the words put into statements are written here

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # which opens files by these statements
    from doorbell.gallery.sql import GalleryDatabase


# A visit without an end goes on; that its visitor is still there is stored with the next event.
OPEN_SECONDS = 3600.0

# Longer than nearly every visit.
LONG_SECONDS = OPEN_SECONDS

# Until when a visit lasts, and whether that is long: an index is used where the words are the same.
UNTIL = (
    f"CASE WHEN ended_at IS NULL THEN last_seen_at + {OPEN_SECONDS} "
    "WHEN ended_at > last_seen_at THEN ended_at ELSE last_seen_at END"
)
IS_LONG = f"{UNTIL} > started_at + {LONG_SECONDS - 1.0}"


class ChangeKind(Enum):
    """What has changed."""

    PERSON = "person"
    STRANGER = "stranger"
    CORRECTED = "corrected"  # who a face is not, and what is no face


@dataclass(frozen=True, slots=True)
class Change:
    """One that has to be read anew: of whom there is nothing, is gone."""

    revision: int
    kind: ChangeKind
    visitor_id: int


def _noting(kind: str, visitor_id: str) -> str:
    """Move a change to the end of the log. REPLACE would be undone by an outer OR IGNORE."""
    return (
        f"DELETE FROM template_changes WHERE kind = '{kind}' AND visitor_id = {visitor_id}; "
        f"INSERT INTO template_changes (kind, visitor_id) "
        f"SELECT '{kind}', {visitor_id} WHERE {visitor_id} IS NOT NULL;"
    )


def _trigger(table: str, event: str, *notes: str) -> str:
    name = f"{table}_{event.split(maxsplit=1)[0].lower()}_changes_templates"
    return (
        f"CREATE TRIGGER IF NOT EXISTS {name} AFTER {event} ON {table} BEGIN {' '.join(notes)} END"
    )


def _statements() -> list[str]:
    statements = [
        """CREATE TABLE IF NOT EXISTS template_changes (
            revision INTEGER PRIMARY KEY AUTOINCREMENT,
            kind TEXT NOT NULL,
            visitor_id INTEGER NOT NULL,
            UNIQUE (kind, visitor_id)
        ) STRICT""",
        *(
            f"CREATE INDEX IF NOT EXISTS {table}_by_{column} ON {table} ({column}) "
            f"WHERE {column} IS NOT NULL"
            for table, column in (
                ("samples", "visit_id"),
                ("samples", "added_by"),
                ("samples", "hidden_by"),
                ("strangers", "added_by"),
                ("strangers", "hidden_by"),
                ("visits", "hidden_by"),
            )
        ),
        *(
            f"CREATE INDEX IF NOT EXISTS {table}_by_last_seen_at ON {table} (last_seen_at)"
            for table in ("visits", "strangers")
        ),
        f"CREATE INDEX IF NOT EXISTS visits_that_are_long ON visits (started_at) WHERE {IS_LONG}",
        "CREATE INDEX IF NOT EXISTS visits_of_strangers_by_start ON visits "
        "(stranger_id, started_at) WHERE stranger_id IS NOT NULL",
    ]
    for table, kind in (("people", "person"), ("strangers", "stranger")):
        for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            statements.append(_trigger(table, event, _noting(kind, f"{row}.id")))
    of_samples = {
        row: [_noting("person", f"{row}.person_id"), _noting("stranger", f"{row}.stranger_id")]
        for row in ("OLD", "NEW")
    }
    statements += [
        _trigger("samples", "INSERT", *of_samples["NEW"]),
        _trigger(
            "samples",
            "UPDATE OF person_id, stranger_id, model_id, embedding, source_sha256, hidden_by",
            *of_samples["OLD"],
            *of_samples["NEW"],
        ),
        _trigger("samples", "DELETE", *of_samples["OLD"]),
    ]
    for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
        person_id = f"(SELECT person_id FROM samples WHERE id = {row}.sample_id)"
        statements.append(_trigger("variants", event, _noting("person", person_id)))
    statements += [
        _trigger(table, event, _noting("corrected", "0"))
        for table in ("negatives", "non_faces")
        for event in ("INSERT", "UPDATE", "DELETE")
    ]
    return statements


STATEMENTS = tuple(_statements())


def latest_revision(file: GalleryDatabase) -> int:
    """The number of the last change; later ones have larger numbers."""
    [row] = file.rows("SELECT coalesce(max(revision), 0) AS latest FROM template_changes")
    return int(row["latest"])


def changes_since(file: GalleryDatabase, revision: int, at_most: int) -> list[Change]:
    """What changed after a revision, the earliest first; of each visitor the last change only."""
    rows = file.rows(
        "SELECT * FROM template_changes WHERE revision > ? ORDER BY revision LIMIT ?",
        revision,
        at_most,
    )
    return [Change(row["revision"], ChangeKind(row["kind"]), row["visitor_id"]) for row in rows]
