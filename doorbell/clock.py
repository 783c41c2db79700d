"""Whether the wall clock can be believed, and how far somebody has set it.

Many small computers have no clock that outlives a power cut: they start in the past and jump to
today once the network answers.
"""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from datetime import time as time_of_day
from functools import cache
from pathlib import Path

from doorbell.status import ClockStep

SECONDS_PER_DAY = 86400.0

# What differs by less is the slewing of a clock, or a busy machine.
STEP_SECONDS = 60.0

# Readings that lie farther apart are not of one moment: the machine slept, or was very busy.
AT_ONCE_SECONDS = 1.0

# A clock that nothing confirms is believed again this long after it was set.
DOUBT_SECONDS = SECONDS_PER_DAY

# include/uapi/linux/timex.h: what adjtimex answers while nothing keeps the clock right. The
# structure it fills has 208 bytes on 64-bit machines; all zero, it only reads.
TIME_ERROR = 5
TIMEX_BYTES = 512

# What was written last is seldom older than this at a start; with a later clock it is left alone.
PLAUSIBLE_SECONDS = 7 * SECONDS_PER_DAY

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

# systemd-timesyncd.service(8): there once the clock was synchronized.
TIMESYNC_MARK = Path("/run/systemd/timesync/synchronized")


def iso_utc(epoch_seconds: float | None) -> str | None:
    """ISO 8601 in UTC to the millisecond."""
    if epoch_seconds is None:
        return None
    return datetime.fromtimestamp(epoch_seconds, timezone.utc).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True)
class BootTime:
    """A moment whose distance to another outlasts a restart, and steps of the clock till a reboot.

    Attributes:
        wall_seconds: since the epoch.
        boot_seconds: since the machine started, sleep included.
        boot_id: of this start of the machine.
    """

    wall_seconds: float
    boot_seconds: float
    boot_id: str

    @classmethod
    def now(cls) -> BootTime:
        """The present."""
        return cls(*read_clocks(), _boot_id())

    def seconds_since(self, earlier: BootTime) -> float:
        """How long ago that was; negative where the clock was set back over a reboot."""
        if self.boot_id == earlier.boot_id:
            return self.boot_seconds - earlier.boot_seconds
        return self.wall_seconds - earlier.wall_seconds


@cache
def _boot_id() -> str:
    return BOOT_ID.read_text("ascii").strip()


def is_between(moment: time_of_day, start: time_of_day | None, end: time_of_day | None) -> bool:
    """Whether a time of day is from ``start`` on and before ``end``; never without both.

    An end that is earlier than the start is on the next day.
    """
    if start is None or end is None:
        return False
    if start <= end:
        return start <= moment < end
    return moment >= start or moment < end


class WallClock:
    """Compares the wall clock with one that nobody sets.

    Args:
        wall_time: seconds since the epoch.
        time_seconds: by a clock that nobody sets, and that goes on while the machine sleeps.
        written_at: wall time of what was written last before this run; a clock that starts days
            later is doubted as one that was set. None where nothing was.
    """

    def __init__(
        self, wall_time: float, time_seconds: float, written_at: float | None = None
    ) -> None:
        self._since = wall_time
        self._offset = wall_time - time_seconds
        plausible = written_at is not None and wall_time - written_at <= PLAUSIBLE_SECONDS
        self._set_at_seconds = None if plausible else time_seconds

    def look(self, wall_time: float, time_seconds: float) -> ClockStep | None:
        """Find out whether it was set since the last look."""
        seconds = wall_time - time_seconds - self._offset
        self._offset += seconds
        if abs(seconds) < STEP_SECONDS:
            return None
        step = ClockStep(self._since, wall_time - seconds, seconds)
        self._since += seconds
        self._set_at_seconds = time_seconds
        return step

    def is_trusted(self, time_seconds: float, *, synchronized: bool) -> bool:
        """Whether something may be deleted for its age.

        Args:
            time_seconds: as above.
            synchronized: whether the system knows the clock to be right.
        """
        set_at = self._set_at_seconds
        return synchronized or set_at is None or time_seconds - set_at >= DOUBT_SECONDS


def read_clocks() -> tuple[float, float]:
    """Read both clocks at one moment, even where the machine falls asleep between two readings.

    Returns:
        Wall time, seconds since the epoch; and seconds by a clock that nobody sets, and that goes
        on while the machine sleeps.
    """
    while True:
        before = time.clock_gettime(time.CLOCK_BOOTTIME)
        wall_time = time.time()
        after = time.clock_gettime(time.CLOCK_BOOTTIME)
        if after - before < AT_ONCE_SECONDS:
            return wall_time, after


def is_synchronized() -> bool:
    """Whether the system knows the wall clock to be right: NTP or the like keeps it."""
    answer = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    if answer < 0:  # the service may not ask the kernel: whoever can ask could set the clock too
        return TIMESYNC_MARK.exists()
    return bool(answer != TIME_ERROR)
