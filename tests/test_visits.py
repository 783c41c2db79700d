"""Who comes, stays and leaves: tracks to visits."""

import numpy as np
import pytest
from visiting import (
    ANNA,
    BELA,
    EPOCH,
    NOBODY,
    POSTMAN_AGAIN,
    SECTION,
    UNDECIDED,
    Door,
    kinds,
    known,
    looks,
)

from doorbell.domain import (
    Arrived,
    Event,
    Left,
    Match,
    Recognized,
    Ring,
    Stranger,
    Unknown,
    Verdict,
)
from doorbell.visits.lifecycle import Visits
from doorbell.visits.observation import ARRIVAL_SCORE, ARRIVAL_SECONDS
from doorbell.visits.open_visit import FAREWELL_FRAMES, REJOIN_SIMILARITY


def test_a_person_comes_is_recognized_stays_and_leaves() -> None:
    door = Door()
    (arrived,) = door.frame(door.see(1, 0))
    assert isinstance(arrived, Arrived)
    assert arrived.visit.visitor is None
    assert arrived.visit.started_at == arrived.occurred_at == EPOCH + 100.125
    assert arrived.visit.ended_at is None
    assert door.frame(door.see(1, 0)) == []

    recognized, ring = door.frame(door.see(1, 0, known(ANNA)))
    assert isinstance(recognized, Recognized)
    assert recognized.visit.visit_id == arrived.visit.visit_id
    assert (recognized.visit.visitor, recognized.visit.similarity) == (ANNA, 0.8)
    assert recognized.visit.frames_used == 3
    assert recognized.visit.seconds_to_decision == 0.25
    assert isinstance(ring, Ring)
    assert ring.visit == recognized.visit
    assert door.visits.open_visits == (recognized.visit,)

    for _ in range(30):
        assert door.frame(door.see(1, 0, known(ANNA))) == []
    last_seen = door.wall
    assert door.wait(5.0) == []
    (left,) = door.frame()
    assert isinstance(left, Left)
    assert left.visit.visitor == ANNA
    assert left.visit.ended_at == left.visit.last_seen_at == last_seen
    assert left.occurred_at == door.wall
    assert len(door.visits.open_visits) == 0
    assert door.wait(20) == []


def test_a_stranger_gets_an_identifier_and_a_stranger_met_before_keeps_it() -> None:
    door = Door()
    _, new, ring = door.frame(door.see(1, 0, NOBODY))
    assert isinstance(new, Unknown)
    assert isinstance(new.visit.visitor, Stranger)
    assert (new.visit.visitor.stranger_id, new.visit.visitor.visits) == (101, 1)
    assert isinstance(ring, Ring)
    assert door.frame(door.see(1, 0, NOBODY)) == []
    door.wait(6)
    _, again, _ = door.frame(door.see(2, 1, POSTMAN_AGAIN))
    assert isinstance(again, Unknown)
    assert isinstance(again.visit.visitor, Stranger)
    assert (again.visit.visitor.stranger_id, again.visit.visitor.visits) == (7, 4)
    assert again.visit.similarity == 0.7
    assert [len(seen.samples) for seen in door.introduced] == [1, 1]


def test_what_the_household_says_of_an_open_visit_holds_until_it_leaves() -> None:
    door = Door()
    arrived, *_ = door.frame(door.see(1, 0, known(ANNA)))
    assert arrived.visit
    door.visits.correct(arrived.visit.visit_id, BELA, corrected=True)
    assert door.frame(door.see(1, 0, known(ANNA))) == []
    assert door.frame(door.see(1, 0, NOBODY)) == []
    (ring,) = [door.press()]
    assert ring.visit
    assert (ring.visit.visitor, ring.visit.corrected) == (BELA, True)
    (left,) = door.wait(5.25)
    assert isinstance(left, Left)
    assert (left.visit.visit_id, left.visit.visitor) == (arrived.visit.visit_id, BELA)
    assert len(door.introduced) == 0


