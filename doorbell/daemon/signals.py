"""What the daemon makes of signals, and how else it is asked to stop.

It stops by a signal, a failed thread, or while it still starts. A hang-up (``systemctl reload``)
reads the configuration anew. Other signals that would end a process which knows nothing of them are
ignored: a doorbell that another program's stray signal takes from the door is a fault.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from doorbell.stopping import Stop

IGNORED = (
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGVTALRM,
    signal.SIGPROF,
    signal.SIGIO,
    signal.SIGPIPE,
)


@contextmanager
def following_signals(stop: Stop, reload: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and SIGINT set ``stop``; the handlers that were there come back afterwards.

    Args:
        stop: set also where SIGHUP comes because the terminal of the daemon is closed.
        reload: called for any other SIGHUP, between two instructions of the main thread: it hands
            off and waits for no lock.
    """

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    def hang_up(_number: int, _frame: FrameType | None) -> None:
        if on_terminal and not _has_terminal():
            stop.set()
        else:
            reload()

    on_terminal = _has_terminal()
    before = {
        number: signal.signal(number, ask_to_stop) for number in (signal.SIGTERM, signal.SIGINT)
    }
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, hang_up)
    before |= {number: signal.signal(number, signal.SIG_IGN) for number in IGNORED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _has_terminal() -> bool:
    """Whether this process has a controlling terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


class StoppedEarlyError(Exception):
    """The daemon was told to stop while it was starting."""


def raise_if_stopping(stop: Stop) -> None:
    """Call it between two steps of starting.

    Raises:
        StoppedEarlyError: ``stop`` is set.
    """
    if stop.is_set():
        raise StoppedEarlyError


@contextmanager
def stopping_on_thread_faults(stop: Stop) -> Iterator[None]:
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
