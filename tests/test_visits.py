from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from doorbell.config import VisitsSection
from doorbell.domain import (
    Arrived,
    Event,
    Face,
    FaceSample,
    Float32Array,
    Left,
    Match,
    Person,
    Pose,
    Recognized,
    Ring,
    Stranger,
    Track,
    Unrecognized,
    Verdict,
    Visitor,
)
from doorbell.open_visit import (
    ARRIVAL_SCORE,
    ARRIVAL_SECONDS,
    GLANCE_SECONDS,
    REJOIN_SIMILARITY,
    Observation,
)
from doorbell.visits import CLOCK_STEP_SECONDS, FAREWELL_FRAMES, Visits

SECTION = VisitsSection(absence_seconds=5.0, ring_on_visit=True, cooldown_seconds=30.0)
QUIET = VisitsSection(absence_seconds=5.0, ring_on_visit=False, cooldown_seconds=30.0)
EPOCH = 1_700_000_000.0  # every time below is a multiple of 1/8, and exact

ANNA, BELA = Person(1, "Anna"), Person(2, "Béla")
POSTMAN = Stranger(7, first_seen_at=EPOCH - 9e5, last_seen_at=EPOCH - 9e4, visits=3)

UNDECIDED = Match(Verdict.UNDECIDED, None, 0.3, 2)
NOBODY = Match(Verdict.UNKNOWN, None, 0.1, 6)
POSTMAN_AGAIN = Match(Verdict.UNKNOWN, POSTMAN, 0.7, 6)


def known(person: Person) -> Match:
    return Match(Verdict.KNOWN, person, 0.8, 3)


def looks(identity: int, likeness: float = 1.0) -> Float32Array:
    """A unit vector: ``likeness`` is its cosine with the plain face of that identity."""
    vector = np.zeros(128, np.float32)
    vector[identity] = likeness
    vector[-1] = (1 - likeness**2) ** 0.5
    return vector


class Door:
    """A door with a clock of its own, eight frames a second, and a household."""

    def __init__(self, section: VisitsSection = SECTION, ring_after_seconds: float = 0.0) -> None:
        numbers = count()
        self.visits = Visits(
            section, self._introduce, lambda: f"id-{next(numbers)}", ring_after_seconds
        )
        self.now = 100.0
        self.offset = EPOCH  # of the wall clock
        self.introduced: list[Observation] = []
        self._first_seen: dict[int, float] = {}

    @property
    def wall(self) -> float:
        return self.offset + self.now

    def see(
        self,
        track_id: int,
        identity: int | Float32Array | None = None,
        match: Match = UNDECIDED,
        score: float = 0.95,
    ) -> Observation:
        """Somebody in the next frame: a face of that identity, None where it is too poor."""
        next_frame = self.now + 0.125
        first = self._first_seen.setdefault(track_id, next_frame)
        box = np.array([10, 10, 60, 60], np.float32)
        face = Face(box, np.zeros((6, 2), np.float32), score)
        track = Track(track_id, face, first, next_frame, 5)
        if identity is None:
            return Observation(track, match, None)
        signature = looks(identity) if isinstance(identity, int) else identity
        return Observation(track, match, signature, (FaceSample(signature, "test", 0.5),))

    def frame(self, *seen: Observation) -> list[Event]:
        self.now += 0.125
        return self.visits.update(seen, self.now, self.wall)

    def wait(self, seconds: float) -> list[Event]:
        """Frames with nobody in them."""
        return [event for _ in range(round(seconds * 8)) for event in self.frame()]

    def _introduce(self, seen: Observation, wall_time: float) -> Stranger:
        self.introduced.append(seen)
        known_as = seen.match.visitor
        if isinstance(known_as, Stranger):
            return Stranger(
                known_as.stranger_id, known_as.first_seen_at, wall_time, known_as.visits + 1
            )
        return Stranger(100 + len(self.introduced), wall_time, wall_time, 1)


def kinds(events: Sequence[Event]) -> list[type[Event]]:
    return [type(event) for event in events]


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
    assert isinstance(new, Unrecognized)
    assert isinstance(new.visit.visitor, Stranger)
    assert (new.visit.visitor.stranger_id, new.visit.visitor.visits) == (101, 1)
    assert isinstance(ring, Ring)
    assert door.frame(door.see(1, 0, NOBODY)) == []
    door.wait(6)
    _, again, _ = door.frame(door.see(2, 1, POSTMAN_AGAIN))
    assert isinstance(again, Unrecognized)
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
    (ring,) = [door.visits.press(door.now, door.wall)]
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
    assert kinds(events) == [Arrived, Unrecognized, Ring, Arrived, Left]
    assert len(door.introduced) == 1
    assert len(door.visits.open_visits) == 1