def test_a_visit_that_is_of_nobody_ends_without_a_stranger() -> None:
    door = Door()
    (arrived,) = door.frame(door.see(1, 0, Match(Verdict.UNDECIDED, None, 0.3, FAREWELL_FRAMES)))
    assert arrived.visit
    door.visits.correct(arrived.visit.visit_id, None, corrected=True)
    (left,) = door.wait(5.25)
    assert isinstance(left, Left)
    assert (left.visit.visitor, door.introduced) == (None, [])


def test_a_correction_that_is_undone_leaves_the_word_to_the_face() -> None:
    door = Door()
    arrived, *_ = door.frame(door.see(1, 0, NOBODY))
    assert arrived.visit
    before = door.visits.open_visits[0].visitor
    door.visits.correct(arrived.visit.visit_id, BELA, corrected=True)
    door.visits.correct(arrived.visit.visit_id, before, corrected=False)
    recognized, _ = door.frame(door.see(1, 0, known(ANNA)))
    assert isinstance(recognized, Recognized)
    assert recognized.visit.visitor == ANNA


def test_a_face_too_poor_to_compare_arrives_after_a_while_if_the_detector_is_sure() -> None:
    door = Door()
    events: list[Event] = []
    while not events:
        seen = door.see(1, score=ARRIVAL_SCORE)
        events = door.frame(seen)
        assert door.now < 110
    assert kinds(events) == [Arrived]
    assert door.now - seen.track.first_seen_seconds == pytest.approx(ARRIVAL_SECONDS, abs=0.125)
    assert events[0].visit is not None
    assert events[0].visit.started_at == EPOCH + seen.track.first_seen_seconds


def test_a_doubtful_find_never_arrives_until_it_shows_a_face() -> None:
    door = Door()
    for _ in range(50):
        assert door.frame(door.see(1, score=ARRIVAL_SCORE - 0.01)) == []
    assert kinds(door.frame(door.see(1, 0, score=ARRIVAL_SCORE - 0.01))) == [Arrived]


def test_the_same_face_on_a_new_track_continues_the_visit() -> None:
    door = Door()
    _, recognized, _ = door.frame(door.see(1, 0, known(ANNA)))
    door.wait(3)
    alike = looks(0, REJOIN_SIMILARITY + 0.01)
    assert door.frame(door.see(2, alike)) == []
    assert door.frame(door.see(2, alike, known(ANNA))) == []
    visit = door.visits.visit_of(2)
    assert visit is not None
    assert recognized.visit is not None
    assert visit.visit_id == recognized.visit.visit_id
    assert door.visits.visit_of(3) is None
    assert kinds(door.wait(5.25)) == [Left]


def test_another_face_on_a_new_track_is_another_visit() -> None:
    door = Door()
    door.frame(door.see(1, 0))
    door.wait(1)
    assert kinds(door.frame(door.see(2, looks(0, REJOIN_SIMILARITY - 0.01)))) == [Arrived]
    assert len(door.visits.open_visits) == 2


@pytest.mark.parametrize(("identity", "track_id"), [(0, 1), (1, 2)])
def test_a_new_track_continues_the_visit_it_resembles_most(identity: int, track_id: int) -> None:
    door = Door()
    between = np.asarray(0.8 * looks(identity) + 0.6 * looks(1 - identity), np.float32)
    door.frame(door.see(1, 0), door.see(2, 1))
    door.wait(1)
    assert door.frame(door.see(3, between)) == []
    assert door.visits.visit_of(3) == door.visits.visit_of(track_id)


@pytest.mark.parametrize("newcomer_first", [False, True])
def test_a_lookalike_beside_a_visitor_in_sight_is_another_visit(newcomer_first: bool) -> None:
    door = Door()
    door.frame(door.see(1, 0))
    both = [door.see(1, 0), door.see(2, 0)]
    assert kinds(door.frame(*(both[::-1] if newcomer_first else both))) == [Arrived]
    assert door.visits.visit_of(1) != door.visits.visit_of(2)


