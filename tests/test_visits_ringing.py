"""Who rings, and when: cool-downs, presses and looking at the door."""

from dataclasses import replace

import pytest
from visiting import (
    ANNA,
    ASIDE,
    BELA,
    NOBODY,
    POSTMAN,
    POSTMAN_AGAIN,
    QUIET,
    SECTION,
    STRAIGHT,
    UNDECIDED,
    Door,
    come_and_go,
    kinds,
    known,
    rings,
    stays,
)

from doorbell.domain import Arrived, Left, Match, Person, Recognized, Ring, Stranger, Unknown
from doorbell.visits.open_visit import GLANCE_SECONDS


def test_people_who_come_together_have_a_visit_and_a_ring_each() -> None:
    door = Door()
    events = door.frame(
        door.see(1, 0, known(ANNA)), door.see(2, 1, known(BELA)), door.see(3, 2, NOBODY)
    )
    assert kinds(events) == [
        *(Arrived, Recognized, Ring),
        *(Arrived, Recognized, Ring),
        *(Arrived, Unknown, Ring),
    ]
    assert len({event.visit.visit_id for event in events if event.visit}) == 3


def test_who_comes_back_within_the_cooldown_does_not_ring_again() -> None:
    door = Door()
    assert Ring in kinds(come_and_go(door, 1, known(ANNA)))
    assert kinds(come_and_go(door, 2, known(ANNA))) == [Arrived, Recognized, Left]
    assert Ring in kinds(come_and_go(door, 3, known(BELA)))
    door.wait(30)
    assert Ring in kinds(come_and_go(door, 4, known(ANNA)))


def test_people_and_strangers_of_one_number_have_cooldowns_of_their_own() -> None:
    door = Door()
    namesake = Person(POSTMAN.stranger_id, "Postman's namesake")
    assert Ring in kinds(come_and_go(door, 1, known(namesake)))
    assert Ring in kinds(come_and_go(door, 2, POSTMAN_AGAIN))


def test_visits_do_not_ring_where_that_is_switched_off_but_a_press_does() -> None:
    door = Door(QUIET)
    assert kinds(door.frame(door.see(1, 0, known(ANNA)))) == [Arrived, Recognized]
    assert isinstance(door.press(), Ring)


def test_a_press_with_nobody_in_sight_rings_for_nobody() -> None:
    door = Door()
    ring = door.press()
    assert (ring.visit, ring.occurred_at) == (None, door.wall)


def test_a_press_rings_for_the_visitor_seen_last() -> None:
    door = Door()
    door.frame(door.see(1, 0, known(ANNA)), door.see(2, 1))
    door.frame(door.see(2, 1))
    assert door.press().visit == door.visits.visit_of(2)


def test_who_pressed_does_not_ring_again_within_the_cooldown() -> None:
    door = Door()
    door.frame(door.see(1, 0, known(ANNA)))
    for _ in range(40):
        door.wait(1)
        door.frame(door.see(1, 0, known(ANNA)))
    door.press()
    door.wait(6)
    assert kinds(door.frame(door.see(2, 0, known(ANNA)))) == [Arrived, Recognized]


def test_a_press_rings_within_the_cooldown() -> None:
    door = Door()
    door.frame(door.see(1, 0, known(ANNA)))
    rings = [door.press() for _ in range(2)]
    assert [ring.visit for ring in rings] == [door.visits.visit_of(1)] * 2
    assert rings[0].event_id != rings[1].event_id


def test_who_pressed_before_a_name_was_found_is_announced_without_a_second_ring() -> None:
    door = Door()
    door.frame(door.see(1, 0))
    assert door.press().pressed
    assert kinds(door.frame(door.see(1, 0, known(ANNA)))) == [Recognized]
    door.wait(6)
    assert kinds(door.frame(door.see(2, 0, known(ANNA)))) == [Arrived, Recognized]


def test_who_pressed_before_being_seen_is_announced_without_a_second_ring() -> None:
    door = Door()
    assert door.press().visit is None
    door.wait(1)
    assert kinds(door.frame(door.see(1, 0, known(ANNA)))) == [Arrived, Recognized]
    assert kinds(door.frame(door.see(2, 1, known(BELA)))) == [Arrived, Recognized, Ring]


def test_a_press_with_nobody_in_sight_is_not_of_who_comes_later() -> None:
    door = Door()
    door.press()
    door.wait(6)
    assert kinds(door.frame(door.see(1, 0, known(ANNA)))) == [Arrived, Recognized, Ring]


