"""What Home Assistant is told of itself through a real mosquitto: discovery and its triggers."""

import json
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
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
    without_door_states,
)

from doorbell.config import DeviceSection, MqttSection
from doorbell.domain import Arrived, Left, Person, Unknown, Visitor
from doorbell.outputs.mqtt.output import Mqtt
from doorbell.status import (
    KnownVisitors,
    MuteState,
    SettingsState,
    VisitCorrected,
    VisitsForgotten,
)
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system


def test_home_assistants_return_brings_discovery_then_states(broker: Mosquitto) -> None:
    with running(broker.port, people=(ANNA,)) as mqtt, Subscriber(broker.port) as listener:
        mqtt.handle(story()[1])
        assert eventually(lambda: listener.of("trigger") != [])
        count = len(without_door_states(listener.topics()))
        listener.publish("homeassistant/status", b"offline")
        listener.publish("homeassistant/status", b"online")
        assert eventually(lambda: len(without_door_states(listener.topics())) >= count + 7)
        time.sleep(0.1)
        # Not the picture, which would look like a new one: the broker has it.
        assert without_door_states(listener.topics())[count:] == [
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
        if component["platform"] == "device_automation" and key.startswith("person_")
    }


def test_people_who_come_go_or_are_renamed_change_the_triggers(broker: Mosquitto) -> None:
    with Subscriber(broker.port) as listener, running(broker.port, people=(ANNA, BEN)) as mqtt:
        assert eventually(lambda: len(listener.of(CONFIG_TOPIC)) == 1)
        mqtt.handle(KnownVisitors((ANNA, BEN), set()))
        renamed = Person(2, "Benjamin", earlier_subtype="Ben")
        mqtt.handle(KnownVisitors((renamed, Person(3, "Carla")), set()))
        assert eventually(lambda: len(listener.of(CONFIG_TOPIC)) == 3)
        ben = {"person_2_recognized": "person-2", "person_2": "Ben"}
        now = {**ben, "person_3_recognized": "person-3"}
        assert [triggers(document) for document in listener.documents(CONFIG_TOPIC)] == [
            {"person_1_recognized": "person-1", **ben},
            {**now, "person_1_recognized": None},
            now,
        ]
        # Nothing of who is gone is left to be seen.
        assert eventually(lambda: listener.of("person/1")[-1:] == [b""])
        assert listener.of("person/2")[-1] != b""


def test_what_an_earlier_version_left_goes_on_for_those_who_are_there(broker: Mosquitto) -> None:
    def trigger(person_id: int, name: str) -> dict[str, str]:
        return {
            "platform": "device_automation",
            "automation_type": "trigger",
            "type": "recognized",
            "subtype": name,
            "topic": "doorbell/front-door/trigger",
            "payload": f"person-{person_id}",
        }

    old = {"person_1": trigger(1, "Ana"), "person_9": trigger(9, "Gone")}
    with Subscriber(broker.port) as listener:
        document = json.dumps({"device": {}, "components": old}).encode()
        listener.publish(CONFIG_TOPIC, document, retain=True)
        ana = Person(1, "Anna", earlier_subtype="Ana")
        with running(broker.port, people=(ana,)):
            assert eventually(lambda: len(listener.of(CONFIG_TOPIC)) == 4)
        _, first, deleting, last = listener.documents(CONFIG_TOPIC)
    of_ana = {"person_1_recognized": "person-1", "person_1": "Ana"}
    assert triggers(first) == triggers(last) == of_ana
    assert triggers(deleting) == {**of_ana, "person_9": None}
    assert deleting["components"]["person_9"] == {"platform": "device_automation"}
    # As it was: what Home Assistant has attached to it goes on.
    assert {**old["person_1"], "qos": 1} == last["components"]["person_1"]
    assert listener.of("person/9") == [b""]


