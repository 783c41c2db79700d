"""Texts that want to be more than texts, through a real broker, in both directions."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import from_json

from doorbell.config import DeviceSection, MqttSection
from doorbell.domain import AnyCommand, Left, Person, Recognized, Ring, Visit
from doorbell.outputs.mqtt.commands import RATES
from doorbell.outputs.mqtt.output import Mqtt
from doorbell.status import KnownVisitors
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

NAMES = (
    *("a/b", "doorbell/front-door/ring", "+", "#", "$SYS/broker", "{{ 1/0 }}", "{% raw %}"),
    *('"}', "\\", "<script>x</script>", "a\nb", "\x00", "\u202ex", "\U0001f98a", "\ud800"),
    "x" * 200,
)


@contextmanager
def running(
    port: int, folder: Path, people: list[Person], on_command: Callable[[AnyCommand], None]
) -> Iterator[Mqtt]:
    mqtt = Mqtt(
        DeviceSection(),
        MqttSection(host="127.0.0.1", port=port, allow_enroll=True),
        outbox_path=folder / "outbox.sqlite",
        known=KnownVisitors(tuple(people), set()),
        on_command=on_command,
    )
    try:
        assert eventually(lambda: mqtt.connected)
        yield mqtt
    finally:
        mqtt.close()


def texts(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for inner in value.values():
                yield from texts(inner)
        case list():
            for inner in value:
                yield from texts(inner)
        case str():
            yield value


def test_a_hostile_name_stays_a_text_in_its_own_messages(broker: Mosquitto, tmp_path: Path) -> None:
    people = [
        Person(number, name, preferences={name: name}) for number, name in enumerate(NAMES, start=1)
    ]
    with (
        Subscriber(broker.port) as listener,
        running(broker.port, tmp_path, people, lambda _: None) as mqtt,
    ):
        for person in people:
            visit = Visit(f"v{person.person_id}", 1.0, 2.0, None, person, 0.7, 3, 0.5)
            mqtt.handle(Recognized(f"a{person.person_id}", time.time(), visit))
            mqtt.handle(Ring(f"b{person.person_id}", time.time(), visit))
            mqtt.handle(Left(f"c{person.person_id}", time.time(), visit))
        assert eventually(lambda: len(listener.of("event")) == 3 * len(NAMES))
        topics = set(listener.topics())
        messages = [(message.topic, bytes(message.payload)) for message in listener.messages]

    assert all(re.fullmatch(r"[a-z_-]+(/state|/\d+)?|homeassistant/device/\S+", t) for t in topics)
    assert topics.isdisjoint({"ring", "enroll", "forget", "mute", "name", "correct", "ignore"})
    shown = {name.encode("utf-8", "replace").decode().replace("?", "\ufffd") for name in NAMES}
    places: dict[str, set[str]] = {}
    for topic, payload in messages:
        if payload.startswith(b"{"):
            # As strict as Home Assistant's own parser.
            places.setdefault(topic.rsplit("/", 1)[1], set()).update(texts(from_json(payload)))
        else:
            assert re.fullmatch(rb"online|offline|ON|OFF|person-\d+", payload)
    assert shown <= places["event"]
    assert shown <= places["visitor"]
    assert {f"{name} at the door" for name in shown} <= places["config"]


def test_a_flood_of_commands_neither_fills_the_log_nor_ends_the_connection(
    broker: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    commands: list[AnyCommand] = []
    with (
        caplog.at_level(logging.WARNING, logger="doorbell"),
        Subscriber(broker.port) as listener,
        running(broker.port, tmp_path, [], commands.append) as mqtt,
    ):
        started = time.monotonic()
        for _ in range(200):
            for verb, payload in (("ring", b""), ("mute", b"?" * 5000), ("enroll", b"{" * 900)):
                listener.publish(f"doorbell/front-door/{verb}", payload)
        seconds = time.monotonic() - started
        assert mqtt.connected
        assert eventually(lambda: len(commands) >= RATES["ring"].burst)
    assert len(commands) <= RATES["ring"].burst + seconds / RATES["ring"].seconds + 1
    assert len(caplog.messages) == 3
