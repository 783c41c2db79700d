"""Whether a live track still shows the face that it began with, or has gone over to another one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from doorbell.domain import FaceSample, Float32Array
from doorbell.recognition.decision import Evidence
from doorbell.visits.continuation import OWN_APPEARANCE
from doorbell.visits.open_visit import REJOIN_SIMILARITY

# A track is in doubt when it looks so different from one frame to the next. Measured 2026-11-28 on
# ten clips of five people with hands before their faces, by day and in the dark: at 15 frames a
# second one frame in thirty is less like the one before (0.63 at least), at 7.5 one in ten; none of
# 1,300 pairs of two people is more alike.
ABRUPT = 0.88

# Somebody named, who is embedded now and then only, is embedded at once when they look so different
# from when they were last: one frame in ten of those above is, a second later.
SINCE_EMBEDDED = 0.8

# So many frames with a face that is not the track's are another's. Where none can be compared it is
# one that looks different for so long, and in so many frames of a slow camera: whose faces were
# compared so lately, and are not from the very change on, is another at once; in the dark a
# movement changes as much as a newcomer may.
UNLIKE_FRAMES = 2
DOUBT_SECONDS = 0.2
DOUBT_FRAMES = 3
LATELY_SECONDS = 1.0


class Continuity:
    """What one track looks like, and what was seen of it since that changed.

    Attributes:
        appearance: as ``measure_appearance`` gives it, of the last frame; None before the first.
    """

    def __init__(self) -> None:
        self.appearance: Float32Array | None = None
        self._embedded: Float32Array | None = None  # the appearance when that was last done
        self._before: Float32Array | None = None  # the one before an abrupt change
        self._doubted_seconds = math.inf  # stream time since when; infinite without a doubt
        self._doubted_frames = 0
        self._held: list[FaceSample] = []
        self._sampled_seconds = -math.inf  # stream time of the last sample that was the track's

    @property
    def in_doubt(self) -> bool:
        """Whether the track may have gone over to somebody else."""
        return self._doubted_seconds < math.inf

    @property
    def is_changed(self) -> bool:
        """Whether to look at the face now, whenever that was done last."""
        if self.in_doubt:
            return True
        return _correlation(self._embedded, self.appearance) < SINCE_EMBEDDED

    def look(self, appearance: Float32Array, time_seconds: float) -> None:
        """Take in what a frame shows."""
        last, self.appearance = self.appearance, appearance
        if not self.in_doubt:
            if _correlation(last, appearance) < ABRUPT:
                self._before, self._doubted_seconds = last, time_seconds
                self._doubted_frames = 1
            return
        self._doubted_frames += 1
        if not self._held and _correlation(self._before, appearance) >= ABRUPT:
            self._end_doubt()

    def note_embedding(self) -> None:
        """The face of the last frame was embedded, whether or not that gave a sample."""
        self._embedded = self.appearance

    def take(
        self,
        sample: FaceSample,
        evidence: Evidence,
        time_seconds: float,
        *,
        decided: bool,
    ) -> Sequence[FaceSample]:
        """Say which samples are the track's: none as long as that is in doubt.

        Args:
            sample: of the face in this frame.
            evidence: of the track so far.
            time_seconds: stream time of the frame.
            decided: whether it is known who the track is; before, an unlike frame is no surprise.
        """
        # Frames of one face are less alike where one of them is poor and the other is not.
        least = REJOIN_SIMILARITY - abs(sample.quality - evidence.quality)
        signature = evidence.signature
        is_own = signature is None or _likeness(signature, [*self._held, sample]) >= least
        if not is_own and (decided or self.in_doubt):
            self._held.append(sample)
            self._doubted_seconds = min(self._doubted_seconds, time_seconds)
            return ()
        samples = [*self._held, sample]
        self._sampled_seconds = time_seconds
        self._end_doubt()
        return samples

    def is_over(self, time_seconds: float) -> bool:
        """Whether the track is somebody else's since; a doubt that has lasted long enough ends."""
        if len(self._held) >= UNLIKE_FRAMES:
            return True
        lasted = time_seconds - self._doubted_seconds
        if lasted < DOUBT_SECONDS - 1e-6 or self._doubted_frames < DOUBT_FRAMES:
            return False
        was_compared = self._doubted_seconds - self._sampled_seconds <= LATELY_SECONDS
        least = ABRUPT if was_compared else OWN_APPEARANCE
        is_other = self._before is not None and (
            bool(self._held) or _correlation(self._before, self.appearance) < least
        )
        self._end_doubt()
        return is_other

    def _end_doubt(self) -> None:
        self._before, self._doubted_seconds, self._held = None, math.inf, []
        self._doubted_frames = 0


def _likeness(signature: Float32Array, samples: Sequence[FaceSample]) -> float:
    """The cosine of a face with the mean of several."""
    mean = np.sum([each.embedding for each in samples], axis=0)  # (128,)
    return float(signature @ mean) / max(float(np.linalg.norm(mean)), 1e-12)


def _correlation(before: Float32Array | None, now: Float32Array | None) -> float:
    """How alike two frames look; one of which nothing is known is no change."""
    return 1.0 if before is None or now is None else float(before @ now)
