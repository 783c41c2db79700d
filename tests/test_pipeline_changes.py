"""Who is taken for whom where one takes another's place, with the real networks."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from doorstep import Door, at_the_door, enroll

from doorbell.config import load_config
from doorbell.domain import Event, Left, Person, Ring, UInt8Array, UnknownReason
from doorbell.gallery.gallery import Gallery
from doorbell.models.store import face_path
from doorbell.pipeline.perception import Perception

BARACK, JOE = "Barack", "Joe"
PHOTOS = {BARACK: "obama2", JOE: "biden"}
LONGEST_SECONDS = 0.3  # that anybody keeps another's name
FACE_X = 130  # in the portraits below
TOO_SMALL = "recognition.min_face_pixels=74"  # Barack's face is larger by a little


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        yield gallery


@pytest.fixture(scope="module")
def barack(models_directory: Path) -> UInt8Array:
    return at_the_door("obama", models_directory)


@pytest.fixture(scope="module")
def joe(models_directory: Path) -> UInt8Array:
    """With his face where Barack's is, and as large."""
    portrait = at_the_door("biden", models_directory)[45:, 27:]
    return np.asarray(np.pad(portrait, ((0, 45), (0, 0), (0, 0)), mode="edge"), np.uint8)


def farther(portrait: UInt8Array, size: float) -> UInt8Array:
    """A step back: the face in its place, and too small to be compared."""
    height, width = portrait.shape[:2]
    small = cv2.resize(portrait, None, fx=size, fy=size, interpolation=cv2.INTER_AREA)
    left = round(FACE_X * (1 - size))
    across = (left, width - left - small.shape[1])
    padding = ((height - small.shape[0], 0), across, (0, 0))
    return np.asarray(np.pad(small, padding, mode="edge"), np.uint8)


class Film:
    """People at two places before a door, and whose visit each place is, frame by frame."""

    def __init__(self, door: Door, frames_per_second: float) -> None:
        self.door = door
        self.period = 1 / frames_per_second
        self.events: list[Event] = []

    def play(self, *people: UInt8Array, seconds: float) -> list[dict[int, str]]:
        """Play so long; by place, from the left, the visit of who is seen there in each frame."""
        frames = []
        for _ in range(round(seconds / self.period)):
            self.events += self.door.see(*people, seconds=self.period, period=self.period)
            frames.append(
                {
                    int(track.face.keypoints_xy[2, 0] > 320): visit.visit_id
                    for track, visit in self.door.pipeline.in_sight
                    if visit is not None
                    and track.last_seen_seconds > self.door.time_seconds - 1.5 * self.period
                }
            )
        return frames

    def kept_seconds(self, frames: Sequence[dict[int, str]], before: dict[int, str]) -> float:
        """How long any place still has the visit that it had before."""
        kept = [any(frame.get(place) == of for place, of in before.items()) for frame in frames]
        return (len(kept) - kept[::-1].index(True)) * self.period if any(kept) else 0.0


@pytest.mark.parametrize(
    ("enrolled", "frames_per_second"),
    [((), 10), ((BARACK,), 10), ((BARACK, JOE), 10), ((JOE,), 15)],
)
def test_people_who_change_places_keep_their_own_visits(
    perception: Perception,
    gallery: Gallery,
    models_directory: Path,
    *,
    barack: UInt8Array,
    joe: UInt8Array,
    enrolled: Sequence[str],
    frames_per_second: float,
) -> None:
    for name in enrolled:
        enroll(perception, gallery, face_path(PHOTOS[name], models_directory), name)
    film = Film(Door(perception, gallery, load_config(None)), frames_per_second)
    before = film.play(barack, joe, seconds=2.5)[-1]
    assert len(set(before.values())) == 2
    frames = film.play(joe, barack, seconds=2.0)
    assert film.kept_seconds(frames, before) <= LONGEST_SECONDS
    assert frames[-1] == {0: before[1], 1: before[0]}
    assert len([event for event in film.events if isinstance(event, Ring)]) == 2


@pytest.mark.parametrize(
    ("enrolled", "frames_per_second"),
    [((), 10), ((BARACK,), 10), ((BARACK, JOE), 10), ((JOE,), 15)],
)
def test_who_is_there_after_a_cut_does_not_go_on_with_the_visit_before(
    perception: Perception,
    gallery: Gallery,
    models_directory: Path,
    *,
    barack: UInt8Array,
    joe: UInt8Array,
    enrolled: Sequence[str],
    frames_per_second: float,
) -> None:
    for name in enrolled:
        enroll(perception, gallery, face_path(PHOTOS[name], models_directory), name)
    film = Film(Door(perception, gallery, load_config(None)), frames_per_second)
    before = film.play(barack, seconds=2.5)[-1]
    frames = film.play(joe, seconds=2.5)
    film.play(seconds=6.0)
    assert film.kept_seconds(frames, before) <= LONGEST_SECONDS
    left = [event.visit for event in film.events if isinstance(event, Left)]
    names = [v.visitor.name if isinstance(v.visitor, Person) else None for v in left]
    assert names == [name if name in enrolled else None for name in (BARACK, JOE)]
    assert len([event for event in film.events if isinstance(event, Ring)]) == 2


@pytest.mark.parametrize("empty_seconds", [0.0, 2.5])
def test_who_takes_the_place_of_somebody_named_and_cannot_be_compared_rings(
    perception: Perception,
    gallery: Gallery,
    models_directory: Path,
    *,
    barack: UInt8Array,
    joe: UInt8Array,
    empty_seconds: float,
) -> None:
    enroll(perception, gallery, face_path(PHOTOS[BARACK], models_directory), BARACK)
    film = Film(Door(perception, gallery, load_config(None, [TOO_SMALL])), 10)
    before = film.play(barack, seconds=1.5)[-1]
    film.play(seconds=empty_seconds)
    frames = film.play(farther(joe, 0.65), seconds=5.0)
    assert film.kept_seconds(frames, before) <= LONGEST_SECONDS
    rings = [event for event in film.events if isinstance(event, Ring)]
    assert [ring.reason for ring in rings] == [None, UnknownReason.NO_USABLE_FACE]


@pytest.mark.parametrize("empty_seconds", [0.0, 2.5])
def test_who_was_named_and_cannot_be_compared_any_more_does_not_ring_again(
    perception: Perception,
    gallery: Gallery,
    models_directory: Path,
    *,
    barack: UInt8Array,
    empty_seconds: float,
) -> None:
    enroll(perception, gallery, face_path(PHOTOS[BARACK], models_directory), BARACK)
    film = Film(Door(perception, gallery, load_config(None, [TOO_SMALL])), 10)
    before = film.play(barack, seconds=1.5)[-1]
    film.play(seconds=empty_seconds)
    assert film.play(farther(barack, 0.8), seconds=5.0)[-1] == before
    assert len([event for event in film.events if isinstance(event, Ring)]) == 1
