"""Pictures of faces that were announced lately: each of them once.

Pure: observations in.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from doorbell.domain import Float32Array
from doorbell.visits.observation import Observation
from doorbell.visits.open_visit import REJOIN_SIMILARITY, OpenVisit

# For so long a picture that was announced begins no other visit, and so many are remembered.
REMEMBERED_SECONDS = 600.0
REMEMBERED_PRINTS = 32


class SeenPrints:
    """What was taken for somebody, never looked alive and has gone: a poster, a phone."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, Float32Array]] = deque(maxlen=REMEMBERED_PRINTS)

    def note(self, ended: OpenVisit, time_seconds: float) -> None:
        """Take in a visit that has ended."""
        clearest = ended.clearest
        if ended.visit.visitor is not None or ended.visit.corrected or clearest is None:
            return
        if ended.was_alive or clearest.signature is None:
            return
        self._seen.append((time_seconds, clearest.signature))

    def hold(self, seen: Observation, time_seconds: float) -> bool:
        """Whether a face is one of them, seen again; somebody who looks alive is none."""
        if not seen.is_print or seen.signature is None:
            return False
        since = time_seconds - REMEMBERED_SECONDS
        return any(
            at >= since and float(np.dot(signature, seen.signature)) >= REJOIN_SIMILARITY
            for at, signature in self._seen
        )
