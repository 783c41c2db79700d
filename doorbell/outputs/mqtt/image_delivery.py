"""Whether the broker has the last picture, so that it is not sent again for nothing.

Home automation takes every picture that comes for a new one. After a connection was lost the broker
is asked what it keeps; it may have lost it.
"""

from __future__ import annotations

# So long a broker may take to send what it keeps.
ANSWER_SECONDS = 2.0


class ImageDelivery:
    """What is known of the picture at the broker; but for ``acknowledge`` under the lock."""

    def __init__(self) -> None:
        self._payload = b""
        self._message_id: int | None = None
        self._arrived = False
        self._asked_seconds: float | None = None

    @property
    def has_arrived(self) -> bool:
        """Whether the broker had it once."""
        return self._arrived

    def publish(self, payload: bytes, message_id: int | None) -> None:
        """Note what is under way; None where it goes nowhere."""
        self._payload, self._message_id = payload, message_id
        self._arrived = False
        self._asked_seconds = None

    def acknowledge(self, message_id: int) -> None:
        """Take the broker's word; on any thread."""
        if message_id == self._message_id:
            self._arrived = True

    def ask(self, time_seconds: float) -> None:
        """The broker was asked, on a new connection."""
        self._asked_seconds = time_seconds if self._payload else None

    def is_other(self, payload: bytes) -> bool:
        """Take the answer: whether the broker has another picture than ours."""
        self._asked_seconds = None
        return payload != self._payload

    def is_lost(self, time_seconds: float) -> bool:
        """Whether the broker had the time to answer, and has none."""
        asked = self._asked_seconds
        return asked is not None and time_seconds - asked > ANSWER_SECONDS
