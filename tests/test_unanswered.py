import time
from collections.abc import Iterator

import pytest

from doorbell.outputs.sound.unanswered import SERIES_SECONDS, UnansweredRings
from doorbell.testbed.waiting import eventually


class Door:
    """Rings, by a clock that is set."""

    def __init__(self) -> None:
        self.now = 0.0
        self.replies = 0
        self.rings = UnansweredRings(self._reply, now_seconds=lambda: self.now)

    def _reply(self) -> None:
        self.replies += 1

    def is_replied_to(self, times: int, after_seconds: float = 0.05) -> bool:
        """Whether so many replies are said when a ring waits no longer."""
        time.sleep(after_seconds)
        return eventually(lambda: self.replies >= times, 0.3) and self.replies == times


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()
    yield door
    door.rings.close()
    door.rings.close()


def test_the_rings_of_a_minute_are_replied_to_once(door: Door) -> None:
    for _ in range(5):
        door.rings.ring(0.01)
        door.now += SERIES_SECONDS / 5.0 - 0.1
    assert door.is_replied_to(1)
    door.now = SERIES_SECONDS
    door.rings.ring(0.01)
    door.now += 0.02
    assert door.is_replied_to(2)


def test_on_a_busy_evening_the_next_visitors_are_replied_to(door: Door) -> None:
    for number in range(3):
        for _ in range(2):
            door.rings.ring(0.01)
            door.now += SERIES_SECONDS / 2.0
        assert door.is_replied_to(number + 1)


def test_an_answered_ring_is_not_replied_to_nor_the_rest_of_its_series(door: Door) -> None:
    door.rings.ring(0.05)
    door.rings.answered()
    door.now = 10.0
    door.rings.ring(0.05)
    door.now = 11.0
    assert door.is_replied_to(0, 0.1)


def test_where_nothing_is_to_be_said_nothing_is(door: Door) -> None:
    door.rings.ring(0)
    door.now = 100.0
    assert door.is_replied_to(0, 0.05)
