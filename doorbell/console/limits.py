"""How often somebody may do something: so many times in so many seconds."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

# Of addresses or devices that are remembered at a time; the one that was longest away goes first.
MAX_KEYS = 1024


@dataclass(slots=True)
class Limit:
    """At most so many times within a time, for each of several who ask.

    Attributes:
        times: how many.
        seconds: within which time.
    """

    times: int
    seconds: float
    _asked: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)

    def take(self, key: str, now_seconds: float) -> float:
        """Count one time, unless it is one too many.

        Args:
            key: who asks.
            now_seconds: monotonic time.

        Returns:
            After how many seconds to ask again; 0 where it was granted.
        """
        asked = self._asked.setdefault(key, deque())
        self._asked.move_to_end(key)
        while len(self._asked) > MAX_KEYS:
            self._asked.popitem(last=False)
        while asked and asked[0] <= now_seconds - self.seconds:
            asked.popleft()
        if len(asked) >= self.times:
            return asked[0] + self.seconds - now_seconds
        asked.append(now_seconds)
        return 0.0
