"""Whatever is seen at a door, what is told of it makes sense."""

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
                case Unknown():
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


AnyDoor.TestCase.settings = settings(max_examples=examples(150), stateful_step_count=25)
TestAnyDoor = AnyDoor.TestCase
