"""How slow a camera is: frames in, how much each may cost out."""

from __future__ import annotations

from collections import deque
from statistics import median

from doorbell.domain import Frame

# As many looks a second as with so many frames a second are taken of slower cameras too, but of no
# frame more than so many times as many.
FRAMES_PER_SECOND = 15.0
MOST_WORTH = 8

# The median of so many pauses counts, from the second on.
PAUSES = 5


class FrameRate:
    """The pause from each frame that a camera gave to the next, whether or not it was taken.

    A machine that cannot keep up leaves frames out; it does not get more to do by it.
    """

    def __init__(self) -> None:
        self._last: tuple[float, int] | None = None
        self._pauses: deque[float] = deque(maxlen=PAUSES)

    def note(self, frame: Frame) -> int:
        """Take in the next frame; as how many frames it counts, 1 to ``MOST_WORTH``."""
        if self._last is not None:
            seconds, given = frame.time_seconds - self._last[0], frame.index - self._last[1]
            if seconds > 0 and given > 0:
                self._pauses.append(seconds / given)
        self._last = frame.time_seconds, frame.index
        if len(self._pauses) < 2:
            return 1
        return min(max(int(median(self._pauses) * FRAMES_PER_SECOND), 1), MOST_WORTH)
