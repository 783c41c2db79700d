"""A client of the broker, as home automation is one: it hears everything and sends commands."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from typing_extensions import Self

from doorbell.errors import BrokerError

# The least that notices soon a broker that is silent.
KEEPALIVE_SECONDS = 5
ANSWER_SECONDS = 10.0
DOOR_TOPIC = "doorbell/front-door/"  # of a device with the default name


@dataclass(frozen=True, slots=True)
class Message:
    """What was heard.

    Attributes:
        topic: in full.
        payload: bytes.
        retain: whether the broker had kept it from before the subscription.
        at: wall time at which it arrived.
    """

    topic: str
    payload: bytes
    retain: bool
    at: float


class Subscriber:
    """A subscriber, subscribed once this is made, and again whenever the broker has come back.

    As a context manager it is disconnected at the end of the block.

    Args:
        port, host: of the broker.
        topic: what is subscribed to.
        client_id: of a subscriber whom the broker keeps messages for; None for a fresh one.

    Attributes:
        messages: heard so far.

    Raises:
        BrokerError: the broker takes no subscription.
    """

    def __init__(
        self,
        port: int,
        host: str = "127.0.0.1",
        *,
        topic: str = "#",
        client_id: str | None = None,
    ) -> None:
        self.messages: list[Message] = []
        subscribed = threading.Event()
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id or "", clean_session=client_id is None
        )
        self._client.on_message = self._on_message
        self._client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.reconnect_delay_set(1, 1)
        self._client.connect(host, port, keepalive=KEEPALIVE_SECONDS)
        self._client.loop_start()
        if not subscribed.wait(ANSWER_SECONDS):
            raise BrokerError(f"the broker at {host}:{port} takes no subscription to {topic}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send a message and wait until the broker has it."""
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(ANSWER_SECONDS)

    def send(self, topic: str, payload: bytes) -> None:
        """Send a message that may be lost, without waiting."""
        self._client.publish(topic, payload)

    def topics(self) -> list[str]:
        """Of what was heard, in order; the doorbell's own by their last words."""
        return [message.topic.removeprefix(DOOR_TOPIC) for message in self.messages]

    def heard(self, topic: str) -> list[Message]:
        """What was heard on a topic, given in full or by the last words of the doorbell's."""
        return [each for each in self.messages if each.topic in (topic, DOOR_TOPIC + topic)]

    def of(self, topic: str) -> list[bytes]:
        """The payloads of it."""
        return [message.payload for message in self.heard(topic)]

    def documents(self, topic: str) -> list[dict[str, Any]]:
        """The payloads of it, decoded."""
        return [json.loads(payload) for payload in self.of(topic)]

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()
        del self._client  # closes its sockets

    def _on_message(self, _client: object, _userdata: object, message: MQTTMessage) -> None:
        self.messages.append(
            Message(message.topic, bytes(message.payload), message.retain, time.time())
        )
