"""A door with a household, frame by frame, for tests of visits: no camera, no network."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import numpy as np

from doorbell.config import VisitsSection
from doorbell.domain import (
    Event,
    Face,
    FaceSample,
    Float32Array,
    Match,
    Person,
    Pose,
    Ring,
    Stranger,
    Track,
    Verdict,
    Visitor,
)
from doorbell.visits.announcement import Announcement
from doorbell.visits.lifecycle import Visits
from doorbell.visits.observation import Observation

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

    def __init__(
        self,
        section: VisitsSection = SECTION,
        ring_after_seconds: float = 0.0,
        door_id: str = "",
    ) -> None:
        numbers = count()
        self.visits = Visits(
            section,
            self._introduce,
            lambda: f"id-{next(numbers)}",
            ring_after_seconds,
            self._recall,
            door_id=door_id,
        )
        self.now = 100.0
        self.offset = EPOCH  # of the wall clock
        self.introduced: list[Observation] = []
        self.met: list[tuple[Float32Array, Stranger]] = []
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
        left: float = 10,
        *,
        appearance: Float32Array | None = None,
    ) -> Observation:
        """Somebody in the next frame: a face of that identity, None where it is too poor."""
        next_frame = self.now + 0.125
        first = self._first_seen.setdefault(track_id, next_frame)
        box = np.array([left, 10, left + 50, 60], np.float32)
        face = Face(box, np.zeros((6, 2), np.float32), score)
        track = Track(track_id, face, first, next_frame, 5)
        if identity is None:
            return Observation(track, match, None, appearance=appearance)
        signature = looks(identity) if isinstance(identity, int) else identity
        samples = (FaceSample(signature, "test", 0.5),)
        return Observation(track, match, signature, samples, appearance=appearance)

    def frame(self, *seen: Observation) -> list[Event]:
        return [told.event for told in self.update(*seen)]

    def press(self) -> Ring:
        ring = self.visits.press(self.now, self.wall).event
        assert isinstance(ring, Ring)
        return ring

    def finish(self, seconds: float = 0.0) -> list[Event]:
        """The camera stops for good after so long."""
        return [told.event for told in self.visits.finish(self.wall + seconds)]

    def wait(self, seconds: float) -> list[Event]:
        """Frames with nobody in them."""
        return [event for _ in range(round(seconds * 8)) for event in self.frame()]

    def update(self, *seen: Observation) -> list[Announcement]:
        """The next frame, as it is told of to who completes the events."""
        self.now += 0.125
        return self.visits.update(seen, self.now, self.wall)

    def _recall(self, seen: Observation) -> Visitor | None:
        if seen.match.visitor is not None or seen.signature is None:
            return seen.match.visitor
        alike = [met for looks, met in self.met if float(looks @ seen.signature) > 0.99]
        return alike[0] if alike else None

    def _introduce(self, seen: Observation, wall_time: float) -> Stranger:
        self.introduced.append(seen)
        known_as = self._recall(seen)
        if isinstance(known_as, Stranger):
            return replace(known_as, last_seen_at=wall_time, visits=known_as.visits + 1)
        stranger = Stranger(100 + len(self.introduced), wall_time, wall_time, 1)
        if seen.signature is not None:
            self.met.append((seen.signature, stranger))
        return stranger


def kinds(events: Sequence[Event]) -> list[type[Event]]:
    return [type(event) for event in events]


def come_and_go(door: Door, track_id: int, match: Match) -> list[Event]:
    events = door.frame(door.see(track_id, 0, match))
    return [*events, *door.wait(6)]


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
