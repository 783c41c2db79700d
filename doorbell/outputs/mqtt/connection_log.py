"""Saying that the broker is away: once, and again where the reason is another.

So is what the broker does not take.
"""

from __future__ import annotations

import logging

from doorbell.outputs.mqtt.delivery import Kind, Refusal

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
        self._refusals: dict[tuple[Kind, str], str] = {}
        self._said_refusals: set[tuple[Kind, str]] = set()

    @property
    def refusals(self) -> str | None:
        """What the broker does not take; None where it takes everything."""
        return "; ".join([*self._refusals.values()]) or None

    def forget_refusals(self) -> None:
        """The broker may be set up anew; what it refuses again is not said again."""
        self._refusals.clear()

    def note_refusal(self, refusal: Refusal) -> None:
        """Say what the broker does not take, once, and what to do."""
        channel = refusal.kind, refusal.topic
        self._refusals.setdefault(channel, describe_refusal(refusal))
        if channel not in self._said_refusals:
            self._said_refusals.add(channel)
            what = describe_refusal(refusal)
            log.warning("the broker %s refuses a message: %s", self._broker, what)

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


def describe_refusal(refusal: Refusal) -> str:
    """Say what a broker does not take, and what to do."""
    if refusal.for_size:
        return (
            f"a message of {refusal.payload_bytes} bytes on {refusal.topic} is too large for it; a "
            "picture is made smaller, anything else is left out; raise the broker's limit "
            "(mosquitto: max_packet_size, EMQX: mqtt.max_packet_size), or lower mqtt.image_width"
        )
    if refusal.kind is Kind.PUBLISH:
        return (
            f"it lets nothing be published on {refusal.topic}, which is left out; allow it in the "
            "broker's access control list"
        )
    return (
        f"it lets nobody subscribe to {refusal.topic}, which is left out; allow it in the broker's "
        "access control list"
    )
