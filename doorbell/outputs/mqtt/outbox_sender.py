"""Events from the outbox to the broker: strictly in order, until each is acknowledged.

An event that goes out late is marked. One thread of its own removes what is acknowledged and sends
what waits; an event with nothing before it goes at once, on the thread that brings it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from queue import Empty, SimpleQueue

from doorbell.clock import BootTime
from doorbell.config import MqttSection
from doorbell.domain import Event, Person, PicturedFace, Recognized, picture_of
from doorbell.outputs.mqtt.connection import BrokerConnection
from doorbell.outputs.mqtt.gallery_view import FacesNow, gone_among, whose
from doorbell.outputs.mqtt.image import RetainedImage
from doorbell.outputs.mqtt.messages import (
    Document,
    EventSubject,
    encode,
    event_document,
    late_event,
    repeated_event,
    subject_of,
    trigger_payload,
    without_preferences,
)
from doorbell.outputs.mqtt.outbox import Outbox
from doorbell.outputs.mqtt.outbox_store import QueuedEvent
from doorbell.outputs.mqtt.packed_picture import pack_picture, unpack_picture
from doorbell.outputs.mqtt.retained import RetainedMessages
from doorbell.outputs.mqtt.topics import Topics
from doorbell.outputs.mqtt.unheard import UnheardEvents
from doorbell.outputs.mqtt.waiting_pictures import WaitingPictures
from doorbell.status import VisitsForgotten

# Below paho's own 20 messages in flight: none of these ever waits in the client.
EVENTS_UNDER_WAY = 16
# How long what was refused by the disk, or is not yet safe from a power cut, may stay so.
TICK_SECONDS = 1.0
STOP_SECONDS = 0.3

log = logging.getLogger(__name__)


class OutboxSender:
    """What brings events to the broker.

    Whatever becomes of the outbox reaches no caller, and does not end the thread.

    Args:
        section: ``[mqtt]``.
        topics: of this device.
        outbox: where events wait; closed with this.
        connection: to the broker; its lock is held wherever the outbox is touched.
        retained: the states that an event changes.
        image: the last picture.
    """

    def __init__(
        self,
        section: MqttSection,
        topics: Topics,
        outbox: Outbox,
        connection: BrokerConnection,
        retained: RetainedMessages,
        *,
        image: RetainedImage,
    ) -> None:
        self._section = section
        self._topics = topics
        self._outbox = outbox
        self._connection = connection
        self._retained = retained
        self._image = image
        self._pictures = WaitingPictures(outbox)
        self._latest_picture: tuple[str | None, bytes | None] | None = None  # with its visit
        self._under_way: dict[int, QueuedEvent] = {}  # by the message's id, without pictures
        self._unheard = UnheardEvents(section.late_seconds)
        self._triggers: dict[int, bytes] = {}  # by number; lost with the connection
        self._unkept_pictures: dict[int, bytes] = {}  # by number
        self._acknowledged: SimpleQueue[int | None] = SimpleQueue()  # None only wakes
        self._closing = self._fault_said = False
        if not section.publish_images:
            with self._going_on():
                outbox.drop_pictures()
        self._thread = threading.Thread(target=self._run, name="mqtt-outbox", daemon=True)
        self._thread.start()

    @property
    def figures(self) -> Document:
        """How many events wait, and what became of others, for ``status``."""
        with self._connection.lock:
            return {
                "events_waiting": len(self._outbox),
                "events_on_disk": self._outbox.on_disk,
                "events_dropped": self._outbox.events_dropped,
                "pictures_dropped": self._outbox.pictures_dropped,
            }

    def add(self, event: Event) -> None:
        """Keep an event, and send it with all that belongs to it where nothing waits before it.

        If something does, it goes by itself; the states that it changes are published at once.
        """
        document = encode(event_document(event))
        shown = picture_of(event) if self._section.publish_images else None
        picture = None if shown is None else pack_picture(shown)
        latest = (event.visit.visit_id if event.visit else None, picture)
        with self._connection.lock:
            if latest == self._latest_picture:
                picture = None  # it came, or waits, with an event before
            elif picture is not None:
                self._latest_picture = latest
            sent = None
            with self._going_on():
                sent = self._keep(document, picture, self._trigger_of(event))
            self._retained.show(event)
            if sent is not None:
                self._follow(sent)

    def begin(self) -> None:
        """Send what waits, from the first: there is a new connection."""
        with self._connection.lock:
            with self._going_on():
                self._settle()
                self._keep_pictures()
            self._under_way.clear()
            self._triggers.clear()
            self._unheard.connected()
        self._acknowledged.put(None)

    def home_automation_went(self) -> None:
        """Note that nobody hears what goes to the broker from now on."""
        with self._connection.lock, self._going_on():
            self._settle()
            self._unheard.went()

    def home_automation_came(self) -> None:
        """Send what it has not heard again, in order, before anything newer."""
        with self._connection.lock, self._going_on():
            self._settle()
            for event in self._unheard.came(BootTime.now()):
                document = self._fitting(repeated_event(event.document))
                self._connection.publish(self._topics.event, document, qos=1)

    def subjects(self) -> Mapping[int, EventSubject]:
        """Whom each event that is or may be sent is about, by number."""
        with self._connection.lock, self._going_on():
            return {**self._unheard.subjects(), **self._outbox.subjects()}
        return {}

    def forget(self, numbers: Collection[int]) -> None:
        """Drop events about whoever was forgotten, and what is left of whom the broker has."""
        with self._connection.lock, self._going_on():
            self._unheard.forget(numbers)
            self._outbox.forget(numbers)

    def forget_visits(self, forgotten: VisitsForgotten) -> None:
        """Drop what waits about visits that were forgotten, and pictures that may show them."""
        with self._connection.lock, self._going_on():
            self._unheard.forget_visits(forgotten.visit_ids)
            self._outbox.forget_visits(forgotten.visit_ids)
            self._keep_pictures()
            self._pictures.forget(forgotten)

    def follow(self, faces_now: FacesNow, *, anybody_gone: bool) -> None:
        """Drop pictures that wait and may show whoever is gone; not under the lock.

        Args:
            faces_now: asks the gallery, in its own time.
            anybody_gone: whether somebody was forgotten: it may be whoever nobody can tell.
        """
        waiting: dict[int, tuple[PicturedFace, ...] | None] = {}
        with self._connection.lock, self._going_on():
            self._keep_pictures()
            waiting.update(self._pictures.faces())
        gone = gone_among((face for faces in waiting.values() for face in faces or ()), faces_now)
        to_go = {
            number
            for number, faces in waiting.items()
            for face in faces or ()
            if whose(face) in gone or (anybody_gone and not face.is_certain)
        }
        if to_go:
            with self._connection.lock, self._going_on():
                self._pictures.drop(to_go)

    def acknowledge(self, message_id: int) -> None:
        """Take the broker's word for a message; on any thread, without lock, never waits."""
        self._acknowledged.put(message_id)

    def close(self) -> None:
        """Send no more, and leave what waits on the disk; idempotent, not under the lock."""
        self._closing = True
        self._acknowledged.put(None)
        self._thread.join(STOP_SECONDS)
        with self._connection.lock, self._going_on():
            self._settle()
            self._keep_pictures()
            self._outbox.close()

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """Say a defect once: the door is watched, and rings, also without what waits."""
        try:
            yield
        except Exception:
            level = logging.DEBUG if self._fault_said else logging.ERROR
            self._fault_said = True
            log.log(level, "a defect in the outbox; events may be lost", exc_info=True)

    def _trigger_of(self, event: Event) -> bytes | None:
        """What starts an automation; nothing where the broker is away: it would be too late."""
        visitor = event.visit.visitor if event.visit else None
        if not (self._connection.connected and isinstance(event, Recognized)):
            return None
        return trigger_payload(visitor.person_id).encode() if isinstance(visitor, Person) else None

    def _keep(
        self, document: bytes, picture: bytes | None, trigger: bytes | None
    ) -> QueuedEvent | None:
        """Keep an event; itself where it has gone already."""
        nothing_before = self._may_send() and self._next() is None
        # The picture of an event that goes at once is written only if the event is not acknowledged
        # soon: it would delay the event, and wear the disk out for nothing.
        event = self._outbox.append(document, None if nothing_before else picture, BootTime.now())
        if trigger is not None:
            self._triggers[event.number] = trigger
        sent = nothing_before and self._send(event)
        if nothing_before and picture is not None:
            self._unkept_pictures[event.number] = picture
        if sent:
            return replace(event, picture=picture)
        self._keep_pictures()
        self._acknowledged.put(None)
        return None

    def _follow(self, event: QueuedEvent) -> None:
        """Publish what comes with an event that has gone."""
        if event.picture is not None and self._section.publish_images:
            self._image.show(unpack_picture(event.picture), subject_of(event.document))
        # Last: an automation that it starts finds the states as they are.
        trigger = self._triggers.pop(event.number, None)
        if trigger is not None:
            self._image.then(partial(self._publish_trigger, trigger))

    def _publish_trigger(self, trigger: bytes) -> None:
        self._connection.publish(self._topics.trigger, trigger)

    def _run(self) -> None:
        while not self._closing:
            try:
                message_id, idle = self._acknowledged.get(timeout=TICK_SECONDS), False
            except Empty:
                message_id, idle = None, True
            with self._going_on(), self._connection.lock:
                self._settle(message_id)
                if self._closing:
                    return
                self._connection.send_next()
                self._send_waiting()
                if idle:
                    self._keep_pictures()
                self._outbox.retry(BootTime.now())
            with self._going_on():
                if self._acknowledged.empty():
                    self._outbox.sync()

    def _settle(self, message_id: int | None = None) -> None:
        """Remove what is acknowledged."""
        numbers = []
        with suppress(Empty):
            while True:
                if message_id is not None and message_id in self._under_way:
                    event = self._under_way.pop(message_id)
                    self._unheard.acknowledged(event, BootTime.now())
                    numbers.append(event.number)
                message_id = self._acknowledged.get_nowait()
        for number in numbers:
            self._unkept_pictures.pop(number, None)
        if numbers:
            self._outbox.remove(*numbers)

    def _keep_pictures(self) -> None:
        self._outbox.attach(self._unkept_pictures)
        self._unkept_pictures.clear()

    def _may_send(self) -> bool:
        return self._connection.connected and len(self._under_way) < EVENTS_UNDER_WAY

    def _next(self) -> int | None:
        """Number of the event whose turn it is; None if all are under way."""
        return self._outbox.next_unsent({event.number for event in self._under_way.values()})

    def _send_waiting(self) -> None:
        while self._may_send() and (number := self._next()) is not None:
            event = self._outbox.read(number)
            if event is None or not self._send(event):
                return
            self._follow(event)

    def _send(self, event: QueuedEvent) -> bool:
        late = event.is_late(BootTime.now(), self._section.late_seconds)
        try:
            document = late_event(event.document) if late else event.document
        except ValueError as exc:
            log.error("a waiting event is no JSON any more and is dropped: %s", exc)
            self._outbox.remove(event.number)
            return False
        document = self._fitting(document)
        if not self._connection.takes(self._topics.event, document):
            if self._connection.allows(self._topics.event):
                self._outbox.give_up(event.number)
                self._acknowledged.put(None)  # it is the next one's turn
            return False
        message_id = self._connection.publish(self._topics.event, document, qos=1)
        if message_id is None:
            return False
        if late:
            self._triggers.pop(event.number, None)
        self._under_way[message_id] = replace(event, picture=None)
        return True

    def _fitting(self, document: bytes) -> bytes:
        """As much of an event as the broker takes."""
        if self._connection.takes(self._topics.event, document):
            return document
        return without_preferences(document)
