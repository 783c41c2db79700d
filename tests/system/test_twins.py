"""Two clients with one id at a real mosquitto, which ends the one's connection for the other's."""

import logging
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from broker_stories import running
from test_refusals import PATIENCE_SECONDS, ids, rings, status, tell

from doorbell.config import MqttSection
from doorbell.outputs.mqtt.connection import BrokerConnection
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.refusing_broker import RefusingBroker
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

TWIN = "another client with the id doorbell-front-door seems to be connected; give each doorbell"


def counted(caplog: pytest.LogCaptureFixture, words: str) -> int:
    return sum(words in record.getMessage() for record in caplog.records)


def test_of_two_doorbells_with_one_id_the_second_gives_way(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO),
        Subscriber(broker.port) as listener,
        running(broker.port) as first,
        running(broker.port) as second,
    ):
        numbers = iter(range(100))
        began = time.monotonic()
        while not counted(caplog, "MQTT is given up"):
            assert time.monotonic() - began < PATIENCE_SECONDS
            number = next(numbers)
            tell(first, rings(number, number + 1), 0.3)
        assert eventually(lambda: first.connected, PATIENCE_SECONDS)
        connections = counted(caplog, "connected to the broker")
        assert connections <= 8
        number = next(numbers)
        tell(first, rings(number, number + 1))
        assert eventually(lambda: len(ids(listener)) == number + 1, PATIENCE_SECONDS)
        assert ids(listener) == [f"e{each}" for each in range(number + 1)]
        tell(second, rings(200, 203))  # it goes on ringing at its door
        time.sleep(3.0)
        assert first.connected
        assert not second.connected
        assert counted(caplog, "connected to the broker") == connections
        assert counted(caplog, "MQTT is given up") == 1
        assert 1 <= counted(caplog, TWIN) <= 2  # each once, by itself
        assert ids(listener) == [f"e{each}" for each in range(number + 1)]
        assert listener.of("availability")[-1] == b"online"
        if counted(caplog, TWIN) == 2:
            assert TWIN in status(listener, first)["broker_problem"]


def test_a_client_that_is_no_doorbell_is_said_once_and_tried_less_and_less(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    stop = threading.Event()

    def take_over() -> None:
        words = ["mosquitto_sub", "-p", str(broker.port), "-i", "doorbell-front-door", "-t", "x"]
        while not stop.is_set():
            subprocess.run([*words, "-W", "2"], check=False, capture_output=True)

    thread = threading.Thread(target=take_over)
    with caplog.at_level(logging.INFO), running(broker.port) as mqtt:
        assert mqtt.connected
        thread.start()
        try:
            assert eventually(lambda: counted(caplog, TWIN) == 1, 40)
            assert counted(caplog, "connected to the broker") <= 7
            assert counted(caplog, "refuses a message: ") == 0
        finally:
            stop.set()
            thread.join()


def test_a_network_that_fails_again_and_again_is_no_other_doorbell(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    with RefusingBroker(broker.port, lambda _packet: False) as network, running(network.port):
        for _ in range(4):
            assert eventually(lambda: network.connections > 0, PATIENCE_SECONDS)
            network.disconnect()
            time.sleep(0.5)
    with running(broker.port):  # a run after the other, too
        pass
    assert counted(caplog, "another client") == 0


@contextmanager
def connected(section: MqttSection) -> Iterator[BrokerConnection]:
    connection = BrokerConnection(section, "twin", "twin/availability")
    nothing: Callable[..., None] = lambda *_: None  # noqa: E731 - three times the same
    connection.open(
        on_connected=nothing,
        on_received=nothing,
        on_acknowledged=nothing,
        on_endings=nothing,
    )
    try:
        assert eventually(lambda: connection.connected)
        yield connection
    finally:
        connection.close()


def comes_back(connection: BrokerConnection) -> bool:
    connection.send_next()
    return connection.connected


def test_who_gave_way_comes_back_once_nobody_has_been_there_twice(broker: Mosquitto) -> None:
    answers = iter([False, True, False, True, True])
    looks: list[bool] = []

    def may_return() -> bool:
        looks.append(next(answers))
        return looks[-1]

    with connected(MqttSection(host="127.0.0.1", port=broker.port)) as connection:
        connection.rest(0.2, may_return)
        assert not connection.connected
        assert eventually(lambda: comes_back(connection), PATIENCE_SECONDS)
        assert looks == [False, True, False, True, True]


def test_who_gave_way_comes_back_though_its_password_was_out_of_reach(
    broker: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    password = tmp_path / "password"
    section = MqttSection(
        host="127.0.0.1", port=broker.port, username="doorbell", password_file=password
    )
    password.touch(0o600)
    password.write_text("swordfish")
    with connected(section) as connection:
        password.unlink()
        connection.rest(0.1, lambda: True)
        for _ in range(8):
            assert not comes_back(connection)
            time.sleep(0.1)
        assert counted(caplog, f"cannot read {password}") == 1
        password.write_text("swordfish")
        assert eventually(lambda: comes_back(connection), PATIENCE_SECONDS)