def test_what_is_no_longer_allowed_is_no_longer_shown(broker: Mosquitto) -> None:
    with running(broker.port, allow_settings=True):
        pass
    with Subscriber(broker.port) as listener:
        assert eventually(lambda: listener.of(CONFIG_TOPIC) != [])
        assert "volume" in listener.documents(CONFIG_TOPIC)[0]["components"]
        with running(broker.port, publish_images=False):
            assert eventually(lambda: len(listener.of(CONFIG_TOPIC)) == 4)
        _, _, deleting, last = listener.documents(CONFIG_TOPIC)
    gone = {"volume": "number", "default_chime": "select", "picture": "image"}
    for key, platform in gone.items():
        assert deleting["components"][key] == {"platform": platform}
        assert key not in last["components"]


def test_no_mute_is_told_before_it_is_known(broker: Mosquitto, tmp_path: Path) -> None:
    mqtt = Mqtt(
        DeviceSection(),
        MqttSection(host="127.0.0.1", port=broker.port),
        outbox_path=tmp_path / "outbox.sqlite",
        known=KnownVisitors((), set()),
        on_command=lambda _command: None,
    )
    with Subscriber(broker.port) as listener, closing(mqtt):
        assert eventually(lambda: listener.of("presence") != [])
        mqtt.handle(MuteState(True))
        assert eventually(lambda: listener.of("mute/state") != [])
        assert listener.of("mute/state") == [b"ON"]


def test_privacy_takes_the_picture_away_and_shows_none(broker: Mosquitto) -> None:
    with running(broker.port, people=(ANNA,)) as mqtt, Subscriber(broker.port) as listener:
        mqtt.handle(Left("e1", 1002.0, visit_of(ANNA), PICTURE))
        assert eventually(lambda: listener.of("image") == [PICTURE])
        mqtt.handle(SettingsState(0.8, "gong", privacy=True))
        mqtt.handle(Left("e2", 1002.0, visit_of(ANNA, 2), PICTURE))
        mqtt.handle(SettingsState(0.8, "gong"))
        mqtt.handle(Left("e3", 1002.0, visit_of(ANNA, 3), PICTURE))
        assert eventually(lambda: len(listener.of("image")) == 3)
        assert listener.of("image") == [PICTURE, b"", PICTURE]
        told = [each["privacy"] for each in listener.documents("settings")]
        assert told == [True, False]


def test_a_correction_is_shown_of_the_last_visitor(broker: Mosquitto) -> None:
    with running(broker.port, people=(ANNA, BEN)) as mqtt, Subscriber(broker.port) as listener:
        mqtt.handle(Left("e1", 1002.0, visit_of(ANNA)))
        mqtt.handle(VisitCorrected(replace(visit_of(BEN, 7), corrected=True)))  # another visit
        mqtt.handle(VisitCorrected(replace(visit_of(BEN), corrected=True)))
        assert eventually(lambda: len(listener.of("visitor")) == 2)
        assert [each["visitor"] for each in listener.documents("visitor")] == [ANNA.name, "Ben"]
        assert eventually(lambda: listener.documents("person/1")[-1]["last_seen_at"] is None)
        assert listener.documents("person/2")[-1]["last_seen_at"] is not None


def test_people_forgotten_while_the_daemon_was_away_lose_their_triggers(broker: Mosquitto) -> None:
    ben = {"person_2_recognized": "person-2", "person_2": "Ben"}
    with running(broker.port, people=(ANNA, BEN)):
        pass
    with Subscriber(broker.port) as listener:
        assert eventually(lambda: len(listener.of(CONFIG_TOPIC)) == 1)
        with running(broker.port, people=(BEN,)):
            assert eventually(lambda: len(listener.of(CONFIG_TOPIC)) == 4)
        assert [triggers(document) for document in listener.documents(CONFIG_TOPIC)] == [
            {"person_1_recognized": "person-1", **ben},
            ben,
            {"person_1_recognized": None, **ben},
            ben,
        ]
        assert eventually(lambda: listener.of("person/1")[-1:] == [b""])


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
