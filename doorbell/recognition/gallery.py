"""The gallery: whom the household knows, which strangers came, and every visit.

Enters: names, embeddings, visits. Leaves: people, strangers, visits, and templates to compare with.
One SQLite file, one transaction a call, several processes at a time. Decides nobody's identity and
deletes no picture: it says which visits' pictures are to go.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlite_utils import Database

from doorbell.domain import FaceSample, Person, Stranger, Visit, Visitor
from doorbell.errors import EnrollmentError, UnknownPersonError, UnknownStrangerError, UsageError
from doorbell.recognition.gallery_file import open_database, translated, writing
from doorbell.recognition.gallery_rows import (
    EnrolledSample,
    EnrollmentOutcome,
    Forgotten,
    PersonSummary,
    Row,
    Templates,
    clean_name,
    decode_embeddings,
    encode_embedding,
    encode_preferences,
    name_key,
    person_from,
    stranger_from,
    visit_from,
)

__all__ = [
    "EnrolledSample",
    "EnrollmentOutcome",
    "Forgotten",
    "Gallery",
    "PersonSummary",
    "Templates",
]

# The best are kept: enough for several poses, and a bound for a stranger who comes every day.
MAX_STRANGER_SAMPLES = 16

_LOG = logging.getLogger(__name__)


class Gallery:
    """The open gallery; used by the one thread that opened it.

    Every method raises ``GalleryError`` where the file fails. Names are matched without regard to
    letter case and Unicode composition.
    """

    @classmethod
    def open(cls, path: Path) -> Gallery:
        """Open the gallery's file, creating it where there is none.

        Raises:
            GalleryError: the file is damaged, not a gallery, of a later version, or out of reach;
                it is left as it was.
        """
        return cls(path, open_database(path))

    def __init__(self, path: Path, database: Database) -> None:
        self._path = path
        self._database = database
        self._revision = 0  # counts our own changes of people, strangers and samples
        self._templates: dict[str, tuple[tuple[int, int], Templates]] = {}

    def __enter__(self) -> Gallery:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file; idempotent."""
        with translated(self._path):
            self._database.close()

    # People

    def people(self) -> list[Person]:
        """Everybody enrolled, in order of enrollment."""
        return [person_from(row) for row in self._rows("SELECT * FROM people ORDER BY id")]

    def person(self, name: str) -> Person:
        """Find somebody by name.

        Raises:
            UnknownPersonError: nobody has that name; the nearest names are offered.
        """
        people = {name_key(person.name): person for person in self.people()}
        if found := people.get(name_key(name)):
            return found
        nearest = get_close_matches(name_key(name), people)
        offer = (
            "did you mean " + " or ".join(people[key].name for key in nearest) + "?"
            if nearest
            else "see who is enrolled with: doorbell people list"
        )
        raise UnknownPersonError(f"nobody named {name!r} is enrolled; {offer}")

    def summaries(self) -> list[PersonSummary]:
        """Everybody enrolled with what the gallery holds of them, in order of enrollment."""
        rows = self._rows(
            """SELECT people.*,
                (SELECT count(*) FROM samples WHERE person_id = people.id) AS samples,
                (SELECT count(*) FROM visits WHERE person_id = people.id) AS visits,
                (SELECT max(last_seen_at) FROM visits WHERE person_id = people.id) AS last_seen_at
            FROM people ORDER BY id"""
        )
        return [
            PersonSummary(person_from(row), row["samples"], row["visits"], row["last_seen_at"])
            for row in rows
        ]

    def enroll(self, name: str, samples: Sequence[EnrolledSample]) -> EnrollmentOutcome:
        """Add samples to a person, who is created if new: all of them or, on any error, none.

        A sample whose picture this person has already is left out and reported.

        Raises:
            InvalidNameError: the name cannot be stored.
            EnrollmentError: there is no sample.
        """
        cleaned = clean_name(name)
        if not samples:
            raise EnrollmentError(f"nothing to enroll for {cleaned!r}: no face was given")
        with self._writing():
            person_id = self._find_or_create(cleaned)
            duplicates = [
                str(enrolled.source_sha256)
                for enrolled in samples
                if not self._add_sample(
                    enrolled.sample, person_id=person_id, source_sha256=enrolled.source_sha256
                )
            ]
            person = self._person_by_id(person_id)
        return EnrollmentOutcome(person, len(samples) - len(duplicates), tuple(duplicates))

    def rename(self, name: str, new_name: str) -> Person:
        """Give a person another name.

        Raises:
            UnknownPersonError: nobody has the first name.
            InvalidNameError: the new one cannot be stored.
            UsageError: the new one is somebody else's.
        """
        cleaned = clean_name(new_name)
        with self._writing():
            person = self.person(name)
            for other in self.people():
                if name_key(other.name) == name_key(cleaned) and other != person:
                    raise UsageError(
                        f"{other.name!r} is enrolled already; if they are one person: "
                        f"doorbell people merge {person.name!r} {other.name!r}"
                    )
            self._execute(
                "UPDATE people SET name = ?, name_key = ? WHERE id = ?",
                cleaned,
                name_key(cleaned),
                person.person_id,
            )
            return self._person_by_id(person.person_id)

    def merge(self, source: str, into: str) -> Person:
        """Make two people one: samples and visits of ``source`` move to ``into``.

        Chime and preferences of ``source`` stay where ``into`` has none of its own.

        Raises:
            UnknownPersonError: nobody has one of the names.
            UsageError: both are the same person.
        """
        with self._writing():
            gone, kept = self.person(source), self.person(into)
            if gone.person_id == kept.person_id:
                raise UsageError(f"{gone.name!r} cannot be merged into the same person")
            # A photo that both have stays once: the other goes with its person.
            self._execute(
                "UPDATE OR IGNORE samples SET person_id = ? WHERE person_id = ?",
                kept.person_id,
                gone.person_id,
            )
            self._execute(
                "UPDATE visits SET person_id = ? WHERE person_id = ?",
                kept.person_id,
                gone.person_id,
            )
            self._execute(
                "UPDATE people SET chime = ?, preferences = ? WHERE id = ?",
                gone.chime if kept.chime is None else kept.chime,
                encode_preferences({**gone.preferences, **kept.preferences}),
                kept.person_id,
            )
            self._execute("DELETE FROM people WHERE id = ?", gone.person_id)
            return self._person_by_id(kept.person_id)

    def forget(self, name: str) -> Forgotten:
        """Delete a person, every sample and every visit of theirs, and overwrite the bytes.

        Raises:
            UnknownPersonError: nobody has that name.
        """
        with self._writing():
            forgotten = self._delete(self.person(name))
        self._overwrite_log()
        return forgotten

    def set_chime(self, name: str, chime: str | None) -> Person:
        """Give a person a chime; None for the default one.

        Raises:
            UnknownPersonError: nobody has that name.
        """
        with self._writing():
            person_id = self.person(name).person_id
            self._execute("UPDATE people SET chime = ? WHERE id = ?", chime, person_id)
            return self._person_by_id(person_id)

    def set_preferences(self, name: str, preferences: Mapping[str, Any]) -> Person:
        """Replace a person's preferences.

        Raises:
            UnknownPersonError: nobody has that name.
            UsageError: they hold something that JSON cannot.
        """
        encoded = encode_preferences(preferences)
        with self._writing():
            person_id = self.person(name).person_id
            self._execute("UPDATE people SET preferences = ? WHERE id = ?", encoded, person_id)
            return self._person_by_id(person_id)

    # Strangers

    def strangers(self) -> list[Stranger]:
        """Every stranger not forgotten, in order of first appearance."""
        return [stranger_from(row) for row in self._rows("SELECT * FROM strangers ORDER BY id")]

    def stranger(self, stranger_id: int) -> Stranger:
        """Find a stranger.

        Raises:
            UnknownStrangerError: there is none of that identifier.
        """
        for row in self._rows("SELECT * FROM strangers WHERE id = ?", stranger_id):
            return stranger_from(row)
        raise UnknownStrangerError(
            f"there is no stranger-{stranger_id}; see those there are with: doorbell strangers list"
        )

    def add_stranger(self, samples: Sequence[FaceSample], seen_at: float) -> Stranger:
        """Keep somebody who was never seen before; this is the first visit."""
        with self._writing():
            stranger_id = self._insert(
                "INSERT INTO strangers (first_seen_at, last_seen_at, visits) VALUES (?, ?, 1)",
                seen_at,
                seen_at,
            )
            self._add_stranger_samples(stranger_id, samples)
            return self.stranger(stranger_id)

    def note_stranger_visit(
        self, stranger_id: int, seen_at: float, samples: Sequence[FaceSample]
    ) -> Stranger:
        """Count a visit of a stranger met before; of all samples the best are kept.

        Raises:
            UnknownStrangerError: there is none of that identifier.
        """
        with self._writing():
            self.stranger(stranger_id)
            self._execute(
                "UPDATE strangers SET visits = visits + 1, last_seen_at = max(last_seen_at, ?) "
                "WHERE id = ?",
                seen_at,
                stranger_id,
            )
            self._add_stranger_samples(stranger_id, samples)
            return self.stranger(stranger_id)

    def name_stranger(self, stranger_id: int, name: str) -> Person:
        """Make a stranger a person, new or enrolled: samples and visits go with them.

        Raises:
            UnknownStrangerError: there is none of that identifier.
            InvalidNameError: the name cannot be stored.
        """
        cleaned = clean_name(name)
        with self._writing():
            self.stranger(stranger_id)
            person_id = self._find_or_create(cleaned)
            for table in ("samples", "visits"):
                self._execute(
                    f"UPDATE {table} SET person_id = ?, stranger_id = NULL "  # noqa: S608 - our own words
                    "WHERE stranger_id = ?",
                    person_id,
                    stranger_id,
                )
            self._execute("DELETE FROM strangers WHERE id = ?", stranger_id)
            return self._person_by_id(person_id)

    def forget_stranger(self, stranger_id: int) -> Forgotten:
        """Delete a stranger, every sample and every visit of theirs, and overwrite the bytes.

        Raises:
            UnknownStrangerError: there is none of that identifier.
        """
        with self._writing():
            forgotten = self._delete(self.stranger(stranger_id))
        self._overwrite_log()
        return forgotten

    def forget_strangers_before(self, seen_at: float) -> list[Forgotten]:
        """Delete the strangers last seen before a wall time, as ``forget_stranger`` does."""
        with self._writing():
            forgotten = [
                self._delete(stranger)
                for stranger in self.strangers()
                if stranger.last_seen_at < seen_at
            ]
        if forgotten:
            self._overwrite_log()
        return forgotten

    # Visits

    def save_visit(self, visit: Visit) -> None:
        """Store a visit, or what has become of it.

        A visitor who was forgotten, named or merged meanwhile does not undo that: what the gallery
        knows of the visit stays.
        """
        columns = {
            "id": visit.visit_id,
            "started_at": visit.started_at,
            "last_seen_at": visit.last_seen_at,
            "ended_at": visit.ended_at,
            "similarity": visit.similarity,
            "frames_used": visit.frames_used,
            "seconds_to_decision": visit.seconds_to_decision,
        }
        with self._writing(templates_change=False):
            if visit.visitor is not None and self._is_stored(visit.visitor):
                person = visit.visitor if isinstance(visit.visitor, Person) else None
                stranger = visit.visitor if isinstance(visit.visitor, Stranger) else None
                columns["person_id"] = person and person.person_id
                columns["stranger_id"] = stranger and stranger.stranger_id
            names = ", ".join(columns)
            marks = ", ".join(f":{name}" for name in columns)
            changes = ", ".join(f"{name} = excluded.{name}" for name in columns)
            self._database.execute(
                f"INSERT INTO visits ({names}) VALUES ({marks}) "  # noqa: S608 - our own words
                f"ON CONFLICT (id) DO UPDATE SET {changes}",
                columns,
            )

    def visits(
        self, limit: int, *, since: float | None = None, name: str | None = None
    ) -> list[Visit]:
        """Visits, newest first.

        Args:
            limit: at most so many.
            since: only those that began at or after this wall time.
            name: only this person's.

        Raises:
            UnknownPersonError: nobody has that name.
        """
        with self._reading():
            person_id = None if name is None else self.person(name).person_id
            people = {person.person_id: person for person in self.people()}
            strangers = {stranger.stranger_id: stranger for stranger in self.strangers()}
            rows = self._rows(
                "SELECT * FROM visits WHERE (?1 IS NULL OR started_at >= ?1) "
                "AND (?2 IS NULL OR person_id = ?2) ORDER BY started_at DESC, rowid DESC LIMIT ?3",
                since,
                person_id,
                limit,
            )
        return [
            visit_from(row, people.get(row["person_id"]) or strangers.get(row["stranger_id"]))
            for row in rows
        ]

    def close_open_visits(self) -> int:
        """End, when they were last seen, the visits that a killed daemon left open; how many."""
        with self._writing(templates_change=False):
            return self._execute("UPDATE visits SET ended_at = last_seen_at WHERE ended_at IS NULL")

    # Templates

    def templates(self, model_id: str) -> Templates:
        """All samples of one embedder; kept until this or another process changes the gallery.

        Raises:
            GalleryError: a sample has not the size of an embedding.
        """
        with translated(self._path):
            # Changes whenever another connection, in this or another process, has committed.
            (data_version,) = self._database.conn.execute("PRAGMA data_version").fetchone()
        version = (data_version, self._revision)
        kept = self._templates.get(model_id)
        if kept is None or kept[0] != version:
            kept = version, self._build_templates(model_id)
            self._templates[model_id] = kept
        return kept[1]

    def _build_templates(self, model_id: str) -> Templates:
        with self._reading():
            people, strangers = self.people(), self.strangers()
            rows = self._rows("SELECT * FROM samples WHERE model_id = ? ORDER BY id", model_id)
        of_people = [row for row in rows if row["person_id"] is not None]
        of_strangers = [row for row in rows if row["stranger_id"] is not None]
        return Templates(
            model_id=model_id,
            people=tuple(people),
            person_index=_places(of_people, "person_id", [each.person_id for each in people]),
            person_embeddings=decode_embeddings(of_people),
            strangers=tuple(strangers),
            stranger_index=_places(
                of_strangers, "stranger_id", [each.stranger_id for each in strangers]
            ),
            stranger_embeddings=decode_embeddings(of_strangers),
        )

    # Rows; those below that write are called within a transaction

    @contextmanager
    def _writing(self, *, templates_change: bool = True) -> Iterator[None]:
        with translated(self._path), writing(self._database):
            yield
        self._revision += templates_change

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Several reads of one state, whatever other processes write."""
        with translated(self._path):
            self._database.execute("BEGIN")
            try:
                yield
            finally:
                self._database.execute("ROLLBACK")

    def _rows(self, sql: str, *parameters: object) -> list[dict[str, Any]]:
        with translated(self._path):
            return list(self._database.query(sql, parameters))

    def _execute(self, sql: str, *parameters: object) -> int:
        return self._database.execute(sql, parameters).rowcount

    def _insert(self, sql: str, *parameters: object) -> int:
        return int(self._database.execute(sql, parameters).lastrowid or 0)

    def _find_or_create(self, cleaned: str) -> int:
        for row in self._rows("SELECT id FROM people WHERE name_key = ?", name_key(cleaned)):
            return int(row["id"])
        return self._insert(
            "INSERT INTO people (name, name_key) VALUES (?, ?)", cleaned, name_key(cleaned)
        )

    def _person_by_id(self, person_id: int) -> Person:
        (row,) = self._rows("SELECT * FROM people WHERE id = ?", person_id)
        return person_from(row)

    def _add_sample(
        self,
        sample: FaceSample,
        *,
        person_id: int | None = None,
        stranger_id: int | None = None,
        source_sha256: str | None = None,
    ) -> bool:
        """Whether it was stored; False where the person has this picture already."""
        return bool(
            self._execute(
                "INSERT INTO samples "
                "(person_id, stranger_id, model_id, embedding, quality, source_sha256) "
                "VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (person_id, model_id, source_sha256) DO NOTHING",
                person_id,
                stranger_id,
                sample.model_id,
                encode_embedding(sample),
                sample.quality,
                source_sha256,
            )
        )

    def _add_stranger_samples(self, stranger_id: int, samples: Sequence[FaceSample]) -> None:
        for sample in samples:
            self._add_sample(sample, stranger_id=stranger_id)
        self._execute(
            "DELETE FROM samples WHERE stranger_id = ?1 AND id NOT IN "
            "(SELECT id FROM samples WHERE stranger_id = ?1 ORDER BY quality DESC, id LIMIT ?2)",
            stranger_id,
            MAX_STRANGER_SAMPLES,
        )

    def _is_stored(self, visitor: Visitor) -> bool:
        table, visitor_id = _table_and_id(visitor)
        return bool(self._rows(f"SELECT 1 FROM {table} WHERE id = ?", visitor_id))  # noqa: S608 - our own words

    def _delete(self, visitor: Visitor) -> Forgotten:
        table, visitor_id = _table_and_id(visitor)
        column = "person_id" if isinstance(visitor, Person) else "stranger_id"
        visits = self._rows(f"SELECT id FROM visits WHERE {column} = ?", visitor_id)  # noqa: S608 - our own words
        self._execute(f"DELETE FROM visits WHERE {column} = ?", visitor_id)  # noqa: S608 - our own words
        samples = self._execute(f"DELETE FROM samples WHERE {column} = ?", visitor_id)  # noqa: S608 - our own words
        self._execute(f"DELETE FROM {table} WHERE id = ?", visitor_id)  # noqa: S608 - our own words
        return Forgotten(visitor, samples, tuple(row["id"] for row in visits))

    def _overwrite_log(self) -> None:
        """Move the deletion into the file and empty the write-ahead log, which has old pages."""
        with translated(self._path):
            checkpoint = self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if checkpoint[0]:
            _LOG.warning(
                "the gallery is in use by another process: what was forgotten is deleted, but its "
                "bytes stay in %s-wal until that process closes or writes more",
                self._path,
            )


def _table_and_id(visitor: Visitor) -> tuple[str, int]:
    if isinstance(visitor, Person):
        return "people", visitor.person_id
    return "strangers", visitor.stranger_id


def _places(rows: Sequence[Row], column: str, ids: list[int]) -> NDArray[np.int64]:
    """Where in ``ids`` each row's column is, read-only."""
    place = {each: index for index, each in enumerate(ids)}
    places = np.array([place[row[column]] for row in rows], dtype=np.int64)  # (N,)
    places.setflags(write=False)
    return places
