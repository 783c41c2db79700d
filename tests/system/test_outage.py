"""Events against a real mosquitto that comes and goes: all arrive, in order, marked where late."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from broker_stories import LONG_PAUSE_SECONDS, PICTURE, visit_of

from doorbell.config import DeviceSection, MqttSection
from doorbell.domain import Person, Recognized, Ring, Unknown
from doorbell.outputs.mqtt.output import Mqtt
from doorbell.status import KnownVisitors
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

ANNA = Person(1, "Anna")


@contextmanager
def running(port: int, outbox_path: Path, **section: Any) -> Iterator[Mqtt]:
    mqtt = Mqtt(
        DeviceSection(),
        MqttSection.model_validate({"host": "127.0.0.1", "port": port, **section}),
        outbox_path=outbox_path,
        known=KnownVisitors((), set()),
        on_command=lambda _: None,
    )
    try:
        yield mqtt
    finally:
        mqtt.close()


def rings(first: int, end: int) -> list[Ring]:
    return [Ring(f"e{number}", 1000.0) for number in range(first, end)]


def ids(*listeners: Subscriber) -> list[str]:
    """Each once: a subscriber drops what it has seen."""
    seen = [event["event_id"] for each in listeners for event in each.documents("event")]
    return list(dict.fromkeys(seen))


def ids_of(events: Sequence[Ring]) -> list[str]:
    return [event.event_id for event in events]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path, "allow_anonymous true", "max_queued_messages 0")
    yield broker
    broker.stop()


def test_a_thousand_events_outlive_kills_and_arrive_in_order_marked_late(
    broker: Mosquitto, tmp_path: Path
) -> None:
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from doorbell.config import DeviceSection, MqttSection\n"
        "from doorbell.domain import Ring\n"
        "from doorbell.outputs.mqtt.output import Mqtt\n"
        "from doorbell.status import KnownVisitors\n"
        "mqtt = Mqtt(DeviceSection(), MqttSection(host='127.0.0.1', port=int(sys.argv[1])),\n"
        "            outbox_path=Path(sys.argv[2]), known=KnownVisitors((), set()),\n"
        "            on_command=print)\n"
        "for number in range(int(sys.argv[3]), int(sys.argv[3]) + 500):\n"
        "    mqtt.handle(Ring(f'e{number}', 1000.0))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = tmp_path / "outbox.sqlite"
    for first in (0, 500):
        words = [sys.executable, "-c", script, str(broker.port), str(path), str(first)]
        subprocess.run(words, check=False)
    time.sleep(1.1)
    broker.start()
    with Subscriber(broker.port) as listener, running(broker.port, path, late_seconds=1) as mqtt:
        new = Recognized("new", 1000.0, visit_of(ANNA), PICTURE)
        # Not before: behind a thousand it may itself be late on a busy machine.
        assert eventually(lambda: len(ids(listener)) == 1000)
        mqtt.handle(new)
        assert eventually(lambda: "new" in ids(listener))
        documents = listener.documents("event")
        assert [d["event_id"] for d in documents] == [*ids_of(rings(0, 1000)), "new"]
        assert {(d["event_type"], d["late"]) for d in documents[:-1]} == {("late_ring", True)}
        assert (documents[-1]["event_type"], documents[-1]["late"]) == ("recognized", False)
        assert eventually(lambda: listener.of("trigger") == [b"person-1"])
        assert listener.of("image") == [PICTURE]
        assert listener.topics()[-1] == "trigger"
    with Subscriber(broker.port) as listener, running(broker.port, path) as mqtt:
        mqtt.handle(Ring("next", 1000.0))
        assert eventually(lambda: listener.of("event") != [])
        assert ids(listener) == ["next"]  # the broker has the others


def test_a_broker_that_starts_again_in_the_middle_of_a_burst(
    broker: Mosquitto, tmp_path: Path
) -> None:
    broker.start()
    burst = rings(0, 300)
    with running(broker.port, tmp_path / "outbox.sqlite") as mqtt:
        assert eventually(lambda: mqtt.connected)
        with Subscriber(broker.port) as before:
            for event in burst[:150]:
                mqtt.handle(event)
            broker.freeze()  # what is under way now goes nowhere
            for event in burst[150:200]:
                mqtt.handle(event)
            broker.stop()
        assert eventually(lambda: not mqtt.connected)
        for event in burst[200:]:
            mqtt.handle(event)
        time.sleep(LONG_PAUSE_SECONDS)
        broker.start()
        with Subscriber(broker.port) as after:
            assert eventually(lambda: burst[-1].event_id in ids(after))
            received = ids(after)
            assert received == ids_of(burst)[-len(received) :]
            assert len(received) >= 150
            assert ids(before) == ids_of(burst)[: len(ids(before))]
            assert not any(event["late"] for event in after.documents("event"))


def test_the_right_password_after_the_wrong_one(tmp_path: Path) -> None:
    passwords, secret = tmp_path / "passwords", tmp_path / "secret"
    secret.write_text("opensesame")
    secret.chmod(0o600)

    def expect(password: str) -> None:
        words = ["mosquitto_passwd", "-b", "-c", str(passwords), "doorbell", password]
        subprocess.run(words, check=True)

    expect("closesesame")
    broker = Mosquitto(tmp_path, "allow_anonymous true", f"password_file {passwords}")
    broker.start()
    account = {"username": "doorbell", "password_file": secret}
    with running(broker.port, tmp_path / "outbox.sqlite", **account) as mqtt:
        for event in rings(0, 20):
            mqtt.handle(event)
        time.sleep(LONG_PAUSE_SECONDS)
        assert not mqtt.connected
        broker.stop()
        expect("opensesame")
        broker.start()
        with Subscriber(broker.port) as listener:
            assert eventually(lambda: len(ids(listener)) == 20)
            assert ids(listener) == ids_of(rings(0, 20))
    broker.stop()


def test_pictures_that_wait_are_not_published_once_the_household_wants_none(
    broker: Mosquitto, tmp_path: Path
) -> None:
    path = tmp_path / "outbox.sqlite"
    with running(broker.port, path) as mqtt:
        mqtt.handle(Unknown("e0", 1000.0, visit_of(None), PICTURE))
    broker.start()
    with Subscriber(broker.port) as listener:
        with running(broker.port, path, publish_images=False):
            assert eventually(lambda: ids(listener) == ["e0"])
            time.sleep(0.2)
        assert PICTURE not in [message.payload for message in listener.messages]
