"""Visits while the wall clock is set."""

import pytest
from visiting import ANNA, EPOCH, Door, come_and_go, kinds, known

from doorbell.domain import Left, Ring
from doorbell.visits.clock import CLOCK_STEP_SECONDS


def test_a_clock_that_is_set_changes_no_visits_length_and_moves_it() -> None:
    for step in (-3600.0, 365 * 86400.0, EPOCH):
        door = Door()
        door.frame(door.see(1, 1, known(ANNA)))
        door.frame(door.see(1, 1, known(ANNA)))
        before = door.visits.open_visits[0]
        door.offset += step
        door.frame(door.see(1, 1, known(ANNA)))
        [visit] = door.visits.open_visits
        assert visit.started_at == before.started_at + step
        assert visit.last_seen_at == door.wall
        [left] = door.wait(5.25)
        assert isinstance(left, Left)
        assert left.visit.ended_at == left.visit.last_seen_at == visit.last_seen_at
        assert left.visit.last_seen_at - left.visit.started_at == 0.25


@pytest.mark.parametrize("step", [-3600.0, 365 * 86400.0, EPOCH])
@pytest.mark.parametrize("told_by_frame", [False, True])
def test_a_clock_that_is_set_after_the_last_frame_moves_the_visit_once(
    step: float, *, told_by_frame: bool
) -> None:
    door = Door()
    door.frame(door.see(1, 1, known(ANNA)))
    [before] = door.visits.open_visits
    until = door.wall + 1.0
    door.offset += step
    if told_by_frame:
        door.frame(door.see(1, 1, known(ANNA)))
    door.visits.follow_clock(until, step)
    [left] = door.finish()
    assert isinstance(left, Left)
    assert left.visit.started_at == before.started_at + step
    assert left.visit.ended_at == before.last_seen_at + step + 0.125 * told_by_frame


def test_the_frame_after_a_step_that_was_told_moves_nothing_again() -> None:
    door = Door()
    door.frame(door.see(1, 1, known(ANNA)))
    [before] = door.visits.open_visits
    door.visits.follow_clock(door.wall, 3600.0)
    door.offset += 3600.0
    door.frame(door.see(1, 1, known(ANNA)))
    assert door.visits.open_visits[0].started_at == before.started_at + 3600.0


def test_a_clock_set_back_by_less_than_a_step_ends_no_visit_before_it_began() -> None:
    door = Door()
    door.frame(door.see(1, 1, known(ANNA)))
    door.offset -= CLOCK_STEP_SECONDS - 0.125
    door.frame(door.see(1, 1, known(ANNA)))
    [visit] = door.visits.open_visits
    assert visit.last_seen_at >= visit.started_at
    [left] = door.wait(5.25)
    assert isinstance(left, Left)
    assert left.visit.ended_at is not None
    assert left.visit.ended_at >= left.visit.started_at


def test_a_clock_that_is_set_lets_nobody_ring_again_within_the_cooldown() -> None:
    door = Door()
    assert Ring in kinds(come_and_go(door, 1, known(ANNA)))
    door.offset += 365 * 86400.0
    assert Ring not in kinds(come_and_go(door, 2, known(ANNA)))
