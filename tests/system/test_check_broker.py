"""What ``doorbell check`` finds out of a broker: what it does not take, and who else is there."""

from contextlib import closing
from pathlib import Path

import pytest
from broker_stories import running

from doorbell.config import load_config
from doorbell.diagnostics import Finding
from doorbell.diagnostics.broker import check_broker
from doorbell.errors import BrokerError
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.embedded_broker import EmbeddedBroker
from doorbell.testbed.refusing_broker import PUBLISH, Packet, RefusingBroker
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system


def checked(port: int, folder: Path, *settings: str) -> Finding:
    config = load_config(
        None,
        [
            "mqtt.enabled=true",
            f"mqtt.port={port}",
            f"storage.directory={folder / 'storage'}",
            *settings,
        ],
    )
    try:
        return Finding("broker", True, check_broker(config))
    except BrokerError as exc:
        return Finding("broker", False, str(exc))


def test_a_broker_that_takes_everything(broker: Mosquitto, tmp_path: Path) -> None:
    with Subscriber(broker.port) as listener:
        finding = checked(broker.port, tmp_path)
        assert (finding.ok, "takes every size" in finding.message) == (True, True)
        tried = [(message.topic, len(message.payload)) for message in listener.messages]
        topic = "doorbell/front-door/check"
        assert [size for at, size in tried if at == topic] == [1000, 16000, 64000, 120000, 250000]
        elsewhere = [each for each in tried if each[0] != topic]
        assert elsewhere == [("homeassistant/device/doorbell_front-door_check/config", 0)]
    with Subscriber(broker.port) as later:  # and nothing of it stays
        later.publish("end", b"")
        assert eventually(lambda: later.topics() == ["end"])


def test_a_broker_that_speaks_only_the_earlier_protocol(tmp_path: Path) -> None:
    with closing(EmbeddedBroker()) as broker:
        finding = checked(broker.port, tmp_path)
    assert finding.ok, finding.message


def refuses_pictures(packet: Packet) -> bool:
    return packet.kind == PUBLISH and packet.size > 131_072


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("max_packet_size 20000",), ("64000 bytes, as a picture", "16000 bytes go")),
        (("max_packet_size 5000",), ("16000 bytes, as Home Assistant's discovery",)),
        (("message_size_limit 20000",), ("64000 bytes, as a picture",)),
    ],
)
def test_what_is_too_large_is_said(tmp_path: Path, lines: tuple[str], said: tuple[str]) -> None:
    with Mosquitto(tmp_path, "allow_anonymous true", *lines) as broker:
        finding = checked(broker.port, tmp_path)
        assert not finding.ok
        for words in (*said, "mosquitto: max_packet_size"):
            assert words in finding.message
        assert checked(broker.port, tmp_path, "mqtt.enabled=false").ok


def test_a_broker_that_ends_the_connection_without_a_word(
    broker: Mosquitto, tmp_path: Path
) -> None:
    with RefusingBroker(broker.port, refuses_pictures) as refusing:
        finding = checked(refusing.port, tmp_path)
        assert not finding.ok
        assert "ends the connection" in finding.message
        assert "(120000 bytes go)" in finding.message
        assert checked(refusing.port, tmp_path, "mqtt.publish_images=false").ok


@pytest.mark.parametrize("allowed", ["doorbell/#", "homeassistant/#"])
def test_a_topic_that_may_not_be_written_is_said(tmp_path: Path, allowed: str) -> None:
    rules = tmp_path / "rules"
    rules.write_text(f"topic readwrite {allowed}\n")
    with Mosquitto(tmp_path, "allow_anonymous true", f"acl_file {rules}") as broker:
        finding = checked(broker.port, tmp_path)
    refused = "homeassistant/device" if "doorbell" in allowed else "doorbell/front-door/check"
    assert not finding.ok
    assert refused in finding.message
    assert "access control list" in finding.message


def test_another_doorbell_with_the_id_is_said_and_our_own_is_not(
    broker: Mosquitto, tmp_path: Path
) -> None:
    with running(broker.port) as mqtt, Subscriber(broker.port) as listener:
        assert mqtt.connected
        assert eventually(lambda: listener.of("session") != [])
        finding = checked(broker.port, tmp_path)
        assert not finding.ok
        assert "another client with the id doorbell-front-door seems to be" in finding.message
        own = tmp_path / "storage" / "session.json"
        own.parent.mkdir()
        own.write_bytes(listener.of("session")[-1])
        assert checked(broker.port, tmp_path).ok
        own.unlink()
    assert checked(broker.port, tmp_path).ok  # it has gone


def test_what_the_running_doorbell_found_is_said(broker: Mosquitto, tmp_path: Path) -> None:
    with Subscriber(broker.port) as other:
        status = b'{"broker_problem": "it lets nothing be published on doorbell/front-door/event"}'
        other.publish("doorbell/front-door/status", status, retain=True)
        assert checked(broker.port, tmp_path).ok  # of a run that has ended
        other.publish("doorbell/front-door/availability", b"online", retain=True)
        finding = checked(broker.port, tmp_path)
    assert not finding.ok
    assert "published on doorbell/front-door/event" in finding.message
