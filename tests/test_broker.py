import errno
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from doorbell.config import DeviceSection, MqttSection
from doorbell.domain import Arrived, Left, Person, Recognized, Visit
from doorbell.errors import BrokerError
from doorbell.outputs.mqtt.output import Mqtt
from doorbell.status import KnownVisitors
from doorbell.testbed.embedded_broker import EmbeddedBroker
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

ANNA = Person(1, "Anna")
VISIT = Visit("v", 1.0, 2.0, visitor=ANNA, similarity=0.7, seconds_to_decision=0.4)


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    broker = EmbeddedBroker()
    yield broker
    broker.close()


def test_the_doorbell_can_live_on_it(broker: EmbeddedBroker, tmp_path: Path) -> None:
    early = Subscriber(broker.port)
    mqtt = Mqtt(
        DeviceSection(),
        MqttSection(host="127.0.0.1", port=broker.port),
        outbox_path=tmp_path / "outbox.sqlite",
        known=KnownVisitors((ANNA,), set()),
        on_command=lambda _: None,
    )
    assert eventually(lambda: mqtt.connected)
    for event in (
        Arrived("e1", 1.0, VISIT),
        Recognized("e2", 2.0, VISIT, b"JPEG"),
        Left("e3", 3.0, VISIT),
    ):
        mqtt.handle(event)
    assert eventually(lambda: len(early.of("event")) == 3)
    assert [each["event_id"] for each in early.documents("event")] == ["e1", "e2", "e3"]
    late = Subscriber(broker.port)
    assert eventually(lambda: late.of("image") != [])
    assert late.of("event") == []
    assert all(message.retain for message in late.messages)
    mqtt.close()
    assert eventually(lambda: late.of("availability")[-1] == b"offline")
    late.close()
    early.close()


def test_it_delivers_a_will(broker: EmbeddedBroker, tmp_path: Path) -> None:
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
    listener = Subscriber(broker.port)
    outbox = str(tmp_path / "outbox.sqlite")
    child = subprocess.Popen([sys.executable, "-c", script, str(broker.port), outbox])
    assert eventually(lambda: listener.of("availability") == [b"online"])
    child.kill()
    child.wait()
    assert eventually(lambda: listener.of("availability")[1:] == [b"offline"])
    listener.close()


def test_nobody_outside_this_machine_reaches_it(broker: EmbeddedBroker) -> None:
    Subscriber(broker.port).close()
    with socket.socket() as probe:
        # Every address of 127/8 is this machine, and it listens on the first alone.
        assert probe.connect_ex(("127.0.0.2", broker.port)) == errno.ECONNREFUSED


def test_a_taken_port_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BrokerError, match=f"cannot listen on 127.0.0.1:{port}"):
            EmbeddedBroker(port)


def test_it_stops_soon_with_clients_and_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        broker = EmbeddedBroker()
        listener = Subscriber(broker.port)
        started = time.monotonic()
        broker.close()
        broker.close()
        assert time.monotonic() - started < 5.0
        listener.close()
    assert "broker" not in [thread.name for thread in threading.enumerate()]
    assert [record for record in caplog.records if record.name.startswith("amqtt")] == []
