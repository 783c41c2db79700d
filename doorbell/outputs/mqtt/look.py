"""What another client than the doorbell's finds at the broker."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import MQTTProtocolVersion

from doorbell.config import MqttSection
from doorbell.outputs.mqtt.client import configured_client

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

    Raises:
        ConfigError: the password file, a TLS file or the host cannot be used.
    """
    found: dict[str, bytes] = {}
    read = threading.Event()
    client = configured_client(section, client_id)

    def subscribe(client: Client, *_: Any) -> None:
        client.subscribe([(topic, 1) for topic in topics])

    def receive(_client: Client, _userdata: Any, message: MQTTMessage) -> None:
        if message.retain:
            found[message.topic] = bytes(message.payload)

    client.on_connect = subscribe
    # What is retained may come right behind the acknowledgement: a second one is behind all of it.
    client.on_subscribe = lambda client, *_: client.unsubscribe([*topics])
    client.on_unsubscribe = lambda *_: read.set()
    client.on_message = receive
    try:
        with suppress(OSError):
            client.connect(section.host, section.port)
            client.loop_start()
            if read.wait(ANSWER_SECONDS):
                return found
        return None
    finally:
        client.disconnect()
        client.loop_stop()
        client.on_connect = client.on_message = client.on_subscribe = client.on_unsubscribe = None


def most_packet_bytes(section: MqttSection, client_id: str) -> int | None:
    """The largest packet that the broker says it takes, which it only does in MQTT 5.

    Args:
        section: ``[mqtt]``.
        client_id: another than the doorbell's.

    Returns:
        None where it says nothing.

    Raises:
        ConfigError: as ``read_retained``.
    """
    said: list[int] = []
    answered = threading.Event()
    client = configured_client(section, client_id, MQTTProtocolVersion.MQTTv5)

    def note(*told: Any) -> None:
        most = getattr(told[-1], "MaximumPacketSize", None)
        if isinstance(most, int):
            said.append(most)
        answered.set()

    client.on_connect = note
    client.on_disconnect = lambda *_: answered.set()
    try:
        with suppress(OSError):
            client.connect(section.host, section.port)
            client.loop_start()
            answered.wait(ANSWER_SECONDS)
        return said[0] if said else None
    finally:
        client.disconnect()
        client.loop_stop()
        client.on_connect = client.on_disconnect = None


def stays_connected(section: MqttSection, client_id: str, seconds: float) -> bool:
    """Whether the broker and the network let a client be for so long.

    Args:
        section: ``[mqtt]``.
        client_id: another than the doorbell's.
        seconds: how long it stays.

    Raises:
        ConfigError: as ``read_retained``.
    """
    connected, ended = threading.Event(), threading.Event()
    client = configured_client(section, client_id)
    client.on_connect = lambda *_: connected.set()
    client.on_disconnect = lambda *_: ended.set()
    try:
        with suppress(OSError):
            client.connect(section.host, section.port)
            client.loop_start()
            return connected.wait(ANSWER_SECONDS) and not ended.wait(seconds)
        return False
    finally:
        client.disconnect()
        client.loop_stop()
        client.on_connect = client.on_disconnect = None
