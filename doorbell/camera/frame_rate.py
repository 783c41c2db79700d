"""How slow a camera is: frames in; how much each may cost, and whether they are too few, out.

Of what the camera gives, whether or not it was taken; how far apart the frames are that were looked
at is for the tracker to know.
"""

from __future__ import annotations

from collections import deque
from statistics import median

from doorbell.domain import Frame

# Of a slower camera as many regions are looked at in a second as with so many frames a second, but
# in no frame more than ``MOST_WORTH`` times as many.
FRAMES_PER_SECOND = 15.0
MOST_WORTH = 8

# A name takes several frames: with fewer than these a second visitors are gone before it, or it
# comes late. A camera that is set to them gives a little less now and then; one that was slow gives
# enough again from the last on.
SLOW_PER_SECOND, SLOW_MARGIN, ENOUGH_PER_SECOND = 2.0, 0.95, 2.5

# The median of so many pauses tells the rate; what a frame may cost is told from the second on.
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

    @property
    def worth(self) -> int:
        """As how many frames the last one counts: 1 to ``MOST_WORTH``."""
        if len(self._pauses) < FIRST_PAUSES:
            return 1
        return min(max(int(median(self._pauses) * FRAMES_PER_SECOND), 1), MOST_WORTH)

    def note(self, frame: Frame) -> None:
        """Take in the next frame."""
        if self._last is not None:
            seconds, given = frame.time_seconds - self._last[0], frame.index - self._last[1]
            if seconds > 0 and given > 0:
                self._pauses.append(seconds / given)
        self._last = frame.time_seconds, frame.index
        rate = self.per_second
        if rate is not None:
            least = ENOUGH_PER_SECOND if self.is_slow else SLOW_MARGIN * SLOW_PER_SECOND
            self.is_slow = rate < least
