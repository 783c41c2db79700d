"""What others have changed on the server: read there in one state, written into the copy at once.

Whoever is gone on the server goes from the copy first. A copy in which a write waits that the state
does not have yet stays as it is: what it holds is newer.
"""

# ruff: noqa: S608 - the words put into statements are table and column names written here

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from doorbell.gallery.change_log import ChangeKind
from doorbell.gallery.codec import ENCRYPTED_AS, StoredEmbedding
from doorbell.gallery.deletion import delete_visits
from doorbell.gallery.link.copy_file import CORRECTION, CopyFile
from doorbell.gallery.link.machines import last_applied, latest_change
from doorbell.status import VisitsForgotten

if TYPE_CHECKING:  # which needs psycopg
    from doorbell.gallery.postgres.database import PostgresDatabase

Rows = list[dict[str, Any]]

_OF_PEOPLE = (
    "id",
    "name",
    "name_key",
    "chime",
    "preferences",
    "ignored",
    "earlier_subtype",
)
_OF_STRANGERS = ("id", "first_seen_at", "last_seen_at", "visits", "ignored")
_OF_SAMPLES = ("model_id", "embedding", "quality", "source_sha256", "added_at")
_OF_VARIANTS = ("drawing", "embedding", "quality")
_OF_FACES = ("model_id", "embedding", "quality")
_OF_VISITS = (
    "id",
    "started_at",
    "last_seen_at",
    "ended_at",
    "person_id",
    "stranger_id",
    "similarity",
    "frames_used",
    "seconds_to_decision",
    "rang_at",
    "stopped_at",
    "door_id",
)


# Of what the server has, whatever else the copy needs to know which is whose.
_SAMPLES = ", ".join(("id", "person_id", "stranger_id", *_OF_SAMPLES))
_VARIANTS = ", ".join(("sample_id", *(f"variants.{column}" for column in _OF_VARIANTS)))
_FACES = ", ".join(_OF_FACES)

_VISITS = """SELECT *, EXISTS (SELECT 1 FROM corrections WHERE visit_id = visits.id) AS corrected
    FROM visits WHERE id = ANY(?)"""


@dataclass(frozen=True, slots=True)
class State:
    """What is to be brought up to date, as it is on the server.

    Attributes:
        revision: the number of the last change in it, or of any where there is no later one.
        is_all: whether there is no later one.
        applied: the number of the last write of this machine that it has.
        people_ids, stranger_ids, visit_ids: whom it is about; of whom there is no row, is gone.
        people, strangers, samples, variants, visits: their rows.
        negatives, non_faces: all rows; None where these have not changed.
    """

    revision: int
    is_all: bool
    applied: int
    people_ids: Sequence[int]
    stranger_ids: Sequence[int]
    visit_ids: Sequence[str]
    people: Rows
    strangers: Rows
    samples: Rows
    variants: Rows
    visits: Rows
    negatives: Rows | None = None
    non_faces: Rows = field(default_factory=list)


def read_state(
    server: PostgresDatabase, identity: str, revision: int, doors: Collection[str], at_most: int
) -> State:
    """What has changed on the server after a revision, the earliest first.

    Args:
        server: where.
        identity: of the copy.
        revision: that the copy has.
        doors: whose visits the copy has.
        at_most: so many changes.
    """
    with server.reading():
        applied = last_applied(server, identity)
        changes = server.rows(
            "SELECT revision, kind, visitor_id, '' AS visit_id FROM template_changes "
            "WHERE revision > ? UNION ALL "
            "SELECT revision, 'visit', 0, visit_id FROM visit_changes "
            f"WHERE revision > ? AND door_id {server.among} ORDER BY revision LIMIT ?",
            revision,
            revision,
            server.listed(list(doors)),
            at_most,
        )

        def of(kind: ChangeKind) -> list[int]:
            return [row["visitor_id"] for row in changes if row["kind"] == kind.value]

        def rows(sql: str, *ids: Sequence[int] | Sequence[str]) -> Rows:
            return server.rows(sql, *map(server.listed, ids)) if any(ids) else []

        is_all = len(changes) < at_most
        people_ids, stranger_ids = of(ChangeKind.PERSON), of(ChangeKind.STRANGER)
        visit_ids = [row["visit_id"] for row in changes if row["kind"] == "visit"]
        among = server.among
        people = rows(f"SELECT {', '.join(_OF_PEOPLE)} FROM people WHERE id {among}", people_ids)
        # Negatives are of people who have to be in the copy: of new ones they are read again.
        says_who_is_not = bool(people or of(ChangeKind.CORRECTED))
        return State(
            revision=latest_change(server) if is_all else changes[-1]["revision"],
            is_all=is_all,
            applied=applied,
            people_ids=people_ids,
            stranger_ids=stranger_ids,
            visit_ids=visit_ids,
            people=people,
            strangers=rows(
                f"SELECT {', '.join(_OF_STRANGERS)} FROM strangers "
                f"WHERE hidden_by IS NULL AND id {among}",
                stranger_ids,
            ),
            samples=rows(
                f"SELECT {_SAMPLES} FROM samples WHERE hidden_by IS NULL "
                f"AND (person_id {among} OR stranger_id {among}) ORDER BY id",
                people_ids,
                stranger_ids,
            ),
            variants=rows(
                f"SELECT {_VARIANTS} FROM variants JOIN samples ON samples.id = sample_id "
                f"WHERE hidden_by IS NULL AND person_id {among} ORDER BY variants.id",
                people_ids,
            ),
            visits=rows(_VISITS, visit_ids),
            negatives=(
                server.rows(
                    f"SELECT not_person_id, {_FACES} FROM negatives "
                    "WHERE hidden_by IS NULL ORDER BY id"
                )
                if says_who_is_not
                else None
            ),
            non_faces=(
                server.rows(f"SELECT {_FACES} FROM non_faces ORDER BY id")
                if says_who_is_not
                else []
            ),
        )


