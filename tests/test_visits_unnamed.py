"""Who is at the door without a face that can be compared is announced, and may be named yet."""

from collections.abc import Sequence

import pytest
from visiting import (
    ANNA,
    EPOCH,
    NOBODY,
    QUIET,
    SECTION,
    Door,
    kinds,
    known,
    looks,
    rings,
)

from doorbell.config import VisitsSection
from doorbell.domain import (
    Arrived,
    Event,
    Float32Array,
    Left,
    Match,
    Recognized,
    Ring,
    Stranger,
    Unknown,
    UnknownReason,
    Verdict,
)
from doorbell.visits.continuation import OWN_APPEARANCE, PLACE_DISTANCE
from doorbell.visits.observation import ARRIVAL_SCORE, ARRIVAL_SECONDS

WAIT = SECTION.announce_after_seconds
FEW_FRAMES = Match(Verdict.UNDECIDED, None, 0.3, 2)
FAR = 10 + 50 * (PLACE_DISTANCE + 0.1)  # pixels, from the place of everybody else


def stands(
    door: Door,
    track_id: int,
    seconds: float,
    left: float = 10,
    appearance: Float32Array | None = None,
) -> list[Event]:
    """A face in sight that is never good enough."""
    return [
        event
        for _ in range(round(seconds * 8))
        for event in door.frame(door.see(track_id, left=left, appearance=appearance))
    ]


def reasons(events: Sequence[Event]) -> list[UnknownReason | None]:
    return [event.reason for event in events if isinstance(event, Unknown | Ring)]


def test_who_never_shows_a_usable_face_is_announced_as_somebody_and_rings_once() -> None:
    door = Door()
    events = stands(door, 1, 60)
    assert kinds(events) == [Arrived, Unknown, Ring]
    assert reasons(events) == [UnknownReason.NO_USABLE_FACE] * 2
    _, unknown, ring = events
    assert unknown.visit
    assert unknown.visit.visitor is None
    assert unknown.visit.seconds_to_decision is None
    assert unknown.occurred_at == ring.occurred_at == EPOCH + 100.125 + WAIT
    assert ring.visit == unknown.visit
    assert kinds(door.wait(6)) == [Left]
    assert door.introduced == [], "a stranger made of nothing"


def test_too_few_usable_frames_are_announced_too() -> None:
    door = Door()
    events = [
        event
        for _ in range(round(WAIT * 8) + 1)
        for event in door.frame(door.see(1, 0, FEW_FRAMES))
    ]
    assert kinds(events) == [Arrived, Unknown, Ring]
    assert reasons(events) == [UnknownReason.NO_USABLE_FACE] * 2
    assert door.introduced == []


def test_who_leaves_before_is_a_passer_by() -> None:
    door = Door()
    assert kinds([*stands(door, 1, WAIT), *door.wait(6)]) == [Arrived, Left]


def test_doubtful_finds_before_do_not_count() -> None:
    door = Door()
    for _ in range(80):
        assert door.frame(door.see(1, score=ARRIVAL_SCORE - 0.01)) == []
    assert kinds(stands(door, 1, WAIT - ARRIVAL_SECONDS)) == [Arrived]
    assert kinds(stands(door, 1, 0.125)) == [Unknown, Ring]


@pytest.mark.parametrize(
    ("section", "told"),
    [
        (VisitsSection(announce_after_seconds=0.0), [Arrived]),
        (VisitsSection(announce_after_seconds=20.0), [Arrived, Unknown, Ring]),
        (VisitsSection(announce_after_seconds=31.0), [Arrived]),
        (QUIET, [Arrived, Unknown]),
    ],
)
def test_the_household_says_when_and_whether(
    section: VisitsSection, told: list[type[Event]]
) -> None:
    assert kinds(stands(Door(section), 1, 30)) == told


@pytest.mark.parametrize(("match", "kind"), [(known(ANNA), Recognized), (NOBODY, Unknown)])
def test_a_better_frame_still_names_who_rang_without_a_second_ring(
    match: Match, kind: type[Event]
) -> None:
    door = Door()
    stands(door, 1, 10)
    [named] = door.frame(door.see(1, 0, match))
    assert isinstance(named, kind)
    assert named.visit
    assert named.visit.visitor == ANNA or isinstance(named.visit.visitor, Stranger)
    assert reasons([named]) in ([], [None])
    door.wait(6)
    assert rings(door.frame(door.see(2, 0, match))) == [], "within the cool-down"


def test_who_pressed_is_announced_without_a_second_ring() -> None:
    door = Door()
    stands(door, 1, 2)
    assert door.press().reason is None
    assert kinds(stands(door, 1, 60)) == [Unknown]
    pressed_again = door.press()
    assert pressed_again.reason is UnknownReason.NO_USABLE_FACE


def test_nobody_rings_twice_for_a_face_that_is_lost_and_found_in_its_place() -> None:
    door = Door()
    events = stands(door, 1, 10)
    for track_id in range(2, 12):
        events += door.wait(2)
        events += stands(door, track_id, 5)
    assert kinds(events) == [Arrived, Unknown, Ring]


