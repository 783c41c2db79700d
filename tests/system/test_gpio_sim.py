"""Button and relay on a chip that the kernel simulates (gpio-sim), where this kernel can."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from doorbell.config import ButtonSection, ChimeSection, RelaySection
from doorbell.domain import Ring
from doorbell.gpio.button import Button
from doorbell.outputs.relay import Relay
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

SIMULATORS = Path("/sys/kernel/config/gpio-sim")
LABEL = "doorbell-test"


class SimulatedChip:
    """Two lines, set up as Documentation/admin-guide/gpio/gpio-sim.rst of the kernel says."""

    def __init__(self) -> None:
        self._device = SIMULATORS / f"doorbell-{os.getpid()}"
        self._bank = self._device / "bank0"
        self._bank.mkdir(parents=True)
        (self._bank / "num_lines").write_text("2")
        (self._bank / "label").write_text(LABEL)
        for offset, name in enumerate(("DOORBELL-BUTTON", "DOORBELL-RELAY")):
            (self._bank / f"line{offset}").mkdir()
            (self._bank / f"line{offset}" / "name").write_text(name)
        (self._device / "live").write_text("1")
        device = (self._device / "dev_name").read_text().strip()
        chip = (self._bank / "chip_name").read_text().strip()
        self._lines = Path("/sys/devices/platform") / device / chip

    def pull(self, offset: int, *, up: bool) -> None:
        (self._lines / f"sim_gpio{offset}" / "pull").write_text("pull-up" if up else "pull-down")

    def is_high(self, offset: int) -> bool:
        return (self._lines / f"sim_gpio{offset}" / "value").read_text().strip() == "1"

    def close(self) -> None:
        (self._device / "live").write_text("0")
        for offset in range(2):
            (self._bank / f"line{offset}").rmdir()
        self._bank.rmdir()
        self._device.rmdir()


@pytest.fixture
def chip() -> Iterator[SimulatedChip]:
    subprocess.run(["modprobe", "--quiet", "gpio-sim"], check=False)
    if not os.access(SIMULATORS, os.W_OK):
        pytest.skip("this kernel has no gpio-sim, or this user may not set it up")
    with closing(SimulatedChip()) as chip:
        yield chip


def test_the_kernels_own_lines_ring_and_switch(chip: SimulatedChip) -> None:
    chip.pull(0, up=True)
    section = RelaySection(line="DOORBELL-RELAY", pulse_seconds=0.3)
    with closing(Relay(section, ChimeSection())) as relay:
        pressed: list[float] = []
        rang = threading.Event()

        def ring() -> None:
            pressed.append(time.monotonic())
            relay.handle(Ring("e", 0.0, pressed=True))
            rang.set()

        button = ButtonSection(line="DOORBELL-BUTTON", chip=LABEL, debounce_seconds=0.02)
        with closing(Button(button, ring)):
            chip.pull(0, up=False)
            assert rang.wait(5.0)
            assert eventually(lambda: chip.is_high(1))
            assert eventually(lambda: not chip.is_high(1))
            chip.pull(0, up=True)
            time.sleep(0.1)
            assert len(pressed) == 1