def test_after_leaving_the_same_face_is_a_new_visit() -> None:
    door = Door()
    (first,) = door.frame(door.see(1, 0))
    assert kinds(door.wait(5.25)) == [Left]
    (second,) = door.frame(door.see(2, 0))
    assert isinstance(first, Arrived)
    assert isinstance(second, Arrived)
    assert second.visit.visit_id != first.visit.visit_id


def test_a_visitor_found_at_the_door_twice_is_one_visit() -> None:
    door = Door()
    _, recognized, _ = door.frame(door.see(1, 0, known(ANNA)))
    door.wait(1)
    (arrived,) = door.frame(door.see(2, 3))  # hidden behind a scarf, and not alike at first
    (left,) = door.frame(door.see(2, 3, known(ANNA)))
    assert isinstance(arrived, Arrived)
    assert isinstance(left, Left)
    assert left.visit.visit_id == arrived.visit.visit_id
    assert left.visit.visitor is None
    assert left.visit.continued_by is not None
    kept = door.visits.visit_of(2)
    assert recognized.visit is not None
    assert kept is not None
    assert kept.visit_id == recognized.visit.visit_id
    assert kept.last_seen_at == door.wall
    assert door.wait(5) == []
    assert kinds(door.frame()) == [Left]


def test_a_stranger_found_at_the_door_twice_is_one_visit_and_introduced_once() -> None:
    door = Door()
    events = door.frame(door.see(1, 0, POSTMAN_AGAIN), door.see(2, 1, POSTMAN_AGAIN))
    assert kinds(events) == [Arrived, Unknown, Ring, Arrived, Left]
    assert len(door.introduced) == 1
    assert len(door.visits.open_visits) == 1


def test_a_stranger_may_turn_out_to_be_a_person() -> None:
    door = Door()
    _, unrecognized, _ = door.frame(door.see(1, 0, NOBODY))
    corrected, ring = door.frame(door.see(1, 0, known(ANNA)))
    assert isinstance(unrecognized, Unknown)
    assert isinstance(corrected, Recognized)
    assert corrected.visit.visit_id == unrecognized.visit.visit_id
    assert corrected.visit.visitor == ANNA
    assert isinstance(ring, Ring)
    (left,) = door.wait(5.25)
    assert left.visit is not None
    assert left.visit.visitor == ANNA


def test_a_person_never_turns_out_to_be_a_stranger() -> None:
    door = Door()
    door.frame(door.see(1, 0, known(ANNA)))
    for match in (NOBODY, POSTMAN_AGAIN, UNDECIDED):
        assert door.frame(door.see(1, 0, match)) == []
    (visit,) = door.visits.open_visits
    assert visit.visitor == ANNA


def test_a_track_that_jumps_to_another_person_starts_that_persons_visit() -> None:
    door = Door()
    door.frame(door.see(1, 0, known(ANNA)))
    assert kinds(door.frame(door.see(1, 1, known(BELA)))) == [Arrived, Recognized, Ring]
    assert [visit.visitor for visit in door.visits.open_visits] == [ANNA, BELA]


def test_a_track_that_jumps_to_somebody_already_there_says_nothing_new() -> None:
    door = Door()
    door.frame(door.see(1, 0, known(ANNA)), door.see(2, 1, known(BELA)))
    assert door.frame(door.see(1, 1, known(BELA))) == []
    visit = door.visits.visit_of(1)
    assert visit is not None
    assert visit.visitor == BELA


def test_a_stranger_taken_for_a_person_at_first_glance_is_announced_in_the_end() -> None:
    door = Door()
    door.frame(door.see(1, 0, known(ANNA)))
    door.wait(1)
    assert door.frame(door.see(2, looks(0, 0.6))) == []  # one poor frame, alike enough
    assert door.frame(door.see(2, looks(0, 0.3))) == []  # more frames: not alike, and undecided
    events = door.frame(door.see(2, looks(0, 0.3), NOBODY))
    assert kinds(events) == [Arrived, Unknown, Ring]


