"""What a broker does not take, who else connects, and who comes later."""

from __future__ import annotations

import time
from collections import Counter

from doorbell.testbed.daemon_process import DaemonProcess, run_command
from doorbell.testbed.refusing_broker import PUBLISH, Packet, RefusingBroker
from doorbell.testbed.scenes import KNOWN, STRANGER
from doorbell.testbed.subscriber import Subscriber
from faulting.door import Door, NotRecoveredError

# Less than any picture of the camera has.
LIMIT_BYTES = 20_000
# Home automation takes longer to come back than the doorbell does.
HOME_AUTOMATION_SECONDS = 2.0
STATUS = "homeassistant/status"
# As many, of both doorbells, until the second gives way.
MOST_CONNECTIONS = 12
SILENCE_SECONDS = 3.0


def prepare_limit(door: Door) -> None:
    """Let the broker end the connection at every picture, without having said so."""
    broker = RefusingBroker(door.broker.port, lambda packet: packet.size > LIMIT_BYTES)
    door.settings["mqtt.port"] = door.stack.enter_context(broker).port


def large_message(door: Door) -> float:
    """The broker ends the connection at each picture; a smaller one arrives."""
    pictures = len(door.subscriber.of("image"))
    door.comes(KNOWN)
    began = time.monotonic()
    door.seconds_until(lambda: len(door.subscriber.of("image")) > pictures, since=began)
    door.goes()
    door.visit(STRANGER)
    _expect_said(door, "is too large for it")
    return door.seconds_until_told(began)


def prepare_topic(door: Door) -> None:
    """Let the broker end the connection at whatever goes to the topic of the last visitor."""

    def refuses(packet: Packet) -> bool:
        return packet.kind == PUBLISH and packet.topic.endswith("/visitor")

    broker = door.stack.enter_context(RefusingBroker(door.broker.port, refuses))
    door.settings["mqtt.port"] = broker.port


def topic(door: Door) -> float:
    """The broker ends the connection at whatever goes to one topic."""
    door.visit(KNOWN)
    began = time.monotonic()
    door.seconds_until(lambda: "lets nothing be published on" in door.log, since=began)
    door.visit(STRANGER)
    _expect_said(door, "lets nothing be published on")
    return door.seconds_until_told(began)


def prepare_birth(door: Door) -> None:
    """Let no event be late before home automation has come."""
    door.settings["mqtt.late_seconds"] = 120


def birth(door: Door) -> float:
    """The broker is back before home automation is, which comes, and says so once more later."""
    door.broker.stop()
    heard_before = len(door.subscriber.of("event"))
    door.visit(KNOWN)
    door.broker.start()
    began = time.monotonic()
    door.seconds_until_told(began)
    time.sleep(HOME_AUTOMATION_SECONDS)
    missed = len({each["event_id"] for each in door.subscriber.documents("event")[heard_before:]})
    with Subscriber(door.broker.port, door.broker.host) as home_automation:
        home_automation.publish(STATUS, b"online")
        seconds = door.seconds_until(
            lambda: len(home_automation.of("event")) >= missed, since=time.monotonic()
        )
        door.visit(STRANGER)
        home_automation.publish(STATUS, b"online")
        time.sleep(SILENCE_SECONDS)
        times = Counter(each["event_id"] for each in home_automation.documents("event"))
        told = len(door.script[-1].kinds)
    # So that what the next one hears is not what this one did.
    door.subscriber.publish(STATUS, b"offline")
    if len(times) != missed + told or set(times.values()) != {1}:
        raise NotRecoveredError(f"home automation heard {times}, where {missed + told} were due")
    return seconds


def two_doorbells(door: Door) -> float:
    """A second doorbell with the same id is started; how long it takes to give way."""
    storage = door.folder / "second"
    storage.mkdir(mode=0o700, exist_ok=True)
    settings = {
        **door.settings,
        "camera.uri": "http://127.0.0.1:1/none",
        "storage.directory": storage,
    }
    command = run_command(*(f"{key}={value}" for key, value in settings.items()))
    connections = door.log.count("connected to the broker")
    began = time.monotonic()
    with DaemonProcess(command, storage / "log", environment=door.environment):
        door.visit(KNOWN)
        log = storage / "log"
        seconds = door.seconds_until(
            lambda: "MQTT is given up" in log.read_text(errors="replace"), since=began
        )
        door.visit(STRANGER)
        door.seconds_until_told(time.monotonic())
        connections = door.log.count("connected to the broker") - connections
        connections += log.read_text(errors="replace").count("connected to the broker")
        log.unlink()
    if connections > MOST_CONNECTIONS:
        raise NotRecoveredError(f"there were {connections} connections")
    return seconds


def _expect_said(door: Door, words: str) -> None:
    if door.log.count(words) != 1:
        raise NotRecoveredError(f"{words!r} was said {door.log.count(words)} times")
