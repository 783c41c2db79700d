import json
import re
from pathlib import Path

import pytest
from discovered import AWKWARD, PEOPLE, document
from jinja2.sandbox import SandboxedEnvironment
from pydantic import ValidationError

from doorbell.config import DeviceSection, MqttSection, known_as, load_config
from doorbell.domain import (
    CHIME_NAMES,
    ChimeCommand,
    CommandResult,
    Reply,
    ReplyCommand,
    VolumeCommand,
)
from doorbell.outputs.mqtt.discovery import (
    birth_topic,
    components_of,
    discovery_components,
    discovery_document,
    discovery_topic,
    person_of,
    serial_number,
)
from doorbell.outputs.mqtt.messages import (
    EVENT_TYPES,
    reply_document,
    settings_document,
    statistics_document,
)
from doorbell.outputs.mqtt.reply_choice import ReplyChoice
from doorbell.outputs.mqtt.requests import CHOSEN, parse_command
from doorbell.status import SettingsState, Statistics

# What each platform's schema requires, and what else it knows: other keys are dropped without a
# word. As of Home Assistant 2026.2, components/mqtt.
REQUIRED = {
    "event": {"state_topic", "event_types"},
    "sensor": {"state_topic"},
    "binary_sensor": {"state_topic"},
    "image": {"image_topic"},
    "switch": {"command_topic"},
    "button": {"command_topic"},
    "number": {"command_topic"},
    "select": {"command_topic", "options"},
    "device_automation": {"automation_type", "type", "subtype", "topic"},
}
COMMON = {"platform", "qos"}
OF_ENTITIES = {
    *("unique_id", "name", "icon", "entity_category", "enabled_by_default", "availability"),
    *("availability_mode", "json_attributes_topic", "json_attributes_template"),
}
KNOWN = {
    "event": {"device_class", "value_template"},
    "sensor": {
        *("device_class", "value_template", "options", "state_class", "unit_of_measurement"),
        *("suggested_display_precision",),
    },
    "binary_sensor": {"device_class", "value_template", "payload_on", "payload_off"},
    "image": {"content_type"},
    "switch": {"state_topic", "value_template", "payload_on", "payload_off"},
    "button": {"payload_press"},
    "number": {
        *("state_topic", "value_template", "command_template", "min", "max", "step"),
        *("unit_of_measurement",),
    },
    "select": {"state_topic", "value_template"},
    "device_automation": {"payload", "value_template"},
}
DEVICE_CLASSES = {
    "event": {"doorbell"},
    "sensor": {"enum", "duration", "timestamp"},
    "binary_sensor": {"occupancy", "problem"},
}


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
    at_door = {f"person_{person.person_id}_at_door" for person in PEOPLE}
    assert needs_camera == {"presence", "picture", "at_door", *at_door}
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
    assert platforms.count("device_automation") == len(PEOPLE) + 3
    for component in components.values():
        platform = component["platform"]
        assert REQUIRED[platform] <= component.keys()
        known = COMMON | REQUIRED[platform] | KNOWN[platform]
        if platform != "device_automation":
            assert {"unique_id", "name"} <= component.keys()
            known |= OF_ENTITIES
        assert component.keys() <= known
        if "device_class" in component:
            assert component["device_class"] in DEVICE_CLASSES[platform]
        assert component.get("entity_category") in (None, "config", "diagnostic")
        assert ("options" in component) <= (
            platform == "select" or component.get("device_class") == "enum"
        )
        assert component.get("icon", "mdi:").startswith("mdi:")


def test_the_quality_of_service_stands_where_it_is_read() -> None:
    made = document()
    # That of the whole document is no option that components share.
    assert "qos" not in made
    assert {component["qos"] for component in made["components"].values()} == {1}


def test_the_device_says_who_made_it_where_it_is_and_which_it_is() -> None:
    plain = document()
    assert plain["device"]["manufacturer"]
    assert "suggested_area" not in plain["device"]
    assert "support_url" not in plain["origin"]
    assert "configuration_url" not in plain["device"]
    device = DeviceSection(area="Entrance", support_url="https://example.org/help")
    made = discovery_document(device, {})
    assert made["device"]["suggested_area"] == "Entrance"
    assert made["origin"]["support_url"] == "https://example.org/help"
    for wrong in ("javascript:alert(1)", "example.org", "https://", "https://a b", "ftp://x"):
        with pytest.raises(ValidationError):
            DeviceSection(support_url=wrong)


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ((), None),
        (("console.enabled=true",), None),  # of this machine alone
        (
            ("console.enabled=true", "console.listen=0.0.0.0:8443", 'console.names=["door.lan"]'),
            "https://door.lan:8443",
        ),
        (
            (
                "console.enabled=true",
                "console.listen=192.168.1.7:80",
                'console.names=["bell.lan"]',
                "console.plain_http=true",
            ),
            "http://bell.lan",
        ),
        (("device.configuration_url=https://example.org/door/",), "https://example.org/door/"),
    ],
)
def test_home_assistant_is_led_to_the_console_where_others_reach_it(
    settings: tuple[str, ...], address: str | None
) -> None:
    made = discovery_document(known_as(load_config(None, settings)), {})
    assert made["device"].get("configuration_url") == address


def test_the_serial_number_is_lasting_and_not_the_machine_s_own(tmp_path: Path) -> None:
    path = tmp_path / "machine-id"
    path.write_text("0123456789abcdef0123456789abcdef\n")
    serial = serial_number("front-door", path)
    assert serial is not None
    assert re.fullmatch(r"[0-9A-F]{12}", serial)
    assert serial == serial_number("front-door", path)
    assert serial != serial_number("back-door", path)
    assert serial.lower() not in path.read_text()
    assert serial_number("front-door", tmp_path / "gone") is None


