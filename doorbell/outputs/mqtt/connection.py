"""One connection to the broker, kept up for as long as the daemon runs.

A broker that is away is logged once, and tried again with growing pauses. paho's own thread does
all network work; nothing here waits for it but ``leave`` and ``close``.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from doorbell.config import MqttSection
from doorbell.outputs.mqtt.client import configured_client, describe_failure, keepalive_seconds
from doorbell.outputs.mqtt.connection_log import ConnectionLog
from doorbell.outputs.mqtt.discovery import OFFLINE

# Well below mqtt.late_seconds: a ring while the broker starts again still rings.
LONGEST_RECONNECT_SECONDS = 10
OFFLINE_SECONDS = 0.8
STOP_SECONDS = 1.1  # paho's thread sleeps for up to a second between attempts

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Received:
    """A message from the broker.

    Attributes:
        topic, payload: as they came.
        retained: whether it lay at the broker before we subscribed.
        repeated: whether it may have come before.
    """

    topic: str
    payload: bytes
    retained: bool
    repeated: bool


class BrokerConnection:
    """Publishes while there is a broker; tells who opened it what comes from there.

    Args:
        section: ``[mqtt]``.
        client_id: by which the broker knows us.
        availability_topic: where it says that we are offline once it has lost us.
        on_published: takes the seconds from handing a message to the client to its acknowledgement
            by the broker (QoS 1) or its being written (QoS 0), on any thread; never waits.

    Attributes:
        lock: held while publishing, by any thread, for as long as messages have to stay together;
            re-entrant. paho's callbacks under its own locks never take it.

    Raises:
        ConfigError: the password file, a TLS file or the host cannot be used.
    """

    def __init__(
        self,
        section: MqttSection,
        client_id: str,
        availability_topic: str,
        *,
        on_published: Callable[[float], None] | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self._section = section
        self._availability_topic = availability_topic
        self._on_published = on_published
        # By message: when it was handed over or, where paho's thread is first, acknowledged.
        self._under_way: dict[int, float] = {}
        self._connected = self._closed = False
        self._connection_log = ConnectionLog(f"{section.host}:{section.port}")
        self._client: Client | None = configured_client(section, client_id)
        self._client.reconnect_delay_set(1, LONGEST_RECONNECT_SECONDS)
        # Without a bound of paho's: few events are under way at a time, states are small, and a
        # broker that is silent is lost soon.
        self._client.max_queued_messages_set(0)
        self._client.will_set(availability_topic, OFFLINE, qos=1, retain=True)

    @property
    def connected(self) -> bool:
        """Whether the broker has taken us and has not been lost since."""
        return self._connected

    @property
    def closed(self) -> bool:
        """Whether we have left for good."""
        return self._closed

    def open(
        self,
        *,
        on_connected: Callable[[], None],
        on_received: Callable[[Received], None],
        on_acknowledged: Callable[[int], None],
    ) -> None:
        """Connect, now and whenever the connection is lost; once.

        Args:
            on_connected: called after each connection, under the lock, before anything else is
                published.
            on_received: takes each message, on paho's thread.
            on_acknowledged: takes the id of each message that the broker has; never takes the lock.
        """
        client = self._client
        if client is None:
            return

        def connect(
            _client: Client,
            _userdata: Any,
            _flags: ConnectFlags,
            reason: ReasonCode,
            _properties: Properties | None,
        ) -> None:
            self._note_connect(client, reason, on_connected)

        def receive(_client: Client, _userdata: Any, message: MQTTMessage) -> None:
            payload = bytes(message.payload)
            on_received(Received(message.topic, payload, message.retain, message.dup))

        def acknowledge(
            _client: Client,
            _userdata: Any,
            message_id: int,
            _reason: ReasonCode,
            _properties: Properties,
        ) -> None:
            on_acknowledged(message_id)
            self._time(message_id, time.perf_counter())

        client.on_connect = connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_message = receive
        client.on_publish = acknowledge
        section = self._section
        client.connect_async(section.host, section.port, keepalive_seconds(section))
        client.loop_start()

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False
    ) -> int | None:
        """Hand a message over; its id, None where there is no connection: then it is lost."""
        with self.lock:
            if not self._connected or self._client is None:
                return None
            handed_over = time.perf_counter()
            published = self._client.publish(topic, payload, qos, retain)
            if published.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return None
            self._time(published.mid, handed_over)
            return published.mid

    def subscribe(self, topics: Sequence[str]) -> None:
        """Ask for what comes on these topics, for as long as this connection lasts."""
        if self._client is not None:
            self._client.subscribe([(topic, 1) for topic in topics])

    def unsubscribe(self, topics: Sequence[str]) -> None:
        """Ask for it no longer."""
        if self._client is not None:
            self._client.unsubscribe([*topics])

    def leave(self) -> None:
        """Say offline, and publish nothing from now on; within a second, idempotent."""
        with self.lock:
            if self._closed or self._client is None:
                return
            self._closed = True
            last = None
            if self._connected:
                last = self._client.publish(self._availability_topic, OFFLINE, 1, retain=True)
            self._connected = False
        if last is not None:
            try:
                last.wait_for_publish(OFFLINE_SECONDS)
            except (RuntimeError, ValueError) as exc:  # lost just now: the will says it
                log.debug("could not say offline: %s", exc)

    def close(self) -> None:
        """Leave, disconnect and end paho's thread, within two seconds; idempotent."""
        self.leave()
        client, self._client = self._client, None
        if client is None:
            return
        client.disconnect()
        # loop_stop waits without a bound, and a look-up of a host name may take long.
        stopping = threading.Thread(target=client.loop_stop, name="mqtt-stop", daemon=True)
        stopping.start()
        stopping.join(STOP_SECONDS)
        # With its thread these are the last that keep it: its sockets are closed.
        client.on_connect = client.on_message = client.on_publish = None

    def _note_connect(
        self, client: Client, reason: ReasonCode, on_connected: Callable[[], None]
    ) -> None:
        if reason.is_failure:
            advice = "check mqtt.username and mqtt.password_file"
            self._connection_log.refuse(f"it refused us ({reason}); {advice}", time.monotonic())
            return
        log.info("connected to the broker %s:%d", self._section.host, self._section.port)
        with self.lock:
            if self._closed:
                return
            # Not paho sends again what was under way: states as they are now, and events in order.
            client.drop_out_messages()
            self._under_way.clear()
            self._connected = True
            self._connection_log.end()
            on_connected()

    def _on_connect_fail(self, _client: Client, _userdata: Any) -> None:
        # paho tells it inside its except clause.
        self._connection_log.tell(describe_failure(sys.exc_info()[1]), time.monotonic())

    def _on_disconnect(
        self,
        _client: Client,
        _userdata: Any,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        # paho may hold its own locks here: ours would deadlock with a publisher.
        self._connected = False
        if not self._closed:
            self._connection_log.lose(f"the connection ended ({reason})", time.monotonic())

    def _time(self, message_id: int, moment: float) -> None:
        """Note one end of a message's way, or report the whole once both are known.

        Without our lock: paho holds one of its own when it reports an acknowledgement.
        """
        if self._on_published is None:
            return
        other = self._under_way.setdefault(message_id, moment)  # atomic
        if other is not moment:
            del self._under_way[message_id]
            self._on_published(abs(moment - other))
