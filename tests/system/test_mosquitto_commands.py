"""Commands that come through a real mosquitto: obeyed, refused or ignored."""

import logging

import pytest
from broker_stories import running

from doorbell.domain import AnyCommand, EnrollCommand, MuteCommand, RingCommand
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

DOOR = "front-door"


def test_commands_reach_the_daemon_and_malformed_ones_are_said_once_a_minute(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    commands: list[AnyCommand] = []
    with (
        caplog.at_level(logging.WARNING, logger="doorbell"),
        Subscriber(broker.port) as sender,
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
            RingCommand(door_id=DOOR),
            RingCommand(door_id=DOOR),
            MuteCommand(True, door_id=DOOR),
            MuteCommand(False, door_id=DOOR),
            EnrollCommand("Zoë \U0001f98a", door_id=DOOR),
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
    commands: list[AnyCommand] = []
    with Subscriber(broker.port) as sender, running(broker.port, on_command=commands.append):
        assert eventually(lambda: sender.of("mute/state") != [])
        sender.publish("doorbell/front-door/enroll", b'{"name": "Anna"}')
        sender.publish("doorbell/front-door/ring", b"")
        assert eventually(lambda: commands == [RingCommand(door_id=DOOR)])
    [record] = caplog.records
    assert "mqtt.allow_enroll" in record.message


def test_enroll_and_forget_are_answered_done_or_refused_and_nothing_is_retained(
    broker: Mosquitto,
) -> None:
    def carry_out(command: AnyCommand) -> None:
        done = isinstance(command, EnrollCommand | MuteCommand | RingCommand)
        command.answer("as asked" if done else "nobody is called so", done=done)

    with (
        Subscriber(broker.port) as sender,
        running(broker.port, on_command=carry_out, allow_enroll=True, allow_forget=True),
    ):
        assert eventually(lambda: sender.of("mute/state") != [])
        for verb, payload in (
            ("ring", b""),
            ("mute", b"ON"),
            ("enroll", b'{"name": "Anna", "id": "1"}'),
            ("enroll", b'{"name": "Anna"}'),
            ("forget", b'{"name": "Ben", "id": "2"}'),
            ("forget", b'{"name": "", "id": "3"}'),
            ("forget", b"Ben"),
        ):
            sender.publish(f"doorbell/front-door/{verb}", payload)
        assert eventually(lambda: len(sender.of("reply")) == 5)
        told = sender.documents("reply")
        assert [(each["command"], each["id"], each["done"]) for each in told] == [
            ("enroll", "1", True),
            ("enroll", None, True),
            ("forget", "2", False),
            ("forget", "3", False),
            ("forget", None, False),
        ]
        assert told[2]["summary"] == "nobody is called so"
        assert "with a name" in told[3]["summary"]
        for _ in range(200):
            sender.publish("doorbell/front-door/forget", b'{"name": "Ben", "id": "4"}')
        sender.publish("doorbell/front-door/enroll", b"the end")
        assert eventually(lambda: len(sender.of("reply")) >= 7)
        assert len(sender.of("reply")) == 7
        too_fast = sender.documents("reply")[5]
        assert (too_fast["id"], too_fast["summary"]) == ("4", "they come too fast")
    with Subscriber(broker.port) as late:
        assert eventually(lambda: late.of("availability") != [])
        assert late.of("reply") == []


def test_a_command_that_is_not_allowed_is_answered_with_what_would_allow_it(
    broker: Mosquitto,
) -> None:
    with Subscriber(broker.port) as sender, running(broker.port):
        assert eventually(lambda: sender.of("mute/state") != [])
        sender.publish("doorbell/front-door/forget", b'{"name": "Ben", "id": "2"}')
        assert eventually(lambda: sender.of("reply") != [])
        [told] = sender.documents("reply")
    assert told == {
        "version": 1,
        "id": "2",
        "command": "forget",
        "done": False,
        "summary": "set mqtt.allow_forget = true to allow it",
    }


def test_a_retained_command_is_ignored(broker: Mosquitto) -> None:
    commands: list[AnyCommand] = []
    with Subscriber(broker.port) as sender:
        sender.publish("doorbell/front-door/ring", b"PRESS", retain=True)
        with running(broker.port, on_command=commands.append):
            assert eventually(lambda: sender.of("mute/state") != [])
            sender.publish("doorbell/front-door/mute", b"ON")
            assert eventually(lambda: commands != [])
    assert commands == [MuteCommand(True, door_id=DOOR)]
