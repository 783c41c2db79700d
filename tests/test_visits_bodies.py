"""Who is at the door without a face is announced by the figure, once, and may be named yet."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from visiting import ANNA, QUIET, Door, kinds, known

from doorbell.config import VisitsSection
from doorbell.domain import (
    Arrived,
    Body,
    BodyTrack,
    Event,
    Left,
    Recognized,
    Ring,
    Unknown,
    UnknownReason,
)
from doorbell.visits.bodies import FRESH_SECONDS, BodySighting
from doorbell.visits.observation import Observation


class Porch(Door):
    """A door before which figures are looked for twice a second."""

    def __init__(self, section: VisitsSection | None = None) -> None:
        super().__init__(section or VisitsSection())
        self._since: dict[int, float] = {}
        self._looks: dict[int, int] = {}
        self._frames = 0

    def figures(
        self,
        seconds: float,
        *bodies: tuple[int, float],
        faces: Sequence[tuple[int, int | None]] = (),
        ignored: bool = False,
        moves: bool = True,
    ) -> list[Event]:
        """So long with bodies (track, left edge) and faces (track, identity) in sight."""
        told: list[Event] = []
        for _ in range(round(seconds * 8)):
            seen: list[Observation] = [
                self.see(track, identity, *(() if identity is None else (known(ANNA),)))
                for track, identity in faces
            ]
            self.now += 0.125
            self._frames += 1
            looked = self._frames % 4 == 0
            sightings = [self._sighting(*b, ignored, moves) for b in bodies] if looked else []
            told += [
                each.event for each in self.visits.update(seen, self.now, self.wall, sightings)
            ]
        return told

    def _sighting(self, track_id: int, left: float, ignored: bool, moves: bool) -> BodySighting:
        since = self._since.setdefault(track_id, self.now)
        hits = self._looks[track_id] = self._looks.get(track_id, 0) + 1
        body = Body(np.array([left, 0, left + 100, 300], np.float32), 0.9, is_moving=moves)
        track = BodyTrack(track_id, body, since, self.now, self.now, hits, hits if moves else 1)
        return BodySighting(track, ignored)


def test_who_shows_no_face_is_announced_by_the_figure_and_rings_once() -> None:
    events = Porch().figures(60, (1, 0))
    assert kinds(events) == [Arrived, Unknown, Ring]
    for event in events[1:]:
        assert isinstance(event, Unknown | Ring)
        assert event.reason is UnknownReason.NO_USABLE_FACE
    arrived = events[0]
    assert isinstance(arrived, Arrived)
    assert arrived.occurred_at - arrived.visit.started_at == 3.0


def test_who_passes_in_less_rings_nobody() -> None:
    door = Porch()
    assert door.figures(2.5, (1, 0)) == []
    assert door.wait(20) == []


def test_a_face_found_later_goes_on_with_the_visit_and_does_not_ring_again() -> None:
    door = Porch()
    assert kinds(door.figures(4, (1, 0))) == [Arrived, Unknown, Ring]
    assert kinds(door.figures(10, (1, 0), faces=[(1, None)])) == []
    later = door.figures(10, (1, 0), faces=[(2, 0)])
    assert kinds(later) == [Recognized]
    assert kinds(door.wait(6)) == [Left]


def test_a_visitor_who_turns_away_stays_the_same_visit() -> None:
    door = Porch()
    assert kinds(door.figures(2, (1, 0), faces=[(1, 0)])) == [Arrived, Recognized, Ring]
    assert door.figures(60, (1, 0)) == []
    assert kinds(door.wait(6)) == [Left]


def test_who_comes_to_the_place_of_somebody_named_who_has_gone_rings_by_the_figure() -> None:
    door = Porch()
    door.figures(2, (1, 0), faces=[(1, 0)])
    assert door.wait(FRESH_SECONDS + 0.25) == []
    events = door.figures(6, (2, 0))
    assert kinds(events) == [Left, Arrived, Unknown, Ring]
    assert events[0].visit
    assert events[0].visit.visitor == ANNA
    assert events[-1].visit
    assert events[-1].visit.visitor is None


def test_who_was_named_and_is_found_again_by_the_figure_a_moment_later_does_not_ring() -> None:
    door = Porch()
    door.figures(2, (1, 0), faces=[(1, 0)])
    assert door.wait(FRESH_SECONDS - 1) == []
    assert door.figures(30, (2, 0)) == []


def test_somebody_beside_a_known_visitor_rings_by_the_figure() -> None:
    door = Porch()
    door.figures(2, (1, 0), faces=[(1, 0)])
    assert kinds(door.figures(5, (1, 0), (2, 400), faces=[(1, 0)])) == [Arrived, Unknown, Ring]


def test_nobody_begins_a_visit_in_an_ignored_zone_and_time_counts_from_its_border() -> None:
    door = Porch()
    assert door.figures(10, (1, 0), ignored=True) == []
    assert door.figures(2, (1, 0)) == []
    assert kinds(door.figures(2, (1, 0))) == [Arrived, Unknown, Ring]
    assert door.figures(30, (1, 0), ignored=True) == []
    assert kinds(door.wait(6)) == [Left]


def test_what_has_the_shape_of_somebody_and_does_not_move_is_nobody() -> None:
    assert Porch().figures(30, (1, 0), moves=False) == []


def test_the_wait_and_the_bell_follow_the_configuration() -> None:
    assert Porch(VisitsSection(announce_after_seconds=0.0)).figures(30, (1, 0)) == []
    assert kinds(Porch(QUIET).figures(30, (1, 0))) == [Arrived, Unknown]
    assert Porch(VisitsSection(announce_after_seconds=20.0)).figures(19, (1, 0)) == []


def test_a_face_in_an_ignored_zone_begins_no_visit() -> None:
    door = Porch()
    for _ in range(80):
        assert door.frame(replace(door.see(1, 0, known(ANNA)), is_ignored=True)) == []
    assert kinds(door.frame(door.see(1, 0, known(ANNA)))) == [Arrived, Recognized, Ring]
