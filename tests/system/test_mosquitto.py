"""The MQTT output against a real mosquitto: order, retention, the will, a broker that is away."""

import logging
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from broker_stories import (
    ANNA,
    BEN,
    CONFIG_TOPIC,
    LONG_PAUSE_SECONDS,
    PICTURE,
    running,
    story,
    visit_of,
    without_door_states,
)

from doorbell.domain import Arrived, Left, Recognized, Ring, Unknown, UnknownReason
from doorbell.status import KnownVisitors, MuteState, Statistics
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system


def test_discovery_states_availability_and_events_come_in_this_order(broker: Mosquitto) -> None:
    with Subscriber(broker.port) as listener:
        with running(broker.port, people=(ANNA, BEN)) as mqtt:
            for event in story():
                mqtt.handle(event)
            assert eventually(lambda: len(listener.of("event")) == 7)
        assert eventually(lambda: listener.of("availability") == [b"online", b"offline"])
        topics = without_door_states(listener.topics())
        muted = topics.index("mute/state")  # at once: with the others, or right after them
        assert muted < topics.index("event")
        assert [*topics[:muted], *topics[muted + 1 :]] == [
            CONFIG_TOPIC,
            "presence",
            "availability",
            "session",
            *("event", "presence"),
            *("event", "visitor", "image", "trigger"),
            "event",  # whose picture is the same
            "event",
            *("event", "visitor"),
            *("event", "visitor"),
            *("event", "presence", "visitor"),
            "availability",
        ]
        assert not any(message.retain for message in listener.messages)
        assert listener.of("presence") == [b"OFF", b"ON", b"OFF"]
        assert listener.of("trigger") == [b"person-1"]
        assert listener.of("image") == [PICTURE]
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
            "reason": None,
            "live": None,
            "pressed": False,
            "late": False,
            "repeated": False,
            "similarity": 0.7123,
            "seconds_to_decision": 0.4,
            "preferences": {"scene": "evening", "tv": [1, None]},
        }


def test_who_cannot_be_told_is_not_the_last_visitor_while_somebody_known_is_there(
    broker: Mosquitto,
) -> None:
    """As a face on a shirt: a visit of its own, which nobody decides."""
    shirt = visit_of(None, 2)
    with Subscriber(broker.port) as listener, running(broker.port, people=(ANNA,)) as mqtt:
        for event in (
            Arrived("e1", 1000.0, visit_of(None)),
            Recognized("e2", 1001.0, visit_of(ANNA)),
            Arrived("e3", 1002.0, shirt),
            Unknown("e4", 1003.0, shirt, reason=UnknownReason.NO_USABLE_FACE),
            Left("e5", 1004.0, replace(shirt, ended_at=1004.0)),
            Left("e6", 1010.0, visit_of(ANNA, ended_at=1010.0)),
            # Alone, somebody who cannot be told is the last visitor, and leaves as such.
            Arrived("e7", 1020.0, visit_of(None, 3)),
            Unknown("e8", 1021.0, visit_of(None, 3), reason=UnknownReason.NO_USABLE_FACE),
            Left("e9", 1022.0, replace(visit_of(None, 3), ended_at=1022.0)),
        ):
            mqtt.handle(event)
        assert eventually(lambda: len(listener.of("event")) == 9)
        assert eventually(lambda: listener.of("presence")[-1:] == [b"OFF"])
        assert listener.of("presence") == [b"OFF", b"ON", b"OFF", b"ON", b"OFF"]
        assert eventually(lambda: len(listener.of("visitor")) == 4)
        told = [(each["visitor"], each["left_at"]) for each in listener.documents("visitor")]
        assert told == [
            (ANNA.name, None),
            (ANNA.name, "1970-01-01T00:16:50.000+00:00"),
            ("unknown", None),
            ("unknown", "1970-01-01T00:17:02.000+00:00"),
        ]


def test_after_a_crash_nothing_is_available_before_it_is_true(broker: Mosquitto) -> None:
    """What the run before left retained is corrected first: nobody is seen at the door."""
    with Subscriber(broker.port) as earlier:
        earlier.publish("doorbell/front-door/presence", b"ON", retain=True)
        earlier.publish("doorbell/front-door/availability", b"offline", retain=True)
    with Subscriber(broker.port) as listener, running(broker.port, people=(ANNA,)) as mqtt:
        assert mqtt.connected
        assert eventually(lambda: listener.of("availability")[-1:] == [b"online"])
        told = [
            (topic, message.payload)
            for topic, message in zip(listener.topics(), listener.messages, strict=True)
            if topic in ("presence", "availability")
        ]
        assert told[2:] == [("presence", b"OFF"), ("availability", b"online")]


