"""What happens to a camera, to the real daemon before a real network camera.

The camera is a process that is missing, killed, stopped, darkened, frozen, garbled and resized;
it is followed by MQTT alone. Needs mosquitto.
"""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.daemon_process import DaemonProcess, run_command
from doorbell.testbed.network_camera import NetworkCamera
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

SETTINGS = {
    "camera.timeout_seconds": 0.5,
    "camera.stuck_seconds": 0.5,
    "camera.reopen_max_seconds": 0.2,
    "camera.dark_seconds": 0.4,
    "camera.frozen_seconds": 0.4,
    "chime.enabled": "false",
    "mqtt.enabled": "true",
}


class Door:
    """The daemon, the camera and what home automation hears."""

    def __init__(self, folder: Path, models: Path, port: int, listener: Subscriber) -> None:
        self.camera = NetworkCamera(folder)
        self.listener = listener
        settings = {
            **SETTINGS,
            "camera.uri": self.camera.uri,
            "mqtt.port": port,
            "storage.directory": folder,
            "inference.models_directory": models,
        }
        command = run_command(*(f"{key}={value}" for key, value in settings.items()))
        self.daemon = DaemonProcess(command, folder / "log")

    @property
    def conditions(self) -> list[str]:
        """As published, each turn once."""
        told = [document["condition"] for document in self.listener.documents("camera")]
        return [now for before, now in zip([None, *told], told, strict=False) if before != now]

    def comes_to(self, condition: str) -> bool:
        return eventually(lambda: self.conditions[-1:] == [condition], 20)

    def close(self) -> None:
        self.camera.unplug()
        self.daemon.kill()


@pytest.fixture
def door(tmp_path: Path, models_directory: Path, broker: Mosquitto) -> Iterator[Door]:
    with (
        Subscriber(broker.port) as listener,
        closing(Door(tmp_path, models_directory, broker.port, listener)) as door,
    ):
        yield door


def test_whatever_happens_to_the_camera_is_said_once_and_mended_without_a_restart(
    door: Door,
) -> None:
    camera = door.camera
    assert door.comes_to("lost"), door.daemon.log
    door.listener.publish("doorbell/front-door/ring", b"")
    assert eventually(lambda: len(door.listener.of("event")) == 1), "no bell without a camera"
    camera.plug()
    assert door.comes_to("live"), door.daemon.log

    camera.unplug()
    assert door.comes_to("lost"), door.daemon.log
    camera.plug()
    assert door.comes_to("live"), door.daemon.log

    camera.signal(signal.SIGSTOP)  # connected, and silent for ever
    assert door.comes_to("lost"), door.daemon.log
    camera.signal(signal.SIGCONT)
    assert door.comes_to("live"), door.daemon.log

    for mode, condition in {"dark": "dark", "frozen": "frozen", "garbled": "lost"}.items():
        camera.set(mode)
        assert door.comes_to(condition), door.daemon.log
        camera.set("live")
        assert door.comes_to("live"), door.daemon.log

    camera.set("sizes")
    with suppress(subprocess.TimeoutExpired):
        door.daemon.wait(1.5)  # twenty pictures of five sizes
    assert door.daemon.terminate(10) == 0, door.daemon.log

    outages = ["lost", "lost", "lost", "dark", "frozen", "lost"]
    turns = [condition for outage in outages for condition in (outage, "live")]
    assert [told for told in door.conditions if told != "starting"] == turns
    availability = [payload.decode() for payload in door.listener.of("camera/availability")]
    assert availability.count("offline") >= 5
    assert availability[-1] == "online"
    assert door.listener.of("availability") == [b"online", b"offline"]  # never in between
    log = door.daemon.log
    assert log.count(" WARNING ") == len(outages), log
    assert log.count("the camera is back") == 5
    assert log.count("the camera sees again") == 1
    reasons = [document["reason"] for document in door.listener.documents("camera")]
    assert "secret" not in f"{log} {reasons}"
