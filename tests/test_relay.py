import logging
import time as clock
from contextlib import closing
from datetime import time

import pytest
from gpio_chips import FakeChip, FakeChips, FakeRequest, orin
from gpiod.line import Value

from doorbell.config import ChimeSection, RelaySection
from doorbell.domain import Arrived, Ring, Visit
from doorbell.errors import GpioError
from doorbell.outputs.relay import Relay
from doorbell.status import MuteState
from doorbell.testbed.waiting import eventually

QUIET = ChimeSection(quiet_from=time(22), quiet_to=time(7))
RING = Ring("e", 0.0)


def relay(
    chip: FakeChip, *, hour: int = 12, quiet: ChimeSection = QUIET, **settings: float | bool
) -> Relay:
    section = RelaySection.model_validate({"line": "PQ.06", "pulse_seconds": 0.05, **settings})
    return Relay(section, quiet, FakeChips(chip), local_time=lambda _: time(hour))


def values(request: FakeRequest) -> list[Value]:
    return [value for _, value in request.switched]


def test_each_ring_is_a_pulse_and_nothing_else_is() -> None:
    chip = orin()
    with closing(relay(chip)) as switched:
        switched.handle(Arrived("e", 0.0, Visit("v", 0.0, 0.0)))
        switched.handle(RING)
        switched.handle(RING)
        [request] = chip.requests
        assert eventually(lambda: len(request.switched) == 4)
    assert values(request) == [Value.ACTIVE, Value.INACTIVE] * 2
    assert request.switched[1][0] - request.switched[0][0] >= 0.05
    assert request.released


def test_the_end_switches_it_off() -> None:
    chip = orin()
    switched = relay(chip, pulse_seconds=60.0)
    switched.handle(RING)
    [request] = chip.requests
    assert eventually(lambda: values(request) == [Value.ACTIVE])
    started = clock.monotonic()
    switched.close()
    switched.close()
    assert clock.monotonic() - started < 1.0
    assert request.level is Value.INACTIVE
    assert request.released


@pytest.mark.parametrize(
    ("hour", "muted", "when_silent", "quiet_volume", "pulses"),
    [
        (12, False, False, 0.0, 1),
        (23, False, False, 0.0, 0),
        (23, False, False, 0.2, 1),
        (12, True, False, 0.0, 0),
        (12, True, True, 0.0, 1),
        (23, False, True, 0.0, 1),
    ],
)
def test_it_is_silent_with_the_chimes_unless_it_is_a_lamp(
    hour: int, muted: bool, when_silent: bool, quiet_volume: float, pulses: int
) -> None:
    chip = orin()
    section = QUIET.model_copy(update={"quiet_volume": quiet_volume})
    switched = relay(chip, hour=hour, quiet=section, when_silent=when_silent)
    switched.handle(MuteState(muted))
    switched.handle(RING)
    if pulses:
        assert eventually(lambda: len(chip.requests[0].switched) == 2)
    switched.close()
    assert len(chip.requests[0].switched) == 2 * pulses


def test_a_chip_that_is_lost_is_said_once_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    chip = orin()
    with closing(relay(chip)) as switched:
        chip.vanish()
        switched.handle(RING)
        assert eventually(lambda: "goes on without" in caplog.text)
        switched.handle(RING)
        clock.sleep(0.05)
        chip.gone = False
        switched.handle(RING)
        assert eventually(lambda: len(chip.requests) == 2 and len(values(chip.requests[1])) == 2)
    assert caplog.text.count("goes on without") == 1


def test_a_relay_that_is_not_there_is_an_error_at_once() -> None:
    with pytest.raises(GpioError, match=r"'PQ\.06'"):
        Relay(RelaySection(line="PQ.06"), QUIET, FakeChips())
