"""Photographs and videos that are not upright are righted, or refused."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import pytest
from PIL import Image

from doorbell.config import load_config
from doorbell.domain import Frame, UInt8Array
from doorbell.errors import EnrollmentError
from doorbell.gallery.gallery import Gallery
from doorbell.household.enrollment import Enroller
from doorbell.household.registration import PictureResult
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.models.store import face_path
from doorbell.pipeline.perception import Perception
from doorbell.pipeline.turning import find_upright

Household: TypeAlias = tuple[Enroller, Perception, Gallery]


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        yield gallery


@pytest.fixture
def enroller(perception: Perception, gallery: Gallery) -> Enroller:
    return Enroller(perception, gallery, load_config(None))


@pytest.fixture
def household(enroller: Enroller, perception: Perception, gallery: Gallery) -> Household:
    return enroller, perception, gallery


def portrait(name: str, models_directory: Path) -> UInt8Array:
    pixels = decode_photo(read_photo(face_path(name, models_directory)), name)
    small = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def rolled(pixels: UInt8Array, degrees: float) -> UInt8Array:
    """The picture turned clockwise on a grey page."""
    height, width = pixels.shape[:2]
    side = round(1.1 * np.hypot(width, height))
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0)
    matrix[:, 2] += side / 2 - width / 2, side / 2 - height / 2
    page = cv2.warpAffine(pixels, matrix, (side, side), borderValue=(128, 128, 128))
    return np.asarray(page, np.uint8)


def enrolled(
    enroller: Enroller, folder: Path, name: str, pixels: UInt8Array, exif: Image.Exif | None = None
) -> PictureResult:
    path = folder / f"{name}.png"
    Image.fromarray(pixels).save(path, exif=exif or Image.Exif())
    [result] = enroller.enroll_photos(name, [path], force=True).results
    return result


def likeness(perception: Perception, gallery: Gallery, name: str, other: str) -> float:
    """The cosine of the two people's only samples."""
    one, two = (gallery.people.samples(each, perception.model_id)[0] for each in (name, other))
    return float(one.embedding @ two.embedding)


@pytest.mark.parametrize(
    "shown",
    [
        ("ardern", 180, 180),
        pytest.param(("macron", 170, 180), marks=pytest.mark.long),
        pytest.param(("obama2", 195, 180), marks=pytest.mark.long),
        ("macron", 90, 270),
        pytest.param(("obama2", -100, 90), marks=pytest.mark.long),
        ("ardern", 10, 0),
        ("macron", 45, 0),
    ],
)
def test_a_photo_is_righted_whichever_way_up_it_is(
    shown: tuple[str, float, int], household: Household, models_directory: Path, tmp_path: Path
) -> None:
    name, roll, turned = shown
    enroller, perception, gallery = household
    upright = portrait(name, models_directory)
    enrolled(enroller, tmp_path, "upright", upright)
    result = enrolled(enroller, tmp_path, "rolled", rolled(upright, roll))
    assert result.accepted
    said = re.search(r"turned by (\d+) degrees", result.message)
    assert (int(said[1]) if said else 0) == turned
    assert likeness(perception, gallery, "upright", "rolled") > 0.8


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_photo_that_its_exif_data_turns_is_not_turned_twice(
    orientation: int, enroller: Enroller, models_directory: Path, tmp_path: Path
) -> None:
    stored = {3: 2, 6: 1, 8: 3}[orientation]  # quarters counterclockwise
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.ascontiguousarray(np.rot90(portrait("biden", models_directory), stored))
    result = enrolled(enroller, tmp_path, "phone", pixels, exif=exif)
    assert result.accepted
    assert "turned" not in result.message


def test_a_small_dark_face_is_not_turned(perception: Perception, models_directory: Path) -> None:
    pixels = portrait("macron", models_directory)
    page = np.full((480, 640, 3), 40, np.uint8)
    small = cv2.resize(pixels, None, fx=0.15, fy=0.15, interpolation=cv2.INTER_AREA)
    page[100 : 100 + small.shape[0], 200 : 200 + small.shape[1]] = small // 4
    assert find_upright(perception, page).degrees == 0


def film(pixels: UInt8Array, quarters: int) -> Iterator[Frame]:
    """Somebody who moves a little, through a camera turned by so many quarters."""
    for index in range(24):
        shift = np.array([[1, 0, 8 * np.sin(index / 4)], [0, 1, index / 3]], np.float32)
        height, width = pixels.shape[:2]
        moved = cv2.warpAffine(pixels, shift, (width, height), borderMode=cv2.BORDER_REPLICATE)
        turned = np.ascontiguousarray(np.rot90(moved, quarters))
        yield Frame(turned.astype(np.uint8), index / 15, 1.7e9 + index / 15, index)


@pytest.mark.parametrize("name", ["ardern", "obama2"])
def test_a_video_that_is_upside_down_is_refused_with_how_to_turn_it(
    name: str, enroller: Enroller, gallery: Gallery, models_directory: Path
) -> None:
    frames = film(portrait(name, models_directory), 2)
    with pytest.raises(EnrollmentError, match=r"is upside down; turn it by 180 degrees"):
        enroller.enroll_frames("Ardern", frames, source="clip.mp4", force=True)
    assert gallery.people.all() == []


@pytest.mark.parametrize("quarters", [1, 3])
def test_a_video_on_its_side_is_refused_or_shows_the_person(
    quarters: int, household: Household, models_directory: Path, tmp_path: Path
) -> None:
    enroller, perception, gallery = household
    pixels = portrait("ardern", models_directory)
    enrolled(enroller, tmp_path, "upright", pixels)
    try:
        enroller.enroll_frames("video", film(pixels, quarters), source="clip.mp4", force=True)
    except EnrollmentError as exc:
        assert "lies on its side" in str(exc)  # noqa: PT017 - one of two right ways
    else:
        assert likeness(perception, gallery, "upright", "video") > 0.6


def test_an_upright_video_is_enrolled(enroller: Enroller, models_directory: Path) -> None:
    frames = film(portrait("ardern", models_directory), 0)
    assert enroller.enroll_frames("Ardern", frames, source="clip.mp4").added
