"""systemd's journal: what is written there on standard error carries its severity.

Each line begins with ``<N>``, N as of syslog(3): ``journalctl -p warning`` then shows warnings and
what is worse, and nothing else. Lines without it would all count as information.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
from functools import cache

# Of syslog(3).
CRITICAL, ERROR, WARNING, INFO, DEBUG = 2, 3, 4, 6, 7
_SEVERITIES = {
    logging.CRITICAL: CRITICAL,
    logging.ERROR: ERROR,
    logging.WARNING: WARNING,
    logging.INFO: INFO,
}


@cache
def is_read_by_journal() -> bool:
    """Whether this process's standard error ends in the journal.

    A process that has sent it elsewhere keeps the variable, as systemd.exec(5) says.
    """
    try:
        state = os.fstat(2)
    except OSError:  # closed
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{state.st_dev}:{state.st_ino}"


def with_severity(text: str, severity: int) -> str:
    """Mark each line of a text for the journal, if that is who reads it."""
    if not is_read_by_journal():
        return text
    return "".join(f"<{severity}>{line}" for line in text.splitlines(keepends=True))


def severity_of(level: int) -> int:
    """The severity of a level of ``logging``."""
    return next((of for known, of in _SEVERITIES.items() if level >= known), DEBUG)


def mark_tracebacks() -> None:
    """Let the tracebacks of errors that nothing catches, in any thread, be critical ones."""
    if not is_read_by_journal():
        return
    sys.excepthook = lambda *error: _write(traceback.format_exception(*error))
    threading.excepthook = _write_of_thread


def _write_of_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is SystemExit:
        return
    name = "a thread" if args.thread is None else args.thread.name
    lines = traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback)
    _write([f"Exception in thread {name}:\n", *lines])


def _write(lines: list[str]) -> None:
    if sys.stderr is not None:
        sys.stderr.write(with_severity("".join(lines), CRITICAL))
        sys.stderr.flush()
