"""A broker that ends the connection at one message: everything else arrives, in order, and soon."""

import logging
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from broker_stories import ANNA, running, story, visit_of

from doorbell.domain import Event, Person, Recognized, Ring
from doorbell.imaging.annotation import encode_jpeg
from doorbell.outputs.mqtt.output import Mqtt
from doorbell.outputs.mqtt.pauses import LASTING_SECONDS
from doorbell.status import Statistics
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.refusing_broker import PUBLISH, SUBSCRIBE, Packet, RefusingBroker
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

# Of two messages in turn, three endings each, with growing pauses between.
PATIENCE_SECONDS = 40.0
PICTURE = encode_jpeg(
    np.random.default_rng(7).integers(0, 255, (720, 1280, 3), dtype=np.uint8), quality=60
)


def rings(first: int, end: int) -> list[Event]:
    return [Ring(f"e{number}", 1000.0 + number) for number in range(first, end)]


def ids(listener: Subscriber) -> list[str]:
    """Each once: a subscriber drops what it has seen."""
    return list(dict.fromkeys(each["event_id"] for each in listener.documents("event")))


def tell(mqtt: Mqtt, events: Sequence[Event], seconds: float = 0.05) -> None:
    for event in events:
        mqtt.handle(event)
        time.sleep(seconds)


def on(topic: str, *, kind: int = PUBLISH) -> Callable[[Packet], bool]:
    return lambda packet: packet.kind == kind and packet.topic.endswith(topic)


def status(listener: Subscriber, mqtt: Mqtt) -> dict[str, Any]:
    listener.messages.clear()
    mqtt.handle(Statistics(60.0, 24.5, 3, 8.0, 21.0, 0, 2, 7, True))
    assert eventually(lambda: listener.of("status") != [], PATIENCE_SECONDS)
    return listener.documents("status")[-1]


def refusals(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if "refuses a message: " in each.message]


@contextmanager
def limited(folder: Path, most_bytes: int, *, says_so: bool) -> Iterator[tuple[int, int]]:
    """The ports of a broker that ends the connection at more, and of one behind it."""
    lines = (f"max_packet_size {most_bytes}",) if says_so else ()
    with Mosquitto(folder, "allow_anonymous true", *lines) as broker:
        if says_so:
            yield broker.port, broker.port
        else:
            with RefusingBroker(broker.port, lambda packet: packet.size > most_bytes) as refusing:
                yield refusing.port, broker.port


