"""What is drawn over a face when it is enrolled, and whom the door names by it."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from doorbell.config import load_config
from doorbell.domain import Face, Frame, UInt8Array
from doorbell.gallery.gallery import Gallery
from doorbell.household.enrollment import Enroller
from doorbell.household.registration import COMPLETED, KEPT_ONCE
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.measure.accuracy.door_conditions import film, named_conditions
from doorbell.measure.accuracy.replay import ProductReplay
from doorbell.models.store import face_path
from doorbell.pipeline.perception import Perception
from doorbell.recognition.variants import DRAWINGS

HOUSEHOLD = {"Barack Obama": "obama2", "Joe Biden": "biden", "Jacinda Ardern": "ardern"}
MIDDLE, CORNER, EYE, CHEEK = (75, 56), (100, 8), (53, 74), (82, 56)  # rows and columns of a crop


def portrait(name: str, models_directory: Path) -> UInt8Array:
    return decode_photo(read_photo(face_path(name, models_directory)), name)


def main_face(perception: Perception, pixels: UInt8Array) -> Face:
    return max(perception.detect_still(pixels), key=lambda face: face.width_pixels)


@pytest.fixture(scope="module")
def crop(perception: Perception, models_directory: Path) -> UInt8Array:
    pixels = portrait("obama", models_directory)
    return perception.crop_face(pixels, main_face(perception, pixels)).crop


def luminance(crop: UInt8Array, place: tuple[int, int]) -> float:
    row, column = place
    return float(crop[row - 3 : row + 4, column - 3 : column + 4].mean())


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_same_face_gives_the_same_drawing(crop: UInt8Array, name: str) -> None:
    before = crop.copy()
    drawn = DRAWINGS[name].draw(crop)
    assert np.array_equal(crop, before)
    assert drawn.shape == (112, 112, 3)
    assert drawn.dtype == np.uint8
    assert np.array_equal(drawn, DRAWINGS[name].draw(crop))
    assert np.abs(drawn.astype(int) - crop).mean() > 5


def test_each_covers_what_it_covers_on_a_head_and_nothing_else(crop: UInt8Array) -> None:
    hood, hat, glasses = (DRAWINGS[name].draw(crop) for name in ("hood", "hat", "sunglasses"))
    assert np.array_equal(hood[MIDDLE], crop[MIDDLE])
    assert np.ptp(hood[CORNER].astype(int)) == 0
    assert luminance(hood, CORNER) < 100
    assert np.array_equal(hat[60:], crop[60:])
    assert luminance(hat, (20, 56)) < 0.6 * luminance(crop, (20, 56))
    assert luminance(glasses, EYE) < 0.6 * luminance(crop, EYE)
    assert np.array_equal(glasses[75:], crop[75:])


@pytest.mark.parametrize("name", ["grey", "infrared"])
def test_infrared_has_no_colour_and_shows_dark_skins_as_light_ones(
    crop: UInt8Array, name: str
) -> None:
    drawn = DRAWINGS[name].draw(crop)
    assert np.ptp(drawn.astype(int), axis=2).max() == 0
    darker = np.round(255 * (crop / 255) ** 1.4).astype(np.uint8)
    assert luminance(darker, CHEEK) < luminance(crop, CHEEK) - 25
    assert luminance(DRAWINGS[name].draw(darker), CHEEK) == pytest.approx(
        luminance(drawn, CHEEK), abs=12
    )


def test_cloth_is_as_dark_against_every_skin(crop: UInt8Array) -> None:
    """In linear light: half of the light on the face is half of the light on the hood."""
    half = np.round(255 * (0.5 * (crop / 255) ** 2.2) ** (1 / 2.2)).astype(np.uint8)
    hoods = [DRAWINGS["hood"].draw(each)[CORNER][0] / 255 for each in (crop, half)]
    assert hoods[1] ** 2.2 == pytest.approx(0.5 * hoods[0] ** 2.2, rel=0.1)


def test_what_is_drawn_over_a_face_is_still_the_persons(
    perception: Perception, models_directory: Path
) -> None:
    pixels = portrait("obama", models_directory)
    one = perception.crop_face(pixels, main_face(perception, pixels))
    [sample] = perception.embed([one], mirrored=True)
    assert sample is not None
    variants = perception.embed_variants(one)
    assert [*variants] == [*DRAWINGS]
    for variant in variants.values():
        assert variant.model_id == sample.model_id
        assert 0.25 < float(variant.embedding @ sample.embedding) < 0.95


class Doors:
    """The same household enrolled twice: with its variants, and without."""

    def __init__(self, perception: Perception, models_directory: Path, folder: Path) -> None:
        self._open = ExitStack()
        self.drawn, self.bare = (
            self._door(perception, models_directory, folder / name) for name in ("drawn", "bare")
        )
        with self.bare_gallery.file.writing():
            self.bare_gallery.file.execute("DELETE FROM variants")

    def _door(self, perception: Perception, models_directory: Path, folder: Path) -> ProductReplay:
        self.bare_gallery = self._open.enter_context(Gallery.open(folder / "gallery.sqlite"))
        door = ProductReplay(perception, self.bare_gallery, load_config(None))
        for name, photo in HOUSEHOLD.items():
            assert door.enroll_photos(name, [face_path(photo, models_directory)]) == []
        return door

    def close(self) -> None:
        self._open.close()


@pytest.fixture(scope="module")
def doors(
    perception: Perception, models_directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Doors]:
    doors = Doors(perception, models_directory, tmp_path_factory.mktemp("doors"))
    yield doors
    doors.close()


def shown(
    perception: Perception, models_directory: Path, name: str, condition: str, seed: int
) -> list[Frame]:
    """Somebody before the door, drawn by the means of the evaluation and not of the product."""
    pixels = portrait(name, models_directory)
    (how,) = named_conditions([condition])
    return film(pixels, main_face(perception, pixels), how, [seed])


def test_variants_name_whom_the_photograph_alone_does_not(
    doors: Doors, perception: Perception, models_directory: Path
) -> None:
    named = {"bare": 0, "drawn": 0}
    for seed in (1, 4, 7, 8, 9, 10, 12, 14):
        frames = shown(perception, models_directory, "obama", "infrared", seed)
        for kind, door in (("bare", doors.bare), ("drawn", doors.drawn)):
            name = door.show(frames).named
            assert name in (None, "Barack Obama")
            named[kind] += name is not None
    assert named["drawn"] >= 6
    assert named["bare"] <= named["drawn"] - 3


@pytest.mark.parametrize("condition", ["daylight", "infrared", "hood", "sunglasses", "mask"])
def test_nobody_else_is_named_by_variants(
    doors: Doors, perception: Perception, models_directory: Path, condition: str
) -> None:
    frames = shown(perception, models_directory, "macron", condition, 0)
    assert doors.drawn.show(frames).named is None


def test_a_photo_that_was_enrolled_before_gets_its_variants(
    perception: Perception, models_directory: Path, tmp_path: Path
) -> None:
    photo = face_path("obama", models_directory)
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        enroller = Enroller(perception, gallery, load_config(None))
        enroller.enroll_photos("Anna", [photo])
        assert gallery.people.summaries()[0].has_variants
        with gallery.file.writing():  # as an earlier version left it
            gallery.file.execute("DELETE FROM variants")
        assert not gallery.people.summaries()[0].has_variants
        again = enroller.enroll_photos("Anna", [photo])
        assert (again.added, again.results[0].accepted) == (0, True)
        assert again.results[0].message == COMPLETED
        [summary] = gallery.people.summaries()
        assert (summary.samples, summary.has_variants) == (1, True)
        assert again.strength is not None
        third = enroller.enroll_photos("Anna", [photo])
        assert (third.results[0].accepted, third.results[0].message) == (False, KEPT_ONCE)
