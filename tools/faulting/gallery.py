"""A gallery as large as one gets, and what the daemon does beside it."""

from __future__ import annotations

import shutil
import time

from doorbell.measure.speed.household import Household, write_household
from doorbell.testbed.scenes import KNOWN, STRANGER
from doorbell.testbed.service_manager import ServiceManager
from faulting.door import Door, NotRecoveredError

HOUSEHOLD = Household(visits=20_000, days=25.0)
PRESSES = 5
# Of a second: a press is heard at once, whatever else is done.
PRESS_SECONDS = 1.0
# Half of what a hungry watchdog would wait, and what a service manager is to wait for the end.
WATCHDOG_SECONDS = 4.0
END_SECONDS = 2.0
MERGED = " is stranger-"


def prepare_household(door: Door) -> None:
    """Let 10,000 strangers have been there, 300 of them under two identifiers."""
    large = door.folder / "large"
    shutil.copytree(door.gallery, large)
    write_household(large / "gallery.sqlite", HOUSEHOLD)
    door.gallery = large
    door.manager = ServiceManager(door.folder, watchdog_seconds=WATCHDOG_SECONDS)
    door.stack.callback(door.manager.close)
    door.environment |= door.manager.environment


def ten_thousand_strangers(door: Door) -> float:
    """Visitors come, and somebody presses, while the daemon merges strangers; then it is ended.

    Returns:
        How long the slowest press took until it was told.

    Raises:
        NotRecoveredError: a press or the end took too long, or there was no sign of life.
    """
    door.visit(KNOWN)
    began = time.monotonic()
    door.seconds_until(lambda: MERGED in door.log, since=began)
    slowest = max(door.press() for _ in range(PRESSES))
    door.visit(STRANGER)
    if slowest > PRESS_SECONDS:
        raise NotRecoveredError(f"a press was told after {slowest:.1f} s")
    began = time.monotonic()
    door.terminate()
    taken = time.monotonic() - began
    if taken > END_SECONDS:
        raise NotRecoveredError(f"the daemon ended after {taken:.1f} s")
    door.start()
    door.visit(KNOWN)
    silence = 0.0 if door.manager is None else longest_silence(door.manager)
    if silence > WATCHDOG_SECONDS / 2:
        raise NotRecoveredError(f"no sign of life for {silence:.1f} s")
    return slowest


def longest_silence(manager: ServiceManager) -> float:
    """The longest pause between two signs of life within one of the daemon's lives, in seconds."""
    longest, fed_at = 0.0, None
    for at, text in manager.messages:
        if text.startswith("WATCHDOG="):
            longest = max(longest, at - fed_at) if fed_at is not None else longest
            fed_at = at
        elif text.startswith("STOPPING="):
            fed_at = None
    return longest