def read_visits(
    server: PostgresDatabase, identity: str, revision: int, visit_ids: Sequence[str]
) -> State:
    """Some visits as they are on the server, whether they have changed or not.

    Args:
        server: where.
        identity: of the copy.
        revision: that the copy has, and goes on to have.
        visit_ids: of the visits.
    """
    with server.reading():
        applied = last_applied(server, identity)
        visits = server.rows(_VISITS, server.listed(visit_ids))
    return State(revision, False, applied, (), (), visit_ids, [], [], [], [], visits)


def write_state(copy: CopyFile, gallery: str, state: State) -> VisitsForgotten | None:
    """Bring the copy to a state of the server.

    Args:
        copy: on this machine.
        gallery: the identity of what is on the server.
        state: of it.

    Returns:
        Which visits are gone; None where the copy has something newer, and stays as it is.
    """
    with copy.writing():
        if copy.waits_after(state.applied):
            return None
        for person in state.people:
            _put_person(copy, person)
        for stranger in state.strangers:
            _put(copy, "strangers", _OF_STRANGERS, stranger)
        _put_samples(copy, state)
        for visit in state.visits:
            _put_visit(copy, visit)
        if state.negatives is not None:
            _put_corrected(copy, state.negatives, state.non_faces)
        gone = _delete(copy, "people", _missing(state.people_ids, state.people))
        gone += _delete(copy, "strangers", _missing(state.stranger_ids, state.strangers))
        visit_ids = tuple(map(str, _missing(state.visit_ids, state.visits)))
        beside = delete_visits(copy, visit_ids) if visit_ids else ()
        copy.note_progress(gallery, state.revision)
    if gone or visit_ids:
        copy.overwrite_deleted()
    return VisitsForgotten(visit_ids, beside)


def delete_gone(copy: CopyFile, server: PostgresDatabase) -> int:
    """Delete from the copy whoever is no more on the server, whatever has changed; how many."""
    with server.reading():
        present = {
            table: {row["id"] for row in server.rows(f"SELECT id FROM {table}")}
            for table in ("people", "strangers")
        }
    with copy.writing():
        # Strangers whom only this machine knows so far.
        present["strangers"] |= {
            row["new_stranger_id"]
            for row in copy.rows(
                "SELECT new_stranger_id FROM outbox WHERE new_stranger_id IS NOT NULL"
            )
        }
        gone = sum(
            _delete(copy, table, {row["id"] for row in copy.rows(f"SELECT id FROM {table}")} - ids)
            for table, ids in present.items()
        )
    if gone:
        copy.overwrite_deleted()
    return gone


def _put(copy: CopyFile, table: str, columns: Sequence[str], row: dict[str, Any]) -> None:
    """Let a row be as on the server; one that is so already is let be."""
    values = {column: row[column] for column in columns}
    for found in copy.rows(f"SELECT * FROM {table} WHERE id = ?", row["id"]):
        if all(found[column] == value for column, value in values.items()):
            return
        changes = ", ".join(f"{column} = ?" for column in columns)
        copy.execute(f"UPDATE {table} SET {changes} WHERE id = ?", *values.values(), row["id"])
        return
    copy.insert(table, **values)


