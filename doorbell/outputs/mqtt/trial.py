"""What a broker takes, tried with messages of the doorbell's kinds and sizes on a topic for that.

In MQTT 5 a broker says why it refuses a message. One that only speaks 3.1.1 ends the connection, or
acknowledges what it drops: there the message is listened for.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from doorbell.config import MqttSection
from doorbell.outputs.mqtt.client import short_lived_client
from doorbell.outputs.mqtt.discovery import discovery_topic
from doorbell.outputs.mqtt.topics import Topics

ANSWER_SECONDS = 5.0
ECHO_SECONDS = 2.0
# An event, Home Assistant's discovery, and pictures: the last as large as one of 1280 pixels gets.
EVENT_BYTES, DISCOVERY_BYTES, PICTURE_BYTES = 1_000, 16_000, (64_000, 120_000, 250_000)


@dataclass(frozen=True, slots=True)
class Trial:
    """One message.

    Attributes:
        what: it is as large as, in words.
        topic: on which nobody listens.
        payload_bytes: how large it is.
    """

    what: str
    topic: str
    payload_bytes: int


def trials(section: MqttSection, device_id: str) -> Iterator[Trial]:
    """One of each kind and size, the smaller first.

    Args:
        section: ``[mqtt]``.
        device_id: of the doorbell.
    """
    topic = Topics(device_id).check
    yield Trial("an event", topic, EVENT_BYTES)
    yield Trial("Home Assistant's discovery", topic, DISCOVERY_BYTES)
    if section.discovery:
        # Empty, as whoever takes a device back: there is none of that name.
        yield Trial(
            "a discovery", discovery_topic(section.discovery_prefix, f"{device_id}_check"), 0
        )
    if section.publish_images:
        for payload_bytes in PICTURE_BYTES:
            yield Trial("a picture", topic, payload_bytes)


def find_refusal(section: MqttSection, client_id: str, device_id: str) -> str | None:
    """Try one message of each kind and size, each on a connection of its own.

    Args:
        section: ``[mqtt]``.
        client_id: another than the doorbell's.
        device_id: of the doorbell.

    Returns:
        The first that is refused, in words with what to do; None where all are taken.

    Raises:
        ConfigError: the password file, a TLS file or the host cannot be used.
        OSError: the broker cannot be reached.
    """
    protocol = MQTTProtocolVersion.MQTTv5
    if _Attempt(section, client_id, protocol).run(None) is not None:
        protocol = MQTTProtocolVersion.MQTTv311
    heard_topics: set[str] = set()
    largest = 0
    for trial in trials(section, device_id):
        attempt = _Attempt(section, client_id, protocol)
        reason = attempt.run(trial)
        if reason is None and not attempt.echoed and trial.topic in heard_topics:
            reason = "drops it without a word"
        if reason is not None:
            return describe_refused_trial(trial, reason, largest)
        if attempt.echoed:
            heard_topics.add(trial.topic)
        largest = max(largest, trial.payload_bytes)
    return None


def describe_refused_trial(trial: Trial, reason: str, largest: int) -> str:
    """Say what a broker does with a message, and what to do.

    Args:
        trial: the message.
        reason: what the broker does.
        largest: bytes of the largest that it took.
    """
    if trial.payload_bytes <= max(largest, EVENT_BYTES):
        return (
            f"it {reason} at a message on {trial.topic}: let the doorbell write there in its "
            "access control list"
        )
    return (
        f"it {reason} at a message of {trial.payload_bytes} bytes, as {trial.what} may have "
        f"({largest} bytes go): raise its limit (mosquitto: max_packet_size, message_size_limit; "
        "EMQX: mqtt.max_packet_size), or lower mqtt.image_width"
    )


class _Attempt:
    """One connection, and at most one message."""

    def __init__(self, section: MqttSection, client_id: str, protocol: MQTTProtocolVersion) -> None:
        self.echoed = False
        self._section = section
        self._client_id = client_id
        self._protocol = protocol
        self._answered, self._echo = threading.Event(), threading.Event()
        self._reason: str | None = None

    def run(self, trial: Trial | None) -> str | None:
        """Connect, publish and disconnect; what the broker does instead of taking it, or None."""
        is_talkative = self._protocol == MQTTProtocolVersion.MQTTv5
        with short_lived_client(self._section, self._client_id, self._protocol) as client:
            client.on_connect = self._note_connect
            client.on_disconnect = self._note_disconnect
            client.on_subscribe = lambda *_: self._answered.set()
            client.on_publish = self._note_publish
            client.on_message = self._note_message
            client.connect(self._section.host, self._section.port)
            client.loop_start()
            if not self._is_answered() or trial is None:
                return self._reason
            if not is_talkative:
                client.subscribe(trial.topic, 1)
                if not self._is_answered():
                    return self._reason
            client.publish(trial.topic, bytes(trial.payload_bytes), qos=1)
            if self._is_answered() and not is_talkative:
                self.echoed = self._echo.wait(ECHO_SECONDS)
            return self._reason

    def _is_answered(self) -> bool:
        """Wait for the answer to what was just asked; whether it is a good one."""
        if not self._answered.wait(ANSWER_SECONDS):
            self._reason = "does not answer"
        self._answered.clear()
        return self._reason is None

    def _note_connect(
        self,
        _client: Client,
        _userdata: Any,
        _flags: ConnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if code.is_failure:
            self._reason = f"refuses ({code})"
        self._answered.set()

    def _note_disconnect(
        self,
        _client: Client,
        _userdata: Any,
        flags: DisconnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        said = f" ({code})" if flags.is_disconnect_packet_from_server else ""
        self._reason = self._reason or f"ends the connection{said}"
        self._answered.set()

    def _note_publish(
        self,
        _client: Client,
        _userdata: Any,
        _number: int,
        code: ReasonCode,
        _properties: Properties,
    ) -> None:
        if code.is_failure:
            self._reason = f"refuses ({code})"
        self._answered.set()

    def _note_message(self, _client: Client, _userdata: Any, _message: MQTTMessage) -> None:
        self._echo.set()
