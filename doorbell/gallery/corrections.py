"""Corrections: what the household says of visits, and taking it back.

Nothing is deleted by a correction: what it makes untrue is hidden by it, and what it adds is marked
with it, so that the end of the correction is the end of all of that.
"""

from __future__ import annotations

from doorbell.domain import Person, Stranger, Visit
from doorbell.errors import UsageError
from doorbell.gallery.codec import Row
from doorbell.gallery.namings import note_returned
from doorbell.gallery.people import PeopleStore
from doorbell.gallery.queries import see_at
from doorbell.gallery.records import Correction, NonFace
from doorbell.gallery.store import Changes
from doorbell.gallery.strangers import StrangerStore
from doorbell.gallery.visits import VisitStore


class CorrectionStore:
    """What the household says of visits; it holds over what the faces say."""

    def __init__(
        self,
        changes: Changes,
        people: PeopleStore,
        strangers: StrangerStore,
        visits: VisitStore,
    ) -> None:
        self._changes = changes
        self._file = changes.file
        self._people = people
        self._strangers = strangers
        self._visits = visits

    def to_person(self, visit_id: str, name: str, *, learn: bool) -> Correction:
        """Say that a visit was a person's.

        Faces that passed for somebody else are from now on kept as not that person's.

        Args:
            visit_id: of a visit that is there.
            name: of somebody enrolled.
            learn: make the faces of the visit samples of the person.

        Raises:
            UnknownPersonError: nobody has that name; the nearest names are offered.
            UsageError: it is that person's already and nothing is to be learned, or there is no
                face to learn from.
        """
        with self._changes.one():
            person = self._people.get(name)
            before = self._visits.get(visit_id)
            if before.visitor == person and not learn:
                raise UsageError(
                    f"the visit is {person.name}'s already; to let the doorbell learn from it: "
                    f"doorbell visits correct {visit_id[:8]} {person.name!r} --learn"
                )
            if learn and not self._visits.samples(visit_id):
                raise UsageError(
                    f"nothing can be learned from this visit: no clear face of it was kept; "
                    f"enroll a photo instead: doorbell enroll {person.name!r} PHOTO"
                )
            correction_id = self._begin(before, person)
            self._file.execute(
                "UPDATE visits SET person_id = ?, stranger_id = NULL WHERE id = ?",
                person.person_id,
                visit_id,
            )
            learned = self._learn(visit_id, person, correction_id) if learn else 0
            return self._outcome(before, learned)

    def to_stranger(self, visit_id: str, stranger_id: int | None) -> Correction:
        """Say that a visit was of nobody the household has enrolled.

        Args:
            visit_id: of a visit that is there.
            stranger_id: who it was if they were here before; None for a new stranger.

        Raises:
            UnknownStrangerError: there is no stranger of that identifier.
            UsageError: the visit is a stranger's already.
        """
        with self._changes.one():
            before = self._visits.get(visit_id)
            if isinstance(before.visitor, Stranger):
                raise UsageError(f"the visit is {before.visitor.label}'s already")
            stranger = None if stranger_id is None else self._strangers.get(stranger_id)
            correction_id = self._begin(before, stranger)
            if stranger is None:
                given_id = self._file.insert(
                    "strangers",
                    first_seen_at=before.started_at,
                    last_seen_at=before.last_seen_at,
                    visits=1,
                    added_by=correction_id,
                )
            else:
                given_id = stranger.stranger_id
                self._file.execute(
                    "UPDATE strangers SET visits = visits + 1 WHERE id = ?", given_id
                )
                see_at(self._file, "strangers", given_id, before.last_seen_at)
                self._file.execute(
                    "UPDATE corrections SET earlier_last_seen_at = ? WHERE id = ?",
                    stranger.last_seen_at,
                    correction_id,
                )
            self._file.execute(
                "UPDATE visits SET person_id = NULL, stranger_id = ? WHERE id = ?",
                given_id,
                visit_id,
            )
            self._file.execute(
                "UPDATE negatives SET stranger_id = ? WHERE added_by = ?", given_id, correction_id
            )
            self._file.execute(
                "INSERT INTO samples "
                "(stranger_id, model_id, embedding, quality, visit_id, added_by) "
                "SELECT ?, model_id, embedding, quality, visit_id, ? "
                "FROM visit_samples WHERE visit_id = ? ORDER BY id",
                given_id,
                correction_id,
                visit_id,
            )
            return self._outcome(before)

    def to_no_face(self, visit_id: str) -> Correction:
        """Say that there was nobody: the visit is no longer listed, and its faces are none."""
        with self._changes.one():
            before = self._visits.get(visit_id)
            correction_id = self._begin(before, None)
            self._file.execute(
                "UPDATE visits SET person_id = NULL, stranger_id = NULL, hidden_by = ? "
                "WHERE id = ?",
                correction_id,
                visit_id,
            )
            self._file.execute(
                "INSERT INTO non_faces (model_id, embedding, quality, added_by) "
                "SELECT model_id, embedding, quality, ? FROM visit_samples "
                "WHERE visit_id = ? ORDER BY id",
                correction_id,
                visit_id,
            )
            return self._outcome(before)

    def last_number(self) -> int | None:
        """Of the last correction; None where there is none."""
        [row] = self._file.rows(
            "SELECT max(id) AS last FROM corrections "
            "WHERE id NOT IN (SELECT correction_id FROM namings)"
        )
        return None if row["last"] is None else int(row["last"])

    def undo(self) -> Correction:
        """Take the last correction back; called again, the one before it.

        Raises:
            UsageError: there is none.
        """
        with self._changes.one():
            latest = self._file.rows(
                "SELECT * FROM corrections WHERE id NOT IN (SELECT correction_id FROM namings) "
                "ORDER BY id DESC LIMIT 1"
            )
            if not latest:
                raise UsageError("there is no correction to undo")
            return self._undo(latest[0])

    def non_faces(self) -> list[NonFace]:
        """What the household said is no face, the first first."""
        return [
            NonFace(row["number"], row["visit_id"], row["started_at"], row["faces"])
            for row in self._file.rows(
                "SELECT c.id AS number, v.id AS visit_id, v.started_at, "
                "(SELECT count(*) FROM non_faces WHERE added_by = c.id) AS faces "
                "FROM corrections AS c LEFT JOIN visits AS v ON v.id = c.visit_id "
                "WHERE v.hidden_by = c.id OR EXISTS "
                "(SELECT 1 FROM non_faces WHERE added_by = c.id) ORDER BY c.id"
            )
        ]

    def forget_non_face(self, number: int) -> Correction:
        """Take back that something is no face, and delete what it was known by.

        Raises:
            UsageError: nothing has that number.
        """
        with self._changes.one():
            if number not in {each.number for each in self.non_faces()}:
                raise UsageError(
                    f"nothing that is no face has the number {number}; see: doorbell visits "
                    "not-faces"
                )
            [correction] = self._file.rows("SELECT * FROM corrections WHERE id = ?", number)
            undone = self._undo(correction)
        self._changes.overwrite_log()
        return undone

    def _undo(self, correction: Row) -> Correction:
        """The end of a correction, and of all that it did."""
        visits = self._file.rows("SELECT * FROM visits WHERE id = ?", correction["visit_id"])
        before = [self._visits.get(visit["id"]) for visit in visits]
        for visit in visits:
            self._give_back(visit, correction)
        if not visits:  # forgotten since, and with it whoever was seen in that visit alone
            self._file.execute(
                "DELETE FROM strangers WHERE visits <= 0 AND hidden_by = ?", correction["id"]
            )
        self._file.execute("DELETE FROM corrections WHERE id = ?", correction["id"])
        return self._outcome(before[0]) if before else Correction(None, None)

    def _outcome(self, before: Visit, learned: int = 0) -> Correction:
        samples = len(self._visits.samples(before.visit_id))
        return Correction(self._visits.get(before.visit_id), before.visitor, samples, learned)

    def _begin(self, before: Visit, truth: Person | Stranger | None) -> int:
        """Write down whose the visit was, and undo what it was taken for."""
        wrong = None if before.visitor == truth else before.visitor
        correction_id = self._file.insert(
            "corrections",
            visit_id=before.visit_id,
            person_id=before.visitor.person_id if isinstance(before.visitor, Person) else None,
            stranger_id=(
                before.visitor.stranger_id if isinstance(before.visitor, Stranger) else None
            ),
        )
        # Faces of this visit that were said not to be the person's, by an earlier correction.
        if isinstance(truth, Person):
            self._file.execute(
                "UPDATE negatives SET hidden_by = ? WHERE not_person_id = ? AND hidden_by IS NULL "
                "AND (model_id, embedding) IN "
                "(SELECT model_id, embedding FROM visit_samples WHERE visit_id = ?)",
                correction_id,
                truth.person_id,
                before.visit_id,
            )
        match wrong:
            case Person(person_id=person_id):
                self._file.execute(
                    "INSERT INTO negatives "
                    "(not_person_id, person_id, model_id, embedding, quality, added_by) "
                    "SELECT ?, ?, model_id, embedding, quality, ? FROM visit_samples "
                    "WHERE visit_id = ? ORDER BY id",
                    person_id,
                    truth.person_id if isinstance(truth, Person) else None,
                    correction_id,
                    before.visit_id,
                )
                self._hide_samples(before.visit_id, "person_id", person_id, correction_id)
            case Stranger(stranger_id=stranger_id):
                self._hide_samples(before.visit_id, "stranger_id", stranger_id, correction_id)
                self._file.execute(
                    "UPDATE strangers SET visits = visits - 1, "
                    "hidden_by = CASE WHEN visits <= 1 THEN ? END WHERE id = ?",
                    correction_id,
                    stranger_id,
                )
            case None:
                pass
        return correction_id

    def _hide_samples(
        self, visit_id: str, column: str, visitor_id: int, correction_id: int
    ) -> None:
        """What somebody's samples have of a visit that was not theirs."""
        self._file.execute(
            f"UPDATE samples SET hidden_by = ? WHERE {column} = ? AND hidden_by IS NULL "  # noqa: S608 - our own words
            "AND (visit_id = ? OR (model_id, embedding) IN "
            "(SELECT model_id, embedding FROM visit_samples WHERE visit_id = ?))",
            correction_id,
            visitor_id,
            visit_id,
            visit_id,
        )

    def _learn(self, visit_id: str, person: Person, correction_id: int) -> int:
        """Make the visit's faces samples of a person, but for those that are already."""
        return self._file.execute(
            "INSERT INTO samples (person_id, model_id, embedding, quality, visit_id, added_by) "
            "SELECT ?, model_id, embedding, quality, visit_id, ? FROM visit_samples "
            "WHERE visit_id = ? AND (model_id, embedding) NOT IN (SELECT model_id, embedding "
            "FROM samples WHERE person_id = ? AND hidden_by IS NULL) ORDER BY id",
            person.person_id,
            correction_id,
            visit_id,
            person.person_id,
        )

    def _give_back(self, visit: Row, correction: Row) -> None:
        """Whose the visit was before, it is again."""
        note_returned(self._file, correction["id"], visit["id"])
        if visit["stranger_id"] is not None:
            # One whom this correction made goes with it, unless they came again since.
            self._file.execute(
                "UPDATE strangers SET visits = visits - 1, "
                "added_by = CASE WHEN visits > 1 AND added_by = ? THEN NULL ELSE added_by END "
                "WHERE id = ?",
                correction["id"],
                visit["stranger_id"],
            )
            if correction["earlier_last_seen_at"] is not None:
                self._file.execute(
                    "UPDATE strangers SET last_seen_at = ? WHERE id = ? AND last_seen_at = ?",
                    correction["earlier_last_seen_at"],
                    visit["stranger_id"],
                    visit["last_seen_at"],
                )
        if correction["stranger_id"] is not None:
            self._file.execute(
                "UPDATE strangers SET visits = visits + 1 WHERE id = ?", correction["stranger_id"]
            )
        self._file.execute(
            "UPDATE visits SET person_id = ?, stranger_id = ? WHERE id = ?",
            correction["person_id"],
            correction["stranger_id"],
            visit["id"],
        )
