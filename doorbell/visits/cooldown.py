"""Who has rung lately and does not ring again."""

from __future__ import annotations

from collections.abc import Mapping

from doorbell.domain import Stranger, Visitor
from doorbell.visits.open_visit import visitor_key


class Cooldown:
    """When each visitor rang last; those whom nobody can name count as one.

    Args:
        seconds: for how long nobody rings again.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._rang: dict[tuple[str, int], float] = {}  # stream time
        self._newly: dict[tuple[str, int], Visitor] = {}

    def reconfigure(self, seconds: float) -> None:
        """Go by another time from now on, for who has rung already too."""
        self._seconds = seconds

    def note(self, visitor: Visitor | None, time_seconds: float) -> None:
        """The bell rang for the visitor."""
        self._rang[visitor_key(visitor)] = time_seconds
        if visitor is not None:
            self._newly[visitor_key(visitor)] = visitor

    def note_elsewhere(self, visitor: Visitor, time_seconds: float) -> None:
        """It rang for the visitor at another door."""
        self._rang[visitor_key(visitor)] = time_seconds

    def take_newly(self) -> list[Visitor]:
        """Take those whom the bell rang for since this was asked last."""
        newly, self._newly = self._newly, {}
        return list(newly.values())

    def restore(self, rang_at: Mapping[tuple[str, int], float], now: float, wall: float) -> None:
        """Take over from an earlier run.

        Args:
            rang_at: wall time when each visitor rang last, by ``visitor_key``.
            now: stream time.
            wall: wall time, of the same moment.
        """
        for key, rang in rang_at.items():
            self._rang.setdefault(key, now - max(wall - rang, 0.0))

    def may_ring(self, visitor: Visitor | None, time_seconds: float) -> bool:
        """Whether the visitor has not rung lately, and is not ignored."""
        if visitor is not None and visitor.ignored:
            return False
        oldest = time_seconds - self._seconds
        self._rang = {key: at for key, at in self._rang.items() if at > oldest}
        return visitor_key(visitor) not in self._rang

    def identify(self, identified: Mapping[int, Stranger]) -> None:
        """Take over what strangers are called for good, by the number they had meanwhile."""
        for number, stranger in identified.items():
            rang = self._rang.pop(("stranger", number), None)
            if rang is not None:
                self._rang[visitor_key(stranger)] = rang
