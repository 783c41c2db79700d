"""A home automation that comes back after the broker did, at a real mosquitto."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from broker_stories import ANNA, LONG_PAUSE_SECONDS, running, visit_of

from doorbell.domain import Left, Person, Recognized, Ring
from doorbell.outputs.mqtt.output import Mqtt
from doorbell.status import KnownVisitors, VisitsForgotten
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

STATUS = "homeassistant/status"
# As long as nothing must come.
SILENCE_SECONDS = 0.4


@contextmanager
def home_automation(broker: Mosquitto, *, is_born: bool = True) -> Iterator[Subscriber]:
    """One that comes, and whose broker says that it goes."""
    with Subscriber(broker.port) as listener:
        if is_born:
            listener.publish(STATUS, b"online")
        yield listener
    with Subscriber(broker.port, topic="unused") as will:
        will.publish(STATUS, b"offline")


def told(listener: Subscriber) -> list[tuple[str, bool]]:
    return [(each["event_id"], each["repeated"]) for each in listener.documents("event")]


def give(mqtt: Mqtt, broker: Mosquitto, *events: Ring | Recognized | Left) -> None:
    """Hand events over; back once the broker has them."""
    with Subscriber(broker.port) as witness:
        for event in events:
            mqtt.handle(event)
        given = {event.event_id for event in events}
        assert eventually(lambda: given <= {each for each, _ in told(witness)})
    time.sleep(0.1)  # until its acknowledgement has been read


def test_a_ring_that_the_broker_had_first_is_sent_again_once(broker: Mosquitto) -> None:
    """The broker comes back, then the doorbell, then home automation, who says so twice."""
    with running(broker.port) as mqtt:
        broker.stop()
        assert eventually(lambda: not mqtt.connected)
        mqtt.handle(Ring("e1", 1000.0))
        mqtt.handle(Ring("e2", 1000.0))
        time.sleep(LONG_PAUSE_SECONDS)
        broker.start()
        assert eventually(lambda: mqtt.connected, 15)
        give(mqtt, broker, Ring("e3", 1000.0))
        with home_automation(broker) as listener:
            assert eventually(lambda: len(listener.of("event")) == 3)
            mqtt.handle(Ring("e4", 1000.0))
            listener.publish(STATUS, b"online")
            assert eventually(lambda: len(listener.of("event")) >= 4)
            time.sleep(SILENCE_SECONDS)
            assert told(listener) == [("e1", True), ("e2", True), ("e3", True), ("e4", False)]
            # It finds the states as they are before what happened.
            assert listener.topics().index("availability") < listener.topics().index("event")


def test_what_was_heard_is_not_sent_again(broker: Mosquitto) -> None:
    with running(broker.port) as mqtt:
        # It was there before the doorbell came, so its coming was not heard.
        with home_automation(broker, is_born=False) as listener:
            mqtt.handle(Ring("e1", 1000.0))
            assert eventually(lambda: len(listener.of("event")) == 1)
        give(mqtt, broker, Ring("e2", 1000.0))
        with home_automation(broker) as listener:
            assert eventually(lambda: listener.of("event") != [])
            mqtt.handle(Ring("e3", 1000.0))
            assert eventually(lambda: len(listener.of("event")) >= 2)
            assert told(listener) == [("e2", True), ("e3", False)]
        with home_automation(broker) as listener:
            time.sleep(SILENCE_SECONDS)
            assert listener.of("event") == []


def test_what_is_late_or_forgotten_is_not_sent_again(broker: Mosquitto) -> None:
    with running(broker.port, people=(ANNA,), late_seconds=2.0) as mqtt:
        give(mqtt, broker, Ring("e1", 1000.0))
        time.sleep(2.1)
        give(
            mqtt,
            broker,
            Recognized("e2", 1000.0, visit_of(ANNA)),
            Left("e3", 1000.0, visit_of(None, 2)),
            Ring("e4", 1000.0),
        )
        mqtt.handle(KnownVisitors((), set()))
        mqtt.handle(VisitsForgotten(("v2",)))
        with home_automation(broker) as listener:
            assert eventually(lambda: listener.of("event") != [])
            time.sleep(SILENCE_SECONDS)
            assert told(listener) == [("e4", True)]


def test_what_was_too_large_is_sent_again_as_it_went(tmp_path: Path) -> None:
    wordy = Person(1, "Anna", preferences={"notes": "x" * 30_000})
    with (
        Mosquitto(tmp_path, "allow_anonymous true", "max_packet_size 20000") as broker,
        running(broker.port, people=(ANNA,)) as mqtt,
    ):
        time.sleep(0.5)  # until the broker has said what it takes
        give(mqtt, broker, Recognized("e1", 1000.0, visit_of(wordy)))
        with home_automation(broker) as listener:
            assert eventually(lambda: listener.of("event") != [])
            assert told(listener) == [("e1", True)]


def test_another_prefix_and_a_birth_that_is_kept(broker: Mosquitto) -> None:
    """A birth that lies at the broker says nothing of when, and nothing is sent for it."""
    with Subscriber(broker.port) as listener:
        listener.publish("ha/status", b"online", retain=True)
    with running(broker.port, discovery_prefix="ha") as mqtt:
        give(mqtt, broker, Ring("e1", 1000.0))
        with Subscriber(broker.port) as listener:
            listener.publish(STATUS, b"online")
            time.sleep(SILENCE_SECONDS)
            assert listener.of("event") == []
            listener.publish("ha/status", b"online", retain=True)
            assert eventually(lambda: listener.of("event") != [])
            [document] = [json.loads(payload) for payload in listener.of("event")]
            assert (document["event_id"], document["event_type"]) == ("e1", "ring")
