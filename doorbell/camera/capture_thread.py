"""Threads that read a camera: whether one hangs in its driver, and those that were left there.

A driver that hangs in C cannot be interrupted: its thread is left behind, and lives on until the
driver answers after all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Each may hold a device, a buffer of pictures and its stack.
_MOST = 3


class CaptureThread:
    """One capture thread, and since when its driver has not answered.

    Args:
        run: what the thread does, with this.
    """

    def __init__(self, run: Callable[[CaptureThread], None]) -> None:
        self._asked_seconds: float | None = None
        self.patience_seconds = 0.0
        self.thread = threading.Thread(target=run, args=(self,), name="capture", daemon=True)

    @contextmanager
    def asking(self, patience_seconds: float) -> Iterator[None]:
        """Note that the driver has the word."""
        self.patience_seconds = patience_seconds
        self._asked_seconds = time.monotonic()
        try:
            yield
        finally:
            self._asked_seconds = None

    def is_stuck(self, now_seconds: float) -> bool:
        """Whether the driver has had the word for too long, by the monotonic clock."""
        asked = self._asked_seconds
        return asked is not None and now_seconds - asked > self.patience_seconds


class AbandonedThreads:
    """The threads in drivers that hang; ``len`` is how many there are by now.

    All of it is called under the lock of whoever starts them.
    """

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        # Those of this outage: they may hold the device, which who hung before it did not.
        self._holding: list[threading.Thread] = []

    def __len__(self) -> int:
        return sum(thread.is_alive() for thread in self._threads)

    @property
    def are_too_many(self) -> bool:
        """Whether no other thread may be left behind."""
        return len(self) >= _MOST

    @property
    def may_hold_camera(self) -> bool:
        """Whether a thread hangs since the last frame."""
        return any(thread.is_alive() for thread in self._holding)

    def add(self, thread: threading.Thread) -> None:
        """Leave a thread behind whose driver does not answer."""
        self._threads = [other for other in self._threads if other.is_alive()]
        self._threads.append(thread)
        self._holding.append(thread)

    def clear(self) -> None:
        """Note that a frame came: none of them holds the camera."""
        self._holding.clear()
