"""A camera's process that is killed, or hangs: the daemon and its other door go on.

Two network cameras, each read by a process of its own.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from doorbell.config import control_socket, load_config
from doorbell.control.client import Client
from doorbell.testbed.camera_processes import camera_process, starter
from doorbell.testbed.daemon_process import DaemonProcess, run_command
from doorbell.testbed.network_camera import NetworkCamera
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system


@dataclass
class House:
    daemon: DaemonProcess
    settings: Path

    def process(self, door_id: str) -> int:
        assert eventually(lambda: camera_process(self.daemon.pid, door_id) is not None, 60)
        pid = camera_process(self.daemon.pid, door_id)
        assert pid is not None
        return pid

    @property
    def outages(self) -> int:
        """How often a camera has been said to be away."""
        return self.daemon.log.count("camera lost:") + self.daemon.log.count("the camera hangs:")

    @property
    def returns(self) -> int:
        return self.daemon.log.count("the camera is back")

    def strikes(self, number: signal.Signals, words: str) -> None:
        """Let a signal hit the front door's camera, and wait until that is said and over."""
        said, outages, returns = self.daemon.log.count(words), self.outages, self.returns
        hit = self.process("front")
        os.kill(hit, number)
        assert eventually(lambda: self.daemon.log.count(words) > said), self.daemon.log_end
        self.rings_at("garden")
        assert eventually(lambda: self.returns > returns), self.daemon.log_end
        assert eventually(lambda: self.returns - returns == self.outages - outages)
        assert self.daemon.log.count(words) == said + 1
        assert self.process("front") != hit
        assert not Path(f"/proc/{hit}").exists()
        assert self.daemon.exit_code is None

    def rings_at(self, door_id: str) -> None:
        with Client.connect(control_socket(load_config(self.settings))) as client:
            assert client.ask("ring", door_id=door_id).document["summary"] == "the bell rings"


@pytest.fixture(scope="module")
def house(
    models_directory: Path,  # noqa: ARG001 - built for the daemon
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    folders = [tmp_path_factory.mktemp(each) for each in ("front", "garden")]
    front, garden = cameras = [NetworkCamera(each) for each in folders]
    settings = folders[0] / "doorbell.toml"
    settings.write_text(
        f"""
        camera.timeout_seconds = 1.0
        camera.stuck_seconds = 0.2
        camera.reopen_max_seconds = 0.2
        storage.directory = "{folders[0] / "state"}"
        chime.enabled = false
        [[door]]
        id = "front"
        name = "Front door"
        camera.uri = "{front.uri}"
        [[door]]
        id = "garden"
        name = "Garden gate"
        camera.uri = "{garden.uri}"
        """
    )
    with ExitStack() as stack:
        for camera in cameras:
            stack.callback(camera.unplug)
            camera.plug()
        command = run_command(config=settings)
        daemon = stack.enter_context(DaemonProcess(command, folders[0] / "log"))
        assert all(daemon.says(f"watching {name}", 90) for name in ("Front door", "Garden gate"))
        yield House(daemon, settings)


def test_a_camera_whose_process_crashes_is_lost_and_opened_again(house: House) -> None:
    pid = house.process("garden")
    house.strikes(signal.SIGSEGV, "camera lost: the camera's process ended by SIGSEGV")
    assert house.process("garden") == pid


def test_a_camera_whose_process_hangs_is_opened_by_another_one(house: House) -> None:
    house.strikes(signal.SIGSTOP, "the camera hangs: its driver has not answered for 2.2 s")


def test_cameras_are_opened_again_without_what_has_started_their_processes(house: House) -> None:
    first = starter(house.daemon.pid)
    assert first is not None
    returns = house.returns
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: house.returns >= returns + 2, 60)
    assert starter(house.daemon.pid) not in (None, first)
    house.strikes(signal.SIGKILL, "camera lost: the camera's process ended by SIGKILL")


def test_no_process_outlives_a_daemon_that_is_killed(house: House) -> None:
    processes = [house.process("front"), house.process("garden"), starter(house.daemon.pid)]
    house.daemon.kill()
    assert eventually(lambda: not any(Path(f"/proc/{each}").exists() for each in processes), 5)
