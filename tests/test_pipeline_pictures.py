"""Whom the pictures of a visit show, with the real networks: somebody takes the visitor's place."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from doorstep import NOW, PERIOD, Door, at_the_door, enroll

from doorbell.config import load_config
from doorbell.domain import (
    Arrived,
    Event,
    Float32Array,
    Left,
    Recognized,
    Ring,
    Stranger,
    UInt8Array,
    Unknown,
)
from doorbell.gallery.gallery import Gallery
from doorbell.imaging.photos import decode_photo
from doorbell.models.store import face_path
from doorbell.outputs.pictures import Pictures, picture_path
from doorbell.pipeline.perception import Perception

BARACK, JOE = "Barack", "Joe"
LIKE = 0.3  # cosine of a face out of focus and drawn over with its own: 0.4; of the two men's: 0.1
WORST_QUALITY = 0.1


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        yield gallery


@pytest.fixture(scope="module")
def barack(models_directory: Path) -> UInt8Array:
    """A little out of focus, so that whoever takes his place makes the better picture."""
    sharp = at_the_door("obama", models_directory)
    return np.asarray(cv2.GaussianBlur(sharp, (0, 0), 1.5), np.uint8)


@pytest.fixture(scope="module")
def other(models_directory: Path) -> UInt8Array:
    """Somebody else, with his face where Barack's is, and as large."""
    portrait = at_the_door("biden", models_directory)[45:, 27:]
    return np.asarray(np.pad(portrait, ((0, 45), (0, 0), (0, 0)), mode="edge"), np.uint8)


@pytest.fixture(scope="module")
def shown(perception: Perception, models_directory: Path) -> Callable[[bytes], list[str]]:
    """Names the people whose faces can be seen in a picture."""

    def faces(pixels: UInt8Array) -> list[Float32Array]:
        portraits = [perception.crop_face(pixels, face) for face in perception.detect_still(pixels)]
        samples = [sample for sample in perception.embed(portraits) if sample is not None]
        return [sample.embedding for sample in samples if sample.quality > WORST_QUALITY]

    people = {BARACK: "obama", JOE: "biden"}
    known = {name: faces(at_the_door(of, models_directory))[0] for name, of in people.items()}

    def shown(jpeg: bytes) -> list[str]:
        seen = faces(decode_photo(jpeg, "event"))
        return [
            max(known, key=lambda name: float(known[name] @ face))
            for face in seen
            if max(float(of @ face) for of in known.values()) > LIKE
        ]

    return shown


def visit_of(event: Event) -> str | None:
    return None if event.visit is None else event.visit.visit_id


@pytest.mark.parametrize("whose", ["all", "people"])
@pytest.mark.parametrize("seconds", [1.0, 4.0])
def test_no_picture_of_a_visit_shows_who_takes_the_visitors_place(
    perception: Perception,
    gallery: Gallery,
    tmp_path: Path,
    models_directory: Path,
    *,
    barack: UInt8Array,
    other: UInt8Array,
    shown: Callable[[bytes], list[str]],
    whose: str,
    seconds: float,
) -> None:
    settings = [
        f"storage.pictures={whose}",
        f"storage.directory={tmp_path}",
        "visits.absence_seconds=1.5",
    ]
    config = load_config(None, settings)
    enroll(perception, gallery, face_path("obama2", models_directory), BARACK)
    door = Door(perception, gallery, config)
    events: list[Event] = [*door.see(barack)]
    events += door.see(other, seconds=0.1)
    [at_once] = door.pipeline.press(door.time_seconds, NOW + door.time_seconds)
    events += [at_once, *door.see(other, seconds=0.7)]
    [later] = door.pipeline.press(door.time_seconds, NOW + door.time_seconds)
    events += [later, *door.see(other, seconds=seconds - 0.8), *door.see(seconds=4.0)]

    [recognized] = [event for event in events if isinstance(event, Recognized)]
    assert recognized.visit
    assert recognized.visit.visitor == gallery.people.get(BARACK)
    of_visit = [event for event in events if visit_of(event) == visit_of(recognized)]
    assert at_once in of_visit
    assert later not in of_visit
    assert isinstance(of_visit[-1], Left)
    with closing(Pictures(config.storage)) as kept:
        for event in events:
            kept.handle(event)
    stored = picture_path(config.storage.pictures_directory, recognized.visit.visit_id)
    pictures = [event.picture_jpeg for event in of_visit if event.picture_jpeg]
    assert len(pictures) >= 4 - (whose == "people")  # who has just arrived is no person yet
    for jpeg in {*pictures, stored.read_bytes()}:
        assert shown(jpeg) == [BARACK]


