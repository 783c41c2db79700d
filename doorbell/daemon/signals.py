"""How the daemon is asked to stop: by a signal, a failed thread, or while it still starts."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stopping_on_signals(stop: threading.Event) -> Iterator[None]:
    """SIGTERM and SIGINT set ``stop``; the handlers that were there come back afterwards."""

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {
        number: signal.signal(number, ask_to_stop) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class StoppedEarlyError(Exception):
    """The daemon was told to stop while it was starting."""


def raise_if_stopping(stop: threading.Event) -> None:
    """Call it between two steps of starting.

    Raises:
        StoppedEarlyError: ``stop`` is set.
    """
    if stop.is_set():
        raise StoppedEarlyError


@contextmanager
def stopping_on_thread_faults(stop: threading.Event) -> Iterator[None]:
    """An exception that ends any thread ends the daemon too, and is raised here.

    A doorbell without its sound or its camera, and with everything else looking well, would be
    worse than one that the service manager starts again.
    """
    faults: list[BaseException] = []
    before = threading.excepthook

    def note(fault: threading.ExceptHookArgs) -> None:
        before(fault)
        if fault.exc_value is not None:
            faults.append(fault.exc_value)
        stop.set()

    threading.excepthook = note
    try:
        yield
    finally:
        threading.excepthook = before
    if faults:
        raise faults[0]
