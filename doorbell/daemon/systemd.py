"""What systemd is told: ready, alive, stopping."""

from __future__ import annotations

import logging
import math
import os

from sdnotify import SystemdNotifier  # type: ignore[import-untyped]  # the package ships no types

# Of the watchdog's interval; sd_watchdog_enabled(3) recommends half, and a slow frame may follow.
FEED_FRACTION = 0.25

# A service manager that does not read its socket may not hold up the door.
SEND_SECONDS = 0.1

log = logging.getLogger(__name__)


class ServiceNotifier:
    """The service manager, if one listens.

    Attributes:
        watchdog_seconds: the time within which the watchdog must be fed; None when systemd
            watches no one.
    """

    def __init__(self) -> None:
        # Without a socket the package would leave one of its own unclosed. With debug it says what
        # was not sent.
        self._notifier = SystemdNotifier(debug=True) if os.environ.get("NOTIFY_SOCKET") else None
        if self._notifier is not None:
            self._notifier.socket.settimeout(SEND_SECONDS)
        self.watchdog_seconds = _watchdog_seconds()
        self._fed_seconds = -math.inf

    def ready(self) -> bool:
        """Say that start-up is finished: visitors are seen, or the camera is known to be away.

        Returns:
            Whether it was heard; if not, say it again: the service manager would give up waiting.
        """
        return self._send("READY=1")

    def status(self, text: str) -> None:
        """Show one line of free text in ``systemctl status``."""
        self._send(f"STATUS={' '.join(text.split())}")

    def feed_watchdog(self, now_seconds: float) -> None:
        """Say that work was done; call it as often as you like, systemd is not told every time.

        Args:
            now_seconds: monotonic time.
        """
        if self.watchdog_seconds is None:
            return
        due = now_seconds - self._fed_seconds >= self.watchdog_seconds * FEED_FRACTION
        if due and self._send("WATCHDOG=1"):
            self._fed_seconds = now_seconds

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._send("STOPPING=1")

    def close(self) -> None:
        """Close the socket; idempotent, and every later call does nothing."""
        notifier, self._notifier = self._notifier, None
        if notifier is not None and notifier.socket is not None:
            notifier.socket.close()

    def _send(self, message: str) -> bool:
        """Send, or give up soon; whether nobody is left waiting for it."""
        if self._notifier is None:
            return True
        try:
            # systemd reads UTF-8; the package writes Latin-1, which keeps every byte as it is.
            self._notifier.notify(message.encode().decode("latin-1"))
        except OSError as exc:
            log.debug("the service manager did not take %s: %s", message.partition("=")[0], exc)
            return False
        return True


def _watchdog_seconds() -> float | None:
    """Read what systemd promised this process, as sd_watchdog_enabled(3) does."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(microseconds) / 1e6 if microseconds.isdecimal() and int(microseconds) else None
