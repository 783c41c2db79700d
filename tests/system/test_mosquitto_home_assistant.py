"""What Home Assistant is told of itself through a real mosquitto: discovery and its triggers."""

import time
from collections.abc import Mapping
from typing import Any

import pytest
from broker_stories import (
    ANNA,
    BEN,
    CONFIG_TOPIC,
    PICTURE,
    STRANGER,
    running,
    story,
    visit_of,
)

from doorbell.domain import Arrived, Left, Person, Unknown, Visitor
from doorbell.status import KnownVisitors, VisitsForgotten
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system


def test_home_assistants_return_brings_discovery_then_states(broker: Mosquitto) -> None:
    with running(broker.port, people=(ANNA,)) as mqtt, Subscriber(broker.port) as listener:
        mqtt.handle(story()[1])
        assert eventually(lambda: listener.of("trigger") != [])
        count = len(listener.messages)
        listener.publish("homeassistant/status", b"offline")
        listener.publish("homeassistant/status", b"online")
        assert eventually(lambda: len(listener.messages) >= count + 7)
        time.sleep(0.1)
        # Not the picture, which would look like a new one: the broker has it.
        assert listener.topics()[count:] == [
            "homeassistant/status",
            "homeassistant/status",
            CONFIG_TOPIC,
            "presence",
            "mute/state",
            "visitor",
            "availability",
        ]


def triggers(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: component.get("subtype")
        for key, component in document["components"].items()
        if component["platform"] == "device_automation"
    }


def test_people_who_come_go_or_are_renamed_change_the_triggers(broker: Mosquitto) -> None:
    with Subscriber(broker.port) as listener, running(broker.port, people=(ANNA, BEN)) as mqtt:
        assert eventually(lambda: len(listener.of(CONFIG_TOPIC)) == 1)
        mqtt.handle(KnownVisitors((ANNA, BEN), set()))
        mqtt.handle(KnownVisitors((Person(2, "Benjamin"), Person(3, "Carla")), set()))
        assert eventually(lambda: len(listener.of(CONFIG_TOPIC)) == 3)
        now = {"person_2": "Benjamin", "person_3": "Carla"}
        assert [triggers(document) for document in listener.documents(CONFIG_TOPIC)] == [
            {"person_1": ANNA.name, "person_2": "Ben"},
            {**now, "person_1": None},
            now,
        ]


def test_people_forgotten_while_the_daemon_was_away_lose_their_triggers(broker: Mosquitto) -> None:
    with running(broker.port, people=(ANNA, BEN)):
        pass
    with Subscriber(broker.port) as listener:
        assert eventually(lambda: len(listener.of(CONFIG_TOPIC)) == 1)
        with running(broker.port, people=(BEN,)):
            assert eventually(lambda: len(listener.of(CONFIG_TOPIC)) == 4)
        assert [triggers(document) for document in listener.documents(CONFIG_TOPIC)] == [
            {"person_1": ANNA.name, "person_2": "Ben"},
            {"person_2": "Ben"},
            {"person_1": None, "person_2": "Ben"},
            {"person_2": "Ben"},
        ]


@pytest.mark.parametrize("visitor", [ANNA, STRANGER])
@pytest.mark.parametrize("forgotten", ["while the daemon is away", "later"])
def test_who_is_forgotten_is_no_last_visitor_of_an_earlier_run_either(
    broker: Mosquitto, visitor: Visitor, forgotten: str
) -> None:
    came = Left("e1", 1000.0, visit_of(visitor), PICTURE)
    label = visitor.label
    with (
        running(broker.port, people=(ANNA, BEN), strangers=(STRANGER,)) as mqtt,
        Subscriber(broker.port) as listener,
    ):
        mqtt.handle(came)
        assert eventually(lambda: listener.of("image") == [PICTURE])
        mqtt.handle(KnownVisitors((ANNA, BEN), {STRANGER.stranger_id, 8}))
        mqtt.handle(
            KnownVisitors((ANNA, BEN), {STRANGER.stranger_id})
        )  # somebody else is forgotten
    people = tuple(each for each in (ANNA, BEN) if each != visitor)
    strangers = tuple(each for each in (STRANGER,) if each != visitor)
    with Subscriber(broker.port) as listener:
        assert eventually(lambda: listener.of("image") == [PICTURE])
        assert listener.documents("visitor")[0]["visitor"] == label
        away = forgotten == "while the daemon is away"
        with running(
            broker.port,
            people=people if away else (ANNA, BEN),
            strangers=strangers if away else (STRANGER,),
        ) as mqtt:
            for _ in range(3):  # now and again, as the daemon does
                time.sleep(0.2)
                if away:
                    mqtt.handle(KnownVisitors(people, {each.stranger_id for each in strangers}))
                else:
                    mqtt.handle(KnownVisitors((ANNA, BEN), {STRANGER.stranger_id}))
            assert len(listener.of("image")) == (2 if away else 1)
            mqtt.handle(KnownVisitors(people, {each.stranger_id for each in strangers}))
            assert eventually(lambda: len(listener.of("image")) == 2)
        assert listener.of("image")[1] == b""
        told = [label, "unknown"]
        assert eventually(lambda: [e["visitor"] for e in listener.documents("visitor")] == told)
        assert listener.documents("visitor")[1]["stranger"] is None


def test_the_picture_of_who_is_forgotten_goes_though_somebody_else_was_here_last(
    broker: Mosquitto,
) -> None:
    with (
        running(broker.port, people=(ANNA,), strangers=(STRANGER,)) as mqtt,
        Subscriber(broker.port) as listener,
    ):
        mqtt.handle(Arrived("e1", 1000.0, visit_of(None, 2), PICTURE))
        mqtt.handle(Unknown("e2", 1001.0, visit_of(STRANGER, 2)))
        mqtt.handle(Left("e3", 1002.0, visit_of(ANNA)))
        assert eventually(lambda: listener.of("image") == [PICTURE])
        mqtt.handle(KnownVisitors((ANNA,), set()))
        assert eventually(lambda: listener.of("image") == [PICTURE, b""])
        assert listener.documents("visitor")[-1]["person"] == ANNA.name


def test_a_visit_that_is_forgotten_is_no_state_of_the_broker_any_more_at_once(
    broker: Mosquitto,
) -> None:
    with running(broker.port, people=(ANNA,)) as mqtt, Subscriber(broker.port) as listener:
        mqtt.handle(Left("e1", 1002.0, visit_of(ANNA), PICTURE))
        assert eventually(lambda: listener.of("image") == [PICTURE])
        mqtt.handle(VisitsForgotten(("v2",)))
        mqtt.handle(VisitsForgotten(("v1",)))
        assert eventually(lambda: listener.of("image") == [PICTURE, b""])
        # The picture goes first.
        told = [ANNA.name, None]
        assert eventually(lambda: [e["person"] for e in listener.documents("visitor")] == told)


def test_without_discovery_home_assistant_hears_nothing(broker: Mosquitto) -> None:
    with (
        Subscriber(broker.port) as listener,
        running(broker.port, people=(ANNA,), discovery=False) as mqtt,
    ):
        mqtt.handle(KnownVisitors((BEN,), set()))
        mqtt.handle(story()[1])
        assert eventually(lambda: listener.of("trigger") != [])
        assert listener.of(CONFIG_TOPIC) == []
