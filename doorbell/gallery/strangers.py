"""The strangers in the gallery: who came and has no name.

Whether two strangers are one is for the caller to know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from doorbell.domain import FaceSample, Person, Stranger
from doorbell.errors import UnknownStrangerError, UsageError
from doorbell.gallery.codec import stranger_from
from doorbell.gallery.deletion import delete_some_visits, delete_visitor, visits_beside
from doorbell.gallery.names import clean_name
from doorbell.gallery.namings import begin_naming, end_naming
from doorbell.gallery.queries import (
    STRANGERS,
    WEEK_SECONDS,
    add_stranger_samples,
    all_strangers,
    find_or_create_person,
    keep_best_samples,
    move_to_person,
    person_by_id,
    samples_of,
    see_at,
    visits_since,
)
from doorbell.gallery.records import Forgotten
from doorbell.gallery.sql import EVERY
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
            self._file.execute("UPDATE strangers SET visits = visits + 1 WHERE id = ?", stranger_id)
            see_at(self._file, "strangers", stranger_id, seen_at)
            add_stranger_samples(self._file, stranger_id, samples)
            # This visit is saved under the stranger only afterwards.
            week = 1 + visits_since(self._file, stranger_id, seen_at - WEEK_SECONDS)
            return replace(self.get(stranger_id), visits_week=week)

    def merge(self, one: int, other: int, *, undoable: bool = False) -> Stranger:
        """Make two strangers one, under the identifier given first.

        Args:
            one: of one stranger.
            other: of another.
            undoable: note it, so that it can be taken back.

        Raises:
            UnknownStrangerError: there is none of one of the identifiers.
            UsageError: both are the same.
        """
        with self._changes.one():
            older, newer = self.get(min(one, other)), self.get(max(one, other))
            kept, gone = older.stranger_id, newer.stranger_id
            if kept == gone:
                raise UsageError(
                    f"{older.label} cannot be merged into itself; give two identifiers"
                )
            naming_id = begin_naming(self._file, newer, older, made=False) if undoable else None
            for table in ("samples", "visits", "negatives", "corrections", "namings"):
                self._file.execute(
                    f"UPDATE {table} SET stranger_id = ? WHERE stranger_id = ?",  # noqa: S608 - our own words
                    kept,
                    gone,
                )
            self._file.execute(
                "UPDATE strangers SET first_seen_at = ?, last_seen_at = ?, visits = ?, "
                "ignored = ?, added_by = NULL WHERE id = ?",
                min(older.first_seen_at, newer.first_seen_at),
                max(older.last_seen_at, newer.last_seen_at),
                older.visits + newer.visits,
                older.ignored or newer.ignored,
                kept,
            )
            self._file.execute("DELETE FROM strangers WHERE id = ?", gone)
            keep_best_samples(self._file, kept, hidden_by=naming_id)
            merged = self.get(kept)
            if naming_id is not None:
                end_naming(self._file, naming_id, merged)
            return merged

    def samples(self, stranger_id: int, model_id: str) -> list[FaceSample]:
        """A stranger's samples by one embedder, the oldest first.

        Those that are damaged are left out.

        Raises:
            UnknownStrangerError: there is none of that identifier.
            EncryptionError: another process encrypted the gallery, decrypted it or changed its key.
        """
        return samples_of(self._file, self.get(stranger_id), model_id)

    def seen_together(self, one: int, other: int) -> bool:
        """Whether two strangers were at the door at the same time for long: they are two people."""
        rows = self._file.rows(
            "SELECT stranger_id, started_at, last_seen_at FROM visits "
            "WHERE stranger_id IN (?, ?) ORDER BY started_at",
            one,
            other,
        )
        there_until = dict.fromkeys((one, other), float("-inf"))
        for row in rows:
            stranger_id, came, left = row["stranger_id"], row["started_at"], row["last_seen_at"]
            together = (
                min(until, left) - came for who, until in there_until.items() if who != stranger_id
            )
            if any(seconds >= TOGETHER_SECONDS for seconds in together):
                return True
            there_until[stranger_id] = max(there_until[stranger_id], left)
        return False

    def last_seen_at(self) -> float | None:
        """Wall time when one of them was seen last; None where there are none."""
        [row] = self._file.rows(
            "SELECT max(last_seen_at) AS latest FROM strangers WHERE last_seen_at IS NOT NULL"
        )
        return None if row["latest"] is None else float(row["latest"])

    def name(self, stranger_id: int, name: str) -> Person:
        """Make a stranger a person, new or enrolled: samples and visits go with them.

        ``Gallery.namings`` takes it back.

        Raises:
            UnknownStrangerError: there is none of that identifier.
            InvalidNameError: the name cannot be stored.
        """
        cleaned = clean_name(name)
        with self._changes.one():
            stranger = self.get(stranger_id)
            person_id, made = find_or_create_person(self._file, cleaned)
            person = person_by_id(self._file, person_id)
            naming_id = begin_naming(self._file, stranger, person, made=made)
            if stranger.ignored:  # stays so under the first name
                self._file.execute(
                    "UPDATE people SET ignored = 1 WHERE id = ? "
                    "AND NOT EXISTS (SELECT 1 FROM samples WHERE person_id = people.id)",
                    person_id,
                )
            # The household says who it is: no undoing of a correction takes these away any more.
            self._file.execute(
                "UPDATE samples SET added_by = NULL WHERE stranger_id = ?", stranger_id
            )
            move_to_person(self._file, "stranger_id", stranger_id, person_id, naming_id)
            self._file.execute("DELETE FROM strangers WHERE id = ?", stranger_id)
            end_naming(self._file, naming_id, person)
            return person_by_id(self._file, person_id)

    def ignore(self, stranger_id: int, *, ignored: bool) -> Stranger:
        """Never ring for a stranger, or ring again.

        Raises:
            UnknownStrangerError: there is none of that identifier.
        """
        with self._changes.one():
            self.get(stranger_id)
            self._file.execute(
                "UPDATE strangers SET ignored = ? WHERE id = ?", ignored, stranger_id
            )
            return self.get(stranger_id)

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

        Those who are ignored stay: forgotten, they would ring.
        What they taught by a correction stays: that they are not somebody enrolled. ``beside`` of
        each are the visits of the same time as any of theirs.
        """
        forgotten, *_ = self.forget_some_before(seen_at)
        return forgotten

    def forget_some_before(
        self, seen_at: float, at_most: int = -1
    ) -> tuple[list[Forgotten], tuple[str, ...], tuple[str, ...]]:
        """Delete some of them: as ``forget_before``, call by call.

        Args:
            seen_at: wall time.
            at_most: so many strangers, and about so many visits, in one call; all where negative.

        Returns:
            Who is gone; what visits are gone of somebody else who has many; and the other visits of
            their time. Nothing of the first two once nobody is left.
        """
        forgotten: list[Forgotten] = []
        visit_ids: tuple[str, ...] = ()
        beside: tuple[str, ...] = ()
        with self._changes.one():
            # Those that a correction hid, too.
            rows = self._file.rows(
                "SELECT *, 1 AS visits_week FROM strangers WHERE last_seen_at < ? "
                "AND ignored = 0 ORDER BY last_seen_at, id LIMIT ?",
                seen_at,
                EVERY if at_most < 0 else at_most,
            )
            going = [row["id"] for row in rows]
            beside_all = visits_beside(
                self._file, f"stranger_id {self._file.among}", self._file.listed(going)
            )
            for stranger in map(stranger_from, rows):
                if at_most >= 0:
                    left = at_most - sum(len(each.visit_ids) for each in forgotten)
                    visit_ids, beside = delete_some_visits(self._file, stranger, max(left, 0))
                    if visit_ids:
                        break
                forgotten.append(delete_visitor(self._file, stranger, beside_all))
        if forgotten or visit_ids:
            self._changes.overwrite_log()
        return forgotten, visit_ids, beside