def test_who_leaves_undecided_after_enough_usable_frames_was_a_stranger() -> None:
    door = Door()
    for frames in range(1, FAREWELL_FRAMES + 1):
        door.frame(door.see(1, 0, Match(Verdict.UNDECIDED, None, 0.3, frames)))
    unrecognized, left = door.wait(5.25)
    assert isinstance(unrecognized, Unknown)
    assert isinstance(unrecognized.visit.visitor, Stranger)
    assert unrecognized.visit.frames_used == FAREWELL_FRAMES
    assert unrecognized.visit.ended_at is None
    assert isinstance(left, Left)
    assert left.visit.visitor == unrecognized.visit.visitor
    assert left.visit.visit_id == unrecognized.visit.visit_id


def test_who_leaves_undecided_and_could_have_been_of_the_household_was_no_stranger() -> None:
    door = Door()
    poor = Match(Verdict.UNDECIDED, None, 0.3, FAREWELL_FRAMES, may_be_stranger=False)
    door.frame(door.see(1, 0, poor))
    (left,) = door.wait(5.25)
    assert isinstance(left, Left)
    assert left.visit.visitor is None
    assert door.introduced == []


def test_a_passer_by_is_never_given_an_identifier() -> None:
    door = Door()
    for frames in range(1, FAREWELL_FRAMES):
        door.frame(door.see(1, 0, Match(Verdict.UNDECIDED, None, 0.3, frames)))
    (left,) = door.wait(5.25)
    assert isinstance(left, Left)
    assert left.visit.visitor is None
    assert door.introduced == []


def test_a_face_never_fit_to_compare_leaves_without_identifier() -> None:
    door = Door()
    events = [event for _ in range(15) for event in door.frame(door.see(1))]
    assert kinds([*events, *door.wait(5.25)]) == [Arrived, Left]
    assert door.introduced == []


def test_a_glimpse_on_a_new_track_does_not_undo_what_was_seen_before() -> None:
    door = Door()
    full = door.see(1, 0, Match(Verdict.UNDECIDED, None, 0.3, FAREWELL_FRAMES))
    door.frame(full)
    door.wait(1)
    door.frame(door.see(2, looks(0, 0.6), Match(Verdict.UNDECIDED, None, 0.3, 1)))
    door.wait(1)
    assert door.frame(door.see(3, 0)) == []  # still compared with the better look
    assert kinds(door.wait(5.25)) == [Unknown, Left]
    assert door.introduced == [full]


def test_finish_ends_every_visit_once() -> None:
    door = Door()
    door.frame(
        door.see(1, 0, known(ANNA)),
        door.see(2, 1, Match(Verdict.UNDECIDED, None, 0.3, FAREWELL_FRAMES)),
    )
    events = door.finish(1)
    assert kinds(events) == [Left, Unknown, Left]
    assert {event.occurred_at for event in events} == {door.wall + 1}
    assert door.visits.open_visits == ()
    assert door.finish(2) == []


def test_identifiers_are_unique_by_themselves() -> None:
    visits = Visits(SECTION, lambda _seen, wall: Stranger(1, wall, wall, 1))
    assert len({visits.press(0.0, EPOCH).event.event_id for _ in range(100)}) == 100


def test_a_new_stranger_found_at_the_door_twice_is_one_visit_too() -> None:
    door = Door()
    events = door.frame(door.see(1, 0, NOBODY), door.see(2, 0, NOBODY))
    assert kinds(events) == [Arrived, Unknown, Ring, Arrived, Left]
    assert len(door.introduced) == 1


def test_a_stranger_who_is_taken_for_an_undecided_visitor_is_introduced_once() -> None:
    door = Door()
    door.frame(door.see(1, 0, UNDECIDED))
    door.wait(1)
    door.frame(door.see(2, looks(0, 0.6), UNDECIDED))  # one poor frame, alike enough
    long_seen = Match(Verdict.UNDECIDED, None, 0.3, FAREWELL_FRAMES)
    door.frame(door.see(2, looks(0, 0.3), long_seen))
    assert kinds(door.frame(door.see(2, looks(0, 0.3), NOBODY))) == [Arrived, Unknown, Ring]
    assert kinds(door.wait(5.25)) == [Left, Left]
    assert len(door.introduced) == 1
