"""How often somebody may ask: at once, after that, and in an hour."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

HOUR_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Rate:
    """How often a command is carried out: ``burst`` times at once, then again every ``seconds``.

    Attributes:
        hourly: at most so many in any hour: who asks more often for so long is no hand at a
            button but an automation that has gone wrong.
    """

    burst: int
    seconds: float
    hourly: int


class HourlyBudget:
    """The last hour's commands."""

    def __init__(self, hourly: int) -> None:
        self._taken: deque[float] = deque(maxlen=hourly)
        self._refused = -math.inf

    def take(self, now: float) -> bool:
        """Take one, unless as many as may be were taken within the last hour."""
        if len(self._taken) == self._taken.maxlen and now - self._taken[0] < HOUR_SECONDS:
            return False
        self._taken.append(now)
        return True

    def must_say(self, now: float) -> bool:
        """Note that one was refused; whether the first since what hurried had stopped."""
        before, self._refused = self._refused, now
        return now - before >= HOUR_SECONDS


class TokenBucket:
    """A token bucket."""

    def __init__(self, burst: int, seconds: float, now: float) -> None:
        self._burst = float(burst)
        self._seconds = seconds
        self._tokens = float(burst)
        self._filled = now

    def take(self, now: float) -> bool:
        """Take a token if there is one."""
        gained = (now - self._filled) / self._seconds
        self._tokens = min(self._tokens + gained, self._burst)
        self._filled = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
