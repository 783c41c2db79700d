"""What corrections mean to a face: who it is not, and that it is none.

Enters: vectors. Leaves: yes or no. Pure; knows no gallery and no visit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from doorbell.domain import Float32Array
from doorbell.recognition.nearest import SUM_ERROR


def ruled_out(
    signature: Float32Array,
    places: NDArray[np.int64],
    similarities: Float32Array,
    negative_index: NDArray[np.int64],
    negative_embeddings: Float32Array,
) -> NDArray[np.bool_]:
    """Which people a face cannot be: it is as much like one once mistaken for them.

    Args:
        signature: (128,) float32 of unit length, the mean face of a track.
        places: (p,) int64, the people in question.
        similarities: (p,) float32, its cosines with them.
        negative_index: (m,) int64, the place of who each row of the next is not.
        negative_embeddings: (m, 128) float32, unit length.

    Returns:
        (p,) bool.
    """
    negatives = negative_embeddings @ signature  # (m,)
    as_alike = negatives[:, np.newaxis] >= similarities - SUM_ERROR  # (m, p)
    return np.asarray((as_alike & (negative_index[:, np.newaxis] == places)).any(axis=0))


def is_no_face(
    signature: Float32Array | None,
    non_faces: Float32Array,
    people_vectors: Float32Array,
    needed_similarity: float,
) -> bool:
    """Whether a track is of what the household said is no face.

    A person is never ignored for resembling it: whoever is more like them is looked at.

    Args:
        signature: (128,) float32 of unit length; None before the first usable frame.
        non_faces: (k, 128) float32, unit length: what is none.
        people_vectors: (p, 128) float32, unit length: a mean face for each person.
        needed_similarity: from this cosine on it is the same thing.
    """
    if signature is None or not len(non_faces):
        return False
    similarity = float((non_faces @ signature).max())
    nearest_person = float((people_vectors @ signature).max()) if len(people_vectors) else -1.0
    return similarity >= needed_similarity and similarity > nearest_person
