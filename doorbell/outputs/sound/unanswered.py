"""Rings that nobody answers: after some seconds something is said by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

# Who rings again within these of the ring that was waited for is the same visitor still, and has
# been told once. Later rings do not prolong it: on a busy evening the next visitors are told too.
SERIES_SECONDS = 60.0
CLOSE_SECONDS = 1.0


class UnansweredRings:
    """Waits after a ring whether somebody answers it; on a thread of its own, whoever is busy.

    The rings of a minute are one series: it is waited for once, from its first ring.

    Args:
        unanswered: called on that thread when nobody has answered; must not raise.
        now_seconds: by a clock that nobody sets.
    """

    def __init__(
        self, unanswered: Callable[[], None], *, now_seconds: Callable[[], float] = monotonic
    ) -> None:
        self._unanswered = unanswered
        self._now_seconds = now_seconds
        self._changed = threading.Condition()
        self._due_seconds: float | None = None
        self._began_seconds: float | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="unanswered rings", daemon=True)
        self._thread.start()

    def ring(self, after_seconds: float) -> bool:
        """Somebody rings; wait for an answer, unless that ring goes with those before.

        Args:
            after_seconds: how long one waits for an answer; 0 for ever.

        Returns:
            Whether an answer to this ring is waited for from now.
        """
        now = self._now_seconds()
        with self._changed:
            began = self._began_seconds
            begins = after_seconds > 0 and (began is None or now - began >= SERIES_SECONDS)
            if begins:
                self._began_seconds = now
                self._due_seconds = now + after_seconds
                self._changed.notify()
        return begins

    def answered(self) -> None:
        """Somebody has answered: nothing is waited for any more."""
        with self._changed:
            self._due_seconds = None

    def close(self) -> None:
        """Wait for nothing any more; idempotent."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while self._wait():
            self._unanswered()

    def _wait(self) -> bool:
        """Wait for a ring that stays without an answer; False at the end."""
        with self._changed:
            while not self._closing:
                if self._due_seconds is None:
                    self._changed.wait()
                    continue
                remaining = self._due_seconds - self._now_seconds()
                if remaining <= 0.0:
                    self._due_seconds = None
                    return True
                self._changed.wait(remaining)
            return False