def test_every_message_is_timed_to_its_acknowledgement(broker: Mosquitto) -> None:
    took: list[float] = []
    with running(broker.port, on_published=took.append) as mqtt:
        # Discovery, availability, presence, who is at the door, mute, ourselves.
        assert eventually(lambda: len(took) == 6)
        for event in story():
            mqtt.handle(event)
        with Subscriber(broker.port) as listener:
            # Each event and the states that it changes.
            assert eventually(lambda: len(took) > 6 + len(story()))
            assert eventually(lambda: listener.of("visitor") != [])
    assert all(0 < seconds < 5 for seconds in took)


def test_a_later_subscriber_finds_states_and_no_event(broker: Mosquitto) -> None:
    with running(broker.port, people=(ANNA,)) as mqtt:
        for event in story():
            mqtt.handle(event)
        mqtt.handle(MuteState(True))
        mqtt.handle(Statistics(60.0, 24.5, 3, 8.0, 21.0, 0, 2, 7, True))
        with Subscriber(broker.port) as probe:
            assert eventually(lambda: probe.of("status") != [])
        with Subscriber(broker.port) as listener:
            assert eventually(lambda: len(without_door_states(listener.topics())) == 8)
            time.sleep(0.1)
            assert all(message.retain for message in listener.messages)
            assert set(without_door_states(listener.topics())) == {
                *(CONFIG_TOPIC, "availability", "presence", "mute/state", "visitor", "image"),
                *("status", "session"),
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
    with Subscriber(broker.port) as listener:
        assert eventually(lambda: listener.of("visitor") != [] and listener.of("presence") != [])
        time.sleep(0.1)
        assert listener.of("image") == []


def test_the_will_says_offline_when_the_daemon_is_killed(broker: Mosquitto, tmp_path: Path) -> None:
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from doorbell.config import DeviceSection, MqttSection\n"
        "from doorbell.outputs.mqtt.output import Mqtt\n"
        "from doorbell.status import KnownVisitors\n"
        "section = MqttSection(host='127.0.0.1', port=int(sys.argv[1]))\n"
        "Mqtt(DeviceSection(), section, outbox_path=Path(sys.argv[2]), "
        " known=KnownVisitors((), set()), on_command=print)\n"
        "time.sleep(60)\n"
    )
    with Subscriber(broker.port) as listener:
        outbox = str(tmp_path / "outbox.sqlite")
        child = subprocess.Popen([sys.executable, "-c", script, str(broker.port), outbox])
        assert eventually(lambda: listener.of("availability") == [b"online"])
        child.kill()
        child.wait()
        assert eventually(lambda: listener.of("availability") == [b"online", b"offline"])
    with Subscriber(broker.port) as listener:
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
        time.sleep(LONG_PAUSE_SECONDS)
        broker.start()
        with Subscriber(broker.port) as listener:
            assert eventually(lambda: len(listener.of("event")) == 7)
            assert [event["event_id"] for event in listener.documents("event")] == [
                f"e{n}" for n in range(1, 8)
            ]
            topics = [topic for topic in listener.topics() if topic != "event"]
            assert topics[0] == CONFIG_TOPIC
            assert "availability" in topics
            waited = [topic for topic in listener.topics() if topic in ("event", "image")]
            assert eventually(lambda: len(listener.of("image")) == 1)
            assert waited == ["event", "event", "image", *["event"] * 5]
            assert "trigger" not in topics  # too late for an automation
            # Back in the same run: everything is announced again, and said.
            broker.stop()
            assert eventually(lambda: not mqtt.connected)
            mqtt.handle(Ring("e8", 1020.0))
        time.sleep(LONG_PAUSE_SECONDS)
        broker.start()
        with Subscriber(broker.port) as listener:
            assert eventually(lambda: listener.of("event") != [])
            assert listener.topics()[:2] == [CONFIG_TOPIC, "presence"]
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
        time.sleep(LONG_PAUSE_SECONDS)
        broker.start()
        with Subscriber(broker.port) as listener:
            assert eventually(lambda: len(listener.of("event")) == 3)
            ids = [event["event_id"] for event in listener.documents("event")]
            assert ids == ["e1", "e2", "e3"]
            assert listener.topics()[:2] == [CONFIG_TOPIC, "presence"]


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
        time.sleep(LONG_PAUSE_SECONDS)
        broker.start()
        with Subscriber(broker.port) as listener:
            assert eventually(lambda: len(listener.of("event")) == 100)
            ids = [event["event_id"] for event in listener.documents("event")]
            assert ids == [f"e{number}" for number in range(50, 150)]
    broker.stop()
    assert sum("the oldest events are dropped" in record.message for record in caplog.records) == 1


def test_close_is_quick_idempotent_and_final(broker: Mosquitto) -> None:
    with running(broker.port) as mqtt, Subscriber(broker.port) as listener:
        started = time.monotonic()
        mqtt.close()
        mqtt.close()
        assert time.monotonic() - started < 2.0
        mqtt.handle(story()[0])
        mqtt.handle(MuteState(True))
        mqtt.handle(Statistics(60.0, 24.5, 3, 8.0, 21.0, 0, 2, 7, True))
        mqtt.handle(KnownVisitors((ANNA,), set()))
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
