"""Names of people and devices in what Home Assistant is told: where they stand, and what lasts."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from discovered import PEOPLE, document
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import from_json

from doorbell.config import DeviceSection, MqttSection
from doorbell.domain import Person
from doorbell.gallery.names import MAX_NAME_CHARACTERS
from doorbell.outputs.mqtt.discovery import (
    discovery_components,
    discovery_document,
    discovery_topic,
)
from doorbell.outputs.mqtt.messages import encode


def test_a_person_s_entities_go_by_the_number_and_show_the_name() -> None:
    before, after = (document([Person(3, name)])["components"] for name in ("Ana", "Anna"))
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {"person_3_at_door", "person_3_last_seen"}
    for key in changed:
        assert {**before[key], "name": ""} == {**after[key], "name": ""}
    assert after["person_3_at_door"]["name"] == "Anna at the door"
    assert after["person_3_last_seen"]["device_class"] == "timestamp"
    assert after["person_3_at_door"]["state_topic"] == "doorbell/back_door-2/person/3"


def test_renaming_leaves_every_trigger_as_it_is() -> None:
    def triggers(person: Person) -> dict[str, Any]:
        components = document([person])["components"]
        return {key: each for key, each in components.items() if "subtype" in each}

    assert triggers(Person(3, "Ana")) == triggers(Person(3, "Anna"))
    assert triggers(Person(3, "Ana"))["person_3_recognized"]["subtype"] == "person-3"


def test_automations_of_earlier_versions_go_on_after_a_renaming() -> None:
    components = document([Person(3, "Anna", earlier_subtype="Ana")])["components"]
    # As that version had it: Home Assistant finds it by type and subtype, or by the key.
    assert components["person_3"] == {
        "platform": "device_automation",
        "automation_type": "trigger",
        "type": "recognized",
        "subtype": "Ana",
        "topic": "doorbell/back_door-2/trigger",
        "payload": "person-3",
        "qos": 1,
    }
    assert components["person_3_recognized"]["subtype"] == "person-3"
    # A name may not take the place of another's trigger.
    pair = document([Person(1, "x", earlier_subtype="person-2"), Person(2, "y")])["components"]
    assert [key for key, each in pair.items() if each.get("subtype") == "person-2"] == [
        "person_2_recognized"
    ]


def test_ids_are_of_the_allowed_characters_and_unique() -> None:
    made = document()
    ids = [c["unique_id"] for c in made["components"].values() if "unique_id" in c]
    assert len(set(ids)) == len(ids)
    for identifier in (*ids, *made["components"], *made["device"]["identifiers"]):
        assert re.fullmatch(r"[a-zA-Z0-9_-]+", identifier)


def test_topics_are_the_doorbells_own_and_hold_no_name() -> None:
    for component in document()["components"].values():
        for key, value in component.items():
            if key.endswith("topic"):
                assert re.fullmatch(r"doorbell/back_door-2/[a-z_]+(/state|/[0-9]+)?", value)


def test_names_are_plain_values_of_what_is_a_person_s_and_nothing_else() -> None:
    components = document()["components"]
    of_people = {key for key in components if key.startswith("person_")}
    # Replies are called as their labels are, which the test takes the same for.
    without = {key: components[key] for key in components.keys() - of_people - {"reply"}}
    assert not any(person.name in json.dumps(without) for person in PEOPLE)


# What turns a text into something else: in a topic, a template, JSON, YAML, a page, a log.
HOSTILE = (
    *("a/b", "+", "#", "$SYS/x", "../x", "~", "{{ states('sensor.x') }}", "{% raw %}", "{# x #}"),
    *('"}', "'", "\\", "<b>x</b>", "${x}", "!secret x", "a\nb", "\x00", "\x1b[31m", "\u202ex"),
    *("\U0001f98a", "\ud800", "x" * 200, "unavailable", "None"),
)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    match value:
        case dict():
            for key, inner in value.items():
                yield from leaves(inner, f"{path}.{key}")
        case list():
            for number, inner in enumerate(value):
                yield from leaves(inner, f"{path}.{number}")
        case _:
            yield path, value


@given(
    name=st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=[])),
    device=st.text(min_size=1, max_size=64) | st.sampled_from(HOSTILE[:-3]).filter(str.isascii),
    device_id=st.from_regex(r"\A[a-zA-Z0-9_-]{1,64}\Z"),
)
def test_no_name_reaches_a_topic_a_template_a_payload_or_an_id(
    name: str, device: str, device_id: str
) -> None:
    def described(name: str, device: str) -> dict[str, Any]:
        section = DeviceSection(id=device_id, name=device)
        person = Person(1, name, earlier_subtype=f"{name}-")
        components = discovery_components(section, MqttSection(), [person])
        return dict(leaves(from_json(encode(discovery_document(section, components)))))

    harmless, hostile = described("x", "x"), described(name, device)
    assert hostile.keys() == harmless.keys()
    changed = {path for path in hostile if hostile[path] != harmless[path]}
    # Plain texts, of which Home Assistant renders nothing.
    assert changed <= {
        ".device.name",
        ".components.person_1.subtype",
        ".components.person_1_at_door.name",
        ".components.person_1_last_seen.name",
    }
    topic = discovery_topic("homeassistant", device_id)
    assert re.fullmatch(r"homeassistant/device/doorbell_[a-zA-Z0-9_-]{1,64}/config", topic)


@pytest.mark.parametrize("device_id", ["a/b", "#", "+", "a b", "{{ 1 }}", "", "\n", "a\n", "ä"])
def test_a_device_id_that_could_leave_its_topic_is_refused(device_id: str) -> None:
    with pytest.raises(ValidationError):
        DeviceSection(id=device_id)


def test_the_longest_name_fits_into_a_state_of_home_assistant() -> None:
    assert MAX_NAME_CHARACTERS <= 255
