"""Button and relay on a chip that the kernel simulates (gpio-sim), where this kernel can."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from machines.simulated_chip import BUTTON, RELAY, SIMULATORS, SimulatedChip

from doorbell.config import ButtonSection, ChimeSection, RelaySection
from doorbell.domain import Ring
from doorbell.gpio.button import Button
from doorbell.outputs.relay import Relay
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

LABEL = f"doorbell-test-{os.getpid()}"


@pytest.fixture
def chip() -> Iterator[SimulatedChip]:
    subprocess.run(["modprobe", "--quiet", "gpio-sim"], check=False)
    if not os.access(SIMULATORS, os.W_OK):
        pytest.skip("this kernel has no gpio-sim, or this user may not set it up")
    with closing(SimulatedChip(LABEL)) as chip:
        yield chip


def test_the_kernels_own_lines_ring_and_switch(chip: SimulatedChip) -> None:
    chip.pull(BUTTON, up=True)
    section = RelaySection(line=RELAY, pulse_seconds=0.3)
    with closing(Relay(section, ChimeSection())) as relay:
        pressed: list[float] = []
        rang = threading.Event()

        def ring() -> None:
            pressed.append(time.monotonic())
            relay.handle(Ring("e", 0.0, pressed=True))
            rang.set()

        button = ButtonSection(line=BUTTON, chip=LABEL, debounce_seconds=0.02)
        with closing(Button(button, ring)):
            chip.pull(BUTTON, up=False)
            assert rang.wait(5.0)
            assert eventually(lambda: chip.is_high(RELAY))
            assert eventually(lambda: not chip.is_high(RELAY))
            chip.pull(BUTTON, up=True)
            time.sleep(0.1)
            assert len(pressed) == 1
