"""A run after another: visits that were going on, who does not ring again, and who does."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import visiting
from doorstep import NOW, Door, at_the_door, enroll, kinds

from doorbell.config import load_config
from doorbell.domain import (
    Arrived,
    Body,
    BodyTrack,
    Event,
    Left,
    Person,
    Recognized,
    Ring,
    Unknown,
    Visit,
)
from doorbell.gallery.gallery import Gallery
from doorbell.models.store import face_path
from doorbell.pipeline.perception import Perception
from doorbell.visits.bodies import BodySighting
from doorbell.visits.restoring import RESTART_SECONDS, Earlier, EarlierVisit

# No cool-down, so that nothing else keeps the bell silent.
SETTINGS = ["visits.cooldown_seconds=0", "visits.absence_seconds=2"]


@dataclass
class House:
    """Runs of a daemon, one after the other, before one door."""

    path: Path
    perception: Perception
    faces: Path
    settings: tuple[str, ...] = tuple(SETTINGS)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self._begin()

    def see(self, *who: str, seconds: float = 1.5) -> list[Event]:
        """These stand at the door for so long."""
        return self.door.see(*(at_the_door(each, self.faces) for each in who), seconds=seconds)

    def kill(self, away_seconds: float = 13.0) -> None:
        """The process is gone, and another starts so much later."""
        self.seconds = self.door.time_seconds + away_seconds
        self.gallery.close()
        self._begin()

    def stop(self, away_seconds: float = 13.0) -> list[Event]:
        told = self.door.pipeline.finish(NOW + self.door.time_seconds, stopping=True)
        self.kill(away_seconds)
        return told

    @property
    def open_in_gallery(self) -> int:
        return sum(visit.ended_at is None for visit in self.gallery.visits.newest(99))

    def _begin(self) -> None:
        self.gallery = Gallery.open(self.path)
        config = load_config(None, list(self.settings))
        if not self.gallery.people.all():
            enroll(self.perception, self.gallery, face_path("obama2", self.faces), "Barack")
        self.door = Door(self.perception, self.gallery, config)
        self.door.time_seconds = self.seconds


@pytest.fixture
def house(perception: Perception, tmp_path: Path, models_directory: Path) -> Iterator[House]:
    house = House(tmp_path / "gallery.sqlite", perception, models_directory)
    yield house
    house.gallery.close()


WHO = pytest.mark.parametrize(("who", "told"), [("obama", Recognized), ("biden", Unknown)])


@WHO
def test_a_visit_goes_on_after_a_crash_and_nothing_rings_again(
    house: House, who: str, told: type[Event]
) -> None:
    assert kinds(house.see(who)) == [Arrived, told, Ring]
    [before] = house.gallery.visits.newest(9)
    house.kill()
    assert house.open_in_gallery == 1
    assert house.see(who, seconds=5.0) == []
    [left] = house.see(seconds=3.0)
    assert isinstance(left, Left)
    assert left.visit.visit_id == before.visit_id
    [after] = house.gallery.visits.newest(9)
    assert after.visitor is not None
    assert (after.visit_id, after.started_at) == (before.visit_id, before.started_at)
    assert after.ended_at is not None
    assert after.ended_at == pytest.approx(NOW + house.door.time_seconds - 3.0, abs=0.2)
    # Who comes anew rings.
    assert kinds(house.see(who)) == [Arrived, told, Ring]


@WHO
def test_who_went_during_the_crash_left_when_last_seen(
    house: House, who: str, told: type[Event]
) -> None:
    house.see(who)
    house.door.pipeline.note_presence()
    seen_at = NOW + house.door.time_seconds
    house.kill()
    events = house.see(seconds=3.0)
    assert kinds(events) == [Left]
    [kept] = house.gallery.visits.newest(9)
    assert kept.ended_at == pytest.approx(seen_at, abs=0.2)
    assert kinds(house.see(who)) == [Arrived, told, Ring]


@WHO
def test_who_is_still_there_after_a_stop_does_not_ring_again(
    house: House, who: str, told: type[Event]
) -> None:
    assert kinds(house.see(who)) == [Arrived, told, Ring]
    assert kinds(house.stop()) == [Left]
    assert house.open_in_gallery == 0
    assert kinds(house.see(who, seconds=6.0)) == [Arrived, told]
    assert kinds(house.stop()) == [Left]  # nor after a second one
    assert kinds(house.see(who)) == [Arrived, told]
    assert kinds(house.see(seconds=3.0)) == [Left]
    assert kinds(house.see(who)) == [Arrived, told, Ring]


@WHO
@pytest.mark.parametrize("stops", [True, False])
def test_who_comes_anew_after_a_restart_rings(
    house: House, who: str, told: type[Event], *, stops: bool
) -> None:
    house.see(who)
    house.stop() if stops else house.kill()
    house.see(seconds=3.0)
    assert kinds(house.see(who)) == [Arrived, told, Ring]


@WHO
@pytest.mark.parametrize("stops", [True, False])
def test_after_a_long_outage_whoever_is_there_has_come_anew(
    house: House, who: str, told: type[Event], *, stops: bool
) -> None:
    house.see(who)
    before = house.gallery.visits.newest(1)[0].last_seen_at
    away = RESTART_SECONDS + 30.0
    house.stop(away) if stops else house.kill(away)
    events = house.see(who)
    assert kinds(events) == ([] if stops else [Left]) + [Arrived, told, Ring]
    ended = [visit.ended_at for visit in house.gallery.visits.newest(9)]
    assert ended[0] is None
    assert ended[1] == pytest.approx(before, abs=0.2 if not stops else 2.0)


def test_somebody_else_after_a_restart_rings(house: House) -> None:
    house.see("obama")
    house.kill()
    assert kinds(house.see("biden", seconds=4.0)) == [Arrived, Unknown, Ring, Left]
    house.stop()
    assert kinds(house.see("obama")) == [Arrived, Recognized, Ring]


def test_a_cool_down_survives(
    perception: Perception, tmp_path: Path, models_directory: Path
) -> None:
    settings = ("visits.cooldown_seconds=60", "visits.absence_seconds=2")
    house = House(tmp_path / "gallery.sqlite", perception, models_directory, settings)
    assert kinds(house.see("obama")) == [Arrived, Recognized, Ring]
    assert kinds(house.see(seconds=3.0)) == [Left]
    house.kill()
    assert kinds(house.see("obama")) == [Arrived, Recognized]  # 19 s after
    assert kinds(house.see(seconds=3.0)) == [Left]
    house.kill(45.0)
    assert kinds(house.see("obama")) == [Arrived, Recognized, Ring]
    house.gallery.close()


@pytest.mark.parametrize("sees", [True, False])
def test_who_is_forgotten_before_the_next_run_sees_anything_is_not_named_by_it(
    house: House, *, sees: bool
) -> None:
    house.see("obama")
    house.kill()
    with Gallery.open(house.path) as other:
        other.people.forget("Barack")
    events = house.see(seconds=3.0) if sees else house.door.pipeline.finish(NOW + house.seconds)
    assert events == []
    assert house.gallery.visits.newest(9) == []


def test_a_camera_that_is_missing_after_the_crash_leaves_no_visit_open(house: House) -> None:
    house.see("obama")
    house.kill()
    [left] = house.door.pipeline.finish(NOW + house.seconds)
    assert isinstance(left, Left)
    assert isinstance(left.visit.visitor, Person)
    assert house.open_in_gallery == 0
    assert house.door.pipeline.finish(NOW + house.seconds) == []


def restarted(
    visit: Visit, *, rang: bool, stopped: bool, away_seconds: float = 13.0
) -> visiting.Door:
    """A door whose last run ended with this visit at it."""
    door = visiting.Door()
    door.offset = visit.last_seen_at + away_seconds - door.now
    if stopped:
        visit = replace(visit, ended_at=visit.last_seen_at)
    stopped_at = visit.last_seen_at if stopped else None
    earlier = EarlierVisit(visit, rang=rang, stopped_at=stopped_at)
    door.visits.restore(Earlier((earlier,)))
    return door


def undecided(door: visiting.Door, seconds: float = 4.0, track: int = 1) -> list[Event]:
    """A face too poor to be compared, for so long."""
    frames = round(seconds * 8)
    return [event for _ in range(frames) for event in door.frame(door.see(track))]


STOPS = pytest.mark.parametrize("stopped", [True, False])


@STOPS
def test_who_cannot_be_told_is_announced_and_rings_once_however_often_it_is_restarted(
    *, stopped: bool
) -> None:
    door = visiting.Door()
    assert kinds(undecided(door)) == [Arrived, Unknown, Ring]
    [visit] = door.visits.open_visits
    for _ in range(3):
        door = restarted(visit, rang=True, stopped=stopped)
        # The cool-down, too, is over after 30 s.
        assert kinds(undecided(door, 40.0)) == ([Arrived, Unknown] if stopped else [])
        [visit] = door.visits.open_visits
    assert kinds(door.wait(6.0)) == [Left]
    assert kinds(undecided(door, track=2)) == [Arrived, Unknown, Ring]


@STOPS
def test_who_rang_before_being_told_does_not_ring_once_told_after_a_restart(
    *, stopped: bool
) -> None:
    door = visiting.Door()
    undecided(door)
    [visit] = door.visits.open_visits
    door = restarted(visit, rang=True, stopped=stopped)
    events = door.frame(door.see(1, 0, visiting.known(visiting.ANNA)))
    events += [
        e for _ in range(320) for e in door.frame(door.see(1, 0, visiting.known(visiting.ANNA)))
    ]
    assert kinds(events) == ([Arrived] if stopped else []) + [Recognized]


@STOPS
def test_who_had_not_rung_before_the_restart_rings_after_it(*, stopped: bool) -> None:
    door = visiting.Door()
    assert kinds(undecided(door, 2.0)) == [Arrived]
    [visit] = door.visits.open_visits
    door = restarted(visit, rang=False, stopped=stopped)
    assert kinds(undecided(door)) == ([Arrived] if stopped else []) + [Unknown, Ring]


@STOPS
def test_a_named_visitor_who_turns_away_during_the_restart_does_not_ring(*, stopped: bool) -> None:
    door = visiting.Door()
    told = door.frame(door.see(1, 0, visiting.known(visiting.ANNA)))
    assert kinds(told) == [Arrived, Recognized, Ring]
    [visit] = door.visits.open_visits
    door = restarted(visit, rang=True, stopped=stopped)
    assert kinds(undecided(door, 40.0)) == ([Arrived, Unknown] if stopped else [])


@STOPS
def test_a_figure_without_a_face_goes_on_with_the_visit(*, stopped: bool) -> None:
    door = visiting.Door()
    undecided(door)
    [visit] = door.visits.open_visits
    door = restarted(visit, rang=True, stopped=stopped)
    told: list[Event] = []
    for number in range(40):
        body = Body(np.array([10, 10, 60, 200], np.float32), 0.9)
        first = door.now + 0.125 - number / 8
        track = BodyTrack(1, body, first, door.now + 0.125, first, number + 1, number)
        door.now += 0.125
        sighting = BodySighting(track, is_ignored=False)
        told += [e.event for e in door.visits.update([], door.now, door.wall, [sighting])]
    assert kinds(told) == ([Arrived, Unknown] if stopped else [])
    assert len(door.visits.open_visits) == 1


def test_a_clock_that_was_set_while_the_daemon_was_away_ends_the_visit() -> None:
    door = visiting.Door()
    undecided(door)
    [visit] = door.visits.open_visits
    door = restarted(visit, rang=True, stopped=False, away_seconds=-9000.0)
    assert kinds(undecided(door)) == [Left, Arrived, Unknown, Ring]


@STOPS
def test_a_visit_that_an_earlier_doorbell_has_stored_without_a_door_is_at_this_one(
    *, stopped: bool
) -> None:
    door = visiting.Door(door_id="front-door")
    stored = Visit("v", door.wall - 20.0, door.wall - 5.0)
    door.visits.restore(
        Earlier((EarlierVisit(stored, stopped_at=door.wall - 5.0 if stopped else None),))
    )
    events = undecided(door)
    [visit] = door.visits.open_visits
    assert (visit.door_id, visit.visit_id == "v") == ("front-door", not stopped)
    events += door.finish()
    assert {event.visit.door_id for event in events if event.visit} == {"front-door"}


def test_each_of_two_doors_goes_on_with_its_own_visits_after_a_crash(
    perception: Perception, tmp_path: Path, models_directory: Path
) -> None:
    path, seconds = tmp_path / "gallery.sqlite", 0.0
    earlier_of = {"front-door": ("front-door", ""), "side-door": ("side-door",)}
    configs = {each: load_config(None, [*SETTINGS, f"device.id={each}"]) for each in earlier_of}
    barack, joe = (at_the_door(each, models_directory) for each in ("obama", "biden"))

    def doors(gallery: Gallery) -> list[Door]:
        opened = []
        for each, config in configs.items():
            opened.append(Door(perception, gallery, config, earlier_of=earlier_of[each]))
            opened[-1].time_seconds = seconds
        return opened

    with Gallery.open(path) as gallery:
        front, side = doors(gallery)
        assert kinds(front.see(barack)) == [Arrived, Unknown, Ring]
        assert kinds(side.see(joe)) == [Arrived, Unknown, Ring]
    seconds = front.time_seconds + 13.0  # both were killed
    with Gallery.open(path) as gallery:
        of_door = {visit.door_id: visit for visit in gallery.visits.newest(9)}
        assert set(of_door) == set(configs)
        at_front, at_side = of_door["front-door"], of_door["side-door"]
        front, side = doors(gallery)
        [left] = front.see(seconds=3.0)
        assert isinstance(left, Left)
        assert (left.visit.visit_id, left.door_id) == (at_front.visit_id, "front-door")
        assert gallery.visits.get(at_side.visit_id).ended_at is None
        assert side.see(joe) == []
        # The bell of another door says that somebody came, and the same stranger is known there.
        events = side.see(barack, seconds=4.0)
        assert kinds(events) == [Arrived, Unknown, Ring, Left]
        assert events[1].visit is not None
        assert events[1].visit.visitor is not None
        assert at_front.visitor is not None
        assert events[1].visit.visitor.label == at_front.visitor.label
