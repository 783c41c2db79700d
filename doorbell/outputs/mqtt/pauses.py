"""How long to wait between connections that do not last.

What ends them is there, whatever it is: a broker that refuses a message, a network that fails, or
somebody else who connects with our id.
"""

from __future__ import annotations

# A connection that ended sooner has not lasted.
LASTING_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 60
# As many in a row that ended soon, and for no message, are looked into.
STRANGE_ENDINGS = 5


class Pauses:
    """Of one connection after the other. Under the caller's lock, or on one thread."""

    def __init__(self) -> None:
        self._connected_at = 0.0
        self._endings = 0  # one after the other, of connections that did not last

    def begin(self, now: float) -> None:
        """There is a new connection, at that many monotonic seconds."""
        self._connected_at = now

    def has_lasted(self, now: float) -> bool:
        """Whether the connection was there for long enough."""
        return now - self._connected_at >= LASTING_SECONDS

    def end(self, *, afresh: bool) -> int:
        """The connection has ended.

        Args:
            afresh: whether it lasted, or what ended it is known and mended.

        Returns:
            How many seconds to wait before the next: the longer the more did not last.
        """
        if afresh:
            self._endings = 0
        pause: int = min(2**self._endings, LONGEST_PAUSE_SECONDS)
        self._endings += 1
        return pause

    @property
    def are_strange(self) -> bool:
        """Whether just now so many have ended that it is to be looked into."""
        return self._endings == STRANGE_ENDINGS