def test_people_who_come_together_have_a_visit_and_a_ring_each() -> None:
    door = Door()
    events = door.frame(
        door.see(1, 0, known(ANNA)), door.see(2, 1, known(BELA)), door.see(3, 2, NOBODY)
    )
    assert kinds(events) == [
        *(Arrived, Recognized, Ring),
        *(Arrived, Recognized, Ring),
        *(Arrived, Unrecognized, Ring),
    ]
    assert len({event.visit.visit_id for event in events if event.visit}) == 3


def come_and_go(door: Door, track_id: int, match: Match) -> list[Event]:
    events = door.frame(door.see(track_id, 0, match))
    return [*events, *door.wait(6)]


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
    assert isinstance(door.visits.press(door.now, door.wall), Ring)


def test_a_stranger_may_turn_out_to_be_a_person() -> None:
    door = Door()
    _, unrecognized, _ = door.frame(door.see(1, 0, NOBODY))
    corrected, ring = door.frame(door.see(1, 0, known(ANNA)))
    assert isinstance(unrecognized, Unrecognized)
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
    assert kinds(events) == [Arrived, Unrecognized, Ring]


def test_who_leaves_undecided_after_enough_usable_frames_was_a_stranger() -> None:
    door = Door()
    for frames in range(1, FAREWELL_FRAMES + 1):
        door.frame(door.see(1, 0, Match(Verdict.UNDECIDED, None, 0.3, frames)))
    unrecognized, left = door.wait(5.25)
    assert isinstance(unrecognized, Unrecognized)
    assert isinstance(unrecognized.visit.visitor, Stranger)
    assert unrecognized.visit.frames_used == FAREWELL_FRAMES
    assert unrecognized.visit.ended_at is None
    assert isinstance(left, Left)
    assert left.visit.visitor == unrecognized.visit.visitor
    assert left.visit.visit_id == unrecognized.visit.visit_id


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
    assert kinds(door.wait(5.25)) == [Unrecognized, Left]
    assert door.introduced == [full]


def test_a_press_with_nobody_in_sight_rings_for_nobody() -> None:
    door = Door()
    ring = door.visits.press(door.now, door.wall)
    assert (ring.visit, ring.occurred_at) == (None, door.wall)


def test_a_press_rings_for_the_visitor_seen_last() -> None:
    door = Door()
    door.frame(door.see(1, 0, known(ANNA)), door.see(2, 1))
    door.frame(door.see(2, 1))
    assert door.visits.press(door.now, door.wall).visit == door.visits.visit_of(2)


def test_who_pressed_does_not_ring_again_within_the_cooldown() -> None:
    door = Door()
    door.frame(door.see(1, 0, known(ANNA)))
    for _ in range(40):
        door.wait(1)
        door.frame(door.see(1, 0, known(ANNA)))
    door.visits.press(door.now, door.wall)
    door.wait(6)
    assert kinds(door.frame(door.see(2, 0, known(ANNA)))) == [Arrived, Recognized]


def test_a_press_rings_within_the_cooldown() -> None:
    door = Door()
    door.frame(door.see(1, 0, known(ANNA)))
    rings = [door.visits.press(door.now, door.wall) for _ in range(2)]
    assert [ring.visit for ring in rings] == [door.visits.visit_of(1)] * 2
    assert rings[0].event_id != rings[1].event_id


def test_who_pressed_before_a_name_was_found_is_announced_without_a_second_ring() -> None:
    door = Door()
    door.frame(door.see(1, 0))
    assert door.visits.press(door.now, door.wall).pressed
    assert kinds(door.frame(door.see(1, 0, known(ANNA)))) == [Recognized]
    door.wait(6)
    assert kinds(door.frame(door.see(2, 0, known(ANNA)))) == [Arrived, Recognized]


def test_who_pressed_before_being_seen_is_announced_without_a_second_ring() -> None:
    door = Door()
    assert door.visits.press(door.now, door.wall).visit is None
    door.wait(1)
    assert kinds(door.frame(door.see(1, 0, known(ANNA)))) == [Arrived, Recognized]
    assert kinds(door.frame(door.see(2, 1, known(BELA)))) == [Arrived, Recognized, Ring]


def test_a_press_with_nobody_in_sight_is_not_of_who_comes_later() -> None:
    door = Door()
    door.visits.press(door.now, door.wall)
    door.wait(6)
    assert kinds(door.frame(door.see(1, 0, known(ANNA)))) == [Arrived, Recognized, Ring]


def test_finish_ends_every_visit_once() -> None:
    door = Door()
    door.frame(
        door.see(1, 0, known(ANNA)),
        door.see(2, 1, Match(Verdict.UNDECIDED, None, 0.3, FAREWELL_FRAMES)),
    )
    events = door.visits.finish(door.wall + 1)
    assert kinds(events) == [Left, Unrecognized, Left]
    assert {event.occurred_at for event in events} == {door.wall + 1}
    assert door.visits.open_visits == ()
    assert door.visits.finish(door.wall + 2) == []


