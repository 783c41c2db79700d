"""The visits in the gallery: who came when.

What the household said of a visit is never overwritten here.
"""

from __future__ import annotations

from collections.abc import Sequence

from doorbell.domain import FaceSample, Visit
from doorbell.errors import UsageError
from doorbell.gallery.codec import decode_embeddings
from doorbell.gallery.people import PeopleStore
from doorbell.gallery.queries import (
    replace_visit_samples,
    select_visits,
    upsert_visit,
)
from doorbell.gallery.store import Changes

# A prefix of an identifier is taken from this many characters on.
MIN_PREFIX = 4


class VisitStore:
    """Who came when."""

    def __init__(self, changes: Changes, people: PeopleStore) -> None:
        self._changes = changes
        self._file = changes.file
        self._people = people

    def save(self, visit: Visit, samples: Sequence[FaceSample] = ()) -> None:
        """Store a visit, or what has become of it, with the best of its samples.

        A visitor who was forgotten, named or merged meanwhile does not undo that, nor does it undo
        a correction: what the gallery knows of the visit stays. Without samples, so do those; of
        somebody who was forgotten none are stored.
        """
        with self._file.writing():
            upsert_visit(self._file, visit)
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
        name: str | None = None,
        stranger_id: int | None = None,
    ) -> list[Visit]:
        """Visits, newest first; without those that were of nobody.

        Args:
            limit: at most so many.
            since: only those that began at or after this wall time.
            name: only this person's.
            stranger_id: only this stranger's.

        Raises:
            UnknownPersonError: nobody has that name.
        """
        with self._file.reading():
            person_id = None if name is None else self._people.get(name).person_id
            return select_visits(
                self._file,
                "hidden_by IS NULL AND started_at >= ? AND person_id IS coalesce(?, person_id) "
                "AND stranger_id IS coalesce(?, stranger_id) "
                "ORDER BY started_at DESC, rowid DESC LIMIT ?",
                float("-inf") if since is None else since,
                person_id,
                stranger_id,
                limit,
            )

    def get(self, visit_id: str) -> Visit:
        """A visit that is there, listed or not.

        Raises:
            UsageError: it is not.
        """
        for visit in select_visits(self._file, "id = ?", visit_id):
            return visit
        raise UsageError(f"there is no visit {visit_id}; see those there are with: doorbell visits")

    def last_of_people(self) -> list[Visit]:
        """The last visit of each person who has one."""
        return select_visits(
            self._file,
            "rowid IN (SELECT number FROM (SELECT rowid AS number, max(last_seen_at) FROM visits "
            "WHERE person_id IS NOT NULL AND hidden_by IS NULL GROUP BY person_id))",
        )

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

    def forget_before(self, seen_at: float) -> tuple[str, ...]:
        """Delete the visits last seen before a wall time, with their samples; which they were.

        Their pictures are the caller's to delete. What was learned from them stays.
        """
        with self._file.writing():
            gone = self._file.rows("SELECT id FROM visits WHERE last_seen_at < ?", seen_at)
            self._file.execute("DELETE FROM visits WHERE last_seen_at < ?", seen_at)
        if gone:
            self._changes.overwrite_log()
        return tuple(row["id"] for row in gone)

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
        with self._changes.one():
            for column in ("first_seen_at", "last_seen_at"):  # of who came before, only the latter
                came = "min" if column == "first_seen_at" else "max"
                self._file.execute(
                    f"UPDATE strangers SET {column} = {column} + ? "  # noqa: S608 - our own words
                    f"WHERE {column} BETWEEN ? AND ? AND ? < "
                    f"(SELECT {came}(rowid) FROM visits WHERE stranger_id = strangers.id)",
                    seconds,
                    since,
                    until,
                    after,
                )
            self._file.execute(
                "UPDATE visits SET started_at = started_at + ?1, last_seen_at = last_seen_at + ?1, "
                "ended_at = ended_at + ?1 WHERE started_at BETWEEN ?2 AND ?3 AND rowid > ?4",
                seconds,
                since,
                until,
                after,
            )
            # Who came before that, too, was last seen in a visit that has moved.
            self._file.execute(
                "UPDATE strangers SET last_seen_at = max(last_seen_at, coalesce((SELECT "
                "max(last_seen_at) FROM visits WHERE stranger_id = strangers.id), last_seen_at))"
            )

    def close_open(self) -> int:
        """End, when they were last seen, the visits that a killed daemon left open; how many."""
        with self._file.writing():
            return self._file.execute(
                "UPDATE visits SET ended_at = last_seen_at WHERE ended_at IS NULL"
            )
