"""Strangers over many visits: which two of them are one.

Enters: the gallery and thresholds. Leaves: strangers, and merges in the gallery. A stranger never
becomes a person here: only a name given by the household does that.
"""

from __future__ import annotations

import numpy as np

from doorbell.config import RecognitionSection
from doorbell.domain import Stranger
from doorbell.recognition.decision import Centroids
from doorbell.recognition.gallery import Gallery

# Two strangers are made one only if they are this much more alike than it takes to recognize one:
# nobody is asked, and a merge cannot be taken back.
MERGE_MARGIN = 0.08


def merge_alike(
    gallery: Gallery, model_id: str, section: RecognitionSection
) -> list[tuple[Stranger, Stranger]]:
    """Merge strangers who are one, the most alike first; never two who were seen together.

    Args:
        gallery: whose strangers.
        model_id: the embedder whose samples are compared.
        section: how similar is the same stranger.

    Returns:
        Each pair as it was: the newer, who is gone, and the older, whose identifier stays.
    """
    merged: list[tuple[Stranger, Stranger]] = []
    while pair := _most_alike(gallery, model_id, section.stranger_similarity + MERGE_MARGIN):
        older, newer = sorted(pair, key=lambda each: each.stranger_id)
        gallery.strangers.merge(older.stranger_id, newer.stranger_id)
        merged.append((newer, older))
    return merged


def _most_alike(gallery: Gallery, model_id: str, needed: float) -> tuple[Stranger, Stranger] | None:
    centroids = Centroids.of(gallery.templates(model_id))
    vectors = centroids.stranger_vectors  # (s, 128)
    similarities = np.triu(vectors @ vectors.T, k=1)  # (s, s)
    rows, columns = np.nonzero(similarities >= needed)
    for place in np.argsort(-similarities[rows, columns]):
        pair = centroids.strangers[rows[place]], centroids.strangers[columns[place]]
        if not gallery.strangers.seen_together(pair[0].stranger_id, pair[1].stranger_id):
            return pair
    return None
