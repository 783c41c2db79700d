"""Calls to times: one round after the other, each call once in a round."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# The first calls find cold caches and clocks that have yet to rise.
WARM_UP_ROUNDS = 5
# Fewer say nothing about the slowest in a hundred, however slow the machine is.
MIN_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one call took.

    Attributes:
        p50_ms: median, milliseconds.
        p99_ms: 99 in 100 took at most that.
        mean_ms: of all, where not every call does the same work.
        rounds: how many were timed.
    """

    p50_ms: float
    p99_ms: float
    mean_ms: float
    rounds: int

    @classmethod
    def of(cls, times_ms: Sequence[float]) -> Timing:
        """Sum up the times of at least one call."""
        return cls(
            float(np.median(times_ms)),
            float(np.percentile(times_ms, 99)),
            float(np.mean(times_ms)),
            len(times_ms),
        )


def time_alternating(
    calls: Mapping[str, Callable[[], object]], *, seconds: float
) -> dict[str, Timing]:
    """Time calls in alternation.

    Args:
        calls: what is to be timed, by name.
        seconds: after how long no further round begins, once there are ``MIN_ROUNDS``.
    """
    times_ms: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(WARM_UP_ROUNDS):
        for call in calls.values():
            call()
    began = time.perf_counter()
    rounds = 0
    while rounds < MIN_ROUNDS or time.perf_counter() - began < seconds:
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            times_ms[name].append((time.perf_counter() - started) * 1000)
        rounds += 1
    return {name: Timing.of(taken) for name, taken in times_ms.items()}