def test_the_seconds_of_looking_add_up_and_the_rest_does_not_count() -> None:
    door = Door(QUIET)
    [arrived, *_] = stays(door, 2.125, looking=True)
    assert arrived.visit
    assert arrived.visit.attention
    assert (arrived.visit.attention.looking, arrived.visit.attention.looking_seconds) == (True, 0)
    stays(door, 3, looking=False)
    [visit] = door.visits.open_visits
    assert visit.attention
    assert (visit.attention.looking, visit.attention.looking_seconds) == (False, 2)
    assert visit.attention.pose == ASIDE
    stays(door, 1.125, looking=True)
    [visit] = door.visits.open_visits
    assert visit.attention
    assert (visit.attention.looking, visit.attention.looking_seconds) == (True, 3)
    assert visit.attention.pose == STRAIGHT


def test_a_visitor_nobody_measures_has_no_attention() -> None:
    door = Door(QUIET)
    [arrived] = door.frame(door.see(1, 0))
    assert arrived.visit
    assert arrived.visit.attention is None


@pytest.mark.parametrize("match", [UNDECIDED, known(ANNA)])
def test_who_looks_long_enough_rings_once_a_visit_without_a_button(match: Match) -> None:
    door = Door(QUIET, ring_after_seconds=2.0)
    assert rings(stays(door, 2, looking=True, match=match)) == []
    [ring] = rings(stays(door, 0.125, looking=True, match=match))
    assert ring.visit
    assert ring.visit.attention
    assert ring.visit.attention.looking_seconds == 2
    assert rings(stays(door, 60, looking=True, match=match)) == []


def test_without_the_setting_looking_does_not_ring() -> None:
    assert rings(stays(Door(QUIET), 60, looking=True)) == []


def test_who_glances_again_and_again_does_not_ring_and_a_blink_does_not_matter() -> None:
    door = Door(QUIET, ring_after_seconds=2.0)
    for _ in range(5):
        assert rings(stays(door, 1.5, looking=True)) == []
        assert rings(stays(door, GLANCE_SECONDS + 0.125, looking=False)) == []
    stays(door, 1.5, looking=True)
    stays(door, GLANCE_SECONDS - 0.125, looking=False)
    assert len(rings(stays(door, 1.0, looking=True))) == 1


def test_a_visitor_who_rang_already_does_not_ring_by_looking() -> None:
    named = Door(SECTION, ring_after_seconds=2.0)
    assert len(rings(stays(named, 60, looking=True, match=known(ANNA)))) == 1
    pressed = Door(QUIET, ring_after_seconds=2.0)
    stays(pressed, 1, looking=True)
    pressed.press()
    assert rings(stays(pressed, 60, looking=True)) == []


def test_who_rang_by_looking_does_not_ring_when_named_nor_within_the_cooldown() -> None:
    door = Door(SECTION, ring_after_seconds=1.0)
    assert len(rings(stays(door, 2, looking=True))) == 1
    assert rings(stays(door, 1, looking=True, match=known(ANNA))) == []
    door.wait(SECTION.absence_seconds + 1)
    assert rings(stays(door, 3, looking=True, match=known(ANNA))) == []
    door.wait(SECTION.cooldown_seconds)
    assert len(rings(stays(door, 3, looking=True, match=known(ANNA)))) == 1


def test_visitors_nobody_can_name_share_one_cooldown() -> None:
    door = Door(QUIET, ring_after_seconds=1.0)
    assert len(rings(stays(door, 2, looking=True))) == 1
    door.wait(QUIET.absence_seconds + 1)
    assert rings(stays(door, 5, looking=True)) == []
    assert len(rings(stays(door, QUIET.cooldown_seconds, looking=True))) == 1


def test_a_visit_that_has_just_been_found_to_be_another_one_does_not_ring_any_more() -> None:
    door = Door(QUIET, ring_after_seconds=1.0)
    door.frame(door.see(1, 0, known(ANNA)))
    door.wait(1)
    for match in (*[UNDECIDED] * 8, known(ANNA)):
        seen = replace(door.see(2, 3, match), pose=STRAIGHT, looking=True)
        events = door.frame(seen)
    assert kinds(events) == [Left]


def test_a_stranger_who_gets_a_lasting_number_keeps_the_cooldown() -> None:
    door = Door()
    _, unrecognized, _ = door.frame(door.see(1, 0, NOBODY))
    assert unrecognized.visit
    assert isinstance(unrecognized.visit.visitor, Stranger)
    door.visits.identify({unrecognized.visit.visitor.stranger_id: POSTMAN})
    [left] = door.wait(5.25)
    assert left.visit
    assert left.visit.visitor == POSTMAN
    assert kinds(come_and_go(door, 2, POSTMAN_AGAIN)) == [Arrived, Unknown, Left]


def test_another_configuration_is_gone_by_under_way() -> None:
    door = Door()
    assert len(rings(come_and_go(door, 1, known(ANNA)))) == 1
    door.visits.reconfigure(SECTION.model_copy(update={"cooldown_seconds": 0.0}))
    assert len(rings(come_and_go(door, 2, known(ANNA)))) == 1
    door.visits.reconfigure(QUIET)
    assert rings(come_and_go(door, 3, known(ANNA))) == []
