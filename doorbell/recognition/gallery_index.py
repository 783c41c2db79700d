"""Which samples of the gallery a face is most like, however many there are.

Enters: the open file. Leaves: identifiers of samples and cosines. Many are kept in memory rounded,
and the few that may be the most alike are read from the file in full. Decides nobody's identity.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np

from doorbell.domain import Float32Array
from doorbell.errors import GalleryError
from doorbell.recognition.gallery_codec import stack_embeddings
from doorbell.recognition.gallery_file import GalleryFile
from doorbell.recognition.nearest import BLOCK_ROWS, MANY, Nearest, Places, Quantized, nearest_of
from doorbell.recognition.templates import no_embeddings

_OF_MODEL = "FROM samples WHERE model_id = ? AND hidden_by IS NULL"


class SampleIndex:
    """All samples of one embedder, of one moment; used by the thread that opened the gallery."""

    def __init__(self, file: GalleryFile, model_id: str) -> None:
        """Read the samples.

        Raises:
            GalleryError: one has not the size of an embedding.
        """
        self._file = file
        with file.reading():
            (row,) = file.rows(f"SELECT count(*) AS n {_OF_MODEL}", model_id)
            self._ids = np.empty(row["n"], np.int64)  # ascending
            self._nearest = self._load(self._blocks(model_id))

    def __len__(self) -> int:
        return len(self._ids)

    def best(self, query: Float32Array, count: int = 1) -> tuple[Places, Float32Array]:
        """The samples most alike, those first.

        Args:
            query: (128,) float32 of unit length.
            count: how many; fewer come where there are fewer.

        Returns:
            Identifiers (k,) int64 and cosines (k,) float32.

        Raises:
            GalleryError: one was deleted since.
        """
        places, similarities = self._nearest.best(query, count)
        return self._ids[places], similarities

    def _load(self, blocks: Iterator[Float32Array]) -> Nearest:
        if len(self) < MANY:
            return nearest_of(np.concatenate([no_embeddings(), *blocks]))
        return Quantized(len(self), blocks, self._stored)

    def _blocks(self, model_id: str) -> Iterator[Float32Array]:
        """All embeddings in the order of their identifiers, which are noted."""
        at = 0
        sql = f"SELECT id, embedding {_OF_MODEL} ORDER BY id"
        for batch in self._file.batches(BLOCK_ROWS, sql, model_id):
            ids, stored = zip(*batch, strict=True)
            self._ids[at : at + len(ids)] = ids
            at += len(ids)
            yield stack_embeddings(ids, stored, self._file.seal)

    def _stored(self, places: Places) -> Float32Array:
        ids = self._ids[places].tolist()
        rows = self._file.rows(
            "SELECT id, embedding FROM samples WHERE id IN (SELECT value FROM json_each(?)) "
            "ORDER BY id",
            json.dumps(ids),
        )
        if len(rows) < len(ids):
            raise GalleryError(
                f"{len(ids) - len(rows)} of {len(ids)} samples were deleted from the gallery since "
                "it was read; read it again"
            )
        return stack_embeddings(ids, [row["embedding"] for row in rows], self._file.seal)
