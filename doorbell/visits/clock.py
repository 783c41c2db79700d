"""The wall clock by the frames of one door: how far it was set since the last of them.

Pure: no clock of its own. ``doorbell.clock`` follows the machine's, which a step shows sooner.
"""

from __future__ import annotations

# A wall clock that moves by this much more or less than the stream was set. Smaller differences
# come from a slow machine.
CLOCK_STEP_SECONDS = 2.0


class FrameClock:
    """Compares the wall time of each frame with its stream time."""

    def __init__(self) -> None:
        self._offset_seconds: float | None = None  # wall less stream, in the last frame
        self._wall_time = 0.0  # of the last frame

    def look(self, time_seconds: float, wall_time: float) -> float:
        """Take in a frame; by how many seconds the wall clock is later since the last, if set."""
        before, self._offset_seconds = self._offset_seconds, wall_time - time_seconds
        self._wall_time = wall_time
        step = 0.0 if before is None else self._offset_seconds - before
        return step if abs(step) >= CLOCK_STEP_SECONDS else 0.0

    def follow(self, until: float, seconds: float) -> bool:
        """Take over that the clock was set; whether no frame has shown it yet.

        Args:
            until: wall time when it was set, as it went before.
            seconds: by how much it is later since.
        """
        if self._offset_seconds is None:
            return False
        if abs(self._wall_time - until) >= abs(self._wall_time - until - seconds):
            return False
        self._offset_seconds += seconds
        self._wall_time += seconds
        return True
