"""Whatever is seen at a door, what is told of it makes sense."""

import math
from collections.abc import Sequence

from examples import examples
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from visiting import ANNA, BELA, NOBODY, POSTMAN_AGAIN, Door, known, looks

from doorbell.config import VisitsSection
from doorbell.domain import (
    Arrived,
    Event,
    Float32Array,
    Left,
    Match,
    Person,
    Recognized,
    Ring,
    Stranger,
    Unknown,
    Verdict,
    Visitor,
)


def key(visitor: Visitor) -> tuple[str, int]:
    if isinstance(visitor, Person):
        return "person", visitor.person_id
    return "stranger", visitor.stranger_id


MATCHES = st.one_of(
    st.integers(0, 5).map(lambda frames: Match(Verdict.UNDECIDED, None, 0.3, frames)),
    st.sampled_from([known(ANNA), known(BELA), NOBODY, POSTMAN_AGAIN]),
)


ANNOUNCE_AFTER_SECONDS, COOLDOWN_SECONDS = 1.5, 2.0


class AnyDoor(RuleBasedStateMachine):
    """Whatever is seen at the door, what is told of it makes sense."""

    def __init__(self) -> None:
        super().__init__()
        self.door = Door(
            VisitsSection(
                absence_seconds=1.0,
                cooldown_seconds=COOLDOWN_SECONDS,
                announce_after_seconds=ANNOUNCE_AFTER_SECONDS,
            )
        )
        self.next_track = 1
        self.tracks: dict[int, int | Float32Array | None] = {}
        self.event_ids: set[str] = set()
        self.told: dict[str, Visitor | None] = {}
        self.ended: set[str] = set()
        self.arrived: dict[str, float] = {}  # by the wall clock, as all times here
        self.unnamed: set[str] = set()  # visits that were announced as of somebody
        self.rang: set[str] = set()
        self.pressed_unseen = self.unnamed_rang = -math.inf

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
            for track in seen:
                self.has_been_heard_of(track)

    @rule(frames=st.sampled_from([8, 16, 28]))
    def stand_there_in_the_dark(self, frames: int) -> None:
        seen = [track for track, looks in self.tracks.items() if looks is None][-2:]
        for _ in range(frames):
            self.check(self.door.frame(*(self.door.see(track) for track in seen)))
            for track in seen:
                self.has_been_heard_of(track)

    @rule(seconds=st.sampled_from([0.5, 0.9, 1.5]))
    def wait(self, seconds: float) -> None:
        self.check(self.door.wait(seconds))

    @rule()
    def press(self) -> None:
        self.check([self.door.press()])

    @rule()
    def restart_of_the_camera(self) -> None:
        self.check(self.door.finish())
        assert set(self.told) == self.ended

    @invariant()
    def open_visits_are_those_announced_and_of_different_visitors(self) -> None:
        visits = self.door.visits.open_visits
        assert {visit.visit_id for visit in visits} == set(self.told) - self.ended
        visitors = [key(visit.visitor) for visit in visits if visit.visitor is not None]
        assert len(set(visitors)) == len(visitors)

    def has_been_heard_of(self, track: int) -> None:
        """Who is there for long is announced, and has rung or is told from nobody who has."""
        visit = self.door.visits.visit_of(track)
        if visit is None or visit.visitor is not None:
            return
        if self.door.wall - self.arrived[visit.visit_id] < ANNOUNCE_AFTER_SECONDS:
            return
        assert visit.visit_id in self.unnamed
        cooling = self.door.wall - self.unnamed_rang < COOLDOWN_SECONDS
        assert visit.visit_id in self.rang or cooling, "nobody hears of it"

    def check(self, events: Sequence[Event]) -> None:
        for event in events:
            assert event.event_id not in self.event_ids
            self.event_ids.add(event.event_id)
            if event.visit is None:
                assert isinstance(event, Ring)
                self.pressed_unseen = event.occurred_at
                continue
            visit = event.visit
            before = self.told.get(visit.visit_id)
            assert visit.visit_id not in self.ended
            assert visit.started_at <= visit.last_seen_at <= event.occurred_at + 1e-6
            match event:
                case Arrived():
                    assert visit.visit_id not in self.told
                    assert visit.visitor is None
                    self.arrived[visit.visit_id] = event.occurred_at
                    if event.occurred_at - self.pressed_unseen <= 1.0:
                        self.rang.add(visit.visit_id)
                        self.pressed_unseen = -math.inf
                case Recognized():
                    assert isinstance(visit.visitor, Person)
                    assert not isinstance(before, Person)
                case Unknown():
                    assert before is None
                    if event.reason is None:
                        assert isinstance(visit.visitor, Stranger)
                    else:
                        assert visit.visitor is None
                        assert visit.visit_id not in self.unnamed
                        self.unnamed.add(visit.visit_id)
                case Left():
                    assert visit.visitor == before
                    assert visit.ended_at == visit.last_seen_at
                    self.ended.add(visit.visit_id)
                case Ring():
                    assert visit.visitor == before
                    if not event.pressed and visit.visitor is None:
                        assert visit.visit_id not in self.rang, "rings twice for nobody"
                        assert event.occurred_at - self.unnamed_rang >= COOLDOWN_SECONDS
                        self.unnamed_rang = event.occurred_at
                    self.rang.add(visit.visit_id)
            assert isinstance(event, Arrived) or visit.visit_id in self.told
            self.told[visit.visit_id] = visit.visitor

    def teardown(self) -> None:
        self.restart_of_the_camera()


AnyDoor.TestCase.settings = settings(max_examples=examples(150), stateful_step_count=25)
TestAnyDoor = AnyDoor.TestCase
