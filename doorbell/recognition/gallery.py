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

from doorbell.domain import FaceSample, Person, Stranger, Visit
from doorbell.errors import EnrollmentError, UnknownPersonError, UnknownStrangerError, UsageError
from doorbell.recognition.gallery_file import GalleryFile
from doorbell.recognition.gallery_rows import (
    EnrolledSample,
    EnrollmentOutcome,
    Forgotten,
    PersonSummary,
    Templates,
    clean_name,
    encode_preferences,
    name_key,
    person_from,
    stranger_from,
)
from doorbell.recognition.gallery_statements import (
    add_sample,
    add_stranger_samples,
    all_people,
    all_strangers,
    build_templates,
    delete_visitor,
    find_or_create_person,
    person_by_id,
    select_visits,
    upsert_visit,
)

__all__ = [
    "EnrolledSample",
    "EnrollmentOutcome",
    "Forgotten",
    "Gallery",
    "PersonSummary",
    "Templates",
]

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
        return cls(GalleryFile(path))

    def __init__(self, file: GalleryFile) -> None:
        self._file = file
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
        self._file.close()

    # People

    def people(self) -> list[Person]:
        """Everybody enrolled, in order of enrollment."""
        return all_people(self._file)

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
        rows = self._file.rows(
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
        with self._changing():
            person_id = find_or_create_person(self._file, cleaned)
            duplicates = [
                str(enrolled.source_sha256)
                for enrolled in samples
                if not add_sample(self._file, person_id, enrolled.sample, enrolled.source_sha256)
            ]
            person = person_by_id(self._file, person_id)
        return EnrollmentOutcome(person, len(samples) - len(duplicates), tuple(duplicates))

    def rename(self, name: str, new_name: str) -> Person:
        """Give a person another name.

        Raises:
            UnknownPersonError: nobody has the first name.
            InvalidNameError: the new one cannot be stored.
            UsageError: the new one is somebody else's.
        """
        cleaned = clean_name(new_name)
        with self._changing():
            person = self.person(name)
            for other in self.people():
                if name_key(other.name) == name_key(cleaned) and other != person:
                    raise UsageError(
                        f"{other.name!r} is enrolled already; if they are one person: "
                        f"doorbell people merge {person.name!r} {other.name!r}"
                    )
            self._file.execute(
                "UPDATE people SET name = ?, name_key = ? WHERE id = ?",
                cleaned,
                name_key(cleaned),
                person.person_id,
            )
            return person_by_id(self._file, person.person_id)

    def merge(self, source: str, into: str) -> Person:
        """Make two people one: samples and visits of ``source`` move to ``into``.

        Chime and preferences of ``source`` stay where ``into`` has none of its own.

        Raises:
            UnknownPersonError: nobody has one of the names.
            UsageError: both are the same person.
        """
        with self._changing():
            gone, kept = self.person(source), self.person(into)
            if gone.person_id == kept.person_id:
                raise UsageError(f"{gone.name!r} cannot be merged into the same person")
            # A photo that both have stays once: the other goes with its person.
            self._file.execute(
                "UPDATE OR IGNORE samples SET person_id = ? WHERE person_id = ?",
                kept.person_id,
                gone.person_id,
            )
            self._file.execute(
                "UPDATE visits SET person_id = ? WHERE person_id = ?",
                kept.person_id,
                gone.person_id,
            )
            self._file.execute(
                "UPDATE people SET chime = ?, preferences = ? WHERE id = ?",
                gone.chime if kept.chime is None else kept.chime,
                encode_preferences({**gone.preferences, **kept.preferences}),
                kept.person_id,
            )
            self._file.execute("DELETE FROM people WHERE id = ?", gone.person_id)
            return person_by_id(self._file, kept.person_id)

    def forget(self, name: str) -> Forgotten:
        """Delete a person, every sample and every visit of theirs, and overwrite the bytes.

        Raises:
            UnknownPersonError: nobody has that name.
        """
        with self._changing():
            forgotten = delete_visitor(self._file, self.person(name))
        self._overwrite_log()
        return forgotten

    def set_chime(self, name: str, chime: str | None) -> Person:
        """Give a person a chime; None for the default one.

        Raises:
            UnknownPersonError: nobody has that name.
        """
        with self._changing():
            person_id = self.person(name).person_id
            self._file.execute("UPDATE people SET chime = ? WHERE id = ?", chime, person_id)
            return person_by_id(self._file, person_id)

    def set_preferences(self, name: str, preferences: Mapping[str, Any]) -> Person:
        """Replace a person's preferences.

        Raises:
            UnknownPersonError: nobody has that name.
            UsageError: they hold something that JSON cannot.
        """
        encoded = encode_preferences(preferences)
        with self._changing():
            person_id = self.person(name).person_id
            self._file.execute("UPDATE people SET preferences = ? WHERE id = ?", encoded, person_id)
            return person_by_id(self._file, person_id)

    # Strangers

    def strangers(self) -> list[Stranger]:
        """Every stranger not forgotten, in order of first appearance."""
        return all_strangers(self._file)

    def stranger(self, stranger_id: int) -> Stranger:
        """Find a stranger.

        Raises:
            UnknownStrangerError: there is none of that identifier.
        """
        for row in self._file.rows("SELECT * FROM strangers WHERE id = ?", stranger_id):
            return stranger_from(row)
        raise UnknownStrangerError(
            f"there is no stranger-{stranger_id}; see those there are with: doorbell strangers list"
        )

    def add_stranger(self, samples: Sequence[FaceSample], seen_at: float) -> Stranger:
        """Keep somebody who was never seen before; this is the first visit."""
        with self._changing():
            stranger_id = self._file.insert(
                "strangers", first_seen_at=seen_at, last_seen_at=seen_at, visits=1
            )
            add_stranger_samples(self._file, stranger_id, samples)
            return self.stranger(stranger_id)

    def note_stranger_visit(
        self, stranger_id: int, seen_at: float, samples: Sequence[FaceSample]
    ) -> Stranger:
        """Count a visit of a stranger met before; of all samples the best are kept.

        Raises:
            UnknownStrangerError: there is none of that identifier.
        """
        with self._changing():
            self.stranger(stranger_id)
            self._file.execute(
                "UPDATE strangers SET visits = visits + 1, last_seen_at = max(last_seen_at, ?) "
                "WHERE id = ?",
                seen_at,
                stranger_id,
            )
            add_stranger_samples(self._file, stranger_id, samples)
            return self.stranger(stranger_id)

    def name_stranger(self, stranger_id: int, name: str) -> Person:
        """Make a stranger a person, new or enrolled: samples and visits go with them.

        Raises:
            UnknownStrangerError: there is none of that identifier.
            InvalidNameError: the name cannot be stored.
        """
        cleaned = clean_name(name)
        with self._changing():
            self.stranger(stranger_id)
            person_id = find_or_create_person(self._file, cleaned)
            for table in ("samples", "visits"):
                self._file.execute(
                    f"UPDATE {table} SET person_id = ?, stranger_id = NULL WHERE stranger_id = ?",  # noqa: S608 - our own words
                    person_id,
                    stranger_id,
                )
            self._file.execute("DELETE FROM strangers WHERE id = ?", stranger_id)
            return person_by_id(self._file, person_id)

    def forget_stranger(self, stranger_id: int) -> Forgotten:
        """Delete a stranger, every sample and every visit of theirs, and overwrite the bytes.

        Raises:
            UnknownStrangerError: there is none of that identifier.
        """
        with self._changing():
            forgotten = delete_visitor(self._file, self.stranger(stranger_id))
        self._overwrite_log()
        return forgotten

    def forget_strangers_before(self, seen_at: float) -> list[Forgotten]:
        """Delete the strangers last seen before a wall time, as ``forget_stranger`` does."""
        with self._changing():
            forgotten = [
                delete_visitor(self._file, stranger)
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
        with self._file.writing():
            upsert_visit(self._file, visit)

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
        with self._file.reading():
            person_id = None if name is None else self.person(name).person_id
            return select_visits(self._file, limit, since, person_id)

    def close_open_visits(self) -> int:
        """End, when they were last seen, the visits that a killed daemon left open; how many."""
        with self._file.writing():
            return self._file.execute(
                "UPDATE visits SET ended_at = last_seen_at WHERE ended_at IS NULL"
            )

    # Templates

    def templates(self, model_id: str) -> Templates:
        """All samples of one embedder; kept until this or another process changes the gallery.

        Raises:
            GalleryError: a sample has not the size of an embedding.
        """
        version = (self._file.foreign_version(), self._revision)
        kept = self._templates.get(model_id)
        if kept is None or kept[0] != version:
            kept = version, build_templates(self._file, model_id)
            self._templates[model_id] = kept
        return kept[1]

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One transaction that changes people, strangers or samples."""
        with self._file.writing():
            yield
        self._revision += 1

    def _overwrite_log(self) -> None:
        # The log has pages from before the deletion.
        if not self._file.empty_log():
            _LOG.warning(
                "the gallery is in use by another process: what was forgotten is deleted, but its "
                "bytes stay in %s-wal until that process closes or writes more",
                self._file.path,
            )
