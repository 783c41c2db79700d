"""One connection to the broker, kept up for as long as the daemon runs.

A broker that is away is logged once, and tried again with growing pauses; so is one that takes us
and ends the connection again before it has lasted. paho's own thread does all network work; nothing
here waits for it but ``leave`` and ``close``. What is under way, and what the broker does not take,
is ``delivery``'s business.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from doorbell.config import MqttSection
from doorbell.errors import ConfigError
from doorbell.outputs.mqtt.client import (
    describe_failure,
    hand_to,
    keepalive_seconds,
    lasting_client,
    let_go,
    stop_client,
)
from doorbell.outputs.mqtt.connection_log import ConnectionLog
from doorbell.outputs.mqtt.delivery import Delivery, Kind, Outgoing, Refusal
from doorbell.outputs.mqtt.messages import OFFLINE
from doorbell.outputs.mqtt.pauses import Pauses
from doorbell.outputs.mqtt.rest import Rest

# Well below mqtt.late_seconds: a ring while the broker starts again still rings.
LONGEST_RECONNECT_SECONDS = 10
OFFLINE_SECONDS = 0.8
KEEPALIVE_ENDED = "Keep alive timeout"

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
        self._delivery = Delivery()
        self._tickets = count(1)
        self._on_connected: Callable[[], None] = _nothing
        self._on_received: Callable[[Received], None] = _nothing
        self._on_acknowledged: Callable[[int], None] = _nothing
        self._on_endings: Callable[[], None] = _nothing
        self._rest: Rest | None = None
        self._connected = self._closed = False
        self._pauses = Pauses()
        self._connection_log = ConnectionLog(f"{section.host}:{section.port}")
        self._client_id = client_id
        self._client: Client | None = self._new_client()

    @property
    def connected(self) -> bool:
        """Whether the broker has taken us and has not been lost since."""
        return self._connected

    @property
    def closed(self) -> bool:
        """Whether we have left for good."""
        return self._closed

    @property
    def problem(self) -> str | None:
        """What the broker does not take, in words for people; None where it takes everything."""
        return self._connection_log.refusals

    def limit(self, most_packet_bytes: int) -> None:
        """Take the broker's word for the largest packet that it takes."""
        self._delivery.limit(most_packet_bytes)

    def fitting_bytes(self, topic: str) -> int | None:
        """How large a payload should be there; None where nothing was too large yet."""
        return self._delivery.fitting_bytes(topic)

    def allows(self, topic: str) -> bool:
        """Whether the broker lets us publish there, for all we know."""
        return self._delivery.allows(Kind.PUBLISH, topic, time.monotonic())

    def takes(self, topic: str, payload: bytes) -> bool:
        """Whether the broker lets us publish there, and so much at a time, for all we know."""
        takes = self._delivery.takes(topic, len(payload), time.monotonic())
        if not takes and self.allows(topic):
            self._connection_log.note_refusal(
                Refusal(Kind.PUBLISH, topic, len(payload), for_size=True)
            )
        return takes

    def open(
        self,
        *,
        on_connected: Callable[[], None],
        on_received: Callable[[Received], None],
        on_acknowledged: Callable[[int], None],
        on_endings: Callable[[], None],
    ) -> None:
        """Connect, now and whenever the connection is lost; once.

        Args:
            on_connected: called after each connection, under the lock, before anything else is
                published.
            on_received: takes each message, on paho's thread.
            on_acknowledged: takes the number of each message that the broker has, and of what was
                subscribed to; never takes the lock. Call ``send_next`` then, and now and again,
                on another thread.
            on_endings: told once several connections have ended soon, and no message is to blame;
                never waits, nor takes the lock.
        """
        self._on_connected, self._on_received = on_connected, on_received
        self._on_acknowledged, self._on_endings = on_acknowledged, on_endings
        if self._client is not None:
            self._connect(self._client)

    def rest(self, seconds: float, may_return: Callable[[], bool]) -> None:
        """Leave the broker to somebody else, without a word; on any thread.

        Args:
            seconds: between two looks.
            may_return: whether to connect again; asked on a thread of its own, twice in a row: who
                is only restarted is there at the second look.
        """
        with self.lock:
            client = self._client
            if self._closed or client is None:
                return
            self._connected = False
            self._rest = Rest(seconds, may_return, time.monotonic())
        client.disconnect()
        let_go(client)

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 0,
        retain: bool = False,
        may_wait: bool = False,
    ) -> int | None:
        """Hand a message over, or let it wait for the one before where the broker refused one.

        Args:
            topic: where.
            payload: what.
            qos: MQTT's quality of service.
            retain: whether the broker keeps it.
            may_wait: whether it may go behind what comes later, as a picture may.

        Returns:
            Its number; None where there is no connection, or the broker does not take it: then it
            is lost.
        """
        with self.lock:
            if not self._connected or not self.takes(topic, payload):
                return None
            return self._add(
                Kind.PUBLISH, topic, payload, qos=qos, retain=retain, may_wait=may_wait
            )

    def subscribe(self, topics: Sequence[str]) -> None:
        """Ask for what comes on these topics, for as long as this connection lasts."""
        with self.lock:
            for topic in topics:
                if self._delivery.allows(Kind.SUBSCRIBE, topic, time.monotonic()):
                    self._add(Kind.SUBSCRIBE, topic)

    def unsubscribe(self, topics: Sequence[str]) -> None:
        """Ask for it no longer."""
        with self.lock:
            for topic in topics:
                if self._delivery.allows(Kind.SUBSCRIBE, topic, time.monotonic()):
                    self._add(Kind.UNSUBSCRIBE, topic)

    def send_next(self) -> None:
        """Hand over what waits for the message before it, if the broker has that."""
        with self.lock:
            if not self._closed:
                self._return()
            while (
                self._connected
                and self._client is not None
                and (outgoing := self._delivery.next(time.monotonic())) is not None
            ):
                self._hand_over(self._client, outgoing)

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
        if client is not None:
            stop_client(client)

    def _note_connect(
        self,
        client: Client,
        _userdata: Any,
        _flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
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
            now = time.monotonic()
            self._pauses.begin(now)
            self._delivery.begin(now)
            self._connected = True
            self._connection_log.end()
            self._on_connected()

    def _receive(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        payload = bytes(message.payload)
        self._on_received(Received(message.topic, payload, message.retain, message.dup))

    def _acknowledge(self, _client: Client, _userdata: Any, number: int, *_: Any) -> None:
        # Without our lock: paho holds one of its own when it reports an acknowledgement.
        taken = self._delivery.take(number, time.monotonic())
        if taken is not None:
            self._report(*taken)

    def _on_connect_fail(self, _client: Client, _userdata: Any) -> None:
        self._expect_another_setup()
        # paho tells it inside its except clause.
        self._connection_log.tell(describe_failure(sys.exc_info()[1]), time.monotonic())

    def _expect_another_setup(self) -> None:
        """The broker was away, and may have been set up anew."""
        self._delivery.broker_was_away()
        self._connection_log.forget_refusals()

    def _on_disconnect(
        self,
        client: Client,
        _userdata: Any,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        # paho may hold its own locks here: ours would deadlock with a publisher.
        was_connected, self._connected = self._connected, False
        if self._closed or self._rest is not None:
            return
        now = time.monotonic()
        self._connection_log.lose(f"the connection ended ({reason})", now)
        if not was_connected:
            return
        lasted = self._pauses.has_lasted(now)
        if lasted:
            self._expect_another_setup()
        refusal = self._delivery.end(now, by_broker=str(reason) != KEEPALIVE_ENDED)
        if refusal is not None:
            self._connection_log.note_refusal(refusal)
        pause = self._pauses.end(afresh=lasted or refusal is not None)
        client.reconnect_delay_set(pause, max(pause, LONGEST_RECONNECT_SECONDS))
        if self._pauses.are_strange:
            self._on_endings()

    def _new_client(self) -> Client:
        client = lasting_client(self._section, self._client_id, self._availability_topic)
        client.reconnect_delay_set(1, LONGEST_RECONNECT_SECONDS)
        return client

    def _connect(self, client: Client) -> None:
        client.on_connect = self._note_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_message = self._receive
        client.on_publish = client.on_subscribe = client.on_unsubscribe = self._acknowledge
        section = self._section
        client.connect_async(section.host, section.port, keepalive_seconds(section))
        client.loop_start()

    def _return(self) -> None:
        """Connect again, with a client of its own, where nobody else is connected any more."""
        now = time.monotonic()
        if self._rest is None or not self._rest.is_over(now):
            return
        try:
            client = self._new_client()
        except ConfigError as exc:  # a file that could be read at the start: the next time, maybe
            self._connection_log.tell(describe_failure(exc), now)
            return
        self._rest = None
        self._client = client
        self._connect(client)

    def _add(
        self,
        kind: Kind,
        topic: str,
        payload: bytes = b"",
        *,
        qos: int = 1,
        retain: bool = False,
        may_wait: bool = False,
    ) -> int:
        ticket = next(self._tickets)
        self._delivery.add(Outgoing(ticket, kind, topic, payload, qos, retain, may_wait))
        self.send_next()
        return ticket

    def _hand_over(self, client: Client, outgoing: Outgoing) -> None:
        qos = 1 if self._delivery.is_careful else outgoing.qos  # to be told that the broker has it
        now = time.monotonic()
        self._delivery.go(outgoing)
        number = hand_to(client, outgoing, qos)
        if number is not None:
            took = self._delivery.hand_over(number, outgoing, now, acknowledged=qos > 0)
            if took is not None:
                self._report(outgoing, took)

    def _report(self, outgoing: Outgoing, seconds: float) -> None:
        if outgoing.kind is Kind.PUBLISH and self._on_published is not None:
            self._on_published(seconds)
        self._on_acknowledged(outgoing.ticket)


def _nothing(*_: object) -> None:
    """What is told before anybody listens."""
