"""What the broker keeps of the doorbell: the last of each, naming nobody who was forgotten.

Enters: states, events, the people enrolled, what an earlier run left at the broker. Leaves:
retained messages: Home Assistant's discovery document, that we are here, and the states; each when
it changes, and all of them when the doorbell announces itself. Knows no client, no thread, and no
event that waits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from doorbell.config import DeviceSection, MqttSection
from doorbell.domain import (
    UNSTORED,
    Arrived,
    Event,
    Left,
    Person,
    Recognized,
    Stranger,
    Unrecognized,
)
from doorbell.outputs.home_assistant import (
    ONLINE,
    discovery_document,
    discovery_topic,
    person_ids_of,
)
from doorbell.outputs.messages import OFF, ON, Named, encode, named_in, visitor_document
from doorbell.outputs.topics import Topics


class RetainedMessages:
    """The doorbell as the broker shows it, also to whoever subscribes later.

    All of it is called under the lock of whoever publishes.

    Args:
        device: ``[device]``.
        section: ``[mqtt]``.
        topics: of this device.
        people: everybody enrolled.
        strangers: everybody known by an identifier only.
        is_kept: whether what tells of nobody of these is somebody's all the same; not asked by
            ``heed``.
        connected: whether there is a broker.
        publish: takes a topic, a payload and the QoS of a retained message, which is lost where
            there is no connection.
    """

    def __init__(
        self,
        device: DeviceSection,
        section: MqttSection,
        topics: Topics,
        people: Sequence[Person],
        strangers: Iterable[Stranger],
        *,
        is_kept: Callable[[Named], bool],
        connected: Callable[[], bool],
        publish: Callable[[str, bytes, int], object],
    ) -> None:
        self._device = device
        self._section = section
        self._topics = topics
        self._people = tuple(people)
        self._strangers = _labels(strangers)
        self._is_kept = is_kept
        self._connected = connected
        self._publish = publish
        self._discovery_topic = discovery_topic(section.discovery_prefix, device.id)
        self._gone_person_ids: set[int] = set()
        self._visits: set[str] = set()
        self._named = Named()  # on the topic of the last visitor
        self._pictured = Named()  # on that of the picture
        self._shown = False  # by this run
        self._just_learned = False  # whom an earlier run named there
        self._states = {topics.presence: OFF, topics.mute_state: OFF}
        if not section.publish_images:
            self._states[topics.image] = b""  # deletes one retained before

    @property
    def _person_ids(self) -> set[int]:
        return {person.person_id for person in self._people}

    @property
    def naming_topics(self) -> list[str]:
        """Where an earlier run may have left somebody who was forgotten since: see ``heed``."""
        return [self._discovery_topic, self._topics.visitor]

    def announce(self) -> None:
        """Publish everything: there is a new connection, or somebody new who has seen nothing."""
        self._publish_discovery()
        self._publish(self._topics.availability, ONLINE.encode(), 1)
        for topic in self._states:
            self._publish_state(topic)

    def set(self, topic: str, payload: bytes) -> None:
        """Publish a state, now and whenever the doorbell announces itself."""
        self._states[topic] = payload
        self._publish_state(topic)

    def show(self, event: Event) -> None:
        """Publish whether somebody is at the door, and who was there last."""
        match event:
            case Arrived() | Recognized() | Unrecognized():
                self._visits.add(event.visit.visit_id)
                self.set(self._topics.presence, ON)
            case Left():
                self._visits.discard(event.visit.visit_id)
                self.set(self._topics.presence, ON if self._visits else OFF)
        if isinstance(event, Recognized | Unrecognized | Left):
            self._shown = True
            document = encode(visitor_document(event.visit))
            self._named = named_in(document)
            if self._pictured.visit_id == self._named.visit_id:
                self._pictured = self._named  # whoever it is by now
            self.set(self._topics.visitor, document)

    def show_picture(self, jpeg: bytes, named: Named) -> None:
        """Publish the picture of an event, which names somebody or nobody."""
        self._pictured = named
        self.set(self._topics.image, jpeg)

    def set_household(self, people: Sequence[Person], strangers: Iterable[Stranger]) -> bool:
        """Publish a trigger for each of these people, and show no longer who was forgotten.

        Nothing is sent where nothing has changed.

        Returns:
            Whether anybody is gone.
        """
        earlier, self._strangers = self._strangers, _labels(strangers)
        anybody_gone = not earlier <= self._strangers
        if tuple(people) != self._people:
            known = self._person_ids
            self._people = tuple(people)
            gone = known - self._person_ids
            self._gone_person_ids |= gone
            anybody_gone = anybody_gone or bool(gone)
            self._publish_discovery()
        if anybody_gone:
            self._hide_who_is_forgotten()
        return anybody_gone

    def look_at_learned(self) -> None:
        """Show no longer whom an earlier run named, if they were forgotten since."""
        if self._just_learned:
            self._just_learned = False
            self._hide_who_is_forgotten()

    def forget_visits(self, visit_ids: Collection[str]) -> None:
        """Show no longer what is of visits that were forgotten."""
        if self._named.visit_id in visit_ids:
            self._hide_visitor()
        if self._pictured.visit_id in visit_ids:
            self._hide_picture()

    def is_forgotten(self, named: Named) -> bool:
        """Whether somebody is named who was forgotten."""
        return not (self._knows(named) or self._is_kept(named))

    def heed(self, topic: str, payload: bytes) -> None:
        """Learn what is retained on one of ``naming_topics``; who is gone will be deleted."""
        if topic == self._discovery_topic:
            gone = person_ids_of(payload) - self._person_ids
            if gone:
                self._gone_person_ids |= gone
                self._publish_discovery()
        elif not self._shown:
            self._named = self._pictured = named_in(payload)
            self._just_learned = True

    def _knows(self, named: Named) -> bool:
        if named.person_id is not None:
            return named.person_id in self._person_ids
        # Who has no lasting identifier yet cannot have been forgotten by it.
        return (
            named.stranger is None
            or named.stranger in self._strangers
            or named.stranger.startswith(UNSTORED)
        )

    def _hide_who_is_forgotten(self) -> None:
        if self.is_forgotten(self._named):
            self._hide_visitor()
        if self.is_forgotten(self._pictured):
            self._hide_picture()

    def _hide_visitor(self) -> None:
        self._named = Named()
        self.set(self._topics.visitor, encode(visitor_document(None)))

    def _hide_picture(self) -> None:
        self._pictured = Named()
        self.set(self._topics.image, b"")  # deletes the one retained

    def _publish_state(self, topic: str) -> None:
        # A picture or a count that is lost is followed by another.
        qos = 0 if topic in (self._topics.image, self._topics.status) else 1
        self._publish(topic, self._states[topic], qos)

    def _publish_discovery(self) -> None:
        if not (self._section.discovery and self._connected()):
            return
        # A trigger is deleted by a document that names it, and stays deleted by one that does not.
        gone = sorted(self._gone_person_ids)
        for gone_person_ids in (gone, ()) if gone else ((),):
            document = discovery_document(
                self._device, self._section, self._people, gone_person_ids
            )
            self._publish(self._discovery_topic, encode(document), 1)
        self._gone_person_ids.clear()


def _labels(strangers: Iterable[Stranger]) -> set[str]:
    return {stranger.label for stranger in strangers}
