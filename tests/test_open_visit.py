"""What an open visit holds: tracks, samples, who it is; and what goes with it."""

from dataclasses import replace

from visiting import ANNA, BELA, NOBODY, POSTMAN_AGAIN, UNDECIDED, Door, kinds, known, looks

from doorbell.domain import Arrived, FaceSample, Left, Recognized, Ring


def test_a_new_stranger_who_turns_out_to_be_a_person_is_given_back_once() -> None:
    door = Door()
    _, unrecognized, _ = door.update(door.see(1, 0, NOBODY))
    told = [*door.update(door.see(1, 0, known(ANNA))), *door.visits.finish(door.wall)]
    assert unrecognized.event.visit
    newcomer = unrecognized.event.visit.visitor
    assert [each.mistaken for each in told] == [newcomer, None, None]
    assert kinds([each.event for each in told]) == [Recognized, Ring, Left]


def test_a_new_stranger_who_is_somebody_already_there_is_given_back() -> None:
    door = Door()
    door.frame(door.see(1, 0, known(ANNA)), door.see(2, 1, NOBODY))
    [left] = door.update(door.see(2, 1, known(ANNA)))
    assert isinstance(left.event, Left)
    assert left.mistaken == left.event.visit.visitor


def test_a_stranger_who_came_before_stays_whoever_they_turn_out_to_be() -> None:
    door = Door()
    door.frame(door.see(1, 0, POSTMAN_AGAIN))
    assert [each.mistaken for each in door.update(door.see(1, 0, known(ANNA)))] == [None, None]


def test_who_is_forgotten_at_the_door_leaves_nothing_in_the_visit() -> None:
    door = Door()
    [arrived, *_] = door.update(door.see(1, 0, NOBODY))
    visit = arrived.of
    assert visit
    assert visit.samples
    assert door.visits.forget(visit.visit.visit_id) == [1]
    assert (visit.samples, visit.signature, visit.newcomer, visit.visit.visitor) == (
        [],
        None,
        None,
        None,
    )


def test_a_person_who_is_no_longer_enrolled_is_not_named_when_a_correction_is_withdrawn() -> None:
    door = Door()
    _, recognized, _ = door.frame(door.see(1, 0, known(ANNA)))
    assert recognized.visit
    door.visits.correct(recognized.visit.visit_id, BELA, corrected=True)
    door.visits.keep_people({BELA.person_id}.__contains__)
    door.visits.correct(recognized.visit.visit_id, None, corrected=False)
    assert kinds(door.wait(5.25)) == [Left]
    assert door.introduced == []


def test_a_visit_of_many_tracks_holds_what_matters_of_those_that_are_gone() -> None:
    door = Door()
    best = replace(door.see(1, 0, known(ANNA)), samples=(FaceSample(looks(0), "test", 0.9),))
    [arrived, *_] = door.update(best)
    assert arrived.of
    for track in range(2, 102):
        door.wait(2)
        assert door.frame(door.see(track, 0)) == []
    assert len(arrived.of.tracks) < 5
    assert len(arrived.of.samples) < 10
    assert max(sample.quality for sample in arrived.of.samples) == 0.9
    assert arrived.of.telling
    assert arrived.of.telling.match == known(ANNA)


def test_what_a_track_showed_goes_with_it_to_the_visit_it_belongs_to() -> None:
    door = Door()
    [anna, *_, bela] = [
        told.of for told in door.update(door.see(1, 0, known(ANNA)), door.see(2, 1, known(BELA)))
    ]
    assert anna
    assert bela
    door.update(door.see(1, 1, known(BELA)), door.see(2, 1, known(BELA)))
    assert anna.samples == []
    assert len(bela.samples) == 2
    assert anna.signature is not None  # she can still be found again
    assert anna.signature.argmax() == 0


def test_who_was_somebody_else_all_along_names_no_visit_they_have_left() -> None:
    door = Door()
    [arrived, *_] = door.update(door.see(1, 0, UNDECIDED))
    assert arrived.of
    visit_id = arrived.of.visit.visit_id
    door.visits.correct(visit_id, ANNA, corrected=True)
    door.frame(door.see(1, 0, known(BELA)))
    door.visits.correct(visit_id, ANNA, corrected=False)
    assert kinds(door.frame(door.see(1, 0, known(BELA)))) == [Arrived, Recognized, Ring]
    door.visits.correct(visit_id, None, corrected=False)
    assert kinds(door.wait(5.25)) == [Left, Left]
    assert arrived.of.visit.continued_by is None


def test_every_visit_is_of_its_door_whatever_becomes_of_it() -> None:
    door = Door(door_id="side-door")
    events = door.frame(door.see(1, 0, NOBODY))
    [visit] = door.visits.open_visits
    door.visits.forget(visit.visit_id)
    [forgotten] = door.visits.open_visits
    assert (forgotten.visit_id, forgotten.door_id) == (visit.visit_id, "side-door")
    events += door.frame(door.see(1, 0, known(ANNA)), door.see(2, 0, known(ANNA)))
    events += [door.press(), *door.finish()]
    assert Left in kinds(events)
    assert {event.visit.door_id for event in events if event.visit} == {"side-door"}
