"""The MQTT output against a real mosquitto: order, retention, the will, commands, TLS."""

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from household import Mosquitto, eventually, listening

from doorbell.config import DeviceSection, MqttSection
from doorbell.domain import (
    Arrived,
    Command,
    EnrollCommand,
    Event,
    Left,
    MuteCommand,
    Person,
    Recognized,
    Ring,
    RingCommand,
    Stranger,
    Unrecognized,
    Visit,
    Visitor,
)
from doorbell.outputs.mqtt import Mqtt
from doorbell.states import Statistics

pytestmark = pytest.mark.system

ANNA = Person(1, 'Anna "{{ 1/0 }}" \U0001f98a', preferences={"scene": "evening", "tv": [1, None]})
BEN = Person(2, "Ben")
CONFIG_TOPIC = "homeassistant/device/doorbell_front-door/config"
PICTURE = b"\xff\xd8\xff\xe0 not really \xff\xd9"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path, "allow_anonymous true")
    broker.start()
    yield broker
    broker.stop()


@contextmanager
def running(
    port: int,
    *,
    people: tuple[Person, ...] = (),
    on_command: Callable[[Command], None] = lambda _: None,
    on_published: Callable[[float], None] | None = None,
    expect_connection: bool = True,
    **section: Any,
) -> Iterator[Mqtt]:
    with TemporaryDirectory() as folder:
        mqtt = Mqtt(
            DeviceSection(),
            MqttSection.model_validate({"host": "127.0.0.1", "port": port, **section}),
            outbox_path=Path(folder, "outbox.sqlite"),
            people=people,
            on_command=on_command,
            on_published=on_published,
        )
        try:
            assert not expect_connection or eventually(lambda: mqtt.connected)
            yield mqtt
        finally:
            mqtt.close()


def visit_of(visitor: Visitor | None, number: int = 1, **changes: Any) -> Visit:
    decided: dict[str, Any] = (
        {} if visitor is None else {"similarity": 0.71234, "seconds_to_decision": 0.4, **changes}
    )
    return Visit(f"v{number}", 1000.0, 1001.5, visitor=visitor, frames_used=4, **decided)


def story() -> list[Event]:
    """Anna comes, then a stranger; they leave."""
    stranger = Stranger(7, 0.0, 0.0, 1)
    return [
        Arrived("e1", 1000.0, visit_of(None)),
        Recognized("e2", 1001.0, visit_of(ANNA), PICTURE),
        Ring("e3", 1001.0, visit_of(ANNA), PICTURE),
        Arrived("e4", 1002.0, visit_of(None, 2)),
        Unrecognized("e5", 1003.0, visit_of(stranger, 2)),
        Left("e6", 1010.0, visit_of(ANNA, ended_at=1010.0)),
        Left("e7", 1011.0, visit_of(stranger, 2, ended_at=1011.0)),
    ]


def test_discovery_availability_states_and_events_come_in_this_order(broker: Mosquitto) -> None:
    with listening(broker.port) as listener:
        with running(broker.port, people=(ANNA, BEN)) as mqtt:
            for event in story():
                mqtt.handle(event)
            assert eventually(lambda: len(listener.of("event")) == 7)
        assert eventually(lambda: listener.of("availability") == [b"online", b"offline"])
        assert listener.topics() == [
            CONFIG_TOPIC,
            "availability",
            "presence",
            "mute/state",
            *("event", "presence"),
            *("event", "presence", "visitor", "image", "trigger"),
            *("event", "image"),
            *("event", "presence"),
            *("event", "presence", "visitor"),
            *("event", "presence", "visitor"),
            *("event", "presence", "visitor"),
            "availability",
        ]
        assert not any(message.retain for message in listener.messages)
        assert listener.of("presence") == [b"OFF"] + [b"ON"] * 5 + [b"OFF"]
        assert listener.of("trigger") == [b"person-1"]
        assert listener.of("image") == [PICTURE, PICTURE]
        events = listener.documents("event")
        assert [event["event_id"] for event in events] == [f"e{n}" for n in range(1, 8)]
        assert events[1] == {
            "version": 1,
            "event_id": "e2",
            "event_type": "recognized",
            "occurred_at": "1970-01-01T00:16:41.000+00:00",
            "visit_id": "v1",
            "visit_started_at": "1970-01-01T00:16:40.000+00:00",
            "visit_ended_at": None,
            "person": ANNA.name,
            "person_id": 1,
            "stranger": None,
            "stranger_visits": None,
            "stranger_visits_week": None,
            "attention": None,
            "pressed": False,
            "late": False,
            "similarity": 0.7123,
            "seconds_to_decision": 0.4,
            "preferences": {"scene": "evening", "tv": [1, None]},
        }