def test_replies_are_a_list_and_a_button_where_there_are_any() -> None:
    components = document()["components"]
    assert components["reply"]["options"] == list(AWKWARD)
    none = discovery_components(DeviceSection(), MqttSection(), PEOPLE)
    assert not {"reply", "say_reply"} & none.keys()
    choice = ReplyChoice()
    choice.know([Reply("coming", "I am coming"), Reply("recording-1", "coming"), Reply("x", "X")])
    assert choice.document()["chosen_id"] == "coming"
    assert choice.choose(ReplyCommand("X"))
    assert choice.document()["chosen"] == "X"
    assert choice.taken(ReplyCommand(CHOSEN)) == ReplyCommand("x")
    assert choice.taken(ReplyCommand("coming")) == ReplyCommand("coming")  # not by the label
    assert choice.taken(ReplyCommand("nothing")) == ReplyCommand("nothing")
    assert not choice.choose(ReplyCommand("nothing"))
    choice.know([Reply("coming", "I am coming")])  # what was chosen is gone
    assert choice.document()["chosen"] == "I am coming"


def test_what_people_may_set_is_there_where_it_is_allowed() -> None:
    components = document()["components"]
    settings = {"volume", "default_chime", "quiet_hours", "privacy", "announcements"}
    assert {key for key in components if components[key].get("entity_category") == "config"} == (
        settings
    )
    assert not settings & document(allow_settings=False)["components"].keys()
    told = settings_document(SettingsState(0.35, None, quiet_hours=True))
    for key in settings:
        [read] = re.findall(r"value_json\.(\w+)", components[key]["value_template"])
        assert read in told
    assert told["default_chime"] in components["default_chime"]["options"]
    assert settings_document(SettingsState(1.0, "gong"))["default_chime"] == "gong"
    assert set(CHIME_NAMES) < set(components["default_chime"]["options"])
    for option in components["default_chime"]["options"]:
        assert isinstance(parse_command("chime", option.encode()), ChimeCommand)
    for percent in range(101):
        assert parse_command("volume", str(percent / 100).encode()) == VolumeCommand(percent / 100)
        assert parse_command("volume", str(float(percent) / 100).encode())


def test_a_ring_somebody_unknown_and_an_arrival_are_triggers() -> None:
    components = document()["components"]
    triggers = {key: each for key, each in components.items() if key.startswith("trigger_")}
    assert {(each["subtype"], each["type"]) for each in triggers.values()} == {
        ("bell", "ring"),
        ("somebody", "unknown"),
        ("somebody", "arrived"),
    }
    for trigger in triggers.values():
        assert trigger["topic"] == components["bell"]["state_topic"]
        event = trigger["payload"]
        assert event in EVENT_TYPES
        template = SandboxedEnvironment().from_string(trigger["value_template"])
        for told, repeated, fires in (
            (event, False, True),
            (event, True, False),
            (f"late_{event}", False, False),
            ("left", False, False),
        ):
            document_told = {"event_type": told, "repeated": repeated}
            assert (template.render(value_json=document_told) == event) == fires
    ids = [(each["type"], each["subtype"]) for each in components.values() if "subtype" in each]
    assert len(set(ids)) == len(ids)  # by which Home Assistant tells them apart


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


def test_no_image_where_pictures_stay_at_home() -> None:
    assert document()["components"]["picture"]["content_type"] == "image/jpeg"
    assert "picture" not in document(publish_images=False)["components"]


def test_what_an_earlier_document_holds_is_found() -> None:
    made = document()
    platforms = {key: each["platform"] for key, each in made["components"].items()}
    assert components_of(json.dumps(made).encode()) == platforms
    assert {person_of(key) for key in platforms} == {None, 1, 2, 3, 4, 5}
    assert person_of("person_7") == 7  # of earlier versions
    foreign = {"A": {"platform": "sensor"}, "b": {"platform": "x/y"}, "c": {"platform": "image"}}
    assert components_of(json.dumps({"components": foreign}).encode()) == {"c": "image"}


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"components": 3}',
        b'{"components": [1]}',
        b'{"components": {"person_1": {}}}',
        b'{"components": {"person_1": {"platform": ["sensor"]}}}',
        b"\xff",
        b"[" * 100000,
    ],
)
def test_a_foreign_document_holds_nobody(payload: bytes) -> None:
    assert components_of(payload) == {}


@pytest.mark.parametrize(
    ("repeated", "heard_at", "fires"),
    [
        (False, None, True),
        (False, "2026-01-01T10:00:00.500+00:00", True),  # the clock was set back
        (True, None, True),
        (True, "2026-01-01T09:59:59.999+00:00", True),
        (True, "2026-01-01T10:00:00.000+00:00", False),
        (True, "2026-01-01T10:00:00.500+00:00", False),
    ],
)
def test_an_event_that_is_sent_again_fires_only_where_it_was_not_heard(
    repeated: bool, heard_at: str | None, fires: bool
) -> None:
    """Home Assistant knows what it heard last, over a restart too, and drops what is empty."""
    bell = document()["components"]["bell"]
    template = SandboxedEnvironment().from_string(bell["value_template"])
    event = {"repeated": repeated, "occurred_at": "2026-01-01T10:00:00.000+00:00"}
    attributes = {} if heard_at is None else {"occurred_at": heard_at}
    this = {"state": "unknown", "attributes": attributes}
    rendered = template.render(value="the event", value_json=event, this=this)
    assert rendered.strip() == ("the event" if fires else "")