def _put_person(copy: CopyFile, person: dict[str, Any]) -> None:
    # Somebody who had that name, and has another by now, is brought up to date later.
    copy.execute(
        "UPDATE people SET name_key = '?' || id WHERE name_key = ? AND id <> ?",
        person["name_key"],
        person["id"],
    )
    _put(copy, "people", _OF_PEOPLE, person)


def _put_samples(copy: CopyFile, state: State) -> None:
    variants: dict[int, Rows] = {}
    for row in state.variants:
        variants.setdefault(row["sample_id"], []).append(row)
    for column, visitors in (("person_id", state.people), ("stranger_id", state.strangers)):
        samples: dict[int, Rows] = {visitor["id"]: [] for visitor in visitors}
        for row in state.samples:
            if row[column] is not None:
                samples[row[column]].append(row)
        for visitor_id, theirs in samples.items():
            wanted = [
                (
                    _values(copy, _OF_SAMPLES, row),
                    [_values(copy, _OF_VARIANTS, each) for each in variants.get(row["id"], ())],
                )
                for row in theirs
            ]
            found = [
                (
                    tuple(row[name] for name in _OF_SAMPLES),
                    [
                        tuple(each[name] for name in _OF_VARIANTS)
                        for each in copy.rows(
                            "SELECT * FROM variants WHERE sample_id = ? ORDER BY id", row["id"]
                        )
                    ],
                )
                for row in copy.rows(
                    f"SELECT * FROM samples WHERE {column} = ? ORDER BY id", visitor_id
                )
            ]
            if found == wanted:
                continue
            copy.execute(f"DELETE FROM samples WHERE {column} = ?", visitor_id)
            if not any(drawn for _, drawn in wanted):
                copy.insert_all(
                    "samples", (column, *_OF_SAMPLES), [(visitor_id, *each) for each, _ in wanted]
                )
                continue
            for sample, drawn in wanted:
                sample_id = copy.insert(
                    "samples", **{column: visitor_id}, **dict(zip(_OF_SAMPLES, sample, strict=True))
                )
                copy.insert_all(
                    "variants", ("sample_id", *_OF_VARIANTS), [(sample_id, *each) for each in drawn]
                )


def _put_visit(copy: CopyFile, visit: dict[str, Any]) -> None:
    """A visit of this machine; that of somebody who is not in the copy yet is nobody's until then.

    One that nobody made is not listed.
    """
    row = dict(visit)
    for column, table in (("person_id", "people"), ("stranger_id", "strangers")):
        if row[column] is not None and not copy.rows(
            f"SELECT 1 FROM {table} WHERE id = ?", row[column]
        ):
            row[column] = None
    _put(copy, "visits", _OF_VISITS, row)
    copy.execute("DELETE FROM corrections WHERE visit_id = ?", row["id"])
    if row["corrected"]:
        correction_id = copy.insert("corrections", visit_id=row["id"])
        if row["hidden_by"] is not None:
            copy.execute("UPDATE visits SET hidden_by = ? WHERE id = ?", correction_id, row["id"])


def _put_corrected(copy: CopyFile, negatives: Rows, non_faces: Rows) -> None:
    people = {row["id"] for row in copy.rows("SELECT id FROM people")}
    wanted = {
        "negatives": [
            {"not_person_id": row["not_person_id"], **_named(copy, row)}
            for row in negatives
            if row["not_person_id"] in people
        ],
        "non_faces": [_named(copy, row) for row in non_faces],
    }
    for table, rows in wanted.items():
        names = rows[0] if rows else ()
        found = copy.rows(f"SELECT * FROM {table} ORDER BY id")
        if [{name: row[name] for name in names} for row in found] == rows:
            continue
        copy.execute(f"DELETE FROM {table}")
        for row in rows:
            copy.insert(table, added_by=CORRECTION, **row)


def _named(copy: CopyFile, row: dict[str, Any]) -> dict[str, object]:
    return dict(zip(_OF_FACES, _values(copy, _OF_FACES, row), strict=True))


def _values(copy: CopyFile, columns: Sequence[str], row: dict[str, Any]) -> tuple[object, ...]:
    """Of a row, as the copy keeps them."""
    return tuple(
        StoredEmbedding(copy.cipher.encrypt(row[name], ENCRYPTED_AS))
        if name == "embedding"
        else row[name]
        for name in columns
    )


def _missing(ids: Sequence[int] | Sequence[str], present: Rows) -> list[Any]:
    here = {row["id"] for row in present}
    return [each for each in ids if each not in here]


def _delete(copy: CopyFile, table: str, ids: Collection[int]) -> int:
    """Delete rows; how many there were."""
    if not ids:
        return 0
    return copy.execute(f"DELETE FROM {table} WHERE id {copy.among}", copy.listed(ids))