def test_every_message_is_timed_to_its_acknowledgement(broker: Mosquitto) -> None:
    took: list[float] = []
    with running(broker.port, on_published=took.append) as mqtt:
        assert eventually(lambda: len(took) == 4)  # discovery, availability, presence, mute
        for event in story():
            mqtt.handle(event)
        with listening(broker.port) as listener:
            # Each event and the states that it changes.
            assert eventually(lambda: len(took) > 4 + len(story()))
            assert eventually(lambda: listener.of("visitor") != [])
    assert all(0 < seconds < 5 for seconds in took)


def test_a_later_subscriber_finds_states_and_no_event(broker: Mosquitto) -> None:
    with running(broker.port, people=(ANNA,)) as mqtt:
        for event in story():
            mqtt.handle(event)
        mqtt.set_muted(True)
        mqtt.publish_statistics(Statistics(60.0, 24.5, 3, 8.0, 21.0, 0, 2, 7, True))
        with listening(broker.port) as probe:
            assert eventually(lambda: probe.of("status") != [])
        with listening(broker.port) as listener:
            assert eventually(lambda: len(listener.messages) == 7)
            time.sleep(0.1)
            assert all(message.retain for message in listener.messages)
            assert set(listener.topics()) == {
                *(CONFIG_TOPIC, "availability", "presence", "mute/state", "visitor", "image"),
                "status",
            }
            assert listener.of("availability") == [b"online"]
            assert listener.of("mute/state") == [b"ON"]
            assert listener.of("image") == [PICTURE]
            assert listener.documents("visitor")[0]["visitor"] == "stranger-7"
            assert listener.documents("visitor")[0]["left_at"] == "1970-01-01T00:16:51.000+00:00"
            assert listener.documents("status")[0]["frames_per_second"] == 24.5


def test_pictures_stay_at_home_when_asked_and_an_earlier_one_is_deleted(broker: Mosquitto) -> None:
    with running(broker.port) as mqtt:
        mqtt.handle(story()[1])
    with running(broker.port, publish_images=False) as mqtt:
        mqtt.handle(story()[1])
    with listening(broker.port) as listener:
        assert eventually(lambda: listener.of("visitor") != [] and listener.of("presence") != [])
        time.sleep(0.1)
        assert listener.of("image") == []


def test_the_will_says_offline_when_the_daemon_is_killed(broker: Mosquitto, tmp_path: Path) -> None:
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from doorbell.config import DeviceSection, MqttSection\n"
        "from doorbell.outputs.mqtt import Mqtt\n"
        "section = MqttSection(host='127.0.0.1', port=int(sys.argv[1]))\n"
        "Mqtt(DeviceSection(), section, outbox_path=Path(sys.argv[2]), people=(),"
        " on_command=print)\n"
        "time.sleep(60)\n"
    )
    with listening(broker.port) as listener:
        outbox = str(tmp_path / "outbox.sqlite")
        child = subprocess.Popen([sys.executable, "-c", script, str(broker.port), outbox])
        assert eventually(lambda: listener.of("availability") == [b"online"])
        child.kill()
        child.wait()
        assert eventually(lambda: listener.of("availability") == [b"online", b"offline"])
    with listening(broker.port) as listener:
        assert eventually(lambda: listener.of("availability") == [b"offline"])


