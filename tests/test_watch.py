"""Watching several doors: whose frame is next, what a camera may do to others, who rings where."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

import pytest
from doorstep import at_the_door, kinds
from house_doors import House, Stage, configured

from doorbell.camera import Camera
from doorbell.camera.patience import Patience
from doorbell.domain import (
    Arrived,
    Event,
    FaceSample,
    Left,
    Recognized,
    Ring,
    Stranger,
    UInt8Array,
    Unknown,
)
from doorbell.errors import CameraSetupError
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.pipeline.perception import Perception
from doorbell.status import CameraCondition
from doorbell.testbed.service_manager import ServiceManager

IMPATIENT = Patience(stuck_seconds=0.05)


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        yield gallery


@pytest.fixture(scope="module")
def obama(models_directory: Path) -> UInt8Array:
    return at_the_door("obama", models_directory)


def longest_wait(door_ids: list[str], door_id: str) -> int:
    """Frames of other doors in a row."""
    return max(
        len([*run]) for other, run in groupby(door_ids, lambda each: each != door_id) if other
    )


def test_a_door_with_a_visitor_comes_before_empty_ones_which_do_not_starve(
    perception: Perception, gallery: Gallery, tmp_path: Path, obama: UInt8Array
) -> None:
    with House(configured(tmp_path, "front", "back", "side"), perception, gallery) as house:
        house.step(18)
        empty = Counter(house.shown.door_ids)
        assert min(empty.values()) >= 3, "all are alike"
        house.see("back", obama, frames=3)
        house.shown.door_ids.clear()
        house.step(40)
        taken = house.shown.door_ids
    count = Counter(taken)
    assert count["back"] >= 2 * max(count["front"], count["side"])
    for door_id in ("front", "side"):
        assert longest_wait(taken, door_id) <= 15


def test_a_camera_whose_driver_hangs_costs_the_others_no_frame(
    perception: Perception, gallery: Gallery, tmp_path: Path, obama: UInt8Array
) -> None:
    config = configured(tmp_path, "front", "back", more=["visits.absence_seconds=0.5"])
    with House(config, perception, gallery, patience=IMPATIENT) as house:
        told = house.see("front", obama)
        assert kinds(told)[0] is Arrived
        house.stages["front"].answers.clear()
        house.step(3)  # what was captured before
        house.shown.door_ids.clear()
        until = time.monotonic() + 0.8
        steps = 0
        while time.monotonic() < until:
            house.step()
            steps += 1
        assert house.shown.door_ids == ["back"] * steps
        assert kinds(house.told)[-1] is Left, "nobody stands before a camera that is not there"
        state = house.doors["front"].changed_state()
        assert state is not None
        assert state.condition is CameraCondition.STUCK
        assert house.doors["back"].gives_frames


def test_a_recording_that_ends_leaves_the_other_doors_watched(
    perception: Perception, gallery: Gallery, tmp_path: Path, obama: UInt8Array
) -> None:
    with House(configured(tmp_path, "front", "back"), perception, gallery) as house:
        house.see("front", obama)
        house.stages["front"].over = True
        house.step(6)
        assert house.doors["front"].has_ended
        assert kinds(house.told)[-1] is Left
        assert house.watch.goes_on
        assert house.shown.door_ids[-1] == "back"
        house.stages["back"].over = True
        house.step(3)
        assert not house.watch.goes_on


def refuse() -> Camera:
    raise CameraSetupError("camera.uri = 'x.mkv': there is no such file")


def test_a_camera_that_is_set_up_wrongly_leaves_the_other_doors_watched(
    perception: Perception, gallery: Gallery, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = configured(tmp_path, "front", "back")
    with House(config, perception, gallery, openers={"front": refuse}) as house:
        house.step(6)
        state = house.doors["front"].changed_state()
        assert state is not None
        assert state.condition is CameraCondition.LOST
        assert "x.mkv" in state.reason
        assert house.doors["front"].changed_state() is None, "said once"
        assert caplog.text.count("The front door is not watched") == 1
        assert house.shown.door_ids[-1] == "back"
        assert house.watch.goes_on
        # Its bell is still there.
        assert kinds(house.doors["front"].pipeline.press(1.0, time.time())) == [Ring]


def test_where_no_camera_is_set_up_rightly_there_is_nothing_to_watch(
    perception: Perception, gallery: Gallery, tmp_path: Path
) -> None:
    config = configured(tmp_path, "front", "back")
    openers = {"front": refuse, "back": refuse}
    with (
        House(config, perception, gallery, openers=openers) as house,
        pytest.raises(CameraSetupError, match="no such file"),
    ):
        house.step(3)


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceManager]:
    with ServiceManager(tmp_path, watchdog_seconds=0.04) as manager:
        for name, value in manager.environment.items():
            monkeypatch.setenv(name, value)
        yield manager


def is_fed(manager: ServiceManager, house: House) -> bool:
    """Whether the watchdog is fed by some watching."""
    house.step(4)
    time.sleep(0.05)  # what was sent is read
    before = manager.names.count("WATCHDOG")
    until = time.monotonic() + 0.2
    while time.monotonic() < until:
        house.step()
    return manager.names.count("WATCHDOG") > before


def hang_for_good(house: House, door_id: str) -> None:
    house.stages[door_id].answers.clear()
    until = time.monotonic() + 10
    while not house.doors[door_id].camera.needs_restart:
        assert time.monotonic() < until
        house.step()


def test_a_driver_that_only_a_new_process_helps_waits_for_as_long_as_others_are_watched(
    perception: Perception, gallery: Gallery, tmp_path: Path, manager: ServiceManager
) -> None:
    config = configured(tmp_path, "front", "back")
    with House(config, perception, gallery, patience=IMPATIENT) as house:
        house.step(4)
        assert is_fed(manager, house)
        hang_for_good(house, "front")
        assert is_fed(manager, house), "the other door is watched"
        house.stages["back"].over = True
        assert not is_fed(manager, house), "no door is watched"


def test_after_a_while_a_driver_that_hangs_takes_a_new_process_once_nobody_is_at_the_door(
    perception: Perception,
    gallery: Gallery,
    tmp_path: Path,
    manager: ServiceManager,
    obama: UInt8Array,
) -> None:
    config = configured(tmp_path, "front", "back", more=["visits.absence_seconds=1"])
    with House(config, perception, gallery, patience=IMPATIENT, restart_seconds=0.0) as house:
        house.step(4)
        hang_for_good(house, "front")
        house.see("back", obama)
        assert is_fed(manager, house), "somebody is there"
        house.see("back", None, frames=15)
        assert not house.watch.is_anybody_there
        assert not is_fed(manager, house)


def sample_of(visitor: UInt8Array, perception: Perception) -> FaceSample:
    """A face as it is seen at a door."""
    stage, seeing = Stage(), perception.another()
    stage.visitor = visitor
    while not (faces := seeing.detect(pixels := stage.read().pixels, [])):
        pass
    [sample] = seeing.embed([seeing.portray(pixels, faces[0])])
    assert sample is not None
    return sample


def rings(events: list[Event]) -> list[str]:
    return [event.door_id for event in events if isinstance(event, Ring)]


def names(events: list[Event]) -> Mapping[str, str]:
    """Who was seen, by the door."""
    return {
        event.door_id: event.visit.visitor.label
        for event in events
        if isinstance(event, Recognized | Unknown) and event.visit.visitor is not None
    }


def test_who_walks_to_another_door_rings_once_unless_it_is_pressed(
    perception: Perception, gallery: Gallery, tmp_path: Path, obama: UInt8Array
) -> None:
    gallery.people.enroll("Anna", [EnrolledSample(sample_of(obama, perception))])
    with House(configured(tmp_path, "front", "back"), perception, gallery) as house:
        at_front = house.see("front", obama)
        at_back = house.see("back", obama)
        assert names([*at_front, *at_back]) == {"front": "Anna", "back": "Anna"}
        assert (rings(at_front), rings(at_back)) == (["front"], [])
        door = house.doors["back"]
        assert rings(door.pipeline.press(door.stream_seconds, time.time())) == ["back"]
        visitors = [each.visitor and each.visitor.label for each in gallery.visits.newest(9)]
        assert visitors == ["Anna", "Anna"], "one person, and two visits"


def test_who_comes_to_another_door_after_the_cool_down_rings_there_too(
    perception: Perception, gallery: Gallery, tmp_path: Path, obama: UInt8Array
) -> None:
    config = configured(tmp_path, "front", "back", more=["visits.cooldown_seconds=0"])
    with House(config, perception, gallery) as house:
        assert rings(house.see("front", obama)) == ["front"]
        assert rings(house.see("back", obama)) == ["back"]


def test_a_stranger_is_the_same_at_every_door(
    perception: Perception, gallery: Gallery, tmp_path: Path, models_directory: Path
) -> None:
    biden, obama = (at_the_door(each, models_directory) for each in ("biden", "obama"))
    with House(configured(tmp_path, "front", "back"), perception, gallery) as house:
        told = house.see("front", biden)
        told += house.see("back", biden)
        assert names(told) == {"front": "stranger-1", "back": "stranger-1"}
        assert rings(told) == ["front"]
        others = house.see("front", obama)
        assert rings(others) == ["front"], "somebody else"
        strangers = gallery.strangers.all()
    assert [each.label for each in strangers] == ["stranger-1", "stranger-2"]
    assert all(isinstance(each, Stranger) for each in strangers)
    assert [each.visits for each in strangers] == [2, 1]
