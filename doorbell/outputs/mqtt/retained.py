"""What the broker keeps of the doorbell: the last of each, naming nobody who was forgotten."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import TypeGuard

from doorbell.config import DeviceSection, MqttSection
from doorbell.domain import (
    UNSTORED,
    Arrived,
    Event,
    Left,
    Person,
    Recognized,
    Ring,
    Unknown,
    Visit,
    VisitEvent,
    VisitPicture,
)
from doorbell.imaging.fitting import fit_jpeg
from doorbell.outputs.mqtt.connection import BrokerConnection
from doorbell.outputs.mqtt.discovery import (
    components_of,
    discovery_components,
    discovery_document,
    discovery_topic,
    person_of,
)
from doorbell.outputs.mqtt.discovery_entities import Components
from doorbell.outputs.mqtt.door_states import DoorStates, with_entities
from doorbell.outputs.mqtt.image_delivery import ImageDelivery
from doorbell.outputs.mqtt.messages import (
    OFF,
    ON,
    ONLINE,
    EventSubject,
    encode,
    subject_of,
    visitor_document,
    without_preferences,
)
from doorbell.outputs.mqtt.topics import Topics
from doorbell.status import KnownVisitors


class RetainedMessages:
    """The doorbell as the broker shows it, also to whoever subscribes later; from any thread.

    Args:
        device: ``[device]``.
        section: ``[mqtt]``.
        topics: of this device.
        connection: to the broker; what is published without one is published with the next.
        known: who is known now.
    """

    def __init__(
        self,
        device: DeviceSection,
        section: MqttSection,
        topics: Topics,
        connection: BrokerConnection,
        *,
        known: KnownVisitors,
    ) -> None:
        self._device = device
        self._section = section
        self._topics = topics
        self._connection = connection
        self._people = known.people
        self._replies: tuple[str, ...] = ()  # what can be said at the door
        self._person_ids = {person.person_id for person in known.people}
        self._stranger_ids = known.stranger_ids
        self._gone = known.gone
        self._discovery_topic = discovery_topic(section.discovery_prefix, device.id)
        self._announced: dict[str, str] = {}  # components that the broker has, with platforms
        self._door = DoorStates(topics, known)
        self._private = False
        self._visits = {visit.visit_id for visit in known.open_visits}
        self._named = EventSubject()  # on the topic of the last visitor
        self._pictured = EventSubject()  # on that of the picture
        self._shown = False  # by this run
        self._just_learned = False  # whom an earlier run named there
        self._image = ImageDelivery()
        # Not whether it is muted: that is told at once, and ``OFF`` before would wake the baby.
        self._states = {topics.presence: ON if self._visits else OFF, **self._door.all()}
        if not section.publish_images:
            self._states[topics.image] = b""  # deletes one retained before

    @property
    def naming_topics(self) -> list[str]:
        """Where an earlier run may have left somebody who was forgotten since: see ``learn``."""
        return [self._discovery_topic, self._topics.visitor]

    @property
    def asked_topics(self) -> list[str]:
        """The same, and where the picture may still be that this run has published."""
        return [*self.naming_topics, *([self._topics.image] if self._image.has_arrived else [])]

    def announce(self) -> None:
        """Publish everything: there is a new connection, or somebody new who has seen nothing.

        That we are here comes last: until then nobody takes what an earlier run left for true.
        """
        with self._connection.lock:
            self._publish_discovery()
            for topic in self._states:
                # A picture that comes again looks like a new one.
                if topic != self._topics.image or not self._image.has_arrived:
                    self._publish_state(topic)
            self._publish(self._topics.availability, ONLINE)

    def set(self, topic: str, payload: bytes) -> None:
        """Publish a state, now and whenever the doorbell announces itself; again if it changes."""
        with self._connection.lock:
            if self._states.get(topic) != payload:
                self._states[topic] = payload
                self._publish_state(topic)

    def show(self, event: Event) -> None:
        """Publish whether somebody is at the door, and who was there last."""
        with self._connection.lock:
            self._show(event)

    def show_picture(self, jpeg: bytes, subject: EventSubject) -> None:
        """Publish the picture of an event if it is another one, and remember whom it is about."""
        with self._connection.lock:
            if self._private:
                return
            self._pictured = subject
            self.set(self._topics.image, jpeg)

    def hide_picture(self) -> None:
        """Take back the picture that the broker keeps."""
        with self._connection.lock:
            self._hide_picture()

    def acknowledge(self, message_id: int) -> None:
        """Take the broker's word for a message; on any thread, without lock."""
        self._image.acknowledge(message_id)

    def ask(self) -> None:
        """There is a new connection, and the broker was asked what is on ``asked_topics``."""
        with self._connection.lock:
            self._image.ask(time.monotonic())

    def look_after_picture(self) -> None:
        """Publish the picture again where the broker has lost it; every few seconds."""
        with self._connection.lock:
            if self._connection.connected and self._image.is_lost(time.monotonic()):
                self._publish_state(self._topics.image)

    def with_names_of_now(self, picture: VisitPicture) -> VisitPicture:
        """A picture with what people are called who are in it."""
        people = {person.person_id: person for person in self._people}
        return replace(
            picture,
            faces=picture.faces
            and tuple(
                replace(face, visitor=people.get(face.visitor.person_id, face.visitor))
                if isinstance(face.visitor, Person)
                else face
                for face in picture.faces
            ),
        )

    def set_private(self, private: bool) -> None:
        """Show no picture, or those to come."""
        with self._connection.lock:
            if private and not self._private:
                self._hide_picture()
            self._private = private

    def correct(self, visit: Visit) -> None:
        """Show who a visit was of in truth, where it is shown."""
        with self._connection.lock:
            if self._named.visit_id == visit.visit_id:
                self._name(visit)
            self._door.correct(visit)
            self._publish_door()

    def set_known_visitors(self, known: KnownVisitors) -> bool:
        """Publish a trigger for each of these people; nothing is sent where nothing has changed.

        Returns:
            Whether anybody is gone.
        """
        with self._connection.lock:
            self._stranger_ids = known.stranger_ids
            anybody_gone, self._gone = known.gone != self._gone, known.gone
            if known.people != self._people:
                earlier, shown = self._person_ids, self._shown_ids()
                self._people = known.people
                self._person_ids = {person.person_id for person in known.people}
                anybody_gone = anybody_gone or bool(earlier - self._person_ids)
                self._publish_discovery()
                self._delete_states_of(shown - self._shown_ids())
            self._door.know(known)
            self._publish_door()
            return anybody_gone

    def set_replies(self, labels: tuple[str, ...]) -> None:
        """Offer these to be said at the door; nothing is sent where nothing has changed."""
        with self._connection.lock:
            if labels != self._replies:
                self._replies = labels
                self._publish_discovery()

    @property
    def subjects(self) -> frozenset[EventSubject]:
        """Whom the broker shows."""
        with self._connection.lock:
            return frozenset((self._named, self._pictured))

    def knows(self, subject: EventSubject) -> bool:
        """Whether a document is about nobody, or about somebody who is known."""
        if subject.person_id is not None:
            return subject.person_id in self._person_ids
        # Who has no lasting identifier yet cannot have been forgotten by it.
        return (
            subject.stranger is None
            or subject.stranger.startswith(UNSTORED)
            or _id_of(subject.stranger) in self._stranger_ids
        )

    def hide(self, forgotten: Collection[EventSubject]) -> None:
        """Stop showing what is about these."""
        with self._connection.lock:
            if self._pictured in forgotten:
                self._hide_picture()
            if self._named in forgotten:
                self._hide_visitor()

    def forget_visits(self, visit_ids: Collection[str]) -> None:
        """Show no longer what is of these visits."""
        with self._connection.lock:
            self._door.forget(visit_ids)
            self._publish_door()
            if self._pictured.visit_id in visit_ids:
                self._hide_picture()
            if self._named.visit_id in visit_ids:
                self._hide_visitor()

    def learn(self, topic: str, payload: bytes) -> None:
        """Take in what an earlier run left on one of ``naming_topics``."""
        with self._connection.lock:
            if topic == self._discovery_topic:
                left_there = components_of(payload)
                self._announced = {**left_there, **self._announced}
                if self._announced.keys() - self._discovered().keys():
                    self._publish_discovery()
                named = {person_of(key) for key in left_there} - {None}
                self._delete_states_of(named - self._shown_ids())
            elif topic == self._topics.image:
                if self._image.is_other(payload):
                    self._publish_state(topic)
            elif not self._shown:
                self._named = self._pictured = subject_of(payload)
                self._just_learned = True

    def take_learned(self) -> bool:
        """Whether whom an earlier run named has been learned since this was last asked."""
        learned = self._just_learned
        if learned:
            self._just_learned = False
        return learned

    def _show(self, event: Event) -> None:
        match event:
            case Arrived() | Recognized() | Unknown():
                self._visits.add(event.visit.visit_id)
                self.set(self._topics.presence, ON)
            case Left():
                self._visits.discard(event.visit.visit_id)
                self.set(self._topics.presence, ON if self._visits else OFF)
            case Ring():
                self.set(self._topics.last_ring, self._door.ring(event))
        self._door.take(event)
        self._publish_door()
        if self._tells_who(event):
            self._name(event.visit)

    def _name(self, visit: Visit) -> None:
        self._shown = True
        document = encode(visitor_document(visit))
        self._named = subject_of(document)
        if self._pictured.visit_id == self._named.visit_id:
            self._pictured = self._named  # whoever it is by now
        self.set(self._topics.visitor, document)

    def _publish_door(self) -> None:
        """Publish what has changed of who is and was at the door."""
        for topic, payload in self._door.all().items():
            self.set(topic, payload)

    def _delete_states_of(self, person_ids: Iterable[int | None]) -> None:
        for person_id in person_ids:
            if person_id is not None:
                self.set(self._topics.person(person_id), b"")  # deletes the one retained

    def _tells_who(self, event: Event) -> TypeGuard[VisitEvent]:
        """Whether the last visitor is this event's, or has just left.

        Whoever cannot be told is shown where nobody who is there has been told.
        """
        match event:
            case Recognized():
                return True
            case Unknown() | Left() if event.visit.visitor is not None:
                return True
            case Unknown():
                return self._named.visit_id not in self._visits - {event.visit.visit_id}
            case Left():
                return self._named.visit_id == event.visit.visit_id
            case _:
                return False

    def _hide_visitor(self) -> None:
        self._named = EventSubject()
        self.set(self._topics.visitor, encode(visitor_document(None)))

    def _hide_picture(self) -> None:
        self._pictured = EventSubject()
        self.set(self._topics.image, b"")  # deletes the one retained

    def _publish_state(self, topic: str) -> None:
        # A count that is lost is followed by another.
        payload = self._fitting(topic, self._states[topic])
        message_id = self._publish(topic, payload, 0 if topic == self._topics.status else 1)
        if topic == self._topics.image:
            self._image.publish(payload, message_id)

    def _fitting(self, topic: str, payload: bytes) -> bytes:
        """As much of a state as the broker takes."""
        most_bytes = self._connection.fitting_bytes(topic)
        if most_bytes is None or self._connection.takes(topic, payload):
            return payload
        if topic == self._topics.image:
            # No picture is better than that of an earlier visit.
            return fit_jpeg(payload, most_bytes) or b""
        return without_preferences(payload) if topic == self._topics.visitor else payload

    def _publish(self, topic: str, payload: bytes, qos: int = 1) -> int | None:
        # Another picture, or count, follows one that is lost; the end of a picture is not followed.
        may_wait = bool(payload) and topic in (self._topics.image, self._topics.status)
        return self._connection.publish(topic, payload, qos=qos, retain=True, may_wait=may_wait)

    def _publish_discovery(self) -> None:
        if not (self._section.discovery and self._connection.connected):
            return
        components = self._discovered()
        gone = {
            key: {"platform": platform}
            for key, platform in self._announced.items()
            if key not in components
        }
        document = discovery_document(self._device, components)
        # One is deleted by a document that names its platform, and stays so by one that does not.
        if gone:
            deleting = {**document, "components": {**components, **gone}}
            self._publish(self._discovery_topic, encode(deleting))
        self._publish(self._discovery_topic, encode(document))
        self._announced = {key: each["platform"] for key, each in components.items()}

    def _discovered(self) -> Components:
        people = with_entities(self._people)
        return discovery_components(self._device, self._section, people, self._replies)

    def _shown_ids(self) -> frozenset[int]:
        """Of whom there are states."""
        return frozenset(person.person_id for person in with_entities(self._people))


def _id_of(label: str) -> int | None:
    """The number in a stranger's label; None where it is none of ours."""
    found = re.fullmatch(r"stranger-([0-9]{1,18})", label)
    return int(found[1]) if found else None
