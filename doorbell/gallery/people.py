"""The people in the gallery: whom the household knows."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Any

from doorbell.domain import FaceSample, Person
from doorbell.errors import EnrollmentError, UnknownPersonError, UsageError
from doorbell.gallery.codec import (
    PERSON_COLUMNS,
    consent_from,
    encode_preferences,
    person_from,
    readable,
    wall_time,
)
from doorbell.gallery.deletion import delete_visitor
from doorbell.gallery.names import clean_consent, clean_name, name_key
from doorbell.gallery.namings import begin_naming, end_naming
from doorbell.gallery.queries import (
    add_sample,
    add_variants,
    all_people,
    find_or_create_person,
    move_portraits,
    move_to_person,
    person_by_id,
    samples_of,
)
from doorbell.gallery.records import (
    EnrolledSample,
    EnrollmentOutcome,
    Forgotten,
    PersonSummary,
    StoredSample,
)
from doorbell.gallery.store import Changes


class PeopleStore:
    """Whom the household knows."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._file = changes.file

    def all(self) -> list[Person]:
        """Everybody enrolled, in order of enrollment."""
        return all_people(self._file)

    def count(self) -> int:
        """How many people are enrolled."""
        [row] = self._file.rows("SELECT count(*) AS n FROM people")
        return int(row["n"])

    def get(self, name: str) -> Person:
        """Find somebody by name.

        Raises:
            UnknownPersonError: nobody has that name; the nearest names are offered.
        """
        with suppress(UnicodeEncodeError):  # half of a surrogate pair is in nobody's name
            key = name_key(name).encode().decode()
            for row in self._file.rows(
                f"SELECT {PERSON_COLUMNS} FROM people WHERE name_key = ?",  # noqa: S608 - our own words
                key,
            ):
                return person_from(row)
        people = {name_key(person.name): person for person in self.all()}
        nearest = get_close_matches(name_key(name), people)
        offer = (
            "did you mean " + " or ".join(people[key].name for key in nearest) + "?"
            if nearest
            else "see who is enrolled with: doorbell people list"
        )
        raise UnknownPersonError(f"nobody named {name!r} is enrolled; {offer}")

    def by_id(self, person_id: int) -> Person:
        """The person of an identifier.

        Raises:
            UnknownPersonError: there is none.
        """
        for person in self.those([person_id]):
            return person
        raise UnknownPersonError(f"nobody enrolled has the number {person_id}; list them anew")

    def those(self, person_ids: Iterable[int]) -> list[Person]:
        """The people of these identifiers, in order of enrollment; without any who is not there."""
        wanted = sorted(person_ids)
        if not wanted:
            return []
        rows = self._file.rows(
            f"SELECT {PERSON_COLUMNS} FROM people WHERE id {self._file.among} ORDER BY id",  # noqa: S608 - our own words
            self._file.listed(wanted),
        )
        return [person_from(row) for row in rows]

    def samples(self, name: str, model_id: str) -> list[FaceSample]:
        """What is enrolled of a person by one embedder, the oldest first.

        Those that are damaged are left out.

        Raises:
            UnknownPersonError: nobody has that name.
            EncryptionError: another process encrypted the gallery, decrypted it or changed its key.
        """
        return samples_of(self._file, self.get(name), model_id)

    def stored_samples(self, name: str) -> list[StoredSample]:
        """Every sample of a person, by whatever embedder and damaged ones too, the oldest first.

        Raises:
            UnknownPersonError: nobody has that name.
        """
        self._file.require_seal()
        rows = self._file.rows(
            "SELECT id, model_id, embedding, quality, source_sha256, visit_id, "
            "coalesce(added_at, (SELECT started_at FROM visits "
            "WHERE visits.id = samples.visit_id)) AS came_at FROM samples "
            "WHERE person_id = ? AND hidden_by IS NULL ORDER BY id",
            self.get(name).person_id,
        )
        whole, embeddings = readable(rows, self._file.cipher)
        faces = {
            row["id"]: FaceSample(embedding, row["model_id"], row["quality"])
            for row, embedding in zip(whole, embeddings, strict=True)
        }
        return [
            StoredSample(
                row["id"],
                faces.get(row["id"]),
                None if row["came_at"] is None else wall_time(row["came_at"]),
                row["source_sha256"],
                row["visit_id"],
            )
            for row in rows
        ]

    def remove_sample(self, name: str, sample_id: int) -> None:
        """Delete one sample of a person with its variants, and overwrite the bytes.

        Raises:
            UnknownPersonError: nobody has that name.
            UsageError: they have no such sample, or no other.
        """
        with self._changes.one():
            person = self.get(name)
            numbers = [
                row["id"]
                for row in self._file.rows(
                    "SELECT id FROM samples WHERE person_id = ? AND hidden_by IS NULL ORDER BY id",
                    person.person_id,
                )
            ]
            if sample_id not in numbers:
                raise UsageError(
                    f"{person.name} has no sample {sample_id}; see them with: "
                    f"doorbell people samples {shlex.quote(person.name)}"
                )
            if len(numbers) == 1:
                raise UsageError(
                    f"sample {sample_id} is the only one of {person.name}, who could not be "
                    "recognized without; enroll another photo first, or use: "
                    f"doorbell people forget {shlex.quote(person.name)}"
                )
            self._file.execute("DELETE FROM samples WHERE id = ?", sample_id)
        self._changes.overwrite_log()

    def summaries(self) -> list[PersonSummary]:
        """Everybody enrolled with what the gallery holds of them, in order of enrollment."""
        rows = self._file.rows(
            f"""SELECT {PERSON_COLUMNS}, consent, consent_at,
                (SELECT count(*) FROM samples
                    WHERE person_id = people.id AND hidden_by IS NULL) AS samples,
                EXISTS (SELECT 1 FROM samples JOIN variants ON sample_id = samples.id
                    WHERE person_id = people.id AND hidden_by IS NULL) AS has_variants,
                (SELECT count(*) FROM visits WHERE person_id = people.id) AS visits,
                (SELECT max(last_seen_at) FROM visits WHERE person_id = people.id) AS last_seen_at
            FROM people ORDER BY id"""  # noqa: S608 - our own words
        )
        return [
            PersonSummary(
                person_from(row),
                row["samples"],
                row["visits"],
                None if row["last_seen_at"] is None else wall_time(row["last_seen_at"]),
                consent_from(row),
                bool(row["has_variants"]),
            )
            for row in rows
        ]

    def enroll(
        self, name: str, samples: Sequence[EnrolledSample], added_at: float | None = None
    ) -> EnrollmentOutcome:
        """Add samples to a person, who is created if new: all of them or, on any error, none.

        A sample whose picture this person has already is left out and reported; variants that it
        had not are added to it.

        Args:
            name: of the person.
            samples: theirs.
            added_at: now, in wall time; None where that cannot be told.

        Raises:
            InvalidNameError: the name cannot be stored.
            EnrollmentError: there is no sample.
        """
        cleaned = clean_name(name)
        if not samples:
            raise EnrollmentError(f"nothing to enroll for {cleaned!r}: no face was given")
        with self._changes.one():
            person_id, _ = find_or_create_person(self._file, cleaned)
            duplicates, completed = [], []
            for enrolled in samples:
                sample_id, is_new = add_sample(
                    self._file, person_id, enrolled.sample, enrolled.source_sha256, added_at
                )
                drawn = add_variants(self._file, sample_id, enrolled.variants)
                if not is_new:
                    duplicates.append(str(enrolled.source_sha256))
                    completed += duplicates[-1:] if drawn else []
            person = person_by_id(self._file, person_id)
        added = len(samples) - len(duplicates)
        return EnrollmentOutcome(person, added, tuple(duplicates), tuple(completed))

    def rename(self, name: str, new_name: str) -> Person:
        """Give a person another name.

        Raises:
            UnknownPersonError: nobody has the first name.
            InvalidNameError: the new one cannot be stored.
            UsageError: the new one is somebody else's.
        """
        cleaned = clean_name(new_name)
        with self._changes.one():
            person = self.get(name)
            for row in self._file.rows(
                "SELECT name FROM people WHERE name_key = ? AND id <> ?",
                name_key(cleaned),
                person.person_id,
            ):
                raise UsageError(
                    f"{row['name']!r} is enrolled already; if they are one person: "
                    f"doorbell people merge {person.name!r} {row['name']!r}"
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

        Chime, preferences, consent and portrait of ``source`` stay where ``into`` has none of its
        own.
        ``Gallery.namings`` takes it back.

        Raises:
            UnknownPersonError: nobody has one of the names.
            UsageError: both are the same person, or have too many preferences together.
        """
        with self._changes.one():
            gone, kept = self.get(source), self.get(into)
            if gone.person_id == kept.person_id:
                raise UsageError(f"{gone.name!r} cannot be merged into the same person")
            naming_id = begin_naming(self._file, gone, kept, made=False)
            self._file.execute(
                "UPDATE negatives SET not_person_id = ? WHERE not_person_id = ?",
                kept.person_id,
                gone.person_id,
            )
            move_to_person(self._file, "person_id", gone.person_id, kept.person_id, naming_id)
            self._file.execute(
                "UPDATE people SET chime = ?, preferences = ? WHERE id = ?",
                gone.chime if kept.chime is None else kept.chime,
                encode_preferences({**gone.preferences, **kept.preferences}),
                kept.person_id,
            )
            self._file.execute(
                "UPDATE people SET (consent, consent_at) = "
                "(SELECT consent, consent_at FROM people WHERE id = ?) "
                "WHERE id = ? AND consent IS NULL",
                gone.person_id,
                kept.person_id,
            )
            move_portraits(self._file, gone.person_id, kept.person_id, naming_id)
            self._file.execute("DELETE FROM people WHERE id = ?", gone.person_id)
            end_naming(self._file, naming_id, kept)
            return person_by_id(self._file, kept.person_id)

    def forget(self, name: str) -> Forgotten:
        """Delete a person, every sample and every visit of theirs, and overwrite the bytes.

        Raises:
            UnknownPersonError: nobody has that name.
        """
        with self._changes.one():
            forgotten = delete_visitor(self._file, self.get(name))
        self._changes.overwrite_log()
        return forgotten

    def set_chime(self, name: str, chime: str | None) -> Person:
        """Give a person a chime; None for the default one.

        Raises:
            UnknownPersonError: nobody has that name.
        """
        with self._changes.one():
            person_id = self.get(name).person_id
            self._file.execute("UPDATE people SET chime = ? WHERE id = ?", chime, person_id)
            return person_by_id(self._file, person_id)

    def set_preferences(self, name: str, preferences: Mapping[str, Any]) -> Person:
        """Replace a person's preferences.

        Raises:
            UnknownPersonError: nobody has that name.
            UsageError: they hold something that JSON cannot, or are too large or too deep.
        """
        encoded = encode_preferences(preferences)
        with self._changes.one():
            person_id = self.get(name).person_id
            self._file.execute("UPDATE people SET preferences = ? WHERE id = ?", encoded, person_id)
            return person_by_id(self._file, person_id)

    def ignore(self, name: str, *, ignored: bool) -> Person:
        """Never ring for a person, or ring again.

        Raises:
            UnknownPersonError: nobody has that name.
        """
        with self._changes.one():
            person_id = self.get(name).person_id
            self._file.execute("UPDATE people SET ignored = ? WHERE id = ?", ignored, person_id)
            return person_by_id(self._file, person_id)

    def note_consent(self, name: str, words: str, noted_at: float) -> Person:
        """Note what a person agreed to; what was noted before is replaced.

        Raises:
            UnknownPersonError: nobody has that name.
            UsageError: there are no words, or too many.
        """
        cleaned = clean_consent(words)
        with self._file.writing():
            person = self.get(name)
            self._file.execute(
                "UPDATE people SET consent = ?, consent_at = ? WHERE id = ?",
                cleaned,
                noted_at,
                person.person_id,
            )
            return person
