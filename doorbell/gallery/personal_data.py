"""Everything that the gallery holds on one person, for that person.

What is another's is left out: who else was at the door, and faces once taken for this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from doorbell.gallery.codec import PORTRAIT_ENCRYPTED_AS, Row, decode_embeddings
from doorbell.gallery.deletion import visits_beside
from doorbell.gallery.namings import noted_in
from doorbell.gallery.sql import GalleryDatabase

# Columns that say nothing about anybody, or are given in another form.
_INTERNAL = frozenset({"name_key", "embedding", "stranger_id", "not_person_id", "jpeg", "rowid"})


@dataclass(frozen=True, slots=True)
class PersonalData:
    """What is held on a person; the pictures are the caller's to add.

    Attributes:
        document: everything but those.
        visit_ids: of the person's visits.
        beside: other visits of their time and door, whose pictures may show the person.
        portraits: JPEGs, in the order of ``portraits`` in the document.
    """

    document: dict[str, Any]
    visit_ids: tuple[str, ...]
    beside: tuple[str, ...]
    portraits: tuple[bytes, ...] = ()


def personal_data(file: GalleryDatabase, person_id: int) -> PersonalData:
    """Every row about a person, times in seconds since the epoch, embeddings as 128 numbers.

    Args:
        file: the open gallery.
        person_id: of somebody enrolled.

    Raises:
        GalleryError: a sample has not the size of an embedding, or what was noted of a name is
            damaged.
    """
    with file.reading():
        (person,) = file.rows("SELECT * FROM people WHERE id = ?", person_id)
        visits = file.rows(
            "SELECT * FROM visits WHERE person_id = ? ORDER BY started_at, id", person_id
        )
        portraits = file.rows("SELECT * FROM portraits WHERE person_id = ? ORDER BY id", person_id)
        document = {
            "person": _without(person),
            "portraits": [_without(row) for row in portraits],
            "samples": _faces(file, "samples WHERE person_id = ?", person_id),
            "variants": _faces(
                file,
                "variants WHERE sample_id IN (SELECT id FROM samples WHERE person_id = ?)",
                person_id,
            ),
            "visits": [_without(visit) for visit in visits],
            "faces_of_visits": _faces(
                file,
                "visit_samples WHERE visit_id IN (SELECT id FROM visits WHERE person_id = ?)",
                person_id,
            ),
            "faces_taken_for_others": _faces(file, "negatives WHERE person_id = ?", person_id),
            "names_and_merges": [
                noted_in(row)
                for row in file.rows(
                    "SELECT before FROM namings WHERE person_id = ? ORDER BY correction_id",
                    person_id,
                )
            ],
            "corrections": [
                _without(row)
                for row in file.rows(
                    "SELECT * FROM corrections WHERE visit_id IN "
                    "(SELECT id FROM visits WHERE person_id = ?) ORDER BY id",
                    person_id,
                )
            ],
        }
        beside = visits_beside(file, "person_id = ?", person_id)
    return PersonalData(
        document,
        tuple(visit["id"] for visit in visits),
        beside,
        tuple(file.cipher.decrypt(row["jpeg"], PORTRAIT_ENCRYPTED_AS) for row in portraits),
    )


def _faces(file: GalleryDatabase, of: str, person_id: int) -> list[dict[str, Any]]:
    rows = file.rows(f"SELECT * FROM {of} ORDER BY id", person_id)  # noqa: S608 - our own words
    embeddings = decode_embeddings(rows, file.cipher)
    return [
        {**_without(row), "embedding": embedding.tolist()}
        for row, embedding in zip(rows, embeddings, strict=True)
    ]


def _without(row: Row) -> dict[str, Any]:
    return {column: value for column, value in row.items() if column not in _INTERNAL}
