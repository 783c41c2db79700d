"""Naming and merging, written down so that they can be taken back.

Whoever is named or merged goes, and what was theirs is somebody else's from then on. What moved is
noted by reference: what is forgotten takes its note along, so that nothing forgotten comes back. No
face is copied. What cannot be had twice is hidden by the correction that each naming is, too, as
everything is that a correction makes untrue.
"""

# ruff: noqa: S608 - the words put into statements are table and column names written here

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from doorbell.domain import Person, Visitor
from doorbell.errors import GalleryError, UsageError
from doorbell.gallery.codec import Row, stranger_from
from doorbell.gallery.queries import person_by_id, place_of, see_last
from doorbell.gallery.records import Undone
from doorbell.gallery.sql import GalleryDatabase
from doorbell.gallery.store import Changes

# What is noted of somebody, besides the number and the correction that made them.
_NOTED = {
    "people": (
        "name",
        "name_key",
        "chime",
        "preferences",
        "consent",
        "consent_at",
        "ignored",
        "earlier_subtype",
    ),
    "strangers": ("first_seen_at", "last_seen_at", "visits", "ignored"),
}

_KEY = {"namings": "correction_id"}

_WAS_ADDED = "CASE WHEN added_by IS NULL THEN 0 ELSE 1 END"

# The column of ``moved`` that points to what is somebody's, and what else is noted of it.
_MOVED = (
    ("samples", "sample_id", ("added_by", _WAS_ADDED, "hidden_by", "source_sha256")),
    ("visits", "visit_id", ("NULL", "0", "NULL", "NULL")),
    ("negatives", "negative_id", ("NULL", "0", "hidden_by", "NULL")),
    ("corrections", "correction_id", ("NULL", "0", "NULL", "NULL")),
    ("namings", "earlier_id", ("NULL", "0", "NULL", "NULL")),
)


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two: in which table, by which column elsewhere, and the number."""

    table: str
    column: str
    number: int

    @property
    def owner(self) -> tuple[int | None, int | None]:
        """As ``(person_id, stranger_id)``."""
        return (self.number, None) if self.table == "people" else (None, self.number)


def _person(number: int) -> _Side:
    return _Side("people", "person_id", number)


def _stranger(number: int) -> _Side:
    return _Side("strangers", "stranger_id", number)


def _side_of(visitor: Visitor) -> _Side:
    return _Side(*place_of(visitor))


def begin_naming(file: GalleryDatabase, gone: Visitor, kept: Visitor, *, made: bool) -> int:
    """Note what is ``gone``'s before it becomes ``kept``'s; within ``GalleryDatabase.writing``.

    Args:
        file: the gallery.
        gone: who is about to become part of the other.
        kept: who they are from now on.
        made: whether ``kept`` was made for this.

    Returns:
        The correction that this is.
    """
    one, other = _side_of(gone), _side_of(kept)
    row, row_kept = _row(file, one), _row(file, other)
    naming_id = file.insert("corrections", visit_id=None)
    file.insert(
        "namings",
        correction_id=naming_id,
        person_id=other.owner[0],
        stranger_id=other.owner[1],
        added_by=row.get("added_by"),
        kept_added_by=row_kept.get("added_by"),
        before=json.dumps(
            {
                "gone": {"table": one.table, "id": one.number, **_noted(one, row)},
                "kept": None if made else _noted(other, row_kept),
            }
        ),
    )
    for table, reference, noted in _MOVED:
        file.execute(
            f"INSERT INTO moved (naming_id, {reference}, added_by, was_added, hidden_by, "
            f"source_sha256) SELECT ?, {_KEY.get(table, 'id')}, {', '.join(noted)} "
            f"FROM {table} WHERE {one.column} = ?",
            naming_id,
            one.number,
        )
    if isinstance(gone, Person):
        file.execute(
            "INSERT INTO moved (naming_id, portrait_id, hidden_by) "
            "SELECT ?, id, hidden_by FROM portraits WHERE person_id = ?",
            naming_id,
            one.number,
        )
        file.execute(
            "INSERT INTO moved (naming_id, denial_id, hidden_by) "
            "SELECT ?, id, hidden_by FROM negatives WHERE not_person_id = ?",
            naming_id,
            one.number,
        )
    return naming_id


def end_naming(file: GalleryDatabase, naming_id: int, kept: Visitor) -> None:
    """Note what ``kept`` has become by it."""
    side = _side_of(kept)
    (naming,) = file.rows("SELECT * FROM namings WHERE correction_id = ?", naming_id)
    before = {**json.loads(naming["before"]), "after": _noted(side, _row(file, side))}
    file.execute(
        "UPDATE namings SET before = ? WHERE correction_id = ?", json.dumps(before), naming_id
    )


def note_returned(file: GalleryDatabase, correction_id: int, visit_id: str) -> None:
    """Let namings know of a visit that goes back to whom they have moved: it moves along."""
    file.execute(
        "INSERT INTO moved (naming_id, visit_id, since) "
        "SELECT naming_id, ?, 1 FROM moved AS noted WHERE correction_id = ? AND NOT EXISTS "
        "(SELECT 1 FROM moved WHERE naming_id = noted.naming_id AND visit_id = ?)",
        visit_id,
        correction_id,
        visit_id,
    )


class NamingStore:
    """Names and merges that can be taken back."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._file = changes.file

    def last_number(self) -> int | None:
        """Of the last naming or merge, among all corrections; None where there is none."""
        [row] = self._file.rows("SELECT max(correction_id) AS last FROM namings")
        return None if row["last"] is None else int(row["last"])

    def undo(self) -> Undone:
        """Take the last naming or merge back; called again, the one before it.

        Who was named or merged has again what they had, as far as it was not forgotten, or said to
        be somebody else's, since. What came since stays with whom it was recognized as; somebody
        who was made by the naming and has neither a sample of their own nor a portrait goes, and
        their visits go along.

        Raises:
            UsageError: there is none; or somebody else has the name by now.
            GalleryError: what was noted is damaged.
        """
        with self._changes.one():
            latest = self._file.rows("SELECT * FROM namings ORDER BY correction_id DESC LIMIT 1")
            if not latest:
                raise UsageError("there is no naming or merging to undo")
            (naming,) = latest
            before, naming_id = noted_in(naming), naming["correction_id"]
            person_id, stranger_id = naming["person_id"], naming["stranger_id"]
            kept = _stranger(stranger_id) if person_id is None else _person(person_id)
            number = before["gone"]["id"]
            gone = _person(number) if before["gone"]["table"] == "people" else _stranger(number)
            was = self._visitor(kept)
            self._bring_back(naming, gone, before["gone"])
            self._move_back(naming_id, gone, kept)
            self._count_visits(naming_id, gone)
            self._restore_kept(naming, gone, kept, before)
            undone = Undone(self._visitor(gone), was)
            self._hide_without_visits(naming_id, gone, kept)
            self._file.execute("DELETE FROM corrections WHERE id = ?", naming_id)
        self._changes.overwrite_log()
        return undone

    def _visitor(self, side: _Side) -> Visitor:
        if side.table == "people":
            return person_by_id(self._file, side.number)
        (row,) = self._file.rows(
            "SELECT *, visits AS visits_week FROM strangers WHERE id = ?", side.number
        )
        return stranger_from(row)

    def _bring_back(self, naming: Row, gone: _Side, noted: dict[str, Any]) -> None:
        columns = {name: noted[name] for name in _NOTED[gone.table]}
        if gone.table == "people":
            for row in self._file.rows(
                "SELECT name FROM people WHERE name_key = ?", columns["name_key"]
            ):
                raise UsageError(
                    f"somebody else is called {row['name']!r} by now; give them another name "
                    f"first: doorbell people rename {row['name']!r} NEW_NAME"
                )
        else:
            columns["added_by"] = naming["added_by"]
        self._file.insert(gone.table, id=gone.number, **columns)

    def _move_back(self, naming_id: int, gone: _Side, kept: _Side) -> None:
        """Give back whatever is still whom it was moved to."""
        of_naming = f"FROM moved WHERE naming_id = {naming_id}"
        noted = f"(SELECT * {of_naming}) AS noted"
        to_gone = "person_id = ?, stranger_id = ?"
        # Added by a correction that was taken back since: it would not be there any more.
        self._file.execute(
            f"DELETE FROM samples WHERE {kept.column} = ? AND id IN (SELECT sample_id {of_naming} "
            "AND was_added = 1 AND added_by IS NULL)",
            kept.number,
        )
        self._file.execute(
            f"UPDATE samples SET {to_gone}, added_by = noted.added_by, source_sha256 = "
            "noted.source_sha256, hidden_by = CASE WHEN samples.hidden_by = noted.naming_id "
            f"THEN noted.hidden_by ELSE samples.hidden_by END FROM {noted} "
            f"WHERE samples.id = noted.sample_id AND samples.{kept.column} = ?",
            *gone.owner,
            kept.number,
        )
        since = f"SELECT visit_id FROM corrections WHERE id > {naming_id} AND visit_id IS NOT NULL"
        for table, reference, but in (
            ("visits", "visit_id", f"AND id NOT IN ({since})"),
            ("negatives", "negative_id", ""),
            ("corrections", "correction_id", ""),
        ):
            self._file.execute(
                f"UPDATE {table} SET {to_gone} WHERE {kept.column} = ? "
                f"AND id IN (SELECT {reference} {of_naming}) {but}",
                *gone.owner,
                kept.number,
            )
        # What was said since of a visit that was moved: theirs it was before.
        self._file.execute(
            f"UPDATE corrections SET {to_gone} WHERE {kept.column} = ? AND id > ? "
            f"AND visit_id IN (SELECT visit_id {of_naming})",
            *gone.owner,
            kept.number,
            naming_id,
        )
        self._file.execute(
            f"UPDATE namings SET {to_gone} WHERE correction_id IN (SELECT earlier_id {of_naming})",
            *gone.owner,
        )
        if gone.table == "people":
            self._file.execute(
                "UPDATE portraits SET person_id = ?, hidden_by = noted.hidden_by "
                f"FROM {noted} WHERE portraits.id = noted.portrait_id",
                gone.number,
            )
            self._file.execute(
                "UPDATE negatives SET not_person_id = ? "
                f"WHERE id IN (SELECT denial_id {of_naming})",
                gone.number,
            )
        self._file.execute(
            f"UPDATE negatives SET hidden_by = noted.hidden_by FROM {noted} "
            "WHERE negatives.hidden_by = noted.naming_id "
            "AND negatives.id IN (noted.negative_id, noted.denial_id)"
        )

    def _count_visits(self, naming_id: int, gone: _Side) -> None:
        """Count a stranger's visits: some may have become somebody else's, or theirs, since."""
        if gone.table != "strangers":
            return
        [count] = self._file.rows(
            "SELECT coalesce(sum(CASE WHEN stranger_id = ? THEN since ELSE since - 1 END), 0) AS n "
            "FROM moved JOIN visits ON visits.id = moved.visit_id WHERE naming_id = ?",
            gone.number,
            naming_id,
        )
        self._file.execute(
            "UPDATE strangers SET visits = visits + ? WHERE id = ?", count["n"], gone.number
        )

    def _hide_without_visits(self, naming_id: int, *sides: _Side) -> None:
        """Leave out strangers whose visits were said since to be others': undoing that shows them.

        Without such a correction they were made by one that was taken back since, and go.
        """
        for number in (side.number for side in sides if side.table == "strangers"):
            self._file.execute(
                "UPDATE strangers SET hidden_by = (SELECT max(id) FROM corrections WHERE id > ? "
                "AND stranger_id = strangers.id) WHERE id = ? AND visits <= 0",
                naming_id,
                number,
            )
            self._file.execute(
                "DELETE FROM strangers WHERE id = ? AND visits <= 0 AND hidden_by IS NULL", number
            )

    def _restore_kept(self, naming: Row, gone: _Side, kept: _Side, before: dict[str, Any]) -> None:
        """Take from whoever stays what came by the naming."""
        if before["kept"] is None:
            self._take_back(gone, kept, before["after"])
            return
        now = _row(self._file, kept)
        columns = {
            name: before["kept"][name]
            for name in _NOTED[kept.table]
            if now[name] == before["after"][name]  # else it was changed since
        }
        if kept.table == "strangers":
            columns["visits"] = now["visits"] - _row(self._file, gone)["visits"]
            columns["added_by"] = naming["kept_added_by"]
        for name, value in columns.items():
            self._file.execute(
                f"UPDATE {kept.table} SET {name} = ? WHERE id = ?", value, kept.number
            )

    def _take_back(self, gone: _Side, kept: _Side, after: dict[str, Any]) -> None:
        """Undo that somebody was made, unless they were enrolled, or have a portrait, since."""
        if self._file.rows(f"SELECT 1 FROM samples WHERE {kept.column} = ? LIMIT 1", kept.number):
            return
        if kept.table == "people" and self._file.rows(
            "SELECT 1 FROM portraits WHERE person_id = ? LIMIT 1", kept.number
        ):
            return
        ignored = _row(self._file, kept)["ignored"]
        if ignored != after["ignored"]:  # said of the same visitor since
            self._file.execute(
                f"UPDATE {gone.table} SET ignored = ? WHERE id = ?", ignored, gone.number
            )
        moved = {
            table: self._file.execute(
                f"UPDATE {table} SET person_id = ?, stranger_id = ? WHERE {kept.column} = ?",
                *gone.owner,
                kept.number,
            )
            for table in ("corrections", "negatives", "visits")
        }
        came_since = moved["visits"]
        if gone.table == "strangers" and came_since:
            self._file.execute(
                "UPDATE strangers SET visits = visits + ? WHERE id = ?", came_since, gone.number
            )
            see_last(self._file, "id = ?", gone.number)
        self._file.execute(f"DELETE FROM {kept.table} WHERE id = ?", kept.number)


def _row(file: GalleryDatabase, side: _Side) -> dict[str, Any]:
    (row,) = file.rows(f"SELECT * FROM {side.table} WHERE id = ?", side.number)
    return row


def _noted(side: _Side, row: Row) -> dict[str, Any]:
    return {name: row[name] for name in _NOTED[side.table]}


def noted_in(naming: Row) -> dict[str, Any]:
    """What a row of ``namings`` has of both.

    Returns:
        ``gone`` and ``kept`` as they were before, and what kept was ``after`` it: columns by name.
        ``kept`` is None where they were made by it; ``gone`` has its ``table`` and ``id`` besides.

    Raises:
        GalleryError: it is damaged.
    """
    try:
        before = json.loads(naming["before"])
        gone = before["gone"]
        kept = [before["after"]] if before["kept"] is None else [before["after"], before["kept"]]
        is_whole = {"table", "id", *_NOTED[gone["table"]]} == gone.keys() and all(
            tuple(each) in _NOTED.values() for each in kept
        )
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        is_whole = False
    if not is_whole:
        raise GalleryError(
            "what was noted of a naming or merging in the gallery is damaged; "
            "restore a copy of the gallery"
        )
    return dict(before)
