"""What corrections mean to a face: who it is not, and that it is none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from doorbell.domain import Float32Array
from doorbell.recognition.candidates import Candidates
from doorbell.recognition.nearest import SUM_ERROR


def ruled_out(
    signature: Float32Array,
    person_ids: NDArray[np.int64],
    similarities: Float32Array,
    negative_ids: NDArray[np.int64],
    negative_embeddings: Float32Array,
) -> NDArray[np.bool_]:
    """Which people a face cannot be: it is as much like one once mistaken for them.

    Args:
        signature: (128,) float32 of unit length, the mean face of a track.
        person_ids: (p,) int64, the people in question.
        similarities: (p,) float32, its cosines with them.
        negative_ids: (m,) int64, the person who each row of the next is not.
        negative_embeddings: (m, 128) float32, unit length.

    Returns:
        (p,) bool.
    """
    negatives = negative_embeddings @ signature  # (m,)
    as_alike = negatives[:, np.newaxis] >= similarities - SUM_ERROR  # (m, p)
    return np.asarray((as_alike & (negative_ids[:, np.newaxis] == person_ids)).any(axis=0))


def is_no_face(candidates: Candidates, needed_similarity: float) -> bool:
    """Whether a track is of what the household said is no face.

    A person is never ignored for resembling it: whoever is more like them is looked at.

    Args:
        candidates: of the track's mean face; ``NOBODY`` before the first usable frame.
        needed_similarity: from this cosine on it is the same thing.
    """
    similarity = candidates.non_face_similarity
    return similarity >= needed_similarity and similarity > candidates.nearest_similarity
