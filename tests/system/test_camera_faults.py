"""What happens to a camera, to the real daemon before a real network camera.

The camera is a process that is missing, killed, stopped, darkened, frozen, garbled and resized; the
household follows it by MQTT alone. Needs mosquitto.
"""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from household import Listener, Mosquitto, NetworkCamera, eventually, listening, run_command

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


class Household:
    """The daemon, the camera and what home automation hears."""

    def __init__(self, folder: Path, models: Path, broker: Mosquitto, listener: Listener) -> None:
        self.camera = NetworkCamera(folder)
        self.listener = listener
        self._log = folder / "log"
        settings = {
            **SETTINGS,
            "camera.uri": self.camera.uri,
            "mqtt.port": broker.port,
            "storage.directory": folder,
            "inference.models_directory": models,
        }
        command = run_command(*(f"{key}={value}" for key, value in settings.items()))
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def conditions(self) -> list[str]:
        """As published, each turn once."""
        told = [document["condition"] for document in self.listener.documents("camera")]
        return [now for before, now in zip([None, *told], told, strict=False) if before != now]

    def comes_to(self, condition: str) -> bool:
        return eventually(lambda: self.conditions[-1:] == [condition], 20)

    def close(self) -> None:
        self.camera.unplug()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def household(tmp_path: Path, models_directory: Path) -> Iterator[Household]:
    broker = Mosquitto(tmp_path, "allow_anonymous true")
    broker.start()
    with listening(broker.port) as listener:
        household = Household(tmp_path, models_directory, broker, listener)
        yield household
        household.close()
    broker.stop()


def test_whatever_happens_to_the_camera_is_said_once_and_mended_without_a_restart(
    household: Household,
) -> None:
    camera = household.camera
    assert household.comes_to("lost"), household.log
    household.listener.publish("doorbell/front-door/ring", b"")
    assert eventually(lambda: len(household.listener.of("event")) == 1), "no bell without a camera"
    camera.plug()
    assert household.comes_to("live"), household.log

    camera.unplug()
    assert household.comes_to("lost"), household.log
    camera.plug()
    assert household.comes_to("live"), household.log

    camera.signal(signal.SIGSTOP)  # connected, and silent for ever
    assert household.comes_to("lost"), household.log
    camera.signal(signal.SIGCONT)
    assert household.comes_to("live"), household.log

    for mode, condition in {"dark": "dark", "frozen": "frozen", "garbled": "lost"}.items():
        camera.set(mode)
        assert household.comes_to(condition), household.log
        camera.set("live")
        assert household.comes_to("live"), household.log

    camera.set("sizes")
    with suppress(subprocess.TimeoutExpired):
        household.process.wait(1.5)  # twenty pictures of five sizes
    household.process.terminate()
    assert household.process.wait(10) == 0, household.log

    outages = ["lost", "lost", "lost", "dark", "frozen", "lost"]
    turns = [condition for outage in outages for condition in (outage, "live")]
    assert [told for told in household.conditions if told != "starting"] == turns
    availability = [payload.decode() for payload in household.listener.of("camera/availability")]
    assert availability.count("offline") >= 5
    assert availability[-1] == "online"
    assert household.listener.of("availability") == [b"online", b"offline"]  # never in between
    log = household.log
    assert log.count(" WARNING ") == len(outages), log
    assert log.count("the camera is back") == 5
    assert log.count("the camera sees again") == 1
    reasons = [document["reason"] for document in household.listener.documents("camera")]
    assert "secret" not in f"{log} {reasons}"
