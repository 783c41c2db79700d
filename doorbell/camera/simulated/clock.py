"""The clock of a recorded or simulated camera."""

from __future__ import annotations

import time


class Pace:
    """Waits until frames are due, or not at all; starts with its first use.

    Attributes:
        realtime: whether frames come at their own speed or as fast as possible.
    """

    def __init__(self, *, realtime: bool) -> None:
        self.realtime = realtime
        self._start: float | None = None

    def lateness(self, time_seconds: float) -> float:
        """How long ago a frame of that stream time was due; negative while it is not."""
        if not self.realtime:
            return 0.0
        now = time.monotonic()
        if self._start is None:
            self._start = now - time_seconds
        return now - self._start - time_seconds

    def wait_for(self, time_seconds: float) -> None:
        """Wait until a frame of that stream time is due."""
        early = -self.lateness(time_seconds)
        if early > 0:
            time.sleep(early)
