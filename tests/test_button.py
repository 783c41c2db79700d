import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from gpio_chips import FakeChip, FakeChips, orin

from doorbell.config import ButtonSection
from doorbell.errors import GpioError
from doorbell.gpio.button import Button, Debouncer
from doorbell.testbed.waiting import eventually

BOUNCES = (0.0, 0.001, 0.0015, 0.004, 0.0042)  # to and fro, and then it holds


class Presses:
    """Counts, on any thread."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = threading.Condition()

    def __call__(self) -> None:
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def become(self, count: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.count >= count, 5.0)


@contextmanager
def listening(chip: FakeChip, **settings: float | bool) -> Iterator[Presses]:
    section = ButtonSection.model_validate({"line": "PQ.05", "cooldown_seconds": 0, **settings})
    presses = Presses()
    with closing(Button(section, presses, FakeChips(chip), reopen_seconds=0.02)):
        yield presses


def test_a_debounced_press_counts_at_once() -> None:
    debouncer = Debouncer(0.0, active=False)
    assert not debouncer.edge(active=True, at_seconds=1.0)
    assert debouncer.settle(1.0)
    assert not debouncer.settle(1.5)
    assert not debouncer.edge(active=False, at_seconds=1.2)
    assert not debouncer.settle(1.2)


def test_a_bouncing_button_is_one_press() -> None:
    debouncer = Debouncer(0.03, active=False)
    presses = 0
    for start, active in ((10.0, True), (11.0, False), (12.0, True), (13.0, False)):
        for index, offset in enumerate(BOUNCES):
            level = active if index % 2 == 0 else not active
            presses += debouncer.edge(active=level, at_seconds=start + offset)
    presses += debouncer.settle(14.0)
    assert presses == 2


def test_a_spike_and_a_chatter_while_held_are_no_presses() -> None:
    debouncer = Debouncer(0.03, active=False)
    assert not debouncer.edge(active=True, at_seconds=1.0)
    assert not debouncer.edge(active=False, at_seconds=1.01)
    assert not debouncer.settle(2.0)
    assert not debouncer.edge(active=True, at_seconds=3.0)
    assert debouncer.settle(3.05)
    assert not debouncer.edge(active=False, at_seconds=4.0)
    assert not debouncer.edge(active=True, at_seconds=4.01)
    assert not debouncer.settle(5.0)


def test_the_time_until_a_change_counts() -> None:
    debouncer = Debouncer(0.5, active=False)
    assert debouncer.remaining(1.0) == 0.0
    debouncer.edge(active=True, at_seconds=1.0)
    assert debouncer.remaining(1.25) == 0.25
    assert debouncer.remaining(9.0) == 0.0


def test_a_held_button_rings_once_and_rings_again_when_pressed_again() -> None:
    chip = orin()
    with listening(chip) as presses:
        wire = chip.requests[0]
        wire.drive(high=False)
        assert presses.become(1)
        time.sleep(0.3)  # still held
        assert presses.count == 1
        wire.drive(high=True)
        wire.drive(high=False)
        assert presses.become(2)
    assert chip.requests[0].released


def test_a_tap_that_is_over_before_it_is_looked_at_rings() -> None:
    chip = orin(debounces=False)
    with listening(chip, debounce_seconds=0.03) as presses:
        now = time.monotonic()
        chip.requests[0].drive(high=False, at_seconds=now - 0.2)
        chip.requests[0].drive(high=True, at_seconds=now - 0.1)
        assert presses.become(1)


def test_without_the_kernels_help_bounces_are_left_out_here() -> None:
    chip = orin(debounces=False)
    with listening(chip, debounce_seconds=0.05) as presses:
        for index in range(5):
            chip.requests[0].drive(high=index % 2 == 1)
        assert presses.become(1)
        for index in range(5):
            chip.requests[0].drive(high=index % 2 == 0)
        time.sleep(0.15)
        assert presses.count == 1


def test_the_other_wiring() -> None:
    chip = orin(idle_high=False)
    with listening(chip, active_low=False) as presses:
        chip.requests[0].drive(high=True)
        assert presses.become(1)


def test_a_button_held_from_the_start_is_no_press() -> None:
    chip = orin(idle_high=False)
    with listening(chip, active_low=True) as presses:
        chip.requests[0].drive(high=True)
        chip.requests[0].drive(high=False)
        assert presses.become(1)
        assert presses.count == 1


def test_a_child_at_the_button_does_not_ring_all_the_time() -> None:
    chip = orin()
    with listening(chip, cooldown_seconds=2.0) as presses:
        start = time.monotonic() - 100
        for index in range(81):  # four seconds, twenty times a second
            chip.requests[0].drive(high=False, at_seconds=start + index / 20)
            chip.requests[0].drive(high=True, at_seconds=start + index / 20 + 0.01)
        assert presses.become(3)
        time.sleep(0.1)
        assert presses.count == 3


def test_a_chip_that_vanishes_is_said_once_and_listened_to_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    chip = orin()
    with listening(chip) as presses:
        chip.vanish()
        time.sleep(0.1)
        chip.gone = False
        assert eventually(lambda: len(chip.requests) == 2)
        assert eventually(lambda: "the button is back" in caplog.text)
        chip.requests[1].drive(high=False)
        assert presses.become(1)
    assert caplog.text.count("the button is lost") == 1
    assert all(request.released for request in chip.requests)


def test_a_button_that_is_not_there_is_an_error_at_once() -> None:
    with pytest.raises(GpioError, match=r"'PQ\.05'"):
        Button(ButtonSection(line="PQ.05"), Presses(), FakeChips())
