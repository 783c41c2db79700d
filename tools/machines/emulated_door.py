"""A door's devices in the virtual machine of ``machines.kernel``, and what its service says."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from machines.disk import FRONT_DOOR
from machines.loopback_camera import LoopbackCamera
from machines.simulated_chip import SimulatedChip
from machines.step import StepFailedError

# What its camera shows.
WIDTH, HEIGHT, FRAMES_PER_SECOND = 640, 480, 2.0


class Journal:
    """What the daemon says, from one moment on."""

    def __init__(self) -> None:
        self.since = time.time()

    def lines(self) -> list[str]:
        """What it has said since."""
        read = ["journalctl", "--unit=doorbell", "--output=cat", f"--since=@{self.since:.3f}"]
        return output(*read).splitlines()

    def wait(self, pattern: str, seconds: float) -> re.Match[str]:
        """Wait until it says something.

        Raises:
            StepFailedError: it has not; with what it said last.
        """
        end = time.monotonic() + seconds
        while True:
            lines = self.lines()
            for line in lines:
                if found := re.search(pattern, line):
                    return found
            if time.monotonic() > end:
                raise StepFailedError(f"no {pattern!r} within {seconds:.0f} s, but {lines[-4:]}")
            time.sleep(1)


class Door:
    """The devices that the daemon has, and what has been seen of them."""

    def __init__(self) -> None:
        self.chip = SimulatedChip("doorbell")
        self.camera: LoopbackCamera | None = None
        self.recorder: subprocess.Popen[bytes] | None = None

    def plug_in(self, pictures: tuple[int, int, str], scene: Iterator[bytes]) -> None:
        """Give the front door's camera pictures."""
        device = Path(f"/dev/video{FRONT_DOOR}")
        self.camera = LoopbackCamera(device, pictures, FRAMES_PER_SECOND, scene)

    def unplug(self) -> None:
        """Take them away."""
        if self.camera is not None:
            self.camera.close()
            self.camera = None


def same_process() -> None:
    """Nothing has ended the daemon since it was last started by hand.

    Raises:
        StepFailedError: systemd has started it again.
    """
    restarts, state = service("NRestarts", "ActiveState")
    if (restarts, state) != ("0", "active"):
        raise StepFailedError(f"the service is {state} after {restarts} restarts")


def service(*properties: str) -> list[str]:
    """Properties of the unit, in this order."""
    said = output("systemctl", "show", "doorbell", f"--property={','.join(properties)}")
    told = dict(line.split("=", 1) for line in said.splitlines())
    return [told[each] for each in properties]


def output(*command: str, allowed: Sequence[int] = (0,)) -> str:
    """What a command prints.

    Raises:
        StepFailedError: it failed.
    """
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode not in allowed:
        raise StepFailedError(f"{' '.join(command)}: {finished.stdout}{finished.stderr}")
    return finished.stdout
