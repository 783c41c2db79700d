"""The pipeline with the real networks: over a simulated scene, and over still portraits."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from doorstep import NOW, Door, at_the_door, enroll, kinds

from doorbell.camera.simulated.camera import SimulatedCamera
from doorbell.camera.simulated.script import SceneScript, demo_script
from doorbell.config import CameraSection, load_config
from doorbell.domain import (
    Arrived,
    Event,
    Frame,
    Left,
    Person,
    Recognized,
    Ring,
    Stranger,
    UInt8Array,
    Unknown,
    Visit,
    picture_of,
)
from doorbell.errors import EndOfStreamError, EnrollmentError
from doorbell.gallery.gallery import Gallery
from doorbell.imaging.photos import decode_photo
from doorbell.imaging.visit_picture import draw_picture
from doorbell.models.store import face_path
from doorbell.pipeline.best_pictures import LATEST_SECONDS
from doorbell.pipeline.perception import Perception
from doorbell.pipeline.pipeline import Pipeline

OBAMA, BIDEN = "Barack Obama", "Joe Biden"


@dataclass(frozen=True)
class Story:
    """What one round of the scene gave, and what the gallery held afterwards."""

    events: list[Event]
    visits: list[Visit]
    strangers: list[Stranger]

    def of_visit(self, visit_id: str) -> list[Event]:
        return [event for event in self.events if event.visit and event.visit.visit_id == visit_id]

    @property
    def visit_ids(self) -> list[str]:
        """In order of arrival."""
        return [event.visit.visit_id for event in self.events if isinstance(event, Arrived)]


@pytest.fixture(scope="module")
def story(
    models_directory: Path, perception: Perception, tmp_path_factory: pytest.TempPathFactory
) -> Story:
    """Obama, enrolled from another photo, comes; then a stranger; then both."""
    config = load_config(None, ["visits.absence_seconds=1.2"])
    known, stranger, known_again, stranger_again = (
        replace(appearance, approach_seconds=1.2, stays_seconds=1.8, leave_seconds=0.8)
        for appearance in demo_script(models_directory / "faces").appearances
    )
    script = SceneScript(
        (
            replace(known, enters_seconds=0.2),
            replace(stranger, enters_seconds=5.4),
            replace(known_again, enters_seconds=10.6),
            replace(stranger_again, enters_seconds=10.9),
        ),
        duration_seconds=16.5,
    )
    path = tmp_path_factory.mktemp("story") / "gallery.sqlite"
    with Gallery.open(path) as gallery:
        enroll(perception, gallery, face_path("obama2", models_directory), OBAMA)
        pipeline = Pipeline(perception, gallery, config)
        events = [event for frame in frames_of(script) for event in pipeline.step(frame)]
        events += pipeline.finish(NOW)
        return Story(events, gallery.visits.newest(100), gallery.strangers.all())


def frames_of(script: SceneScript) -> Iterator[Frame]:
    section = CameraSection(width=640, height=360, realtime=False, frames_per_second=10)
    camera = SimulatedCamera(section, script)
    try:
        while True:
            frame = camera.read()
            yield replace(frame, captured_at=NOW + frame.time_seconds)
    except EndOfStreamError:
        return


def test_the_known_visitor_is_named_and_the_stranger_is_not(story: Story) -> None:
    named = [event.visit.visitor for event in story.events if isinstance(event, Recognized)]
    unnamed = [event.visit.visitor for event in story.events if isinstance(event, Unknown)]
    assert [visitor.label for visitor in named if visitor] == [OBAMA, OBAMA]
    assert [visitor.label for visitor in unnamed if visitor] == ["stranger-1", "stranger-1"]


def test_each_visit_has_its_events_in_order(story: Story) -> None:
    kinds = [[type(event) for event in story.of_visit(visit)] for visit in story.visit_ids]
    # A visitor who comes again within the cool-down does not ring again.
    assert kinds[0] == [Arrived, Recognized, Ring, Left]
    assert kinds[1] == [Arrived, Unknown, Ring, Left]
    assert sorted(kinds[2:], key=str) == [
        [Arrived, Recognized, Left],
        [Arrived, Unknown, Left],
    ]
    times = [event.occurred_at for event in story.events]
    assert times == sorted(times)
    assert len({event.event_id for event in story.events}) == len(story.events)


def test_two_visitors_at_once_have_visits_that_overlap(story: Story) -> None:
    first, second = (story.of_visit(visit_id) for visit_id in story.visit_ids[2:])
    assert first[0].occurred_at < second[0].occurred_at < first[-1].occurred_at
    people = {type(each[-1].visit.visitor) for each in (first, second) if each[-1].visit}
    assert people == {Person, Stranger}


def test_the_stranger_keeps_the_identifier_and_visits_are_counted(story: Story) -> None:
    assert [stranger.visits for stranger in story.strangers] == [2]
    seen = [event.visit.visitor for event in story.events if isinstance(event, Unknown)]
    assert [visitor.visits for visitor in seen if isinstance(visitor, Stranger)] == [1, 2]


def test_the_gallery_holds_every_visit_as_it_was_left(story: Story) -> None:
    left = {event.visit.visit_id: event.visit for event in story.events if isinstance(event, Left)}
    kept = {visit.visit_id: visit for visit in story.visits}
    assert kept.keys() == left.keys() == set(story.visit_ids)
    for visit_id, visit in left.items():
        stored = kept[visit_id]
        assert stored.visitor
        assert visit.visitor
        assert stored.visitor.label == visit.visitor.label
        # Where the visitor looked, and whether it was a picture, is told and not kept.
        told = replace(stored, visitor=visit.visitor, attention=visit.attention, live=visit.live)
        assert told == visit
        assert visit.started_at < visit.last_seen_at == visit.ended_at


def test_every_event_has_a_picture_with_boxes_in_the_colour_of_the_verdict(story: Story) -> None:
    green, amber, grey = (64, 200, 140), (245, 170, 20), (205, 205, 205)  # of the annotation
    for event in story.events:
        picture = picture_of(event)
        assert picture is not None
        pixels = decode_photo(draw_picture(picture), "event")
        assert pixels.shape == (360, 640, 3)
        expected = {Person: green, Stranger: amber, type(None): grey}
        visitor = event.visit.visitor if event.visit else None
        near = np.abs(pixels.astype(int) - expected[type(visitor)]).max(axis=2) < 24
        assert near.sum() > 300, (type(event), near.sum())


# Portraits before the camera


@pytest.fixture
def gallery_path(tmp_path: Path) -> Path:
    return tmp_path / "gallery.sqlite"


@pytest.fixture
def gallery(gallery_path: Path) -> Iterator[Gallery]:
    with Gallery.open(gallery_path) as gallery:
        yield gallery


@pytest.fixture
def door(perception: Perception, gallery: Gallery) -> Door:
    config = load_config(None, ["visits.absence_seconds=1", "visits.cooldown_seconds=0"])
    return Door(perception, gallery, config)


@pytest.fixture(scope="module")
def obama(models_directory: Path) -> UInt8Array:
    return at_the_door("obama", models_directory)


@pytest.fixture(scope="module")
def biden(models_directory: Path) -> UInt8Array:
    return at_the_door("biden", models_directory)


def test_who_looks_at_the_door_long_enough_rings_without_a_button(
    perception: Perception, gallery: Gallery, obama: UInt8Array, models_directory: Path
) -> None:
    settings = ["visits.ring_on_visit=false", "attention.ring_after_seconds=1"]
    # Half-way between the portraits: one is turned by 19 to 23 degrees, as regions find it.
    settings += ["attention.max_yaw_degrees=12"]
    door = Door(perception, gallery, load_config(None, settings))
    turned_away = at_the_door("obama2", models_directory)
    events = door.see(turned_away, seconds=2.5)
    [visit] = door.pipeline.open_visits
    assert Ring not in kinds(events)
    assert visit.attention
    assert (visit.attention.looking, visit.attention.looking_seconds) == (False, 0)
    assert visit.attention.pose.yaw_degrees == pytest.approx(-22, abs=4)
    events = door.see(obama, seconds=2.5)
    [ring] = [event for event in events if isinstance(event, Ring)]
    assert ring.visit
    assert ring.visit.attention
    assert ring.visit.attention.looking
    assert ring.visit.attention.looking_seconds == pytest.approx(1, abs=0.2)


def test_pictures_can_be_switched_off(
    perception: Perception, gallery: Gallery, obama: UInt8Array
) -> None:
    door = Door(perception, gallery, load_config(None, ["storage.pictures=false"]))
    events = [*door.see(obama), *door.pipeline.finish(NOW)]
    assert kinds(events) == [Arrived, Unknown, Ring, Left]
    assert all(event.picture_jpeg is None for event in events)


def test_a_person_enrolled_by_another_process_is_named_at_the_next_visit(
    door: Door,
    perception: Perception,
    gallery_path: Path,
    models_directory: Path,
    obama: UInt8Array,
) -> None:
    assert Unknown in kinds(door.see(obama))
    assert Left in kinds(door.see(seconds=1.5))
    with Gallery.open(gallery_path) as other:
        enroll(perception, other, face_path("obama2", models_directory), OBAMA)
    events = door.see(obama)
    assert kinds(events) == [Arrived, Recognized, Ring]
    assert events[1].visit
    assert events[1].visit.visitor == Person(1, OBAMA)


def test_a_name_comes_with_the_third_frame(
    door: Door,
    perception: Perception,
    gallery: Gallery,
    models_directory: Path,
    obama: UInt8Array,
) -> None:
    enroll(perception, gallery, face_path("obama2", models_directory), OBAMA)
    door.see(seconds=0.2)  # nobody yet
    events = door.see(obama, seconds=3 / 30, period=1 / 30)
    assert kinds(events) == [Arrived, Recognized, Ring]
    assert events[1].visit
    assert events[1].visit.seconds_to_decision == pytest.approx(2 / 30)
    assert gallery.visits.get(events[1].visit.visit_id).frames_used == 3


def test_a_visitor_corrected_from_stranger_to_person_leaves_no_stranger_behind(
    door: Door,
    perception: Perception,
    gallery: Gallery,
    models_directory: Path,
    biden: UInt8Array,
) -> None:
    before = door.see(biden)
    assert kinds(before) == [Arrived, Unknown, Ring]
    assert len(gallery.strangers.all()) == 1
    enroll(perception, gallery, face_path("biden", models_directory), BIDEN)
    after = [*door.see(biden), *door.pipeline.finish(NOW)]
    assert kinds(after) == [Recognized, Ring, Left]
    assert {event.visit.visit_id for event in before + after if event.visit} == {
        visit.visit_id for visit in gallery.visits.newest(10)
    }
    assert gallery.strangers.all() == []
    assert gallery.visits.newest(10, name=BIDEN)[0].ended_at is not None


@pytest.mark.parametrize("undo", ["named", "forgotten"])
def test_a_stranger_who_is_named_or_forgotten_while_at_the_door_disturbs_nothing(
    door: Door,
    gallery: Gallery,
    gallery_path: Path,
    perception: Perception,
    models_directory: Path,
    *,
    biden: UInt8Array,
    undo: str,
) -> None:
    assert Unknown in kinds(door.see(biden))
    with Gallery.open(gallery_path) as other:
        if undo == "named":
            other.strangers.name(1, BIDEN)
        else:
            other.strangers.forget(1)
            enroll(perception, other, face_path("biden", models_directory), BIDEN)
    events = [*door.see(biden), *door.pipeline.finish(NOW)]
    assert kinds(events) == [Recognized, Ring, Left]
    assert gallery.strangers.all() == []
    assert [visit.visitor for visit in gallery.visits.newest(10)] == [gallery.people.get(BIDEN)]


def test_a_person_who_is_forgotten_while_at_the_door_is_named_no_more(
    door: Door, gallery: Gallery, gallery_path: Path, biden: UInt8Array
) -> None:
    door.see(biden)
    door.enroll_visible(BIDEN)
    assert Recognized in kinds(door.see(biden))
    with Gallery.open(gallery_path) as other:
        other.people.forget(BIDEN)
    events = [*door.see(biden), *door.pipeline.finish(NOW)]
    assert kinds(events)[-1] is Left
    named = [event for event in events if event.visit and isinstance(event.visit.visitor, Person)]
    assert named == []
    assert gallery.people.all() == []


@pytest.mark.parametrize("before", ["person", "stranger"])
def test_of_who_is_forgotten_while_at_the_door_nothing_seen_before_is_kept(
    door: Door, gallery: Gallery, gallery_path: Path, biden: UInt8Array, *, before: str
) -> None:
    assert door.see(biden)[0].picture_jpeg is not None
    with Gallery.open(gallery_path) as other:
        if before == "person":
            other.strangers.name(1, BIDEN)
            assert Recognized in kinds(door.see(biden))
            other.people.forget(BIDEN)
        else:
            other.strangers.forget(1)
    [left] = [*door.see(seconds=0.3), *door.pipeline.finish(NOW)]
    assert isinstance(left, Left)
    assert (left.visit.visitor, left.picture_jpeg) == (None, None)
    assert gallery.strangers.all() == []
    [visit] = gallery.visits.newest(9)
    assert visit.visitor is None
    assert gallery.visits.samples(visit.visit_id) == []


def test_who_is_forgotten_and_stays_at_the_door_is_a_new_stranger(
    door: Door, gallery: Gallery, gallery_path: Path, biden: UInt8Array
) -> None:
    door.see(biden)
    with Gallery.open(gallery_path) as other:
        other.strangers.name(1, BIDEN)
        door.see(biden)
        other.people.forget(BIDEN)
    events = door.see(biden)
    assert Unknown in kinds(events)
    assert [stranger.visits for stranger in gallery.strangers.all()] == [1]
    assert all(event.picture_jpeg for event in events)


def test_the_one_visitor_in_sight_is_enrolled_and_named_at_once(
    door: Door, gallery: Gallery, obama: UInt8Array
) -> None:
    door.see(obama)
    outcome = door.enroll_visible(f" {OBAMA} ")
    assert outcome.person == gallery.people.get(OBAMA)
    assert gallery.people.summaries()[0].samples == outcome.added > 0
    assert kinds(door.see(obama)) == [Recognized, Ring]


def test_nobody_and_several_in_sight_are_not_enrolled(
    door: Door, gallery: Gallery, obama: UInt8Array, biden: UInt8Array
) -> None:
    with pytest.raises(EnrollmentError, match="0 usable faces are in sight"):
        door.enroll_visible(OBAMA)
    door.see(obama, biden)
    with pytest.raises(EnrollmentError, match="2 usable faces are in sight"):
        door.enroll_visible(OBAMA)
    door.see(seconds=3.0)
    with pytest.raises(EnrollmentError, match="0 usable faces are in sight"):
        door.enroll_visible(OBAMA)
    assert gallery.people.all() == []


def test_whose_place_somebody_seems_to_take_is_not_enrolled(
    door: Door, gallery: Gallery, *, obama: UInt8Array, biden: UInt8Array
) -> None:
    """What was seen of the track so far may be of somebody else than who is in sight."""
    door.see(obama)
    door.see(biden, seconds=0.1)
    assert [visit for _, visit in door.pipeline.in_sight] == [None]
    with pytest.raises(EnrollmentError, match="0 usable faces"):
        door.enroll_visible(BIDEN)
    assert gallery.people.all() == []


def test_a_visitor_who_is_known_is_not_enrolled_under_another_name(
    door: Door, gallery: Gallery, obama: UInt8Array
) -> None:
    door.see(obama)
    door.enroll_visible(OBAMA)
    door.see(obama)
    with pytest.raises(EnrollmentError, match=f"is {OBAMA}"):
        door.enroll_visible("Somebody Else")
    assert door.enroll_visible(OBAMA.upper()).person == gallery.people.get(OBAMA)
    assert len(gallery.people.all()) == 1


def test_a_visit_goes_on_in_frames_of_another_size(
    door: Door, gallery: Gallery, obama: UInt8Array
) -> None:
    door.see(obama)
    [(track, visit)] = door.pipeline.in_sight
    assert visit
    for scale in (2.0, 0.75, 1.0):
        assert door.see(obama, scale=scale) == []
        [(again, same)] = door.pipeline.in_sight
        assert same
        assert (again.track_id, same.visit_id) == (track.track_id, visit.visit_id)
    assert len(gallery.strangers.all()) == 1


def test_a_press_rings_for_the_visitor_in_sight_or_for_nobody(
    door: Door, obama: UInt8Array
) -> None:
    [ring] = door.pipeline.press(door.time_seconds, NOW)
    assert isinstance(ring, Ring)
    assert ring.pressed
    assert (ring.visit, ring.picture_jpeg) == (None, None)
    [arrived, *_] = door.see(obama)
    [ring] = door.pipeline.press(door.time_seconds, NOW)
    assert isinstance(ring, Ring)
    assert ring.visit
    assert arrived.visit
    assert ring.visit.visit_id == arrived.visit.visit_id
    assert ring.picture_jpeg is not None


def test_a_press_with_nobody_in_sight_shows_what_the_camera_has_just_seen(door: Door) -> None:
    door.see(seconds=0.2)
    seen_at = NOW + door.time_seconds
    [ring] = door.pipeline.press(door.time_seconds, seen_at + 1)
    assert ring.visit is None
    assert ring.picture_jpeg is not None
    shown = cv2.imdecode(np.frombuffer(ring.picture_jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.shape == (360, 640, 3)
    [ring] = door.pipeline.press(door.time_seconds, seen_at + LATEST_SECONDS + 1)
    assert ring.picture_jpeg is None  # the camera is lost


def test_a_visit_that_is_open_at_the_end_is_left_and_kept(
    door: Door, gallery: Gallery, obama: UInt8Array
) -> None:
    events = [*door.see(obama), *door.pipeline.finish(NOW)]
    assert kinds(events)[-1] is Left
    assert door.pipeline.open_visits == ()
    assert door.pipeline.finish(NOW) == []
    assert [visit.ended_at is None for visit in gallery.visits.newest(10)] == [False]


def test_a_stranger_whom_a_locked_gallery_cannot_take_is_announced_and_stored_while_still_there(
    door: Door, gallery: Gallery, gallery_path: Path, obama: UInt8Array
) -> None:
    gallery.wait_at_most(0.01)
    with closing(sqlite3.connect(gallery_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        events = door.see(obama)
        door.pipeline.identify(door.pipeline.recorder.catch_up())
    assert kinds(events) == [Arrived, Unknown, Ring]
    assert events[1].visit
    assert isinstance(events[1].visit.visitor, Stranger)
    assert events[1].visit.visitor.label.startswith("new-stranger-")
    assert door.pipeline.problem is not None
    assert gallery.visits.newest(9) == []

    door.pipeline.identify(door.pipeline.recorder.catch_up())
    assert door.pipeline.problem is None
    [left] = door.see(seconds=1.5)
    assert isinstance(left, Left)
    assert left.visit.visitor
    assert left.visit.visitor.label == "stranger-1"
    again = door.see(obama)
    assert kinds(again) == [Arrived, Unknown, Ring]
    [visit, before] = gallery.visits.newest(9)
    assert visit.visitor
    assert before.visitor
    assert visit.visitor.label == before.visitor.label == "stranger-1"
    assert before.ended_at == left.visit.ended_at