def test_who_took_the_visitors_place_has_pictures_of_his_own(
    perception: Perception,
    gallery: Gallery,
    models_directory: Path,
    *,
    barack: UInt8Array,
    other: UInt8Array,
    shown: Callable[[bytes], list[str]],
) -> None:
    enroll(perception, gallery, face_path("obama2", models_directory), BARACK)
    door = Door(perception, gallery, load_config(None, ["visits.absence_seconds=1.5"]))
    door.see(barack)
    events = [*door.see(other, seconds=4.0), *door.see(seconds=2.0)]
    his = [event for event in events if event.visit and isinstance(event.visit.visitor, Stranger)]
    assert {type(event) for event in his} > {Ring, Left}
    for jpeg in {event.picture_jpeg for event in his}:
        assert jpeg
        assert shown(jpeg) == [JOE]


def test_people_who_are_named_together_are_shown_together(
    perception: Perception,
    gallery: Gallery,
    models_directory: Path,
    *,
    barack: UInt8Array,
    shown: Callable[[bytes], list[str]],
) -> None:
    """Though one came later: a frame in which one is looked at closely says who the other is."""
    enroll(perception, gallery, face_path("obama2", models_directory), BARACK)
    enroll(perception, gallery, face_path("biden", models_directory), JOE)
    config = load_config(None, ["storage.pictures=people", "visits.absence_seconds=1.5"])
    door = Door(perception, gallery, config)
    joe = at_the_door("biden", models_directory)
    door.see(barack, seconds=0.7)
    events = [*door.see(barack, joe), *door.see(seconds=2.0)]
    left = [event for event in events if isinstance(event, Left)]
    of_joe = next(event for event in left if event.visit.visitor == gallery.people.get(JOE))
    assert of_joe.picture_jpeg
    assert sorted(shown(of_joe.picture_jpeg)) == [BARACK, JOE]


@pytest.mark.parametrize("confirm_hits", [3, 8])
def test_whoever_is_announced_is_shown(
    perception: Perception,
    gallery: Gallery,
    models_directory: Path,
    *,
    barack: UInt8Array,
    confirm_hits: int,
) -> None:
    enroll(perception, gallery, face_path("obama2", models_directory), BARACK)
    door = Door(perception, gallery, load_config(None, [f"tracking.confirm_hits={confirm_hits}"]))
    events = door.see(barack, seconds=1, period=1 / 30)
    assert [type(event) for event in events] == [Arrived, Recognized, Ring]
    assert all(event.picture_jpeg for event in events)


def test_an_unnamed_visit_in_the_dark_shows_its_largest_face(
    perception: Perception, gallery: Gallery, *, barack: UInt8Array
) -> None:
    """He steps up to the door and back; not one frame is near enough to be compared."""

    def in_the_dark(size: float) -> UInt8Array:
        dark = cv2.resize(barack, None, fx=size, fy=size, interpolation=cv2.INTER_AREA) // 8
        return np.asarray(
            np.pad(dark, ((360 - dark.shape[0], 0), (0, 620 - dark.shape[1]), (0, 0)), mode="edge"),
            np.uint8,
        )

    sizes = [*np.linspace(0.7, 1.0, 20), *np.linspace(1.0, 0.7, 20)]
    never_near = "recognition.min_face_pixels=1000"
    door = Door(perception, gallery, load_config(None, ["visits.absence_seconds=1.5", never_near]))
    events = [event for size in sizes for event in door.see(in_the_dark(size), seconds=PERIOD)]
    events += door.see(seconds=3.0)
    assert [type(event) for event in events] == [Arrived, Unknown, Ring, Left]
    assert events[1].visit
    assert events[1].visit.visitor is None
    for event in events[1:]:
        assert event.picture_jpeg
        picture = decode_photo(event.picture_jpeg, "event")[:, 20:].astype(int)
        unlike = {size: float(np.abs(picture - in_the_dark(size)).mean()) for size in sizes}
        assert min(unlike, key=lambda size: unlike[size]) > 0.9
