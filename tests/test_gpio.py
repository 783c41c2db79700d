import errno
from datetime import timedelta

import pytest
from gpio_chips import FakeChip, FakeChips, orin
from gpiod import Chip, LineRequest
from gpiod.line import Bias, Direction, Edge, Value

from doorbell.errors import GpioError
from doorbell.gpio import lines as gpio
from doorbell.gpio.lines import InputLine, KernelChips, open_input, open_output


def take(chips: FakeChips, chip: str | None, line: str) -> InputLine:
    return open_input(chips, chip, line, active_low=True, bias="pull-up", debounce_seconds=0.03)


def types_are_gpiods(chip: Chip, request: LineRequest) -> tuple[gpio.Chip, gpio.LineRequest]:
    """Type-checked: the library's own classes are what this part asks for."""
    return chip, request


def test_the_librarys_classes_have_every_call_that_is_used() -> None:
    for ours, theirs in ((gpio.Chip, Chip), (gpio.LineRequest, LineRequest)):
        used = {name for name in vars(ours) if not name.startswith("_")}
        assert used
        assert used <= set(dir(theirs))
    assert types_are_gpiods.__doc__


@pytest.mark.parametrize("chip", [None, "gpiochip0", "tegra234-gpio", "/dev/gpiochip0"])
@pytest.mark.parametrize("line", ["PQ.05", "1"])
def test_a_line_is_found_by_name_or_number(chip: str | None, line: str) -> None:
    first = FakeChip("gpiochip1", "tegra234-gpio-aon", ["PAA.00"])
    second = orin()
    taken = take(FakeChips(first, second), chip, line)
    assert taken.label == f"line {line} of gpiochip0 (tegra234-gpio)"
    [request] = second.requests
    assert request.offset == 1
    assert (first.opened, second.opened) == (0, 0)
    taken.close()
    assert request.released


def test_an_input_is_asked_for_as_it_is_wired() -> None:
    chip = orin()
    assert take(FakeChips(chip), None, "PQ.05").debounced
    settings = chip.requests[0].settings
    assert settings.direction is Direction.INPUT
    assert settings.edge_detection is Edge.BOTH
    assert settings.bias is Bias.PULL_UP
    assert settings.active_low
    assert settings.debounce_period == timedelta(milliseconds=30)


def test_a_chip_that_cannot_debounce_is_asked_without() -> None:
    chip = orin(debounces=False)
    assert not take(FakeChips(chip), None, "PQ.05").debounced
    assert chip.requests[0].settings.debounce_period == timedelta()


def test_edges_carry_the_logical_level_and_the_kernels_time() -> None:
    chip = orin()
    line = take(FakeChips(chip), None, "PQ.05")
    assert not line.is_active()
    assert line.edges(0.0) == []
    chip.requests[0].drive(high=False, at_seconds=12.5)
    assert line.is_active()
    chip.requests[0].drive(high=True, at_seconds=12.75)
    assert [(edge.active, edge.at_seconds) for edge in line.edges(0.0)] == [
        (True, 12.5),
        (False, 12.75),
    ]


def test_an_output_is_off_when_taken_and_then_switched() -> None:
    chip = orin()
    line = open_output(FakeChips(chip), None, "PQ.06", active_low=True)
    [request] = chip.requests
    assert request.settings.direction is Direction.OUTPUT
    assert request.settings.output_value is Value.INACTIVE
    assert request.settings.active_low
    line.set(active=True)
    line.set(active=False)
    assert [value for _, value in request.switched] == [Value.ACTIVE, Value.INACTIVE]


@pytest.mark.parametrize(
    ("chips", "chip", "message"),
    [
        (FakeChips(), None, "no GPIO chip"),
        (FakeChips(orin()), None, r"the chips are gpiochip0 \(tegra234-gpio\)"),
        (FakeChips(orin()), "gpiochip7", "on chip 'gpiochip7'; the chips are gpiochip0"),
        (FakeChips(orin()), "/dev/gpiochip7", "No such file or directory"),
        (FakeChips(orin(), forbidden=["/dev/gpiochip0"]), None, "in the group gpio"),
    ],
)
def test_what_cannot_be_found_is_said_with_what_there_is(
    chips: FakeChips, chip: str | None, message: str
) -> None:
    with pytest.raises(GpioError, match=message) as caught:
        take(chips, chip, "PZ.09")
    assert "'PZ.09'" in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_line_of_something_else_is_said_to_be_in_use() -> None:
    chip = orin()
    take(FakeChips(chip), None, "PQ.05")
    with pytest.raises(GpioError, match="in use already"):
        open_output(FakeChips(chip), None, "PQ.05", active_low=False)
    assert chip.opened == 0


def test_a_line_that_is_refused_says_why() -> None:
    chip = orin()
    chip.refuses = errno.EPERM
    with pytest.raises(GpioError, match="cannot be taken: Operation not permitted"):
        take(FakeChips(chip), None, "PQ.05")


def test_a_chip_that_vanishes_is_an_error_of_ours() -> None:
    chip = orin()
    button = take(FakeChips(chip), None, "PQ.05")
    relay = open_output(FakeChips(chip), None, "PQ.06", active_low=False)
    chip.vanish()
    with pytest.raises(GpioError, match=r"PQ\.05 of gpiochip0"):
        button.edges(1.0)
    with pytest.raises(GpioError, match="does not answer"):
        button.is_active()
    with pytest.raises(GpioError, match="does not answer"):
        relay.set(active=True)


def test_a_machine_without_the_line_says_so() -> None:
    with pytest.raises(GpioError, match="no GPIO line 'doorbell-has-no-such-line'"):
        open_output(KernelChips(), None, "doorbell-has-no-such-line", active_low=False)
    with pytest.raises(GpioError, match="No such file"):
        open_output(KernelChips(), "/dev/gpiochip999", "0", active_low=False)
