import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import from_json

from doorbell.config import DeviceSection, MqttSection
from doorbell.domain import CommandResult, Person
from doorbell.gallery.names import MAX_NAME_CHARACTERS
from doorbell.outputs.mqtt.discovery import (
    birth_topic,
    discovery_document,
    discovery_topic,
    person_ids_of,
)
from doorbell.outputs.mqtt.messages import encode, reply_document, statistics_document
from doorbell.status import Statistics

AWKWARD = ('Anna {{ states("sensor.x") }}', 'O\'Neill "Bo"', "\U0001f98a", "a/b+#", "{% raw %}")
PEOPLE = tuple(Person(number, name) for number, name in enumerate(AWKWARD, start=1))
# What each platform's schema requires beside platform and unique_id.
REQUIRED = {
    "event": {"state_topic", "event_types"},
    "sensor": {"state_topic"},
    "binary_sensor": {"state_topic"},
    "image": {"image_topic"},
    "switch": {"command_topic"},
    "button": {"command_topic"},
    "device_automation": {"automation_type", "type", "subtype", "topic"},
}


def document(gone: tuple[int, ...] = (), **section: Any) -> dict[str, Any]:
    made = discovery_document(
        DeviceSection(id="back_door-2", name="Back door"),
        MqttSection.model_validate(section),
        PEOPLE,
        gone,
    )
    decoded = json.loads(encode(made))
    assert isinstance(decoded, dict)
    return decoded


def test_topics_follow_the_prefix() -> None:
    assert discovery_topic("ha", "x-1") == "ha/device/doorbell_x-1/config"
    assert birth_topic("ha") == "ha/status"


def test_the_device_and_its_availability() -> None:
    made = document()
    assert made["device"]["identifiers"] == ["doorbell_back_door-2"]
    assert made["device"]["name"] == "Back door"
    assert made["origin"]["name"] == "doorbell"
    payloads = {"payload_available": "online", "payload_not_available": "offline"}
    device = {"topic": "doorbell/back_door-2/availability", **payloads}
    camera = {"topic": "doorbell/back_door-2/camera/availability", **payloads}
    assert made["availability"] == [device]
    # Beside the list a topic would be refused, of the device too: it is merged into each.
    assert "availability_topic" not in json.dumps(made)
    needs_camera = {k for k, c in made["components"].items() if "availability" in c}
    assert needs_camera == {"presence", "picture"}
    for key in needs_camera:
        assert made["components"][key]["availability"] == [device, camera]
        assert made["components"][key]["availability_mode"] == "all"


def test_every_condition_of_the_camera_is_an_option_and_every_loss_a_problem() -> None:
    components = document()["components"]
    options = components["camera"]["options"]
    assert options == ["starting", "live", "dark", "frozen", "lost", "stuck", "slow"]
    template = components["camera_problem"]["value_template"]
    assert [option for option in options if f"'{option}'" in template] == options[3:]


def test_each_component_has_what_its_platform_requires() -> None:
    components = document()["components"]
    platforms = [component["platform"] for component in components.values()]
    assert set(platforms) == set(REQUIRED)
    assert platforms.count("device_automation") == len(PEOPLE)
    for component in components.values():
        assert REQUIRED[component["platform"]] <= component.keys()
        if component["platform"] != "device_automation":
            assert "unique_id" in component
            assert "name" in component


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
                assert re.fullmatch(r"doorbell/back_door-2/[a-z]+(/state)?", value)


def test_the_bell_lists_ring_first() -> None:
    bell = document()["components"]["bell"]
    assert bell["device_class"] == "doorbell"
    on_time = ["ring", "arrived", "recognized", "unknown", "left"]
    # What fires on a ring takes no notice of a late one.
    assert bell["event_types"] == [*on_time, *(f"late_{name}" for name in on_time)]


