"""Enrollment with the real networks: what is refused, and why, and what is kept."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from enrolling_photos import OBAMA, enroll, refused
from photographs import PORTRAITS, side_by_side
from PIL import Image

from doorbell.config import load_config
from doorbell.domain import UInt8Array
from doorbell.errors import InvalidNameError
from doorbell.gallery.gallery import Gallery
from doorbell.household.enrollment import Enroller
from doorbell.household.enrollment_checks import CHECKS
from doorbell.household.enrollment_strength import GUIDANCE, Level
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.models.store import face_path
from doorbell.pipeline.perception import Perception

Photograph = Callable[[str, UInt8Array], Path]


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        yield gallery


@pytest.fixture
def enroller(perception: Perception, gallery: Gallery) -> Enroller:
    return Enroller(perception, gallery, load_config(None))


@pytest.fixture(scope="session")
def faces(models_directory: Path) -> dict[str, UInt8Array]:
    """The sample portraits, some 150 pixels from ear to ear each."""
    paths = {name: face_path(name, models_directory) for name in PORTRAITS}
    return {name: scaled(decode_photo(read_photo(path), name), 0.5) for name, path in paths.items()}


@pytest.fixture
def photograph(tmp_path: Path) -> Photograph:
    def save(name: str, pixels: UInt8Array) -> Path:
        path = tmp_path / name
        Image.fromarray(pixels).save(path)
        return path

    return save


def scaled(pixels: UInt8Array, factor: float) -> UInt8Array:
    resized = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)


@pytest.mark.parametrize("name", PORTRAITS)
def test_a_good_portrait_is_enrolled(
    enroller: Enroller, gallery: Gallery, models_directory: Path, name: str
) -> None:
    report, result = enroll(enroller, face_path(name, models_directory))
    assert result.accepted, result.message
    assert result.message.startswith("good: ")
    assert report.person == gallery.people.get(OBAMA)
    assert gallery.people.summaries()[0].samples == report.added == 1


@pytest.mark.parametrize("force", [False, True])
def test_a_picture_without_a_face_is_refused_even_if_forced(
    enroller: Enroller, gallery: Gallery, photograph: Photograph, *, force: bool
) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (480, 640, 3), np.uint8)
    path = photograph("wall.png", cv2.GaussianBlur(noise, (0, 0), 3).astype(np.uint8))
    assert refused(enroller, path, force=force).startswith("no face found; take a photo")
    assert gallery.people.all() == []


@pytest.mark.parametrize("force", [False, True])
def test_several_faces_are_refused_with_their_boxes_even_if_forced(
    enroller: Enroller,
    photograph: Photograph,
    faces: dict[str, UInt8Array],
    *,
    force: bool,
) -> None:
    both = side_by_side(faces["macron"], faces["ardern"])
    words = refused(enroller, photograph("two.png", both), force=force)
    assert words.startswith("2 faces found, at (")
    assert "cut the photo to the one to enroll" in words
    lefts = sorted(int(left) for left in re.findall(r"\((\d+), \d+\)-", words))
    assert lefts[0] < faces["macron"].shape[1] < lefts[1]


def test_a_crowd_is_refused_without_a_closer_look(
    enroller: Enroller, photograph: Photograph, faces: dict[str, UInt8Array]
) -> None:
    row = side_by_side(*[scaled(faces["macron"], 0.4)] * 6)
    words = refused(enroller, photograph("crowd.png", np.concatenate([row] * 3)), force=True)
    assert re.match(r"1[78] faces found; cut the photo to the one to enroll", words)


def shrunk(pixels: UInt8Array) -> UInt8Array:
    return scaled(pixels, 0.28)


def blurred(pixels: UInt8Array) -> UInt8Array:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), 6), np.uint8)


def dark(pixels: UInt8Array) -> UInt8Array:
    return (pixels * 0.1).astype(np.uint8)


def bright(pixels: UInt8Array) -> UInt8Array:
    return (223 + pixels * 0.1).astype(np.uint8)


def turned(pixels: UInt8Array) -> UInt8Array:
    """The half of the face on the left squeezed to a third, as when it turns away."""
    height, width = pixels.shape[:2]
    x = np.arange(width, dtype=np.float32) - 160
    columns = 160 + np.where(x < 0, x / 0.3, x / 1.7).astype(np.float32)
    from_x, from_y = np.meshgrid(columns, np.arange(height, dtype=np.float32))
    return np.asarray(cv2.remap(pixels, from_x, from_y, cv2.INTER_LINEAR), np.uint8)


@pytest.mark.parametrize(
    ("spoil", "reason", "hint"),
    [
        (shrunk, "pixels wide, 56 are needed", "go nearer"),
        (blurred, "is blurred (sharpness", "take a sharper photo"),
        (dark, "is too dark (mean grey", "see to even light"),
        (bright, "is too bright (mean grey", "see to even light"),
        (turned, "looks to the side (yaw", "look at the camera"),
    ],
)
def test_a_poor_portrait_is_refused_with_reason_and_hint_unless_forced(
    enroller: Enroller,
    photograph: Photograph,
    faces: dict[str, UInt8Array],
    spoil: Callable[[UInt8Array], UInt8Array],
    *,
    reason: str,
    hint: str,
) -> None:
    path = photograph("poor.png", spoil(faces["obama2"]))
    words = refused(enroller, path)
    assert words.startswith("the face at (")
    assert reason in words
    assert hint in words
    report, result = enroll(enroller, path, force=True)
    assert result.accepted
    assert report.added == 1


@pytest.mark.parametrize("name", PORTRAITS)
def test_blurred_is_what_a_person_calls_blurred(
    enroller: Enroller, photograph: Photograph, faces: dict[str, UInt8Array], name: str
) -> None:
    # With 1 the skin is soft, with 6 the eyes are smudges.
    soft = cv2.GaussianBlur(faces[name], (0, 0), 1).astype(np.uint8)
    assert enroll(enroller, photograph("soft.png", soft))[1].accepted
    words = refused(enroller, photograph("smudge.png", blurred(faces[name])))
    assert "is blurred" in words


@pytest.mark.parametrize("name", PORTRAITS)
def test_a_small_sharp_portrait_is_not_called_blurred(
    enroller: Enroller, photograph: Photograph, faces: dict[str, UInt8Array], name: str
) -> None:
    small = photograph("small.png", scaled(faces[name], 0.5))
    assert enroll(enroller, small)[1].accepted


def test_a_face_between_tile_and_whole_of_a_phones_photo_is_found(
    enroller: Enroller,
    models_directory: Path,
    photograph: Photograph,
    faces: dict[str, UInt8Array],
) -> None:
    width, height = 4000, 3000
    person = scaled(faces["obama"], 0.2 * width / 137)  # pixels from ear to ear
    photo = np.full((height, width, 3), (150, 160, 140), np.uint8)
    left, top = (width - person.shape[1]) // 2, max(height - person.shape[0], 0)
    photo[top:, left : left + person.shape[1]] = person[: height - top]
    enroll(enroller, photograph("phone.jpg", photo))
    words = refused(enroller, face_path("obama", models_directory), name="Somebody Else")
    assert re.search(r"\(similarity (1|0\.9)", words), words


def grey(pixels: UInt8Array) -> Image.Image:
    return Image.fromarray(pixels).convert("L")


def with_transparency(pixels: UInt8Array) -> Image.Image:
    return Image.fromarray(pixels).convert("RGBA")


def sixteen_bits(pixels: UInt8Array) -> Image.Image:
    return Image.fromarray(np.asarray(grey(pixels)).astype(np.uint16) * 257)


@pytest.mark.parametrize("convert", [grey, with_transparency, sixteen_bits])
def test_other_kinds_of_picture_are_enrolled(
    enroller: Enroller,
    tmp_path: Path,
    faces: dict[str, UInt8Array],
    convert: Callable[[UInt8Array], Image.Image],
) -> None:
    path = tmp_path / "photo.png"
    convert(faces["ardern"]).save(path)
    assert enroll(enroller, path)[1].accepted


def test_a_photo_that_lies_on_its_side_is_enrolled_by_its_exif_orientation(
    enroller: Enroller, tmp_path: Path, faces: dict[str, UInt8Array]
) -> None:
    lying = Image.fromarray(np.rot90(faces["macron"]).copy())
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    lying.save(tmp_path / "lying.png", exif=exif)
    assert enroll(enroller, tmp_path / "lying.png")[1].accepted
    Image.fromarray(faces["macron"]).save(tmp_path / "upright.png")
    words = refused(enroller, tmp_path / "upright.png", name="Somebody Else")
    assert "(similarity 1.00)" in words


def test_the_same_photo_twice_in_one_call_is_said_and_stored_once(
    enroller: Enroller, gallery: Gallery, models_directory: Path, tmp_path: Path
) -> None:
    photo = face_path("obama", models_directory)
    copy = tmp_path / "copy.jpg"
    copy.write_bytes(photo.read_bytes())
    report, result = enroll(enroller, photo, copy)
    assert report.added == gallery.people.summaries()[0].samples == 1
    assert [each.accepted for each in report.results] == [True, False]
    assert result.message == f"the same photo as {photo}"


def test_the_same_photo_in_two_calls_is_said_and_stored_once(
    enroller: Enroller, gallery: Gallery, models_directory: Path
) -> None:
    photos = [face_path(name, models_directory) for name in ("obama", "obama2")]
    enroll(enroller, photos[0])
    report, _ = enroll(enroller, *photos, name="BARACK OBAMA")
    assert report.person == gallery.people.get(OBAMA)
    assert report.added == 1
    assert gallery.people.summaries()[0].samples == 2
    assert [each.accepted for each in report.results] == [False, True]
    assert report.results[0].message == "this photo was enrolled before and is not stored twice"


def test_somebody_who_looks_like_an_enrolled_person_is_refused_unless_forced(
    enroller: Enroller, gallery: Gallery, models_directory: Path
) -> None:
    enroll(enroller, face_path("obama", models_directory))
    other_photo = face_path("obama2", models_directory)
    words = refused(enroller, other_photo, name="Somebody Else")
    assert words.startswith(f"this face looks like {OBAMA} (similarity 0.")
    assert f"enroll it as {OBAMA}, or use --force" in words
    assert [person.name for person in gallery.people.all()] == [OBAMA]
    assert enroll(enroller, other_photo, name="Somebody Else", force=True)[1].accepted
    assert len(gallery.people.all()) == 2


def test_the_name_is_compared_as_the_gallery_does(
    enroller: Enroller, gallery: Gallery, models_directory: Path
) -> None:
    enroll(enroller, face_path("obama", models_directory), name="Zoe\u0308")
    report, result = enroll(enroller, face_path("obama2", models_directory), name=" ZO\u00cb ")
    assert result.accepted, result.message
    assert gallery.people.all() == [report.person]


def test_good_photos_are_stored_beside_bad_ones(
    enroller: Enroller,
    gallery: Gallery,
    models_directory: Path,
    photograph: Photograph,
    *,
    tmp_path: Path,
    faces: dict[str, UInt8Array],
) -> None:
    (tmp_path / "notes.jpg").write_text("milk, bread")
    photos = [
        tmp_path / "missing.jpg",
        face_path("obama", models_directory),
        tmp_path / "notes.jpg",
        photograph("smudge.png", blurred(faces["obama2"])),
        face_path("obama2", models_directory),
    ]
    report, _ = enroll(enroller, *photos)
    assert [result.accepted for result in report.results] == [False, True, False, False, True]
    assert [result.source for result in report.results] == [str(photo) for photo in photos]
    assert report.added == gallery.people.summaries()[0].samples == 2
    refusals = [result for result in report.results if not result.accepted]
    assert all(result.hint for result in refusals)
    assert "is not a picture" in refusals[1].message


def test_a_name_that_cannot_be_kept_stores_nothing(
    enroller: Enroller, gallery: Gallery, models_directory: Path
) -> None:
    with pytest.raises(InvalidNameError):
        enroll(enroller, face_path("obama", models_directory), name="stranger-7")
    assert gallery.people.all() == []


def test_every_photo_with_one_face_gets_a_verdict_on_each_thing(
    enroller: Enroller, photograph: Photograph, models_directory: Path, faces: dict[str, UInt8Array]
) -> None:
    enroll(enroller, face_path("biden", models_directory), name="Joe Biden")
    photos = [face_path(name, models_directory) for name in ("obama", "obama2")]
    smudge = photograph("smudge.png", blurred(faces["obama2"]))
    good, other, poor = enroller.enroll_photos(OBAMA, [*photos, smudge]).results
    for result in (good, other):
        assert {check.name for check in result.checks} == set(CHECKS)
        assert all(check.passed for check in result.checks)
    assert [check.name for check in poor.checks if not check.passed] == ["blur"]


def test_a_photo_of_somebody_else_among_a_person_s_photos_is_refused_unless_forced(
    enroller: Enroller, gallery: Gallery, models_directory: Path
) -> None:
    photos = [face_path(name, models_directory) for name in ("obama", "macron", "obama2")]
    results = enroller.enroll_photos(OBAMA, photos).results
    assert [result.accepted for result in results] == [True, False, True]
    assert results[1].message.startswith(f"this face is unlike {OBAMA}'s other pictures")
    assert "may show somebody else" in results[1].hint
    assert gallery.people.summaries()[0].samples == 2
    report, forced = enroll(enroller, photos[1], force=True)
    assert (report.added, forced.accepted) == (1, True)
    assert forced.message.startswith("forced: this face is unlike")


def test_a_photo_unlike_those_enrolled_before_is_refused(
    enroller: Enroller, models_directory: Path
) -> None:
    enroll(enroller, face_path("obama", models_directory))
    words = refused(enroller, face_path("ardern", models_directory))
    assert f"unlike {OBAMA}'s other pictures" in words


def test_a_person_grows_stronger_and_is_told_what_is_missing(
    enroller: Enroller, models_directory: Path
) -> None:
    first, _ = enroll(enroller, face_path("obama", models_directory))
    assert first.strength
    assert first.strength.level is Level.WEAK
    assert GUIDANCE["left"] in first.strength.missing
    second, _ = enroll(enroller, face_path("obama2", models_directory))
    assert second.strength
    assert second.strength.level is Level.FAIR
    assert second.strength.missing[-1] == "3 more photos of another day and light"
    assert GUIDANCE["right"] not in second.strength.missing  # to which the second is turned
