"""How often somebody may do something: so many times in so many seconds."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from dataclasses import InitVar, dataclass, field

# Of addresses or devices that are remembered at a time; the one that was longest away goes first.
MAX_KEYS = 1024


@dataclass(slots=True)
class RateLimit:
    """At most so many times within a time, for each of several who ask.

    Attributes:
        times: how many.
        seconds: within which time.
    """

    times: int
    seconds: float
    _asked: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)

    def wait_seconds(self, key: str, now_seconds: float) -> float:
        """After how many seconds it would be granted; 0 for now. Counts nothing."""
        asked = [each for each in self._asked.get(key, ()) if each > now_seconds - self.seconds]
        if len(asked) < self.times:
            return 0.0
        return asked[-self.times] + self.seconds - now_seconds

    def take(self, key: str, now_seconds: float) -> float:
        """Count one time, unless it is one too many.

        Args:
            key: who asks.
            now_seconds: monotonic time.

        Returns:
            After how many seconds to ask again; 0 where it was granted.
        """
        wait = self.wait_seconds(key, now_seconds)
        if wait > 0:
            return wait
        asked = self._asked.setdefault(key, deque(maxlen=self.times))
        self._asked.move_to_end(key)
        while len(self._asked) > MAX_KEYS:
            self._asked.popitem(last=False)
        asked.append(now_seconds)
        return 0.0


@dataclass(slots=True)
class ConcurrencyLimit:
    """At most so many at a time; of those who are told apart, nobody has all places.

    Attributes:
        most: how many.
    """

    most: int
    _places: Counter[str | None] = field(default_factory=Counter)

    @property
    def present(self) -> int:
        """How many there are."""
        return self._places.total()

    def enter(self, who: str | None = None) -> bool:
        """Take a place, unless all are taken; the last one is left to who has none."""
        has_one = who is not None and self._places[who] > 0
        if self.present >= self.most - has_one:
            return False
        self._places[who] += 1
        return True

    def leave(self, who: str | None = None) -> None:
        """Give a place back."""
        self._places[who] -= 1
        if self._places[who] <= 0:
            del self._places[who]


@dataclass(slots=True)
class Traffic:
    """What the console bears.

    Attributes:
        viewers: who may watch live at a time.
        writes, uploads: of a device, or of an address without access.
        wrong_codes: of an address.
        all_wrong_codes: of everybody.
        wrong_tokens: of an address, that are no answers to a notification.
        streams: answers without an end, by what they are.
        uploading: pictures that are being received.
        exporting: what is held on somebody, being sent: it is in memory as a whole.
        ending: whether the console is about to end, and with it every answer without an end.
    """

    viewers: InitVar[int] = 4
    writes: RateLimit = field(default_factory=lambda: RateLimit(60, 60.0))
    uploads: RateLimit = field(default_factory=lambda: RateLimit(30, 60.0))
    wrong_codes: RateLimit = field(default_factory=lambda: RateLimit(5, 600.0))
    all_wrong_codes: RateLimit = field(default_factory=lambda: RateLimit(5, 600.0))
    wrong_tokens: RateLimit = field(default_factory=lambda: RateLimit(10, 600.0))
    streams: dict[str, ConcurrencyLimit] = field(init=False)
    uploading: ConcurrencyLimit = field(default_factory=lambda: ConcurrencyLimit(3))
    exporting: ConcurrencyLimit = field(default_factory=lambda: ConcurrencyLimit(1))
    ending: bool = False

    def __post_init__(self, viewers: int) -> None:
        self.streams = {
            "live": ConcurrencyLimit(viewers),
            "events": ConcurrencyLimit(16),
            "listen": ConcurrencyLimit(4),
        }
