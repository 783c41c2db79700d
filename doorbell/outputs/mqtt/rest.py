"""A time without a connection, left to somebody else, and looking whether it is over."""

from __future__ import annotations

import threading
from collections.abc import Callable

# As often in a row nobody is there: who is only restarted is back at the second look.
FREE_LOOKS = 2


class Rest:
    """Under the caller's lock.

    Args:
        seconds: between two looks.
        may_return: whether nobody else is connected; asked on a thread of its own, takes seconds.
        now: monotonic seconds.
    """

    def __init__(self, seconds: float, may_return: Callable[[], bool], now: float) -> None:
        self._seconds = seconds
        self._may_return = may_return
        self._next_look = now + seconds
        self._free_looks = 0
        self._looking: threading.Thread | None = None

    def is_over(self, now: float) -> bool:
        """Whether to connect again; begins to look where it is time for that."""
        if self._looking is not None and self._looking.is_alive():
            return False
        if self._free_looks >= FREE_LOOKS:
            return True
        if now >= self._next_look:
            self._next_look = now + self._seconds
            self._looking = threading.Thread(target=self._look, name="mqtt-look", daemon=True)
            self._looking.start()
        return False

    def _look(self) -> None:
        self._free_looks = self._free_looks + 1 if self._may_return() else 0
