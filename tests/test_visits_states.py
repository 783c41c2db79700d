"""Visits against a clock that is set and a household that corrects, over any sequence of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import numpy as np
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
    Recognized,
    Ring,
    Stranger,
    Track,
    Unrecognized,
    Verdict,
    Visit,
    Visitor,
)
from doorbell.open_visit import Observation
from doorbell.visits import Visits

FRAME_SECONDS = 0.125  # every time below is a multiple of it, and exact
ABSENCE_SECONDS = 1.0
PEOPLE = (Person(1, "Anna"), Person(2, "Béla"))
UNDECIDED = Match(Verdict.UNDECIDED, None, 0.3, 2)
NOBODY = Match(Verdict.UNKNOWN, None, 0.1, 6)
MATCHES = st.sampled_from(
    [UNDECIDED, NOBODY, *(Match(Verdict.KNOWN, person, 0.8, 3) for person in PEOPLE)]
)
HOURS = st.sampled_from([-100.0, -1.0, -0.01, 0.01, 1.0, 1000.0])


class VisitStates(RuleBasedStateMachine):
    """Two clocks: the stream's goes on frame by frame, the wall's is set now and then."""

    def __init__(self) -> None:
        super().__init__()
        numbers = count()
        self.strangers = count(1)
        self.visits = Visits(
            VisitsSection(absence_seconds=ABSENCE_SECONDS, cooldown_seconds=4.0),
            self.introduce,
            lambda: f"id-{next(numbers)}",
        )
        self.now = 8.0
        self.wall = 1_700_000_000.0
        self.next_track = 1
        self.in_sight: dict[int, tuple[int, Match, float]] = {}
        self.seen_at: dict[str, float] = {}  # stream time, by open visit
        self.told: dict[str, Visitor | None] = {}
        self.seen_lately: list[tuple[int, Match, float]] = []  # since the camera was lost
        self.camera_lost = False
        self.corrected: dict[str, Visitor | None] = {}
        self.ended: set[str] = set()
        self.event_ids: set[str] = set()

    def introduce(self, seen: Observation, wall_time: float) -> Stranger:
        assert seen.match.verdict is not Verdict.KNOWN
        return Stranger(next(self.strangers), wall_time, wall_time, 1)

    @rule(identity=st.integers(0, 3), match=MATCHES)
    def arrive(self, identity: int, match: Match) -> None:
        self.in_sight[self.next_track] = (identity, match, self.now + FRAME_SECONDS)
        self.next_track += 1

    @rule(data=st.data(), match=MATCHES)
    def decide(self, data: st.DataObject, match: Match) -> None:
        if self.in_sight:
            track = data.draw(st.sampled_from(sorted(self.in_sight)))
            identity, _, since = self.in_sight[track]
            self.in_sight[track] = (identity, match, since)

    @rule(data=st.data())
    def lose_a_track(self, data: st.DataObject) -> None:
        if self.in_sight:
            del self.in_sight[data.draw(st.sampled_from(sorted(self.in_sight)))]

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

    @rule(hours=HOURS)
    def set_the_clock(self, hours: float) -> None:
        self.wall += hours * 3600

    @rule()
    def press(self) -> None:
        before = self.visits.open_visits
        ring = self.visits.press(self.now, self.wall)
        assert ring.pressed
        assert (ring.visit is None) == (before == ())
        assert self.visits.open_visits == before
        self.take([ring])

    @rule(data=st.data(), visitor=st.sampled_from([None, *PEOPLE]), said=st.booleans())
    def correct(self, data: st.DataObject, visitor: Visitor | None, *, said: bool) -> None:
        free = [person for person in PEOPLE if not self.is_here(person)]
        if not self.visits.open_visits or (visitor is not None and visitor not in free):
            return
        visit_id = data.draw(st.sampled_from([v.visit_id for v in self.visits.open_visits]))
        self.visits.correct(visit_id, visitor, corrected=said)
        self.told[visit_id] = visitor
        self.corrected.pop(visit_id, None)
        if said:
            self.corrected[visit_id] = visitor

    @rule()
    def lose_the_camera(self) -> None:
        self.in_sight.clear()
        self.camera_lost = True
        self.take(self.visits.finish(self.wall))
        self.camera_lost = False
        self.seen_lately.clear()
        assert set(self.told) == self.ended

    def observe(self, track: int) -> Observation:
        identity, match, since = self.in_sight[track]
        face = Face(np.zeros(4, np.float32), np.zeros((6, 2), np.float32), 0.9)
        signature = np.eye(128, dtype=np.float32)[identity]
        return Observation(Track(track, face, since, self.now, 5), match, signature)

    def is_here(self, visitor: Visitor) -> bool:
        return any(visit.visitor == visitor for visit in self.visits.open_visits)

    def take(self, events: Sequence[Event]) -> None:
        for event in events:
            assert event.event_id not in self.event_ids
            assert event.occurred_at == self.wall
            self.event_ids.add(event.event_id)
            if event.visit is None:
                assert isinstance(event, Ring)
            else:
                self.take_visit(event, event.visit)

    def take_visit(self, event: Event, visit: Visit) -> None:
        known, before = visit.visit_id in self.told, self.told.get(visit.visit_id)
        assert visit.visit_id not in self.ended, "told after leaving"
        assert known != isinstance(event, Arrived), "arrived twice, or not at all"
        if visit.visit_id in self.corrected:
            assert visit.visitor == self.corrected[visit.visit_id], "a face outvoted the household"
        match event:
            case Arrived():
                assert visit.visitor is None
                self.seen_at[visit.visit_id] = self.now
            case Recognized() | Unrecognized():
                assert visit.visit_id not in self.corrected
                assert isinstance(visit.visitor, Person) == isinstance(event, Recognized)
                verdict = Verdict.KNOWN if isinstance(event, Recognized) else Verdict.UNKNOWN
                assert any(
                    match.verdict is verdict and match.visitor in (None, visit.visitor)
                    for _, match, _ in self.seen_lately
                ), "named without a verdict"
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
    def whoever_is_open_was_told_of_and_stays_as_long_as_seen(self) -> None:
        visits = self.visits.open_visits
        assert {visit.visit_id for visit in visits} == set(self.told) - self.ended
        named = [visit.visitor.label for visit in visits if visit.visitor is not None]
        assert len(set(named)) == len(named), "somebody is at the door twice"
        for visit in visits:
            assert 0 <= visit.last_seen_at - visit.started_at <= self.now

    def teardown(self) -> None:
        self.lose_the_camera()


VisitStates.TestCase.settings = settings(max_examples=examples(120), stateful_step_count=30)
TestVisitStates = VisitStates.TestCase