def test_a_broker_that_is_down_is_said_once_and_events_wait_for_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Mosquitto(tmp_path, "allow_anonymous true")
    with (
        caplog.at_level(logging.INFO, logger="doorbell"),
        running(broker.port, people=(ANNA,), expect_connection=False) as mqtt,
    ):
        started = time.monotonic()
        for event in story():
            mqtt.handle(event)
        assert time.monotonic() - started < 0.5
        assert eventually(lambda: len(caplog.records) == 1)
        time.sleep(1.2)  # a second attempt
        broker.start()
        with listening(broker.port) as listener:
            assert eventually(lambda: len(listener.of("event")) == 7)
            assert [event["event_id"] for event in listener.documents("event")] == [
                f"e{n}" for n in range(1, 8)
            ]
            topics = [topic for topic in listener.topics() if topic != "event"]
            assert topics[:2] == [CONFIG_TOPIC, "availability"]
            waited = [topic for topic in listener.topics() if topic in ("event", "image")]
            assert eventually(lambda: len(listener.of("image")) == 2)
            assert waited == ["event", "event", "image", "event", "image", *["event"] * 4]
            assert "trigger" not in topics  # too late for an automation
            # Back in the same run: everything is announced again, and said.
            broker.stop()
            assert eventually(lambda: not mqtt.connected)
            mqtt.handle(Ring("e8", 1020.0))
        broker.start()
        with listening(broker.port) as listener:
            assert eventually(lambda: listener.of("event") != [])
            assert listener.topics()[:2] == [CONFIG_TOPIC, "availability"]
            assert [event["event_id"] for event in listener.documents("event")] == ["e8"]
            assert listener.of("visitor") != []
    broker.stop()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"] * 2
    assert f"no broker at 127.0.0.1:{broker.port}" in caplog.records[0].message
    assert "Connection refused" in caplog.records[0].message


def test_an_event_that_was_under_way_when_the_broker_died_goes_again(broker: Mosquitto) -> None:
    with running(broker.port, people=(ANNA,)) as mqtt:
        broker.freeze()
        mqtt.handle(Ring("e1", 1000.0))
        mqtt.handle(Ring("e2", 1000.0))
        assert mqtt.connected
        broker.stop()
        assert eventually(lambda: not mqtt.connected)
        mqtt.handle(Ring("e3", 1000.0))
        broker.start()
        with listening(broker.port) as listener:
            assert eventually(lambda: len(listener.of("event")) == 3)
            ids = [event["event_id"] for event in listener.documents("event")]
            assert ids == ["e1", "e2", "e3"]
            assert listener.topics()[:2] == [CONFIG_TOPIC, "availability"]


def test_a_broker_that_hangs_keeps_nobody_waiting(broker: Mosquitto) -> None:
    with running(broker.port) as mqtt:
        broker.freeze()
        started = time.monotonic()
        for number in range(100):
            mqtt.handle(Recognized(f"e{number}", 1000.0, visit_of(ANNA), PICTURE * 1000))
        assert time.monotonic() - started < 1.0
        started = time.monotonic()
        mqtt.close()
        assert time.monotonic() - started < 2.0


def test_too_many_events_for_a_broker_that_is_away_drop_the_oldest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Mosquitto(tmp_path, "allow_anonymous true")
    with running(broker.port, expect_connection=False, outbox_events=100) as mqtt:
        for number in range(150):
            mqtt.handle(Ring(f"e{number}", 1000.0))
        broker.start()
        with listening(broker.port) as listener:
            assert eventually(lambda: len(listener.of("event")) == 100)
            ids = [event["event_id"] for event in listener.documents("event")]
            assert ids == [f"e{number}" for number in range(50, 150)]
    broker.stop()
    assert sum("the oldest events are dropped" in record.message for record in caplog.records) == 1


