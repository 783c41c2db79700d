"""How long each stage takes of what happens between a frame and a message.

Has no clock of its own, and keeps a fixed amount however long it is not asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum

import numpy as np

from doorbell.status import StageLatency

# Of one stage between two questions; a minute of 60 frames a second.
KEPT = 3600


class Stage(Enum):
    """What a frame goes through, in order.

    Attributes:
        CAPTURE: from the capture of a frame to its being taken: it waits while the one before it is
            worked on.
        DETECT: finding faces.
        ALIGN: cutting faces out and judging them.
        EMBED: faces to vectors.
        DECIDE: everything else between faces and events: tracks, decisions, visits, pictures and
            the gallery.
        PUBLISH: from handing a message to the MQTT client to the broker's acknowledgement.
        FRAME: from the capture of a frame to the end of its processing.
    """

    CAPTURE = "capture"
    DETECT = "detect"
    ALIGN = "align"
    EMBED = "embed"
    DECIDE = "decide"
    PUBLISH = "publish"
    FRAME = "frame"


class Latency:
    """The durations of the stages, the newest ``KEPT`` of each; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds = {stage: np.zeros(KEPT, np.float32) for stage in Stage}
        self._counts = dict.fromkeys(Stage, 0)

    def add(self, stage: Stage, seconds: float) -> None:
        """Take in one duration; a clock that was set back meanwhile counts as no time."""
        with self._lock:
            self._seconds[stage][self._counts[stage] % KEPT] = max(seconds, 0.0)
            self._counts[stage] += 1

    def take(self) -> dict[Stage, StageLatency]:
        """Sum up what came since the last time, and start anew; a stage that never ran is left out.

        The count is of everything, the percentiles are of the newest ``KEPT``.
        """
        taken = {}
        with self._lock:
            for stage, count in self._counts.items():
                if count:
                    newest = self._seconds[stage][:count]
                    p50, p95, p99 = (np.percentile(newest, (50, 95, 99)) * 1000).tolist()
                    taken[stage] = StageLatency(p50, p95, p99, count)
            self._counts = dict.fromkeys(Stage, 0)
        return taken


class Stopwatch:
    """Times the stages of one frame after another.

    Args:
        latency: takes in the durations.
        clock: seconds from any start, never running backwards.
    """

    def __init__(self, latency: Latency, clock: Callable[[], float]) -> None:
        self._latency = latency
        self._clock = clock
        self._lap_began = clock()
        self._spent: dict[Stage, float] = {}

    def start(self) -> None:
        """Begin with a frame."""
        self._spent.clear()
        self._lap_began = self._clock()

    def lap(self, stage: Stage) -> None:
        """Count the time since the start or the last lap to a stage; it may have several."""
        now = self._clock()
        self._spent[stage] = self._spent.get(stage, 0.0) + now - self._lap_began
        self._lap_began = now

    def finish(self) -> None:
        """End with a frame: hand over what its stages took."""
        for stage, seconds in self._spent.items():
            self._latency.add(stage, seconds)


def describe(stages: dict[Stage, StageLatency]) -> str:
    """Give the medians in one line, in the order of the stages."""
    shown = [f"{stage.value} {stages[stage].p50_ms:.1f}" for stage in Stage if stage in stages]
    return ", ".join(shown) + " ms" if shown else "nothing timed"
