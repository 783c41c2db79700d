"""Events to an MQTT broker, and commands from it.

Enters: events, statistics, the people enrolled. Leaves: messages on the topics of
``doorbell.outputs.topics``, Home Assistant's discovery document, and commands. Knows nothing of how
a command is carried out. A broker that is down stops nobody: it is said, and again when it is back;
``doorbell.outputs.retained`` keeps states as they last were, and events wait in the outbox until
the broker has acknowledged them.

On every connection: what is retained, then what waits, then newer events. paho's own thread does
all network work; no method here waits for it but ``close``.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from paho.mqtt.client import (
    Client,
    ConnectFlags,
    DisconnectFlags,
    MQTTMessage,
)
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from doorbell.config import DeviceSection, MqttSection
from doorbell.domain import Command, Event, Person, Recognized, Stranger
from doorbell.outputs.absence import Absence
from doorbell.outputs.commands import CommandGate
from doorbell.outputs.delivery import Delivery
from doorbell.outputs.home_assistant import OFFLINE, ONLINE, birth_topic
from doorbell.outputs.messages import (
    OFF,
    ON,
    Document,
    Named,
    camera_document,
    encode,
    event_document,
    named_in,
    sound_document,
    statistics_document,
    storage_document,
    trigger_payload,
)
from doorbell.outputs.mqtt_client import (
    configured_client,
    describe_failure,
    keepalive_seconds,
)
from doorbell.outputs.outbox import Outbox
from doorbell.outputs.outbox_file import Waiting
from doorbell.outputs.retained import RetainedMessages
from doorbell.outputs.topics import Topics
from doorbell.sealing import PLAIN, Seal
from doorbell.states import (
    CameraState,
    ClockState,
    ClockStep,
    KnownVisitors,
    Message,
    MuteState,
    SoundState,
    Statistics,
    StorageState,
    VisitsForgotten,
)

# Well below mqtt.late_seconds: a ring while the broker starts again still rings.
LONGEST_RECONNECT_SECONDS = 10
OFFLINE_SECONDS = 0.8
STOP_SECONDS = 1.1  # paho's thread sleeps for up to a second between attempts

log = logging.getLogger(__name__)


class Mqtt:
    """The output that speaks to a broker.

    Args:
        device: ``[device]``.
        section: ``[mqtt]``.
        outbox_path: of the file where events wait, made if missing.
        seal: how they are kept there.
        people: everybody enrolled; an earlier run's triggers of anybody else are deleted.
        strangers: everybody known by an identifier only.
        is_kept: whether what tells of somebody who is gone is another's now: then events about it
            wait on. Asked by whoever makes this, and calls ``set_household``.
        on_command: takes each well-formed command, on paho's thread; hands off and never waits.
        on_published: takes the seconds from handing a message to the client to its acknowledgement
            by the broker (QoS 1) or its being written (QoS 0), on any thread; never waits.

    Raises:
        ConfigError: the password file, a TLS file or the host cannot be used.
    """

    def __init__(
        self,
        device: DeviceSection,
        section: MqttSection,
        *,
        outbox_path: Path,
        seal: Seal = PLAIN,
        people: Sequence[Person],
        strangers: Iterable[Stranger],
        is_kept: Callable[[Named], bool] = lambda _named: False,
        on_command: Callable[[Command], None],
        on_published: Callable[[float], None] | None = None,
    ) -> None:
        self._section = section
        self._on_command = on_command
        self._on_published = on_published
        # By message: when it was handed over or, where paho's thread is first, acknowledged.
        self._under_way: dict[int, float] = {}
        self._topics = Topics(device.id)
        self._birth_topic = birth_topic(section.discovery_prefix)
        # Held while publishing, by any thread; paho's callbacks under its own locks never take it.
        self._lock = threading.Lock()
        self._connected = False
        self._closed = False
        self._problems: dict[str, str | None] = {}  # by what is stored
        self._absence = Absence(f"{section.host}:{section.port}")
        self._gate = CommandGate(device.id, section, time.monotonic())
        self._retained = RetainedMessages(
            device,
            section,
            self._topics,
            people,
            strangers,
            is_kept=is_kept,
            connected=lambda: self._connected,
            publish=lambda topic, payload, qos: self._publish_now(
                topic, payload, qos=qos, retain=True
            ),
        )
        self._client = configured_client(section, f"doorbell-{device.id}")
        self._client.reconnect_delay_set(1, LONGEST_RECONNECT_SECONDS)
        # Without a bound of paho's: few events are under way at a time, states are small, and a
        # broker that is silent is lost soon.
        self._client.max_queued_messages_set(0)
        self._client.will_set(self._topics.availability, OFFLINE, qos=1, retain=True)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish
        self._outbox = Outbox(outbox_path, section, seal)
        self._delivery = Delivery(
            self._outbox,
            section.late_seconds,
            self._lock,
            connected=lambda: self._connected,
            publish=lambda document: self._publish_now(self._topics.event, document, qos=1),
            publish_rest=self._publish_rest,
        )
        with self._lock:
            self._delivery.drop_forgotten(self._retained.is_forgotten)
            if not section.publish_images:
                self._delivery.drop_pictures()
        self._client.connect_async(section.host, section.port, keepalive_seconds(section))
        self._client.loop_start()

    @property
    def connected(self) -> bool:
        """Whether the broker has taken us and has not been lost since."""
        return self._connected

    def handle(self, message: Message) -> None:
        """Publish an event and the states that it changes, or a state."""
        with self._lock:
            self._retained.look_at_learned()
        match message:
            case CameraState():
                self._publish_camera(message)
            case SoundState():
                self._set(self._topics.sound, sound_document(message))
            case StorageState():
                self._problems[message.part] = message.problem
                problem = "; ".join(each for _, each in sorted(self._problems.items()) if each)
                self._set(self._topics.storage, storage_document(problem or None))
            case MuteState():
                with self._lock:
                    self._retained.set(self._topics.mute_state, ON if message.muted else OFF)
            case Statistics():
                self._publish_statistics(message)
            case KnownVisitors():
                self._follow_known(message)
            case VisitsForgotten():
                with self._lock:
                    self._retained.forget_visits(message.visit_ids)
                    self._delivery.forget_visits(message.visit_ids)
            case ClockStep() | ClockState():
                pass
            case _:
                self._publish_event(message)

    def _set(self, topic: str, document: Document) -> None:
        with self._lock:
            self._retained.set(topic, encode(document))

    def _publish_event(self, event: Event) -> None:
        with self._lock:
            if self._closed:
                return
            sent = self._delivery.add(
                encode(event_document(event)),
                event.picture_jpeg if self._section.publish_images else None,
                self._trigger_of(event),
            )
            self._retained.show(event)
            if sent is not None:
                self._delivery.follow(sent)

    def _publish_statistics(self, statistics: Statistics) -> None:
        self._gate.say_refused(time.monotonic())
        with self._lock:
            outbox = self._outbox
            waiting = {
                "events_waiting": len(outbox),
                "events_on_disk": outbox.on_disk,
                "events_dropped": outbox.events_dropped,
                "pictures_dropped": outbox.pictures_dropped,
            }
            document = {**statistics_document(statistics), **waiting}
            self._retained.set(self._topics.status, encode(document))

    def _publish_camera(self, camera: CameraState) -> None:
        """Publish how the camera is, and whether what it tells is available."""
        available = ONLINE if camera.gives_frames else OFFLINE
        with self._lock:
            self._retained.set(self._topics.camera_availability, available.encode())
            self._retained.set(self._topics.camera, encode(camera_document(camera)))

    def _follow_known(self, known: KnownVisitors) -> None:
        """Publish a trigger for each of these people, and tell no more of who was forgotten."""
        with self._lock:
            if self._retained.set_household(known.people, known.strangers):
                self._delivery.drop_forgotten(self._retained.is_forgotten)

    def close(self) -> None:
        """Say offline and disconnect, within two seconds; idempotent.

        What the broker has not acknowledged stays in the outbox, for the next run.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self._connected:
            last = self._client.publish(self._topics.availability, OFFLINE, qos=1, retain=True)
            try:
                last.wait_for_publish(OFFLINE_SECONDS)
            except (RuntimeError, ValueError) as exc:  # lost just now: the will says it
                log.debug("could not say offline: %s", exc)
        self._connected = False
        self._delivery.close()
        self._client.disconnect()
        # loop_stop waits without a bound, and a look-up of a host name may take long.
        stopping = threading.Thread(target=self._client.loop_stop, name="mqtt-stop", daemon=True)
        stopping.start()
        stopping.join(STOP_SECONDS)
        del self._client  # with its thread the last that keeps it: its sockets are closed

    def _trigger_of(self, event: Event) -> bytes | None:
        """What starts an automation; nothing where the broker is away: it would be too late."""
        visitor = event.visit.visitor if event.visit else None
        if self._connected and isinstance(event, Recognized) and isinstance(visitor, Person):
            return trigger_payload(visitor.person_id).encode()
        return None

    def _publish_rest(self, event: Waiting, trigger: bytes | None) -> None:
        if event.picture is not None and self._section.publish_images:
            self._retained.show_picture(event.picture, named_in(event.document))
        # Last: an automation that it starts finds the states as they are.
        if trigger is not None:
            self._publish_now(self._topics.trigger, trigger)

    def _publish_now(
        self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False
    ) -> int | None:
        """Hand a message over; its id, None where there is no connection."""
        if not self._connected:
            return None
        handed_over = time.perf_counter()
        published = self._client.publish(topic, payload, qos, retain)
        if published.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return None
        if self._on_published is not None:
            self._time(published.mid, handed_over)
        return published.mid

    def _on_publish(
        self,
        _client: Client,
        _userdata: Any,
        message_id: int,
        _reason: ReasonCode,
        _properties: Properties,
    ) -> None:
        self._delivery.acknowledge(message_id)
        if self._on_published is not None:
            self._time(message_id, time.perf_counter())

    def _time(self, message_id: int, moment: float) -> None:
        """Note one end of a message's way, or tell of the whole once both are known.

        Without our lock: paho holds one of its own when it tells of an acknowledgement.
        """
        other = self._under_way.setdefault(message_id, moment)  # atomic
        if other is not moment and self._on_published is not None:
            del self._under_way[message_id]
            self._on_published(abs(moment - other))

    def _on_connect(
        self,
        client: Client,
        _userdata: Any,
        _flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            advice = "check mqtt.username and mqtt.password_file"
            self._absence.refuse(f"it refused us ({reason}); {advice}", time.monotonic())
            return
        log.info("connected to the broker %s:%d", self._section.host, self._section.port)
        with self._lock:
            if self._closed:
                return
            # Not paho sends again what was under way: states as they are now, and events in order.
            client.drop_out_messages()
            self._under_way.clear()
            self._connected = True
            self._absence.end()
            client.subscribe([(topic, 1) for topic in (*self._topics.commands, self._birth_topic)])
            # What we left there before names people who may have gone since.
            left_there = self._retained.naming_topics
            client.subscribe([(topic, 1) for topic in left_there])
            self._retained.announce()
            client.unsubscribe(left_there)
            self._delivery.begin()

    def _on_connect_fail(self, _client: Client, _userdata: Any) -> None:
        # paho tells it inside its except clause.
        self._absence.tell(describe_failure(sys.exc_info()[1]), time.monotonic())

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
            self._absence.lose(f"the connection ended ({reason})", time.monotonic())

    def _on_message(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        topic, payload = message.topic, bytes(message.payload)
        if topic in self._retained.naming_topics:
            if message.retain:
                with self._lock:
                    self._retained.heed(topic, payload)
        elif message.retain or message.dup:
            # A retained ring would ring at every connection; a retained birth came before ours.
            # What is delivered again was obeyed already, or is old.
            log.debug("ignored a retained or repeated message on %s", topic)
        elif topic == self._birth_topic:
            if payload == ONLINE.encode():
                with self._lock:
                    self._retained.announce()
        elif topic in self._topics.commands:
            self._take_command(topic, payload)

    def _take_command(self, topic: str, payload: bytes) -> None:
        command = self._gate.take(self._topics.commands[topic], payload, time.monotonic())
        if command is not None:
            self._on_command(command)
