"""The samples of everybody as arrays, ready to be compared with."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from doorbell.domain import Float32Array, Person, Stranger

EMBEDDING_SIZE = 128  # SFace's output


def no_embeddings() -> Float32Array:
    """None at all: (0, 128) float32."""
    return np.empty((0, EMBEDDING_SIZE), np.float32)


def no_index() -> NDArray[np.int64]:
    """Places of none at all: (0,) int64."""
    return np.empty(0, np.int64)


@dataclass(frozen=True, eq=False, slots=True)
class Templates:
    """All samples of one embedder, ready for comparison. The arrays are read-only.

    Attributes:
        model_id: the embedder.
        people: everybody enrolled, whether or not with samples of this embedder.
        person_index: (N,) int64, the place in ``people`` of each row of the next.
        person_embeddings: (N, 128) float32, unit length.
        strangers, stranger_index, stranger_embeddings: the same for strangers.
        negative_index: (M,) int64, the place in ``people`` of who each row of the next is not.
        negative_embeddings: (M, 128) float32, unit length: faces once taken for that person.
        non_face_embeddings: (K, 128) float32, unit length: what looks like a face and is none.
    """

    model_id: str
    people: tuple[Person, ...]
    person_index: NDArray[np.int64]
    person_embeddings: Float32Array
    strangers: tuple[Stranger, ...]
    stranger_index: NDArray[np.int64]
    stranger_embeddings: Float32Array
    negative_index: NDArray[np.int64] = field(default_factory=no_index)
    negative_embeddings: Float32Array = field(default_factory=no_embeddings)
    non_face_embeddings: Float32Array = field(default_factory=no_embeddings)