def test_commands_reach_the_daemon_and_malformed_ones_are_said_once_a_minute(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    commands: list[Command] = []
    with (
        caplog.at_level(logging.WARNING, logger="doorbell"),
        listening(broker.port) as sender,
        running(broker.port, on_command=commands.append, allow_enroll=True) as mqtt,
    ):
        assert eventually(lambda: sender.of("mute/state") != [])
        for verb, payload in (
            ("ring", b""),
            ("ring", b"PRESS"),
            ("mute", b"ON"),
            ("mute", b"OFF"),
            ("enroll", '{"name": "Zoë \U0001f98a"}'.encode()),
        ):
            sender.publish(f"doorbell/front-door/{verb}", payload)
        assert eventually(lambda: len(commands) == 5)
        assert commands == [
            RingCommand(),
            RingCommand(),
            MuteCommand(True),
            MuteCommand(False),
            EnrollCommand("Zoë \U0001f98a"),
        ]
        malformed = (
            ("ring", b"1"),
            ("ring", b"\x00\xff" * 40000),
            ("mute", b"on"),
            ("mute", b""),
            ("enroll", b"Anna"),
            ("enroll", b"\xff\xfe"),
            ("enroll", b"[" * 1024),
            ("enroll", b'{"name": 3}'),
            ("enroll", b'{"name": "  "}'),
            ("enroll", b'{"name": "Anna", "admin": true}'),
        )
        for verb, payload in malformed:
            sender.publish(f"doorbell/front-door/{verb}", payload)
        sender.publish("doorbell/front-door/ring", b"")
        assert eventually(lambda: len(commands) == 6)
        assert [record.message.split(":")[0] for record in caplog.records] == [
            f"ignored a command {verb}" for verb in ("ring", "mute", "enroll")
        ]
        assert max(len(record.message) for record in caplog.records) < 400
        assert mqtt.connected


def test_enrolling_by_command_is_refused_unless_allowed(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    commands: list[Command] = []
    with listening(broker.port) as sender, running(broker.port, on_command=commands.append):
        assert eventually(lambda: sender.of("mute/state") != [])
        sender.publish("doorbell/front-door/enroll", b'{"name": "Anna"}')
        sender.publish("doorbell/front-door/ring", b"")
        assert eventually(lambda: commands == [RingCommand()])
    [record] = caplog.records
    assert "mqtt.allow_enroll" in record.message


def test_a_retained_command_is_ignored(broker: Mosquitto) -> None:
    commands: list[Command] = []
    with listening(broker.port) as sender:
        sender.publish("doorbell/front-door/ring", b"PRESS", retain=True)
        with running(broker.port, on_command=commands.append):
            assert eventually(lambda: sender.of("mute/state") != [])
            sender.publish("doorbell/front-door/mute", b"ON")
            assert eventually(lambda: commands != [])
    assert commands == [MuteCommand(True)]


def test_home_assistants_return_brings_discovery_then_states(broker: Mosquitto) -> None:
    with running(broker.port, people=(ANNA,)) as mqtt, listening(broker.port) as listener:
        mqtt.handle(story()[1])
        assert eventually(lambda: listener.of("trigger") != [])
        count = len(listener.messages)
        listener.publish("homeassistant/status", b"offline")
        listener.publish("homeassistant/status", b"online")
        assert eventually(lambda: len(listener.messages) >= count + 8)
        assert listener.topics()[count:] == [
            "homeassistant/status",
            "homeassistant/status",
            CONFIG_TOPIC,
            "availability",
            "presence",
            "mute/state",
            "visitor",
            "image",
        ]


def triggers(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: component.get("subtype")
        for key, component in document["components"].items()
        if component["platform"] == "device_automation"
    }


def test_people_who_come_go_or_are_renamed_change_the_triggers(broker: Mosquitto) -> None:
    with listening(broker.port) as listener, running(broker.port, people=(ANNA, BEN)) as mqtt:
        assert eventually(lambda: len(listener.of(CONFIG_TOPIC)) == 1)
        mqtt.set_people([ANNA, BEN])
        mqtt.set_people([Person(2, "Benjamin"), Person(3, "Carla")])
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
    with listening(broker.port) as listener:
        assert eventually(lambda: len(listener.of(CONFIG_TOPIC)) == 1)
        with running(broker.port, people=(BEN,)):
            assert eventually(lambda: len(listener.of(CONFIG_TOPIC)) == 4)
        assert [triggers(document) for document in listener.documents(CONFIG_TOPIC)] == [
            {"person_1": ANNA.name, "person_2": "Ben"},
            {"person_2": "Ben"},
            {"person_1": None, "person_2": "Ben"},
            {"person_2": "Ben"},
        ]


@pytest.mark.parametrize("forgotten", ["while the daemon is away", "later"])
def test_people_forgotten_are_no_last_visitor_of_an_earlier_run_either(
    broker: Mosquitto, forgotten: str
) -> None:
    with running(broker.port, people=(ANNA, BEN)) as mqtt, listening(broker.port) as listener:
        mqtt.handle(story()[1])
        assert eventually(lambda: listener.of("image") == [PICTURE])
    with listening(broker.port) as listener:
        assert eventually(lambda: listener.of("image") == [PICTURE])
        assert listener.documents("visitor")[0]["person"] == ANNA.name
        known = (BEN,) if forgotten == "while the daemon is away" else (ANNA, BEN)
        with running(broker.port, people=known) as mqtt:
            if ANNA in known:
                time.sleep(0.2)
                mqtt.set_people((BEN,))
            assert eventually(lambda: len(listener.of("image")) == 2)
        assert listener.of("image")[1] == b""
        assert [each["visitor"] for each in listener.documents("visitor")] == [ANNA.name, "unknown"]


def test_without_discovery_home_assistant_hears_nothing(broker: Mosquitto) -> None:
    with (
        listening(broker.port) as listener,
        running(broker.port, people=(ANNA,), discovery=False) as mqtt,
    ):
        mqtt.set_people([BEN])
        mqtt.handle(story()[1])
        assert eventually(lambda: listener.of("trigger") != [])
        assert listener.of(CONFIG_TOPIC) == []


def test_close_is_quick_idempotent_and_final(broker: Mosquitto) -> None:
    with running(broker.port) as mqtt, listening(broker.port) as listener:
        started = time.monotonic()
        mqtt.close()
        mqtt.close()
        assert time.monotonic() - started < 2.0
        mqtt.handle(story()[0])
        mqtt.set_muted(True)
        mqtt.publish_statistics(Statistics(60.0, 24.5, 3, 8.0, 21.0, 0, 2, 7, True))
        mqtt.set_people([ANNA])
        assert not mqtt.connected
        time.sleep(0.1)
        assert listener.of("event") == []


def test_a_broker_with_a_password(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    passwords, secret, wrong = (tmp_path / name for name in ("passwords", "secret", "wrong"))
    subprocess.run(
        ["mosquitto_passwd", "-b", "-c", str(passwords), "doorbell", "opensesame"], check=True
    )
    secret.write_text("opensesame\n")
    wrong.write_text("closesesame\n")
    for file in (secret, wrong):
        file.chmod(0o600)
    broker = Mosquitto(tmp_path, "allow_anonymous false", f"password_file {passwords}")
    broker.start()
    with (
        caplog.at_level(logging.INFO),
        running(broker.port, username="doorbell", password_file=secret) as mqtt,
    ):
        assert mqtt.connected
    caplog.clear()
    with (
        caplog.at_level(logging.DEBUG),
        running(
            broker.port, username="doorbell", password_file=wrong, expect_connection=False
        ) as mqtt,
    ):
        assert eventually(lambda: caplog.records != [])
        time.sleep(1.5)  # a second attempt
        assert not mqtt.connected
    broker.stop()
    [record] = caplog.records
    assert "refused us (Not authorized)" in record.message
    assert "sesame" not in caplog.text