@pytest.mark.parametrize("says_so", [True, False])
@pytest.mark.parametrize("most_bytes", [20_000, 131_072])
def test_a_picture_that_is_too_large_holds_nothing_up_and_is_made_smaller(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, most_bytes: int, *, says_so: bool
) -> None:
    assert len(PICTURE) > 400_000
    with (
        limited(tmp_path, most_bytes, says_so=says_so) as (port, port_behind),
        Subscriber(port_behind) as listener,
        caplog.at_level(logging.INFO),
        running(port, people=(ANNA,)) as mqtt,
    ):
        time.sleep(0.5)  # until the broker has said what it takes
        began = time.monotonic()
        mqtt.handle(Recognized("e0", 1000.0, visit_of(ANNA), PICTURE))
        tell(mqtt, rings(1, 14), 0.3)
        assert eventually(lambda: len(ids(listener)) == 14, PATIENCE_SECONDS)
        assert ids(listener) == [f"e{number}" for number in range(14)]
        assert not any(each["late"] for each in listener.documents("event"))
        assert eventually(lambda: listener.of("image") != [], PATIENCE_SECONDS)
        assert time.monotonic() - began < 25
        [shown] = set(listener.of("image"))
        pixels = cv2.imdecode(np.frombuffer(shown, np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        assert pixels.shape[1] / pixels.shape[0] == pytest.approx(1280 / 720, rel=0.05)
        # The next one is made smaller before it goes, and the connection lasts.
        connected = caplog.text.count("connected to the broker")
        assert connected <= (1 if says_so else 5)
        mqtt.handle(Recognized("e14", 1100.0, visit_of(ANNA, 2), PICTURE + b"\0"))
        assert eventually(lambda: "e14" in ids(listener))
        time.sleep(1.0)
        assert caplog.text.count("connected to the broker") == connected
        said = refusals(caplog)
        assert len(said) == 1
        assert f"a message of {len(PICTURE)} bytes on doorbell/front-door/image" in said[0]
        assert "mosquitto: max_packet_size" in said[0]
        assert "too large" in status(listener, mqtt)["broker_problem"]


@pytest.mark.parametrize("says_so", [True, False])
def test_preferences_that_are_too_large_leave_their_event(tmp_path: Path, *, says_so: bool) -> None:
    wordy = Person(1, "Anna", preferences={"notes": "x" * 30_000})
    with (
        limited(tmp_path, 20_000, says_so=says_so) as (port, port_behind),
        Subscriber(port_behind) as listener,
        running(port, people=(ANNA,)) as mqtt,
    ):
        tell(mqtt, rings(0, 2))
        mqtt.handle(Recognized("e2", 1002.0, visit_of(wordy)))
        tell(mqtt, rings(3, 6))
        assert eventually(lambda: len(ids(listener)) == 6, PATIENCE_SECONDS)
        assert ids(listener) == [f"e{number}" for number in range(6)]
        [told] = [each for each in listener.documents("event") if each["event_id"] == "e2"]
        assert (told["person"], told["preferences"]) == ("Anna", {})
        assert eventually(lambda: listener.of("visitor") != [], PATIENCE_SECONDS)
        assert listener.documents("visitor")[-1]["person"] == "Anna"


@pytest.mark.parametrize("says_so", [True, False])
def test_an_event_that_is_too_large_is_given_up_and_the_others_arrive(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, says_so: bool
) -> None:
    large = Ring("e2" + "x" * 30_000, 1002.0)
    with (
        limited(tmp_path, 20_000, says_so=says_so) as (port, port_behind),
        Subscriber(port_behind) as listener,
        running(port) as mqtt,
    ):
        tell(mqtt, rings(0, 2))
        mqtt.handle(large)
        tell(mqtt, rings(3, 6))
        assert eventually(lambda: len(ids(listener)) == 5, PATIENCE_SECONDS)
        assert ids(listener) == ["e0", "e1", "e3", "e4", "e5"]
        assert status(listener, mqtt)["events_dropped"] == 1
        assert len(refusals(caplog)) >= 1


@pytest.mark.parametrize("topic", ["/image", "/presence", "/config", "/visitor"])
def test_a_topic_that_is_refused_holds_nothing_up(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture, topic: str
) -> None:
    with (
        RefusingBroker(broker.port, on(topic)) as refusing,
        Subscriber(broker.port) as listener,
        running(refusing.port, people=(ANNA,), expect_connection=False) as mqtt,
    ):
        tell(mqtt, story(), 0.2)
        assert eventually(lambda: len(ids(listener)) == 7, PATIENCE_SECONDS)
        assert ids(listener) == [f"e{number}" for number in range(1, 8)]
        assert eventually(lambda: len(refusals(caplog)) == 1, PATIENCE_SECONDS)
        [said] = refusals(caplog)
        assert topic in said
        assert eventually(lambda: mqtt.connected, PATIENCE_SECONDS)
        connections = refusing.connections
        assert connections <= 5
        tell(mqtt, rings(8, 10))
        assert eventually(lambda: len(ids(listener)) == 9, PATIENCE_SECONDS)
        time.sleep(1.5)
        assert refusing.connections <= connections + 1
        assert eventually(lambda: listener.of("availability")[-1:] == [b"online"])
        # Whatever else is as large is still taken.
        mqtt.handle(Recognized("e10", 1100.0, visit_of(ANNA, 9), PICTURE))
        taken = [] if topic == "/image" else [PICTURE]
        assert eventually(lambda: listener.of("image")[-1:] == taken)


def test_a_trigger_that_is_refused_is_found_out_though_it_is_never_sent_again(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        RefusingBroker(broker.port, on("/trigger")) as refusing,
        Subscriber(broker.port) as listener,
        running(refusing.port, people=(ANNA,)) as mqtt,
    ):
        for number in range(7):
            assert eventually(lambda: mqtt.connected, PATIENCE_SECONDS)
            tell(mqtt, [Recognized(f"e{number}", 1000.0, visit_of(ANNA, number))], 0.5)
        assert eventually(lambda: len(ids(listener)) == 7, PATIENCE_SECONDS)
        assert mqtt.connected  # the last one ended nothing
        [said] = refusals(caplog)
        assert "doorbell/front-door/trigger" in said


def test_a_subscription_that_is_refused_holds_nothing_up(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        RefusingBroker(broker.port, on("/status", kind=SUBSCRIBE)) as refusing,
        Subscriber(broker.port) as listener,
        running(refusing.port, expect_connection=False) as mqtt,
    ):
        tell(mqtt, rings(0, 3))
        assert eventually(lambda: ids(listener) == ["e0", "e1", "e2"], PATIENCE_SECONDS)
        [said] = refusals(caplog)
        assert "subscribe to homeassistant/status" in said


def test_events_that_may_not_be_published_wait_until_they_may(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    refused = True

    def refuses(packet: Packet) -> bool:
        return refused and on("/event")(packet)

    with (
        RefusingBroker(broker.port, refuses) as refusing,
        Subscriber(broker.port) as listener,
        running(refusing.port) as mqtt,
    ):
        tell(mqtt, story())
        assert eventually(lambda: len(refusals(caplog)) == 1, PATIENCE_SECONDS)
        assert eventually(lambda: mqtt.connected, PATIENCE_SECONDS)
        connections = refusing.connections
        time.sleep(2.0)
        assert refusing.connections == connections
        assert status(listener, mqtt)["events_waiting"] == 7
        refused = False
        time.sleep(LASTING_SECONDS)
        refusing.disconnect()
        assert eventually(lambda: len(ids(listener)) == 7, PATIENCE_SECONDS)
        assert ids(listener) == [f"e{number}" for number in range(1, 8)]


def test_pauses_grow_while_no_connection_lasts(broker: Mosquitto) -> None:
    """Whatever ends them: here nothing that is under way."""
    with (
        RefusingBroker(broker.port, lambda _packet: False) as refusing,
        running(refusing.port) as mqtt,
    ):
        moments = []
        for _ in range(4):
            assert eventually(lambda: mqtt.connected, PATIENCE_SECONDS)
            moments.append(time.monotonic())
            time.sleep(0.3)
            refusing.disconnect()
            assert eventually(lambda: not mqtt.connected)
        pauses = np.diff(moments)
        assert (np.diff(pauses) > 0.7).all()
        assert pauses[0] < 2.5


def test_a_network_that_fails_again_and_again_is_not_taken_for_a_refusal(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        RefusingBroker(broker.port, lambda _packet: False) as refusing,
        Subscriber(broker.port) as listener,
        running(refusing.port, people=(ANNA,)) as mqtt,
    ):
        for number in range(4):
            assert eventually(lambda: mqtt.connected, PATIENCE_SECONDS)
            mqtt.handle(Recognized(f"e{number}", 1000.0, visit_of(ANNA, number), PICTURE))
            refusing.disconnect()
            assert eventually(lambda: not mqtt.connected)
        assert eventually(lambda: len(ids(listener)) == 4, PATIENCE_SECONDS)
        assert eventually(lambda: listener.of("image")[-1:] == [PICTURE], PATIENCE_SECONDS)
        assert refusals(caplog) == []


def test_a_packet_that_breaks_off_ends_its_connection_alone(broker: Mosquitto) -> None:
    with RefusingBroker(broker.port, lambda _packet: False) as refusing:
        with socket.create_connection(("127.0.0.1", refusing.port)) as client:
            client.sendall(b"\x10")
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
        with running(refusing.port) as mqtt:
            assert mqtt.connected
