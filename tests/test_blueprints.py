"""The blueprints for Home Assistant: what they ask for is there, what they send is understood."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doorbell.config import DeviceSection, MqttSection
from doorbell.domain import CorrectCommand, IgnoreCommand, ReplyCommand, Ring
from doorbell.outputs.mqtt.discovery import discovery_components
from doorbell.outputs.mqtt.messages import event_document, visitor_document
from doorbell.outputs.mqtt.requests import parse_command
from doorbell.outputs.mqtt.topics import Topics

yaml: Any = pytest.importorskip("yaml")

FOLDER = Path(__file__).parent.parent / "config" / "home-assistant"
NAMES = ("notify", "announce")


class Input(str):
    """The name of an input, where a blueprint uses it."""

    __slots__ = ()


Loader: Any = type("Loader", (yaml.SafeLoader,), {})
Loader.add_constructor("!input", lambda loader, node: Input(loader.construct_scalar(node)))


def blueprint(name: str) -> dict[str, Any]:
    read = yaml.load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"), Loader)
    assert isinstance(read, dict)
    return read


def leaves(value: Any) -> Iterator[Any]:
    match value:
        case dict():
            for inner in value.values():
                yield from leaves(inner)
        case list():
            for inner in value:
                yield from leaves(inner)
        case _:
            yield value


@pytest.mark.parametrize("name", NAMES)
def test_every_input_is_used_and_described(name: str) -> None:
    read = blueprint(name)
    inputs = read["blueprint"]["input"]
    assert {str(each) for each in leaves(read) if isinstance(each, Input)} == set(inputs)
    for about in inputs.values():
        assert about["name"]
        assert set(about["selector"]) <= {"entity", "text", "number"}


@pytest.mark.parametrize("name", NAMES)
def test_entities_that_are_asked_for_are_there(name: str) -> None:
    components = discovery_components(DeviceSection(), MqttSection(), []).values()
    shown = {(each["platform"], each.get("name")) for each in components}
    for key, about in blueprint(name)["blueprint"]["input"].items():
        for wanted in (about["selector"].get("entity") or {}).get("filter", []):
            if wanted.get("integration") == "mqtt":
                assert (wanted["domain"], about["name"]) in shown, key


@pytest.mark.parametrize("name", NAMES)
def test_two_who_come_in_one_moment_are_both_told(name: str) -> None:
    read = blueprint(name)
    waits_for_an_answer = any("wait_for_trigger" in each for each in read["actions"])
    assert read["mode"] == ("parallel" if waits_for_an_answer else "queued")
    assert read["max"] >= 10


@pytest.mark.parametrize("name", NAMES)
def test_attributes_that_are_read_exist_and_the_name_is_waited_for(name: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    event, visitor = event_document(Ring("e", 0.0)), visitor_document(None)
    assert set(re.findall(r"state\.attributes\.get\('(\w+)'\)", text)) <= event.keys()
    assert set(re.findall(r"state_attr\(visitor, '(\w+)'\)", text)) <= visitor.keys()
    assert "wait_template: \"{{ state_attr(visitor, 'visit_id') == visit }}\"" in text


def test_what_the_answers_send_is_understood() -> None:
    topics = Topics("front-door")
    sent: list[Any] = []

    def publications(value: Any) -> Iterator[dict[str, str]]:
        if isinstance(value, dict) and value.get("action") == "mqtt.publish":
            yield value["data"]
        for inner in (
            value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        ):
            yield from publications(inner)

    values = {"visit": "ab12-3", "called": 'Zoë "Z"', "reply": "coming"}
    for data in publications(blueprint("notify")["actions"]):
        topic = data["topic"].replace("{{ doorbell }}", "front-door")
        payload = re.sub(
            r"\{\{ (\w+) \| tojson \}\}",
            lambda found: json.dumps(values[found[1]]),
            data["payload"],
        )
        assert "{{" not in topic + payload
        sent.append(parse_command(topics.commands[topic], payload.encode()))
    assert sent == [
        CorrectCommand("ab12-3", 'Zoë "Z"'),
        CorrectCommand("ab12-3", None),
        ReplyCommand("coming"),
        IgnoreCommand("ab12-3"),
    ]


def test_an_answer_is_one_to_its_own_notification_once_and_for_a_day() -> None:
    """Each run waits for names of its own, which end with it: what Home Assistant advises.

    https://companion.home-assistant.io/docs/notifications/actionable-notifications
    """
    actions = blueprint("notify")["actions"]
    variables = {name: text for each in actions for name, text in each.get("variables", {}).items()}
    [waiting] = [each for each in actions if "wait_for_trigger" in each]
    awaited = [each["event_data"]["action"] for each in waiting["wait_for_trigger"]]
    own = [name for name, text in variables.items() if re.search(r"'DOORBELL_\w+' ~ context", text)]
    assert sorted(awaited) == sorted(f"{{{{ {name} }}}}" for name in own)
    assert len({variables[name] for name in own}) == 4
    assert (waiting["timeout"], waiting["continue_on_timeout"]) == ({"hours": 24}, False)
    [shown] = [each["data"]["data"]["actions"] for each in actions if "image_proxy" in str(each)]
    assert set(re.findall(r"'action': (\w+)", shown)) == set(own)
    # An answer of any other run, however old, is a trigger of nothing.
    assert all(each["trigger"] == "state" for each in blueprint("notify")["triggers"])
