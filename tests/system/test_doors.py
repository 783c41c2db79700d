"""Two doors of one daemon, before a real broker and on the command line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from doorbell.config import control_socket, load_config
from doorbell.control.camera import DaemonCamera
from doorbell.control.client import Client
from doorbell.errors import RefusedError
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.daemon_process import DOORBELL, DaemonProcess, run_command
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

IDS = ("front", "garden")
NAMES = ("Front door", "Garden gate")


@dataclass
class House:
    daemon: DaemonProcess
    home: Subscriber
    settings: Path

    def called(self, *words: str) -> subprocess.CompletedProcess[str]:
        verb, *rest = words
        return subprocess.run(
            [*DOORBELL, verb, "--config", str(self.settings), *rest],
            check=False,
            capture_output=True,
            text=True,
        )

    def told(self, topic: str) -> list[bytes]:
        return [each.payload for each in self.home.messages if each.topic == topic]

    def events(self, door_id: str) -> list[dict[str, Any]]:
        return [json.loads(each) for each in self.told(f"doorbell/{door_id}/event")]


@pytest.fixture(scope="module")
def house(
    models_directory: Path,  # noqa: ARG001 - built for the daemon
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    settings = folder / "doorbell.toml"
    with (
        Mosquitto(folder, "allow_anonymous true") as broker,
        Subscriber(broker.port) as home,
    ):
        settings.write_text(
            f"""
            camera.width = 640
            camera.height = 360
            camera.frames_per_second = 5
            camera.uri = "simulated:"
            storage.directory = "{folder / "state"}"
            chime.enabled = false
            mqtt.enabled = true
            mqtt.host = "127.0.0.1"
            mqtt.port = {broker.port}
            [[door]]
            id = "front"
            name = "Front door"
            camera.loop = true
            [[door]]
            id = "garden"
            name = "Garden gate"
            camera.loop = true
            camera.width = 480
            camera.height = 270
            """
        )
        with DaemonProcess(run_command(config=settings), folder / "log") as daemon:
            assert all(daemon.says(f"watching {name}") for name in NAMES)
            yield House(daemon, home, settings)


def test_each_door_is_a_device_of_home_assistant_that_is_available(house: House) -> None:
    topics = [f"doorbell/{door_id}/availability" for door_id in IDS]
    assert eventually(lambda: all(house.told(each)[-1:] == [b"online"] for each in topics), 10.0)
    for door_id, name in zip(IDS, NAMES, strict=True):
        found = house.told(f"homeassistant/device/doorbell_{door_id}/config")
        assert json.loads(found[-1])["device"]["name"] == name


def test_a_ring_of_one_door_is_told_at_its_topic_alone(house: House) -> None:
    def pressed(door_id: str) -> int:
        return sum(event["pressed"] for event in house.events(door_id))

    refused = house.called("ring")
    assert refused.returncode == 2
    assert "say at which door: front, garden" in refused.stderr
    assert house.called("ring", "--door", "garden").stdout == "the bell rings\n"
    assert eventually(lambda: pressed("garden") == 1, 5.0)
    assert pressed("front") == 0
    assert house.daemon.says("ring door=garden visit=", 5.0)


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("chime.play", {"chime": "gong"}),
        ("replies.play", {"reply_id": "coming"}),
        ("talk.say", {}),
        ("talk.listen", {}),
        ("door.answer", {"how": "watched"}),
        ("door_enroll", {"name": "Zoe"}),
    ],
)
def test_what_is_to_happen_at_a_door_takes_one(
    house: House, verb: str, arguments: dict[str, Any]
) -> None:
    with Client.connect(control_socket(load_config(house.settings))) as client:
        with pytest.raises(RefusedError, match="say at which door: front, garden"):
            client.ask(verb, **arguments)
        with pytest.raises(RefusedError, match="there is no door 'cellar'"):
            client.ask(verb, **arguments, door_id="cellar")


def test_whoever_sees_by_way_of_the_doorbell_sees_the_door_that_they_name(house: House) -> None:
    control = control_socket(load_config(house.settings))
    for door_id, width in ((None, 640), ("front", 640), ("garden", 480)):
        with closing(DaemonCamera(control, door_id)) as camera:
            assert camera.get(10.0).width == width
    with pytest.raises(RefusedError, match="there is no door 'cellar'; there are front, garden"):
        DaemonCamera(control, "cellar")


def test_status_shows_each_door_and_what_is_set_at_one_holds_there(house: House) -> None:
    assert house.called("mute", "--door", "garden").stdout == "chimes are muted\n"
    lines = house.called("status").stdout.splitlines()
    front, garden = (
        next(n for n, line in enumerate(lines) if line.startswith(f"{name} has been running"))
        for name in NAMES
    )
    assert front < lines.index("") < garden
    assert [line for line in lines if line.startswith("chimes:")] == [
        "chimes: on, at 80%",
        "chimes: muted",
    ]
    told = json.loads(house.called("status", "--json").stdout)
    assert [each["device"]["id"] for each in told["doors"]] == ["front", "garden"]
    assert [each["settings"]["muted"] for each in told["doors"]] == [False, True]
    assert told["device"] == {"id": "front", "name": "Front door"}
