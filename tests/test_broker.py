import errno
import json
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from doorbell.broker import EmbeddedBroker
from doorbell.config import DeviceSection, MqttSection
from doorbell.domain import Arrived, Left, Person, Recognized, Visit
from doorbell.errors import BrokerError
from doorbell.outputs.mqtt import Mqtt

ANNA = Person(1, "Anna")
VISIT = Visit("v", 1.0, 2.0, visitor=ANNA, similarity=0.7, seconds_to_decision=0.4)


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    broker = EmbeddedBroker()
    yield broker
    broker.close()


class Listener:
    def __init__(self, port: int) -> None:
        self.messages: list[MQTTMessage] = []
        subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda _client, _userdata, message: self.messages.append(message)
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe("doorbell/#", qos=1)
        assert subscribed.wait(5.0)

    def of(self, leaf: str) -> list[MQTTMessage]:
        return [message for message in self.messages if message.topic.endswith(f"/{leaf}")]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        del self._client  # closes its sockets


def test_the_doorbell_can_live_on_it(broker: EmbeddedBroker, tmp_path: Path) -> None:
    early = Listener(broker.port)
    mqtt = Mqtt(
        DeviceSection(),
        MqttSection(host="127.0.0.1", port=broker.port),
        outbox_path=tmp_path / "outbox.sqlite",
        people=[ANNA],
        strangers=(),
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
    assert [json.loads(bytes(m.payload))["event_id"] for m in early.of("event")] == [
        "e1",
        "e2",
        "e3",
    ]
    late = Listener(broker.port)
    assert eventually(lambda: late.of("image") != [])
    assert late.of("event") == []
    assert all(message.retain for message in late.messages)
    mqtt.close()
    assert eventually(lambda: late.of("availability")[-1].payload == b"offline")
    late.close()
    early.close()


def test_it_delivers_a_will(broker: EmbeddedBroker, tmp_path: Path) -> None:
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from doorbell.config import DeviceSection, MqttSection\n"
        "from doorbell.outputs.mqtt import Mqtt\n"
        "section = MqttSection(host='127.0.0.1', port=int(sys.argv[1]))\n"
        "Mqtt(DeviceSection(), section, outbox_path=Path(sys.argv[2]), people=(), strangers=(),"
        " on_command=print)\n"
        "time.sleep(60)\n"
    )
    listener = Listener(broker.port)
    outbox = str(tmp_path / "outbox.sqlite")
    child = subprocess.Popen([sys.executable, "-c", script, str(broker.port), outbox])
    assert eventually(lambda: [m.payload for m in listener.of("availability")] == [b"online"])
    child.kill()
    child.wait()
    assert eventually(lambda: [m.payload for m in listener.of("availability")][1:] == [b"offline"])
    listener.close()


def test_nobody_outside_this_machine_reaches_it(broker: EmbeddedBroker) -> None:
    Listener(broker.port).close()
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
        listener = Listener(broker.port)
        started = time.monotonic()
        broker.close()
        broker.close()
        assert time.monotonic() - started < 5.0
        listener.close()
    assert "broker" not in [thread.name for thread in threading.enumerate()]
    assert [record for record in caplog.records if record.name.startswith("amqtt")] == []
