"""The strangers in the gallery: who came and has no name.

Whether two strangers are one is for the caller to know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from doorbell.domain import FaceSample, Person, Stranger
from doorbell.errors import UnknownStrangerError, UsageError
from doorbell.gallery.codec import stranger_from
from doorbell.gallery.names import clean_name
from doorbell.gallery.queries import (
    STRANGERS,
    WEEK_SECONDS,
    add_stranger_samples,
    all_strangers,
    delete_visitor,
    find_or_create_person,
    keep_best_samples,
    move_to_person,
    person_by_id,
    visits_since,
)
from doorbell.gallery.records import Forgotten
from doorbell.gallery.store import Changes

# Visits that overlap by less, or last no longer, may be two tracks of one face.
TOGETHER_SECONDS = 1.0


class StrangerStore:
    """Who came and has no name."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._file = changes.file

    def all(self) -> list[Stranger]:
        """Every stranger not forgotten, in order of first appearance."""
        return all_strangers(self._file)

    def get(self, stranger_id: int) -> Stranger:
        """Find a stranger.

        Raises:
            UnknownStrangerError: there is none of that identifier.
        """
        for row in self._file.rows(f"{STRANGERS} AND id = ?", stranger_id):
            return stranger_from(row)
        raise UnknownStrangerError(
            f"there is no stranger-{stranger_id}; see those there are with: doorbell strangers list"
        )

    def add(self, samples: Sequence[FaceSample], seen_at: float) -> Stranger:
        """Keep somebody who was never seen before; this is the first visit."""
        with self._changes.one():
            stranger_id = self._file.insert(
                "strangers", first_seen_at=seen_at, last_seen_at=seen_at, visits=1
            )
            add_stranger_samples(self._file, stranger_id, samples)
            return self.get(stranger_id)

    def note_visit(
        self, stranger_id: int, seen_at: float, samples: Sequence[FaceSample]
    ) -> Stranger:
        """Count a visit of a stranger met before; of all samples the best are kept.

        Raises:
            UnknownStrangerError: there is none of that identifier.
        """
        with self._changes.one():
            self.get(stranger_id)
            self._file.execute(
                "UPDATE strangers SET visits = visits + 1, last_seen_at = max(last_seen_at, ?) "
                "WHERE id = ?",
                seen_at,
                stranger_id,
            )
            add_stranger_samples(self._file, stranger_id, samples)
            # This visit is saved under the stranger only afterwards.
            week = 1 + visits_since(self._file, stranger_id, seen_at - WEEK_SECONDS)
            return replace(self.get(stranger_id), visits_week=week)

    def merge(self, one: int, other: int) -> Stranger:
        """Make two strangers one, under the identifier given first.

        Raises:
            UnknownStrangerError: there is none of one of the identifiers.
            UsageError: both are the same.
        """
        older, newer = self.get(min(one, other)), self.get(max(one, other))
        kept, gone = older.stranger_id, newer.stranger_id
        if kept == gone:
            raise UsageError(f"{older.label} cannot be merged into itself; give two identifiers")
        with self._changes.one():
            for table in ("samples", "visits", "negatives", "corrections"):
                self._file.execute(
                    f"UPDATE {table} SET stranger_id = ? WHERE stranger_id = ?",  # noqa: S608 - our own words
                    kept,
                    gone,
                )
            self._file.execute(
                "UPDATE strangers SET first_seen_at = ?, last_seen_at = ?, visits = ?, "
                "added_by = NULL WHERE id = ?",
                min(older.first_seen_at, newer.first_seen_at),
                max(older.last_seen_at, newer.last_seen_at),
                older.visits + newer.visits,
                kept,
            )
            self._file.execute("DELETE FROM strangers WHERE id = ?", gone)
            keep_best_samples(self._file, kept)
            return self.get(kept)

    def seen_together(self, one: int, other: int) -> bool:
        """Whether two strangers were at the door at the same time for long: they are two people."""
        return bool(
            self._file.rows(
                "SELECT 1 FROM visits AS a JOIN visits AS b "
                "ON min(a.last_seen_at, b.last_seen_at) - max(a.started_at, b.started_at) >= ? "
                "WHERE a.stranger_id = ? AND b.stranger_id = ? LIMIT 1",
                TOGETHER_SECONDS,
                one,
                other,
            )
        )

    def name(self, stranger_id: int, name: str) -> Person:
        """Make a stranger a person, new or enrolled: samples and visits go with them.

        Raises:
            UnknownStrangerError: there is none of that identifier.
            InvalidNameError: the name cannot be stored.
        """
        cleaned = clean_name(name)
        with self._changes.one():
            self.get(stranger_id)
            person_id = find_or_create_person(self._file, cleaned)
            # The household says who it is: no undoing of a correction takes these away any more.
            self._file.execute(
                "UPDATE samples SET added_by = NULL WHERE stranger_id = ?", stranger_id
            )
            move_to_person(self._file, "stranger_id", stranger_id, person_id)
            self._file.execute("DELETE FROM strangers WHERE id = ?", stranger_id)
            return person_by_id(self._file, person_id)

    def forget(self, stranger_id: int) -> Forgotten:
        """Delete a stranger, every sample and every visit of theirs, and overwrite the bytes.

        Raises:
            UnknownStrangerError: there is none of that identifier.
        """
        with self._changes.one():
            stranger = self.get(stranger_id)
            self._file.execute("DELETE FROM negatives WHERE stranger_id = ?", stranger_id)
            forgotten = delete_visitor(self._file, stranger)
        self._changes.overwrite_log()
        return forgotten

    def forget_before(self, seen_at: float) -> list[Forgotten]:
        """Delete the strangers last seen before a wall time, with every sample and visit.

        What they taught by a correction stays: that they are not somebody enrolled.
        """
        with self._changes.one():
            # Those that a correction hid, too.
            rows = self._file.rows(
                "SELECT *, 1 AS visits_week FROM strangers WHERE last_seen_at < ? ORDER BY id",
                seen_at,
            )
            forgotten = [delete_visitor(self._file, stranger_from(row)) for row in rows]
        if forgotten:
            self._changes.overwrite_log()
        return forgotten
