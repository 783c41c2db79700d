"""What another client than the doorbell's finds at the broker.

A file or host of the configuration that cannot be used now, though it could at the start, is a
broker that does not answer.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import MQTTProtocolVersion

from doorbell.config import MqttSection
from doorbell.errors import ConfigError
from doorbell.outputs.mqtt.client import short_lived_client

ANSWER_SECONDS = 5.0


def read_retained(
    section: MqttSection, client_id: str, topics: Sequence[str]
) -> Mapping[str, bytes] | None:
    """Connect, read what is retained, and disconnect; within some seconds.

    Args:
        section: ``[mqtt]``.
        client_id: another than the doorbell's.
        topics: on which; without wildcards.

    Returns:
        By topic, without those where nothing lies; None where the broker does not answer.
    """
    found: dict[str, bytes] = {}
    read = threading.Event()

    def subscribe(client: Client, *_: Any) -> None:
        client.subscribe([(topic, 1) for topic in topics])

    def receive(_client: Client, _userdata: Any, message: MQTTMessage) -> None:
        if message.retain:
            found[message.topic] = bytes(message.payload)

    with suppress(OSError, ConfigError), short_lived_client(section, client_id) as client:
        client.on_connect = subscribe
        # What is retained may come right behind the acknowledgement: a second one is behind all.
        client.on_subscribe = lambda client, *_: client.unsubscribe([*topics])
        client.on_unsubscribe = lambda *_: read.set()
        client.on_message = receive
        client.connect(section.host, section.port)
        client.loop_start()
        if read.wait(ANSWER_SECONDS):
            return found
    return None


def most_packet_bytes(section: MqttSection, client_id: str) -> int | None:
    """The largest packet that the broker says it takes, which it only does in MQTT 5.

    Args:
        section: ``[mqtt]``.
        client_id: another than the doorbell's.

    Returns:
        None where it says nothing.
    """
    said: list[int] = []
    answered = threading.Event()

    def note(*told: Any) -> None:
        most = getattr(told[-1], "MaximumPacketSize", None)
        if isinstance(most, int):
            said.append(most)
        answered.set()

    with (
        suppress(OSError, ConfigError),
        short_lived_client(section, client_id, MQTTProtocolVersion.MQTTv5) as client,
    ):
        client.on_connect = note
        client.on_disconnect = lambda *_: answered.set()
        client.connect(section.host, section.port)
        client.loop_start()
        answered.wait(ANSWER_SECONDS)
    return said[0] if said else None


def stays_connected(section: MqttSection, client_id: str, seconds: float) -> bool:
    """Whether the broker and the network let a client be for so long.

    Args:
        section: ``[mqtt]``.
        client_id: another than the doorbell's.
        seconds: how long it stays.
    """
    connected, ended = threading.Event(), threading.Event()
    with suppress(OSError, ConfigError), short_lived_client(section, client_id) as client:
        client.on_connect = lambda *_: connected.set()
        client.on_disconnect = lambda *_: ended.set()
        client.connect(section.host, section.port)
        client.loop_start()
        return connected.wait(ANSWER_SECONDS) and not ended.wait(seconds)
    return False
