"""How slow a camera is: frames in; how much each may cost, and whether they are too few, out."""

from __future__ import annotations

from collections import deque
from statistics import median

from doorbell.domain import Frame

# As many looks a second as with so many frames a second are taken of slower cameras too, but of no
# frame more than so many times as many.
FRAMES_PER_SECOND = 15.0
MOST_WORTH = 8

# A name takes several frames: with fewer than the first a second visitors are gone before, or told
# late, and with the second it is well again.
SLOW_PER_SECOND, ENOUGH_PER_SECOND = 2.0, 2.5
SLOW_MARGIN = 0.95

# The median of so many pauses counts: as soon as there are the second, for what a frame may cost.
PAUSES, FIRST_PAUSES = 5, 2


def describe_slowness(per_second: float | None) -> str:
    """Say what a camera that gives so few frames a second means, and what to do."""
    given = "" if per_second is None else f" ({per_second:.2g} a second)"
    return (
        f"the camera gives too few frames{given}: visitors are named late, or are gone before; set "
        "it to 5 a second or more, in camera.frames_per_second or its own settings"
    )


class FrameRate:
    """The pause from each frame that a camera gave to the next, whether or not it was taken.

    A machine that cannot keep up leaves frames out; it does not get more to do by it.

    Attributes:
        is_slow: whether the camera gives too few frames to recognize visitors by.
    """

    def __init__(self) -> None:
        self.is_slow = False
        self._last: tuple[float, int] | None = None
        self._pauses: deque[float] = deque(maxlen=PAUSES)

    @property
    def per_second(self) -> float | None:
        """How many it gives; None before enough have come."""
        return 1 / median(self._pauses) if len(self._pauses) == PAUSES else None

    def note(self, frame: Frame) -> int:
        """Take in the next frame; as how many frames it counts, 1 to ``MOST_WORTH``."""
        if self._last is not None:
            seconds, given = frame.time_seconds - self._last[0], frame.index - self._last[1]
            if seconds > 0 and given > 0:
                self._pauses.append(seconds / given)
        self._last = frame.time_seconds, frame.index
        rate = self.per_second
        if rate is not None:
            least = ENOUGH_PER_SECOND if self.is_slow else SLOW_MARGIN * SLOW_PER_SECOND
            self.is_slow = rate < least
        if len(self._pauses) < FIRST_PAUSES:
            return 1
        return min(max(int(median(self._pauses) * FRAMES_PER_SECOND), 1), MOST_WORTH)