def test_the_last_visitor_has_attributes() -> None:
    visitor = document()["components"]["visitor"]
    assert visitor["json_attributes_topic"] == visitor["state_topic"]
    assert visitor["value_template"] == "{{ value_json.visitor }}"


def test_the_last_answer_is_told_in_two_words_with_all_of_it_as_attributes() -> None:
    answer = document()["components"]["last_answer"]
    assert (answer["platform"], answer["entity_category"]) == ("sensor", "diagnostic")
    assert answer["state_topic"] == answer["json_attributes_topic"]
    assert answer["state_topic"] == "doorbell/back_door-2/reply"
    told = reply_document(CommandResult("enroll", False, "nobody is in sight"))
    keys = re.findall(r"value_json\.(\w+)", answer["value_template"])
    # Words of our own: of what somebody wrote nothing becomes the state.
    assert keys == ["command", "done"]
    assert keys[0] in told
    assert keys[1] in told


def test_the_latency_is_for_those_who_look_for_it() -> None:
    latency = document()["components"]["latency"]
    assert (latency["entity_category"], latency["enabled_by_default"]) == ("diagnostic", False)
    assert latency["state_topic"] == latency["json_attributes_topic"]
    statistics = statistics_document(Statistics(60.0, 24.5, 3, 8.0, 21.0, 1, 2, 7, True))
    key = latency["value_template"].removeprefix("{{ value_json.").removesuffix(" }}")
    assert statistics[key] == 8.0


def test_names_are_plain_values_of_triggers_and_nothing_else() -> None:
    components = document()["components"]
    for person in PEOPLE:
        trigger = components[f"person_{person.person_id}"]
        assert trigger == {
            "platform": "device_automation",
            "automation_type": "trigger",
            "type": "recognized",
            "subtype": person.name,
            "topic": "doorbell/back_door-2/trigger",
            "payload": f"person-{person.person_id}",
        }
    without = {key: value for key, value in components.items() if not key.startswith("person_")}
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
        made = from_json(encode(discovery_document(section, MqttSection(), [Person(1, name)])))
        return dict(leaves(made))

    harmless, hostile = described("x", "x"), described(name, device)
    assert hostile.keys() == harmless.keys()
    changed = {path for path in hostile if hostile[path] != harmless[path]}
    # Plain texts, of which Home Assistant renders nothing.
    assert changed <= {".device.name", ".components.person_1.subtype"}
    topic = discovery_topic("homeassistant", device_id)
    assert re.fullmatch(r"homeassistant/device/doorbell_[a-zA-Z0-9_-]{1,64}/config", topic)


@pytest.mark.parametrize("device_id", ["a/b", "#", "+", "a b", "{{ 1 }}", "", "\n", "a\n", "ä"])
def test_a_device_id_that_could_leave_its_topic_is_refused(device_id: str) -> None:
    with pytest.raises(ValidationError):
        DeviceSection(id=device_id)


def test_the_longest_name_fits_into_a_state_of_home_assistant() -> None:
    assert MAX_NAME_CHARACTERS <= 255


def test_no_image_where_pictures_stay_at_home() -> None:
    assert document()["components"]["picture"]["content_type"] == "image/jpeg"
    assert "picture" not in document(publish_images=False)["components"]


def test_somebody_gone_is_a_component_with_only_its_platform() -> None:
    components = document(gone=(8, 9))["components"]
    assert components["person_8"] == components["person_9"] == {"platform": "device_automation"}
    assert components["person_1"]["subtype"] == AWKWARD[0]


def test_person_ids_are_found_in_an_earlier_document() -> None:
    assert person_ids_of(json.dumps(document(gone=(9,))).encode()) == {1, 2, 3, 4, 5, 9}


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"components": 3}',
        b'{"components": [1]}',
        b'{"components": {"person_x": {}, "person_": {}, "person_1 ": {}}}',
        b"\xff",
        b"[" * 100000,
    ],
)
def test_a_foreign_document_holds_nobody(payload: bytes) -> None:
    assert person_ids_of(payload) == set()