def test_identifiers_are_unique_by_themselves() -> None:
    visits = Visits(SECTION, lambda _seen, wall: Stranger(1, wall, wall, 1))
    assert len({visits.press(0.0, EPOCH).event_id for _ in range(100)}) == 100


def key(visitor: Visitor) -> tuple[str, int]:
    if isinstance(visitor, Person):
        return "person", visitor.person_id
    return "stranger", visitor.stranger_id


MATCHES = st.one_of(
    st.integers(0, 5).map(lambda frames: Match(Verdict.UNDECIDED, None, 0.3, frames)),
    st.sampled_from([known(ANNA), known(BELA), NOBODY, POSTMAN_AGAIN]),
)


class AnyDoor(RuleBasedStateMachine):
    """Whatever is seen at the door, what is told of it makes sense."""

    def __init__(self) -> None:
        super().__init__()
        self.door = Door(VisitsSection(absence_seconds=1.0, cooldown_seconds=2.0))
        self.next_track = 1
        self.tracks: dict[int, int | Float32Array | None] = {}
        self.event_ids: set[str] = set()
        self.told: dict[str, Visitor | None] = {}
        self.ended: set[str] = set()
        self.rings: dict[tuple[str, int], float] = {}

    @rule(identity=st.one_of(st.none(), st.integers(0, 3), st.just(looks(0, 0.7))))
    def appear(self, identity: int | Float32Array | None) -> None:
        self.tracks[self.next_track] = identity
        self.next_track += 1

    @rule(data=st.data(), frames=st.integers(1, 4))
    def watch(self, data: st.DataObject, frames: int) -> None:
        live = sorted(self.tracks)[-5:]
        seen = data.draw(st.lists(st.sampled_from(live), unique=True)) if live else []
        matches = {track: data.draw(MATCHES) for track in seen}
        for _ in range(frames):
            observations = [
                self.door.see(track, self.tracks[track], matches[track]) for track in seen
            ]
            self.check(self.door.frame(*observations))

    @rule(seconds=st.sampled_from([0.5, 0.9, 1.5]))
    def wait(self, seconds: float) -> None:
        self.check(self.door.wait(seconds))

    @rule()
    def press(self) -> None:
        self.check([self.door.visits.press(self.door.now, self.door.wall)])

    @rule()
    def restart_of_the_camera(self) -> None:
        self.check(self.door.visits.finish(self.door.wall))
        assert set(self.told) == self.ended

    @invariant()
    def open_visits_are_those_announced_and_of_different_visitors(self) -> None:
        visits = self.door.visits.open_visits
        assert {visit.visit_id for visit in visits} == set(self.told) - self.ended
        visitors = [key(visit.visitor) for visit in visits if visit.visitor is not None]
        assert len(set(visitors)) == len(visitors)

    def check(self, events: Sequence[Event]) -> None:
        for event in events:
            assert event.event_id not in self.event_ids
            self.event_ids.add(event.event_id)
            if event.visit is None:
                assert isinstance(event, Ring)
                continue
            visit = event.visit
            before = self.told.get(visit.visit_id)
            assert visit.visit_id not in self.ended
            assert visit.started_at <= visit.last_seen_at <= event.occurred_at + 1e-6
            match event:
                case Arrived():
                    assert visit.visit_id not in self.told
                    assert visit.visitor is None
                case Recognized():
                    assert isinstance(visit.visitor, Person)
                    assert not isinstance(before, Person)
                case Unrecognized():
                    assert isinstance(visit.visitor, Stranger)
                    assert before is None
                case Left():
                    assert visit.visitor == before
                    assert visit.ended_at == visit.last_seen_at
                    self.ended.add(visit.visit_id)
                case Ring():
                    assert visit.visitor == before
            assert isinstance(event, Arrived) or visit.visit_id in self.told
            self.told[visit.visit_id] = visit.visitor

    def teardown(self) -> None:
        self.restart_of_the_camera()


AnyDoor.TestCase.settings = settings(max_examples=150, stateful_step_count=25)
TestAnyDoor = AnyDoor.TestCase


# Attention

STRAIGHT, ASIDE = Pose(2.0, -3.0, 0.0), Pose(50.0, 0.0, 0.0)


def stays(door: Door, seconds: float, *, looking: bool, match: Match = UNDECIDED) -> list[Event]:
    """A visitor in sight for so long."""
    events = []
    for _ in range(round(seconds * 8)):
        seen = door.see(1, 0, match)
        pose = STRAIGHT if looking else ASIDE
        events += door.frame(replace(seen, pose=pose, looking=looking))
    return events


def rings(events: Sequence[Event]) -> list[Ring]:
    return [event for event in events if isinstance(event, Ring)]


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
    pressed.visits.press(pressed.now, pressed.wall)
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
    [left] = door.visits.finish(door.wall)
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
