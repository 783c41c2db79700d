"""What is done now and again.

No threads, no clock of its own.
"""

from __future__ import annotations

from collections.abc import Callable


class PeriodicTask:
    """Calls something now and again.

    Args:
        seconds: between two calls, at least.
        work: what is called.
        due_seconds: when it is called first.
    """

    def __init__(self, seconds: float, work: Callable[[], None], due_seconds: float) -> None:
        self._seconds = seconds
        self._work = work
        self._due_seconds = due_seconds

    def run_if_due(self, now_seconds: float) -> None:
        """Do the work if it is due."""
        if now_seconds >= self._due_seconds:
            self._due_seconds = now_seconds + self._seconds
            self._work()
