"""How long to wait after what did not succeed: twice as long each time, and not all at once."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_SECONDS = 5.0
LONGEST_SECONDS = 300.0


class Backoff:
    """Of one target.

    Args:
        chance: a number from 0 to 1, a new one at each call. A wait is at least half of what it
            may be, so that many who failed at the same time do not come back at the same time.
    """

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._failures = 0

    def failed(self) -> float:
        """Note a failure; for how many seconds to wait."""
        longest = min(FIRST_SECONDS * 2.0 ** min(self._failures, 30), LONGEST_SECONDS)
        self._failures += 1
        return longest * (0.5 + 0.5 * self._chance())

    def succeeded(self) -> None:
        """Begin anew."""
        self._failures = 0
