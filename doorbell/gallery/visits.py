"""The visits in the gallery: who came when.

What the household said of a visit is never overwritten here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

from doorbell.domain import FaceSample, Float32Array, Visit
from doorbell.errors import UsageError
from doorbell.gallery.codec import Row, decode_embeddings, readable
from doorbell.gallery.deletion import delete_visits
from doorbell.gallery.people import PeopleStore
from doorbell.gallery.queries import (
    at_one_of,
    replace_visit_samples,
    see_at,
    see_last,
    select_visits,
    upsert_visit,
)
from doorbell.gallery.sql import EVERY
from doorbell.gallery.store import Changes
from doorbell.recognition.templates import directions
from doorbell.visits.open_visit import visitor_key
from doorbell.visits.restoring import Earlier, EarlierVisit

# A prefix of an identifier is taken from this many characters on.
MIN_PREFIX = 4

# Of the run before: more people are at no one door, and nobody's cool-down is that long.
EARLIER_VISITS = 16
EARLIER_RINGS = 256

VisitorKind: TypeAlias = Literal["person", "stranger", "undecided"]

# What visits of each kind of visitor have.
_OF_KIND: Mapping[VisitorKind | None, str] = {
    "person": "person_id IS NOT NULL",
    "stranger": "stranger_id IS NOT NULL",
    "undecided": "person_id IS NULL AND stranger_id IS NULL",
    None: "TRUE",
}


class VisitStore:
    """Who came when."""

    def __init__(self, changes: Changes, people: PeopleStore) -> None:
        self._changes = changes
        self._file = changes.file
        self._people = people

    def save(
        self,
        visit: Visit,
        samples: Sequence[FaceSample] = (),
        *,
        rang_at: float | None = None,
        stopped_at: float | None = None,
    ) -> None:
        """Store a visit, or what has become of it, with the best of its samples.

        A visitor who was named or merged meanwhile does not undo that, nor does it undo
        a correction: what the gallery knows of the visit stays. Without samples, so do those. Of
        somebody who was forgotten meanwhile nothing is stored, so that whatever is held of the
        visit elsewhere can be found by ``missing``.

        Args:
            visit: as it stands.
            samples: of its visitor.
            rang_at: wall time when the bell rang in it; None where it has not rung since the last
                call.
            stopped_at: wall time when the daemon stopped with the visitor at the door.
        """
        with self._file.writing():
            upsert_visit(self._file, visit)
            self._file.execute(
                "UPDATE visits SET rang_at = coalesce(?, rang_at), stopped_at = ? WHERE id = ?",
                rang_at,
                stopped_at,
                visit.visit_id,
            )
            is_known = self._file.rows(
                "SELECT 1 FROM visits WHERE id = ? AND coalesce(person_id, stranger_id) > 0",
                visit.visit_id,
            )
            if samples and (visit.visitor is None or is_known):
                replace_visit_samples(self._file, visit.visit_id, samples)

    def newest(
        self,
        limit: int,
        *,
        since: float | None = None,
        until: float | None = None,
        before: str | None = None,
        name: str | None = None,
        stranger_id: int | None = None,
        kind: VisitorKind | None = None,
        doors: Collection[str] | None = None,
    ) -> list[Visit]:
        """Visits, newest first; without those that were of nobody.

        Args:
            limit: at most so many.
            since: only those that began at or after this wall time.
            until: only those that began before this wall time.
            before: only those older than the visit of this identifier.
            name: only this person's.
            stranger_id: only this stranger's.
            kind: only those of people, of strangers, or of nobody yet.
            doors: only those at one of these.

        Raises:
            UnknownPersonError: nobody has that name.
        """
        with self._file.reading():
            person_id = None if name is None else self._people.get(name).person_id
            wanted = {
                "started_at >= ?": since,
                "started_at < ?": until,
                "(started_at, rowid) < (SELECT started_at, rowid FROM visits WHERE id = ?)": before,
                "person_id = ?": person_id,
                "stranger_id = ?": stranger_id,
            }
            given = {words: value for words, value in wanted.items() if value is not None}
            at_doors, door_ids = at_one_of(doors)
            listed = ("hidden_by IS NULL", at_doors, _OF_KIND[kind], *given)
            return select_visits(
                self._file,
                " AND ".join(listed) + " ORDER BY started_at DESC, rowid DESC LIMIT ?",
                *door_ids,
                *given.values(),
                limit,
            )

    def doors(self) -> list[str]:
        """The doors that visits were at, in order; an empty one is that of an earlier doorbell's.

        However many visits there are, each door is looked up once.
        """
        rows = self._file.rows(
            "WITH RECURSIVE doors (id) AS (SELECT min(door_id) FROM visits UNION ALL "
            "SELECT (SELECT min(door_id) FROM visits WHERE door_id > doors.id) FROM doors "
            "WHERE id IS NOT NULL) SELECT id FROM doors WHERE id IS NOT NULL"
        )
        return [row["id"] for row in rows]

    def newest_by_stranger(self, visit_ids: Iterable[str]) -> dict[int, str]:
        """Of these visits the newest of each stranger, by the stranger's identifier."""
        rows = self._file.rows(
            "SELECT stranger_id, id FROM visits WHERE hidden_by IS NULL "  # noqa: S608 - our own words
            f"AND stranger_id IS NOT NULL AND id {self._file.among} "
            "ORDER BY started_at, rowid",
            self._file.listed(list(visit_ids)),
        )
        return {row["stranger_id"]: row["id"] for row in rows}

    def get(self, visit_id: str) -> Visit:
        """A visit that is there, listed or not.

        Raises:
            UsageError: it is not.
        """
        for visit in select_visits(self._file, "id = ?", visit_id):
            return visit
        raise UsageError(f"there is no visit {visit_id}; see those there are with: doorbell visits")

    def those(self, visit_ids: Iterable[str]) -> list[Visit]:
        """The visits of these identifiers, listed or not; without any that is not there."""
        wanted = self._file.listed(sorted(visit_ids))
        return select_visits(self._file, f"id {self._file.among}", wanted)

    def missing(self, visit_ids: Iterable[str]) -> set[str]:
        """Which of these identifiers no visit has, listed or not."""
        wanted = set(visit_ids)
        rows = self._file.rows(
            f"SELECT id FROM visits WHERE id {self._file.among}",  # noqa: S608 - our own words
            self._file.listed(list(wanted)),
        )
        return wanted - {row["id"] for row in rows}

    def last_of_people(self, doors: Collection[str] | None = None) -> list[Visit]:
        """The last visit of each person who has one.

        Args:
            doors: only visits at one of these.
        """
        at_doors, door_ids = at_one_of(doors)
        last = (
            "rowid IN (SELECT number FROM (SELECT rowid AS number, row_number() OVER (PARTITION BY "  # noqa: S608 - our own words
            "person_id ORDER BY last_seen_at DESC, rowid) AS place FROM visits WHERE "
            f"{at_doors} AND person_id IS NOT NULL AND hidden_by IS NULL) AS of_people "
            "WHERE place = 1)"
        )
        return select_visits(self._file, last, *door_ids)

    def find(self, words: str) -> Visit:
        """The visit that somebody means: its identifier, the beginning of it, or ``last``.

        Raises:
            UsageError: there is none, or several.
        """
        if words.casefold() == "last":
            found = self.newest(1)
        else:
            found = select_visits(
                self._file,
                "hidden_by IS NULL AND (id = ? OR substr(id, 1, ?) = ?) ORDER BY id = ? DESC",
                words,
                max(len(words), MIN_PREFIX),
                words.casefold(),
                words,
            )
        if len(found) == 1 or (found and found[0].visit_id == words):
            return found[0]
        if found:
            raise UsageError(
                f"{len(found)} visits begin with {words!r}: "
                + ", ".join(visit.visit_id for visit in found[:5])
                + "; write more of it"
            )
        if words.casefold() == "last":
            raise UsageError("there is no visit yet")
        raise UsageError(
            f"no visit is called {words!r}; give at least the first {MIN_PREFIX} characters that "
            "doorbell visits shows, or: last"
        )

    def samples(self, visit_id: str) -> list[FaceSample]:
        """The samples that are kept with a visit, best first."""
        rows = self._file.rows(
            "SELECT * FROM visit_samples WHERE visit_id = ? ORDER BY quality DESC, id", visit_id
        )
        return [
            FaceSample(embedding, row["model_id"], row["quality"])
            for row, embedding in zip(rows, decode_embeddings(rows, self._file.cipher), strict=True)
        ]

    def forget_before(
        self, seen_at: float, at_most: int = -1, doors: Collection[str] | None = None
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Delete the visits last seen before a wall time, with their samples.

        Their pictures are the caller's to delete. What was learned from them stays.

        Args:
            seen_at: wall time.
            at_most: so many in one call, those seen first; all where negative.
            doors: only those at one of these.

        Returns:
            Which they were, and the later visits of their time.
        """
        at_doors, door_ids = at_one_of(doors)
        with self._file.writing():
            rows = self._file.rows(
                f"SELECT id FROM visits WHERE {at_doors} AND last_seen_at < ? "  # noqa: S608 - our own words
                "ORDER BY last_seen_at LIMIT ?",
                *door_ids,
                seen_at,
                EVERY if at_most < 0 else at_most,
            )
            gone = tuple(row["id"] for row in rows)
            beside = delete_visits(self._file, gone)
        if gone:
            self._changes.overwrite_log()
        return gone, beside

    def last_number(self) -> int:
        """The number of the visit stored last, for ``follow_clock``; later ones have more."""
        [row] = self._file.rows("SELECT coalesce(max(rowid), 0) AS latest FROM visits")
        return int(row["latest"])

    def follow_clock(self, since: float, until: float, seconds: float, after: int) -> None:
        """Move what is dated between two wall times: the clock was wrong by so much then.

        Args:
            since: wall time.
            until: wall time.
            seconds: to add.
            after: only visits stored after this one, and strangers who came in those alone.
        """
        # However many there are: only theirs are looked at who came in this run.
        of_this_run = "id IN (SELECT stranger_id FROM visits WHERE rowid > ?)"
        with self._changes.one():
            for column in ("first_seen_at", "last_seen_at"):  # of who came before, only the latter
                came = "min" if column == "first_seen_at" else "max"
                self._file.execute(
                    f"UPDATE strangers SET {column} = {column} + ? "  # noqa: S608 - our own words
                    f"WHERE {column} BETWEEN ? AND ? AND {of_this_run} AND ? < "
                    f"(SELECT {came}(rowid) FROM visits WHERE stranger_id = strangers.id)",
                    seconds,
                    since,
                    until,
                    after,
                    after,
                )
            self._file.execute(
                "UPDATE visits SET started_at = started_at + ?, last_seen_at = last_seen_at + ?, "
                "ended_at = ended_at + ?, rang_at = rang_at + ?, stopped_at = stopped_at + ? "
                "WHERE +started_at BETWEEN ? AND ? AND rowid > ?",
                *(5 * (seconds,)),
                since,
                until,
                after,
            )
            # Who came before that, too, was last seen in a visit that has moved.
            see_last(self._file, of_this_run, after)

    def touch(self, last_seen_at: Mapping[str, float]) -> None:
        """Note when the visitors of visits that are going on were seen last, by visit."""
        with self._file.writing():
            for visit_id, seen_at in last_seen_at.items():
                see_at(self._file, "visits", visit_id, seen_at)

    def earlier(self, model_id: str, doors: Collection[str] | None = None) -> Earlier:
        """What the next run needs of the one before, which is over.

        Args:
            model_id: of the embedder that visitors are compared by.
            doors: only visits at one of these; when somebody rang is told of every door.
        """
        with self._file.reading():
            rows = self._earlier_rows(doors)
            visits = [
                EarlierVisit(
                    visit,
                    self._signature(visit.visit_id, model_id),
                    row["rang_at"] is not None,
                    row["stopped_at"],
                )
                for row in rows
                for visit in select_visits(self._file, "id = ?", row["id"])
            ]
            rings = self._file.rows(
                "SELECT person_id, stranger_id, rang_at FROM visits WHERE rang_at IS NOT NULL "
                "ORDER BY rang_at DESC LIMIT ?",
                EARLIER_RINGS,
            )
        rang_at: dict[tuple[str, int], float] = {}
        for row in rings:
            if row["person_id"] is not None:
                key = "person", int(row["person_id"])
            elif row["stranger_id"] is not None:
                key = "stranger", int(row["stranger_id"])
            else:
                key = visitor_key(None)
            rang_at.setdefault(key, row["rang_at"])
        return Earlier(tuple(visits), rang_at)

    def open_visits(self, doors: Collection[str] | None = None) -> list[Visit]:
        """The visits of ``earlier`` that have not ended."""
        going_on = [row["id"] for row in self._earlier_rows(doors) if row["stopped_at"] is None]
        return self.those(going_on)

    def close_open(self, but: Collection[str] = (), doors: Collection[str] | None = None) -> int:
        """End, when they were last seen, the visits that a killed daemon left open; how many.

        Args:
            but: visits that go on.
            doors: only visits at one of these.
        """
        at_doors, door_ids = at_one_of(doors)
        with self._file.writing():
            return self._file.execute(
                f"UPDATE visits SET ended_at = last_seen_at WHERE {at_doors} "  # noqa: S608 - our own words
                f"AND ended_at IS NULL AND NOT (id {self._file.among})",
                *door_ids,
                self._file.listed(list(but)),
            )

    def _earlier_rows(self, doors: Collection[str] | None) -> Sequence[Row]:
        at_doors, door_ids = at_one_of(doors)
        return self._file.rows(
            f"SELECT id, rang_at, stopped_at FROM visits WHERE {at_doors} AND hidden_by IS NULL "  # noqa: S608 - our own words
            "AND (ended_at IS NULL OR stopped_at IS NOT NULL) "
            "ORDER BY coalesce(stopped_at, last_seen_at) DESC LIMIT ?",
            *door_ids,
            EARLIER_VISITS,
        )

    def _signature(self, visit_id: str, model_id: str) -> Float32Array | None:
        """The visitor's face, by what is kept with a visit; None where that is nothing."""
        rows = self._file.rows(
            "SELECT id, embedding FROM visit_samples WHERE visit_id = ? AND model_id = ?",
            visit_id,
            model_id,
        )
        _, embeddings = readable(rows, self._file.cipher)
        return directions(embeddings.sum(axis=0)) if len(embeddings) else None