def test_who_was_named_and_is_no_longer_made_out_does_not_ring_as_somebody() -> None:
    door = Door()
    door.frame(door.see(1, 0, known(ANNA)))
    door.wait(2)
    assert stands(door, 2, 40) == []
    visit = door.visits.visit_of(2)
    assert visit
    assert visit.visitor == ANNA


def test_who_takes_the_place_of_somebody_named_has_a_visit_once_the_face_is_compared() -> None:
    door = Door()
    door.frame(door.see(1, 0, known(ANNA)))
    door.wait(2)
    assert stands(door, 2, 5) == []
    events = door.frame(door.see(2, 1, NOBODY))
    assert kinds(events) == [Arrived, Unknown, Ring]
    assert kinds(door.wait(6)) == [Left, Left]


COAT = looks(5)


def test_who_steps_into_the_place_of_somebody_named_and_looks_different_rings() -> None:
    door = Door()
    door.frame(door.see(1, 0, known(ANNA), appearance=COAT))
    door.wait(2)
    events = stands(door, 2, 6, appearance=looks(5, OWN_APPEARANCE - 0.05))
    assert kinds(events) == [Arrived, Unknown, Ring, Left]
    assert reasons(events) == [UnknownReason.NO_USABLE_FACE] * 2


def test_who_was_named_turns_away_and_looks_much_as_before_rings_no_more() -> None:
    door = Door()
    door.frame(door.see(1, 0, known(ANNA), appearance=COAT))
    for track_id in range(2, 6):
        door.wait(2)
        appearance = looks(5, OWN_APPEARANCE + 0.05) if track_id % 2 else COAT
        assert stands(door, track_id, 6, appearance=appearance) == []


def test_who_took_over_the_track_of_somebody_named_rings_however_alike_they_look() -> None:
    door = Door()
    door.frame(door.see(1, 0, known(ANNA), appearance=COAT))
    door.visits.part(1, 2)
    assert kinds(stands(door, 2, 6, appearance=COAT)) == [Arrived, Unknown, Ring, Left]


def test_who_took_the_track_over_is_another_also_where_it_is_taken_over_once_more() -> None:
    door = Door()
    door.frame(door.see(1, 0, known(ANNA), appearance=COAT))
    for track_id in (1, 2, 3):  # before any of them was of a visit
        door.visits.part(track_id, track_id + 1)
    assert kinds(stands(door, 4, 6, appearance=COAT)) == [Arrived, Unknown, Ring, Left]


def test_who_only_seemed_to_be_another_has_the_name_back_by_the_face() -> None:
    door = Door()
    door.frame(door.see(1, 0, known(ANNA), appearance=COAT))
    door.visits.part(1, 2)
    assert door.frame(door.see(2, 0)) == []
    visit = door.visits.visit_of(2)
    assert visit
    assert visit.visitor == ANNA


def test_who_comes_to_another_place_meanwhile_is_somebody_else() -> None:
    door = Door()
    door.frame(door.see(1, 0, known(ANNA)))
    door.wait(2)
    assert kinds(stands(door, 2, 6, left=FAR)) == [Arrived, Unknown, Ring, Left]


def test_who_stands_beside_somebody_unnamed_is_announced_and_rings_after_the_cooldown() -> None:
    door = Door()
    stands(door, 1, 5)
    together = [
        event for _ in range(40 * 8) for event in door.frame(door.see(1), door.see(2, left=FAR))
    ]
    assert kinds(together) == [Arrived, Unknown, Ring]
    assert together[-1].occurred_at - door.wall == pytest.approx(
        WAIT + SECTION.cooldown_seconds - 45, abs=0.2
    )


def test_the_next_who_cannot_be_told_rings_when_the_cooldown_is_over_if_still_there() -> None:
    door = Door()
    assert len(rings(stands(door, 1, 5))) == 1
    door.wait(6)
    assert kinds(stands(door, 2, 10)) == [Arrived, Unknown]
    assert kinds(stands(door, 2, SECTION.cooldown_seconds)) == [Ring]


def test_what_the_household_says_of_it_is_not_announced_again() -> None:
    door = Door()
    [arrived, *_] = stands(door, 1, 5)
    assert arrived.visit
    door.visits.correct(arrived.visit.visit_id, ANNA, corrected=True)
    assert stands(door, 1, 60) == []
    ring = door.press()
    assert ring.reason is None
    assert ring.visit
    assert ring.visit.visitor == ANNA


def test_who_is_forgotten_at_the_door_is_announced_only_after_the_wait() -> None:
    door = Door()
    _, recognized, _ = door.frame(door.see(1, 0, known(ANNA)))
    assert recognized.visit
    for _ in range(80):
        door.frame(door.see(1, 0, known(ANNA)))
    door.visits.forget(recognized.visit.visit_id)
    assert stands(door, 1, WAIT - 0.125) == []
    assert kinds(stands(door, 1, 10)) == [Unknown], "rang already"
