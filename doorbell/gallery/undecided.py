"""Visits of nobody known, by the faces that are kept with them."""

# ruff: noqa: S608 - the words put into statements are written here

from __future__ import annotations

import numpy as np

from doorbell.domain import Float32Array, Visit
from doorbell.gallery.codec import STORED_FLOAT, StoredEmbedding, unpack
from doorbell.gallery.queries import UNDECIDED, select_visits
from doorbell.gallery.sql import GalleryDatabase
from doorbell.recognition.templates import directions

_BLOCK_ROWS = 4_096


def undecided_like(
    file: GalleryDatabase, model_id: str, signature: Float32Array, count: int
) -> list[tuple[Visit, float]]:
    """See ``Gallery.undecided_like``; faces that are damaged are left out."""
    file.require_seal()
    embedding = StoredEmbedding(signature.astype(STORED_FLOAT).tobytes())
    sums: dict[str, Float32Array] = {}
    with file.reading():
        numbers = file.most_alike("rowid", model_id, embedding, count)
        chosen = "" if numbers is None else f"AND visits.rowid {file.among}"
        for batch in file.batches(
            _BLOCK_ROWS,
            "SELECT visits.id, embedding FROM visits JOIN visit_samples ON visit_id = visits.id "
            f"WHERE {UNDECIDED} AND model_id = ? {chosen} ORDER BY visit_samples.id",
            model_id,
            *([] if numbers is None else [file.listed(numbers)]),
        ):
            visit_ids, stored = zip(*batch, strict=True)
            embeddings, whole = unpack(stored, file.cipher)
            for place in np.flatnonzero(whole).tolist():
                visit_id, face = visit_ids[place], embeddings[place]
                sums[visit_id] = sums[visit_id] + face if visit_id in sums else face
        if not sums:
            return []
        cosines = directions(np.stack([*sums.values()])) @ signature  # (n,)
        similarity = dict(zip(sums, cosines.tolist(), strict=True))
        nearest = sorted(similarity, key=lambda each: -similarity[each])[:count]
        visits = {
            visit.visit_id: visit
            for visit in select_visits(file, f"id {file.among}", file.listed(nearest))
        }
    return [(visits[each], similarity[each]) for each in nearest if each in visits]
