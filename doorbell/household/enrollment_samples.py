"""Which of the many pictures of one face are kept: some spread over its time, which differ."""

from __future__ import annotations

import numpy as np

from doorbell.domain import FaceSample
from doorbell.pipeline.perception import FaceCrop

# Samples kept, and how alike two of them may be.
KEPT_SAMPLES = 8
TOO_ALIKE = 0.97
# Portraits of one track that are embedded to choose those samples from, spread over its time.
EMBEDDED_PORTRAITS = 40
# A sample this unlike the mean of its own track shows a hand or another face.
OUTLIER_SIMILARITY = 0.6


class SeenTrack:
    """The usable portraits of one track, thinned out evenly as they become too many to keep.

    Attributes:
        area: of the face, in pixels, summed over all frames.
        usable: how many were added.
        portraits: those that are left of them, in order of time.
    """

    def __init__(self) -> None:
        self.area = 0.0
        self.usable = 0
        self.portraits: list[FaceCrop] = []
        self._step = 1

    @property
    def spread(self) -> list[FaceCrop]:
        """Portraits to embed, spread over the time of the track."""
        return self.portraits[:: max(len(self.portraits) // EMBEDDED_PORTRAITS, 1)]

    def add(self, portrait: FaceCrop) -> None:
        """Take in a usable portrait, later than all before."""
        if self.usable % self._step == 0:
            self.portraits.append(portrait)
        self.usable += 1
        if len(self.portraits) == 4 * EMBEDDED_PORTRAITS:
            self.portraits = self.portraits[::2]
            self._step *= 2


def distinct(samples: list[FaceSample]) -> list[FaceSample]:
    """Choose samples that differ: the best first, then always the one least like those chosen.

    Those that do not show the same face as the others are left out; there may be none at all.
    """
    if not samples:
        return []
    vectors = np.stack([sample.embedding for sample in samples])  # (n, 128)
    mean = vectors.mean(axis=0)
    typical = vectors @ (mean / np.linalg.norm(mean)) >= OUTLIER_SIMILARITY
    remaining = [i for i in range(len(samples)) if typical[i]]
    if not remaining:
        return []
    chosen = [max(remaining, key=lambda i: samples[i].quality)]
    while len(chosen) < KEPT_SAMPLES:
        likeness = (vectors[remaining] @ vectors[chosen].T).max(axis=1)
        farthest = int(np.argmin(likeness))
        if likeness[farthest] > TOO_ALIKE:
            break
        chosen.append(remaining[farthest])
    return [samples[i] for i in chosen]
