"""Visits against a clock that is set and a household that corrects, over any sequence of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from examples import examples
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from doorbell.config import VisitsSection
from doorbell.domain import (
    Arrived,
    Event,
    Face,
    Left,
    Match,
    Person,
    Pose,
    Recognized,
    Ring,
    Stranger,
    Track,
    Unknown,
    UnknownReason,
    Verdict,
    Visit,
    Visitor,
)
from doorbell.visits.announcement import Announcement
from doorbell.visits.lifecycle import Visits
from doorbell.visits.observation import Observation

FRAME_SECONDS = 0.125  # every time below is a multiple of it, and exact
ABSENCE_SECONDS = 1.0
RING_AFTER_SECONDS = 0.5
PEOPLE = ANNA, BELA = Person(1, "Anna"), Person(2, "Béla")
POSTMAN = Stranger(1000, first_seen_at=1.0, last_seen_at=2.0, visits=3)
UNDECIDED = Match(Verdict.UNDECIDED, None, 0.3, 2)
UNDECIDED_LONG = Match(Verdict.UNDECIDED, None, 0.3, 3)
NOBODY = Match(Verdict.UNKNOWN, None, 0.1, 6)
POSTMAN_AGAIN = Match(Verdict.UNKNOWN, POSTMAN, 0.7, 6)
KNOWN_ANNA, KNOWN_BELA = (Match(Verdict.KNOWN, person, 0.8, 3) for person in PEOPLE)
MATCHES = st.sampled_from(
    [UNDECIDED, UNDECIDED_LONG, NOBODY, POSTMAN_AGAIN, KNOWN_ANNA, KNOWN_BELA]
)
STRAIGHT = Pose(0.0, 0.0, 0.0)
DOOR = "side-door"
WHICH = st.integers(0, 3)  # of those in sight, or of the open visits
HOURS = st.sampled_from([-100.0, -1.0, -0.01, 0.01, 1.0, 1000.0])


def says(match: Match, event: Event, visit: Visit) -> bool:
    """Whether a verdict calls for an event that names the visitor."""
    assert visit.visitor is not None
    if match.verdict is Verdict.KNOWN or isinstance(event, Recognized):
        return match.visitor == visit.visitor
    if match.visitor is None:
        return match in (NOBODY, UNDECIDED_LONG)
    return match.visitor.label == visit.visitor.label


class VisitStates(RuleBasedStateMachine):
    """Two clocks: the stream's goes on frame by frame, the wall's is set now and then."""

    def __init__(self) -> None:
        super().__init__()
        numbers = count()
        self.strangers = count(1)
        self.met: dict[int, Stranger] = {}  # by identity
        self.visits = Visits(
            VisitsSection(
                absence_seconds=ABSENCE_SECONDS, cooldown_seconds=4.0, announce_after_seconds=1.0
            ),
            self.introduce,
            lambda: f"id-{next(numbers)}",
            RING_AFTER_SECONDS,
            self.recall,
            door_id=DOOR,
        )
        self.now = 8.0
        self.wall = 1_700_000_000.0
        self.next_track = 1
        self.in_sight: dict[int, tuple[int, Match, float]] = {}
        self.looking: set[int] = set()
        self.known_in: set[str] = set()  # open visits of which a face was known
        self.seen_at: dict[str, float] = {}  # stream time, by open visit
        self.told: dict[str, Visitor | None] = {}
        self.seen_lately: list[tuple[int, Match, float]] = []  # since the camera was lost
        self.camera_lost = False
        self.corrected: dict[str, Visitor | None] = {}
        self.ended: set[str] = set()
        self.events: list[Event] = []
        self.mistaken: list[int] = []

    def introduce(self, seen: Observation, wall_time: float) -> Stranger:
        assert seen.match.verdict is not Verdict.KNOWN
        known = self.recall(seen)
        if isinstance(known, Stranger):
            return replace(known, last_seen_at=wall_time, visits=known.visits + 1)
        stranger = Stranger(next(self.strangers), wall_time, wall_time, 1)
        self.met[self.identity(seen)] = stranger
        return stranger

    def recall(self, seen: Observation) -> Visitor | None:
        return seen.match.visitor or self.met.get(self.identity(seen))

    def identity(self, seen: Observation) -> int:
        assert seen.signature is not None
        return int(seen.signature.argmax())

    @rule(identity=st.integers(0, 3), match=MATCHES)
    def arrive(self, identity: int, match: Match) -> None:
        self.in_sight[self.next_track] = (identity, match, self.now + FRAME_SECONDS)
        self.next_track += 1

    @rule(which=WHICH, match=MATCHES)
    def decide(self, which: int, match: Match) -> None:
        if self.in_sight:
            track = self.track(which)
            identity, _, since = self.in_sight[track]
            self.in_sight[track] = (identity, match, since)

    @rule(which=WHICH)
    def look(self, which: int) -> None:
        if self.in_sight:
            self.looking ^= {self.track(which)}

    @rule(which=WHICH)
    def lose_a_track(self, which: int) -> None:
        if self.in_sight:
            del self.in_sight[self.track(which)]

    @rule(frames=st.integers(1, 12))
    def watch(self, frames: int) -> None:
        for _ in range(frames):
            self.now += FRAME_SECONDS
            self.wall += FRAME_SECONDS
            observations = [self.observe(track) for track in self.in_sight]
            self.seen_lately += self.in_sight.values()
            self.take(self.visits.update(observations, self.now, self.wall))
            for track in self.in_sight:
                visit = self.visits.visit_of(track)
                assert visit is not None
                self.seen_at[visit.visit_id] = self.now
                if self.in_sight[track][1].verdict is Verdict.KNOWN:
                    self.known_in.add(visit.visit_id)

    @rule(hours=HOURS)
    def set_the_clock(self, hours: float) -> None:
        self.wall += hours * 3600

    @rule()
    def press(self) -> None:
        before = self.visits.open_visits
        told = self.visits.press(self.now, self.wall)
        ring = told.event
        assert isinstance(ring, Ring)
        assert ring.pressed
        assert (ring.visit is None) == (before == ())
        assert self.visits.open_visits == before
        self.take([told])

    @rule(which=WHICH, visitor=st.sampled_from([None, *PEOPLE]), said=st.booleans())
    def correct(self, which: int, visitor: Visitor | None, *, said: bool) -> None:
        free = [person for person in PEOPLE if not self.is_here(person)]
        if not self.visits.open_visits or (visitor is not None and visitor not in free):
            return
        visit_id = self.visit_id(which)
        self.visits.correct(visit_id, visitor, corrected=said)
        self.told[visit_id] = visitor
        self.corrected.pop(visit_id, None)
        if said:
            self.corrected[visit_id] = visitor

    @rule(which=WHICH)
    def forget(self, which: int) -> None:
        if self.visits.open_visits:
            visit_id = self.visit_id(which)
            self.visits.forget(visit_id)
            self.told[visit_id] = None
            self.corrected.pop(visit_id, None)
            self.known_in.discard(visit_id)

    @rule()
    def lose_the_camera(self) -> None:
        self.in_sight.clear()
        self.camera_lost = True
        self.take(self.visits.finish(self.wall))
        self.camera_lost = False
        self.seen_lately.clear()
        assert set(self.told) == self.ended

    def track(self, which: int) -> int:
        return sorted(self.in_sight)[which % len(self.in_sight)]

    def visit_id(self, which: int) -> str:
        return self.visits.open_visits[which % len(self.visits.open_visits)].visit_id

    def observe(self, track: int) -> Observation:
        identity, match, since = self.in_sight[track]
        face = Face(np.zeros(4, np.float32), np.zeros((6, 2), np.float32), 0.9)
        signature = np.eye(128, dtype=np.float32)[identity]
        seen = Track(track, face, since, self.now, 5)
        return Observation(seen, match, signature, (), STRAIGHT, track in self.looking)

    def is_here(self, visitor: Visitor) -> bool:
        return any(visit.visitor == visitor for visit in self.visits.open_visits)

    def take(self, told: Sequence[Announcement]) -> None:
        for each in told:
            event = each.event
            assert (each.of is None) == (event.visit is None)
            self.take_mistaken(each)
            assert event.occurred_at == self.wall
            self.events.append(event)
            if event.visit is None:
                assert isinstance(event, Ring)
            else:
                self.take_visit(event, event.visit)

    def take_mistaken(self, told: Announcement) -> None:
        """A new stranger goes once, where somebody else is named, or the visit is another one."""
        if told.mistaken is not None:
            assert told.mistaken.visits == 1
            assert isinstance(told.event, Recognized | Left)
            self.mistaken.append(told.mistaken.stranger_id)
            self.met = {k: v for k, v in self.met.items() if v != told.mistaken}
            assert len(set(self.mistaken)) == len(self.mistaken)

    def take_visit(self, event: Event, visit: Visit) -> None:
        known, before = visit.visit_id in self.told, self.told.get(visit.visit_id)
        assert visit.door_id == DOOR
        assert visit.visit_id not in self.ended, "told after leaving"
        assert known != isinstance(event, Arrived), "arrived twice, or not at all"
        if visit.visit_id in self.corrected:
            assert visit.visitor == self.corrected[visit.visit_id], "a face outvoted the household"
        match event:
            case Arrived():
                assert visit.visitor is None
                self.seen_at[visit.visit_id] = self.now
            case Unknown(reason=UnknownReason.NO_USABLE_FACE):
                assert visit.visit_id not in self.corrected
                assert visit.visitor is None
                assert before is None
            case Recognized() | Unknown():
                assert visit.visit_id not in self.corrected
                assert isinstance(visit.visitor, Person) == isinstance(event, Recognized)
                assert any(says(match, event, visit) for _, match, _ in self.seen_lately), (
                    "named without a verdict"
                )
                known = visit.visit_id in self.known_in and isinstance(event, Unknown)
                assert not known, "a known face became a stranger"
                assert not isinstance(before, Person)
            case Left():
                assert visit.visitor == before
                if visit.continued_by is None and not self.camera_lost:
                    absent = self.now - self.seen_at[visit.visit_id]
                    assert absent > ABSENCE_SECONDS, "left too soon"
                self.ended.add(visit.visit_id)
            case Ring():
                assert visit.visitor == before
        self.told[visit.visit_id] = visit.visitor

    @invariant()
    def no_two_events_have_the_same_id(self) -> None:
        assert len({event.event_id for event in self.events}) == len(self.events)

    @invariant()
    def whoever_is_open_was_told_of_and_stays_as_long_as_seen(self) -> None:
        visits = self.visits.open_visits
        assert {visit.visit_id for visit in visits} == set(self.told) - self.ended
        named = [visit.visitor.label for visit in visits if visit.visitor is not None]
        assert len(set(named)) == len(named), "somebody is at the door twice"
        for visit in visits:
            assert 0 <= visit.last_seen_at - visit.started_at <= self.now
            assert visit.door_id == DOOR

    def teardown(self) -> None:
        self.lose_the_camera()


VisitStates.TestCase.settings = settings(max_examples=examples(120), stateful_step_count=30)
TestVisitStates = VisitStates.TestCase


LEAVINGS = {
    "camera": VisitStates.lose_the_camera,
    "absence": lambda state: [state.in_sight.clear(), state.watch(frames=12)],
}


@pytest.mark.parametrize("leave", LEAVINGS.values(), ids=LEAVINGS)
@pytest.mark.parametrize("tracks", [1, 2])
def test_a_known_face_is_no_stranger_once_a_correction_was_withdrawn(
    leave: Callable[[VisitStates], object], tracks: int
) -> None:
    state = VisitStates()
    for _ in range(tracks):
        state.arrive(identity=0, match=KNOWN_ANNA)
        state.watch(frames=1)
        state.lose_a_track(0)
    state.correct(0, None, said=False)
    leave(state)
    assert [type(event) for event in state.events[-2:]] == [Recognized, Left]
    assert [event.visit and event.visit.visitor for event in state.events[-2:]] == [ANNA, ANNA]


def test_a_known_face_is_no_stranger_where_its_last_frames_say_so() -> None:
    state = VisitStates()
    state.arrive(identity=0, match=KNOWN_ANNA)
    state.watch(frames=1)
    state.decide(0, NOBODY)
    state.correct(0, None, said=False)
    state.watch(frames=1)
    assert isinstance(state.events[-1], Recognized)


def test_who_is_known_and_there_twice_is_one_visitor_when_leaving_too() -> None:
    state = VisitStates()
    state.arrive(identity=0, match=KNOWN_ANNA)
    state.watch(frames=1)
    [first] = state.visits.open_visits
    state.correct(0, BELA, said=True)
    state.arrive(identity=1, match=KNOWN_ANNA)
    state.watch(frames=1)
    state.correct(0, None, said=False)
    state.lose_the_camera()
    assert [type(event) for event in state.events[-2:]] == [Left, Left]
    ended, kept = (event.visit for event in state.events[-2:])
    assert ended
    assert kept
    assert (ended.visit_id, ended.continued_by) == (first.visit_id, kept.visit_id)
