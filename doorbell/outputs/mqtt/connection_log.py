"""Saying that the broker is away: once, and again where the reason is another."""

from __future__ import annotations

import logging

# Between two lines: a broker whose start fails in several ways does not fill the log.
PAUSE_SECONDS = 60.0

log = logging.getLogger(__name__)


class ConnectionLog:
    """What was last said of a broker that is away.

    Args:
        broker: host and port.
    """

    def __init__(self, broker: str) -> None:
        self._broker = broker
        self._said: tuple[str, float] | None = None
        self._refused = False

    def tell(self, reason: str, now_seconds: float) -> None:
        """Say why there is no connection, unless that is known or something was just said."""
        if self._said is not None:
            said, said_seconds = self._said
            if reason == said or now_seconds - said_seconds < PAUSE_SECONDS:
                return
        log.warning("no broker at %s, and the doorbell goes on without: %s", self._broker, reason)
        self._said = reason, now_seconds

    def refuse(self, reason: str, now_seconds: float) -> None:
        """Say that the broker does not take us."""
        self.tell(reason, now_seconds)
        self._refused = True

    def lose(self, reason: str, now_seconds: float) -> None:
        """Say that a connection ended, unless by a refusal, which has been said."""
        if not self._refused:
            self.tell(reason, now_seconds)
        self._refused = False

    def end(self) -> None:
        """Forget what was said: there is a connection."""
        self._said = None
        self._refused = False
