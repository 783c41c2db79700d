"""What faces are compared with, as the gallery has it.

Enters: the open file. Leaves: templates. A row that holds no embedding any more is left out and
told of, with whose it was: one flipped bit on the disk is no reason to know nobody.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from doorbell.recognition.gallery_codec import Row, readable
from doorbell.recognition.gallery_copies import advice_to_restore
from doorbell.recognition.gallery_file import GalleryFile
from doorbell.recognition.gallery_statements import all_people, all_strangers
from doorbell.recognition.templates import Templates

_LOG = logging.getLogger(__name__)


def build_templates(file: GalleryFile, model_id: str, told: set[str]) -> Templates:
    """All samples of one embedder, of one moment.

    Args:
        file: the gallery.
        model_id: the embedder.
        told: what was said of rows that are left out; added to, and not said again.

    Raises:
        SealError: another process encrypted the gallery, decrypted it or changed its key.
    """
    with file.reading():
        file.require_seal()
        people, strangers = all_people(file), all_strangers(file)
        samples, negatives, non_faces = (
            file.rows(f"SELECT * FROM {of} model_id = ? ORDER BY id", model_id)  # noqa: S608 - our own words
            for of in (
                "samples WHERE hidden_by IS NULL AND",
                "negatives WHERE hidden_by IS NULL AND",
                "non_faces WHERE",
            )
        )
    names = {each.person_id: each.name for each in people}
    labels = {each.stranger_id: each.label for each in strangers}
    person_rows, person_embeddings = readable(
        [row for row in samples if row["person_id"] is not None],
        file.seal,
        _teller(file, told, lambda row: names[row["person_id"]]),
    )
    stranger_rows, stranger_embeddings = readable(
        [row for row in samples if row["stranger_id"] in labels],
        file.seal,
        _teller(file, told, lambda row: labels[row["stranger_id"]]),
    )
    negative_rows, negative_embeddings = readable(
        negatives,
        file.seal,
        _teller(file, told, lambda row: f"who is not {names[row['not_person_id']]}"),
    )
    _, non_face_embeddings = readable(
        non_faces, file.seal, _teller(file, told, lambda _: "what is no face")
    )
    return Templates(
        model_id=model_id,
        people=tuple(people),
        person_index=_places(person_rows, "person_id", list(names)),
        person_embeddings=person_embeddings,
        strangers=tuple(strangers),
        stranger_index=_places(stranger_rows, "stranger_id", list(labels)),
        stranger_embeddings=stranger_embeddings,
        negative_index=_places(negative_rows, "not_person_id", list(names)),
        negative_embeddings=negative_embeddings,
        non_face_embeddings=non_face_embeddings,
    )


def _teller(
    file: GalleryFile, told: set[str], whose: Callable[[Row], str]
) -> Callable[[Sequence[Row], str], None]:
    """Say once whose samples are left out."""

    def tell(rows: Sequence[Row], reason: str) -> None:
        for label, count in Counter(map(whose, rows)).items():
            message = f"{count} samples of {label} cannot be read and are left out"
            if message not in told:
                told.add(message)
                _LOG.error(
                    "%s: %s; forget %s and enroll again, or %s",
                    message,
                    reason,
                    label,
                    advice_to_restore(file.path),
                )

    return tell


def _places(rows: Sequence[Row], column: str, ids: list[int]) -> NDArray[np.int64]:
    """Where in ``ids`` each row's column is, read-only."""
    place = {each: index for index, each in enumerate(ids)}
    places = np.array([place[row[column]] for row in rows], dtype=np.int64)  # (N,)
    places.setflags(write=False)
    return places
