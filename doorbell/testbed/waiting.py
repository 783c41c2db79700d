"""Waiting for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL_SECONDS = 0.01


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether a condition comes true in time; it is looked at a hundred times a second."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_SECONDS)
    return True
