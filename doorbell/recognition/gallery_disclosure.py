"""Everything that the gallery holds on one person, for that person.

Enters: a name. Leaves: a document that JSON can hold, and whose pictures belong to it. Leaves out
what is another's: who else was at the door, and faces that were once taken for this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from doorbell.recognition.gallery_rows import Row, decode_embeddings
from doorbell.recognition.gallery_store import GalleryStore

# Columns that say nothing about anybody, or are given in another form.
_INTERNAL = frozenset({"name_key", "embedding", "stranger_id", "not_person_id"})


@dataclass(frozen=True, slots=True)
class PersonalData:
    """What is held on a person; the pictures of ``visit_ids`` are the caller's to add."""

    document: dict[str, Any]
    visit_ids: tuple[str, ...]


class PersonalDataVerbs(GalleryStore):
    """What is held on whom."""

    def personal_data(self, person_id: int) -> PersonalData:
        """Every row about a person, times in seconds since the epoch, embeddings as 128 numbers.

        Args:
            person_id: of somebody enrolled.

        Raises:
            GalleryError: a sample has not the size of an embedding.
        """
        with self._file.reading():
            (person,) = self._file.rows("SELECT * FROM people WHERE id = ?", person_id)
            visits = self._file.rows(
                "SELECT * FROM visits WHERE person_id = ? ORDER BY started_at, id", person_id
            )
            document = {
                "person": _without(person),
                "samples": self._faces("samples WHERE person_id = ?", person_id),
                "visits": [_without(visit) for visit in visits],
                "faces_of_visits": self._faces(
                    "visit_samples WHERE visit_id IN (SELECT id FROM visits WHERE person_id = ?)",
                    person_id,
                ),
                "faces_taken_for_others": self._faces("negatives WHERE person_id = ?", person_id),
                "corrections": [
                    _without(row)
                    for row in self._file.rows(
                        "SELECT * FROM corrections WHERE visit_id IN "
                        "(SELECT id FROM visits WHERE person_id = ?) ORDER BY id",
                        person_id,
                    )
                ],
            }
        return PersonalData(document, tuple(visit["id"] for visit in visits))

    def _faces(self, of: str, person_id: int) -> list[dict[str, Any]]:
        rows = self._file.rows(f"SELECT * FROM {of} ORDER BY id", person_id)  # noqa: S608 - our own words
        embeddings = decode_embeddings(rows, self._file.seal)
        return [
            {**_without(row), "embedding": embedding.tolist()}
            for row, embedding in zip(rows, embeddings, strict=True)
        ]


def _without(row: Row) -> dict[str, Any]:
    return {column: value for column, value in row.items() if column not in _INTERNAL}
