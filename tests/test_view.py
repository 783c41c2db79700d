"""What a camera's pictures are said to make of faces: each fault, and none of a good picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from doorbell.camera.simulated.background import draw_porch
from doorbell.domain import Face, UInt8Array
from doorbell.imaging.light import face_light
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.imaging.view import (
    advise_on_face,
    advise_on_noise,
    advise_on_picture,
    blur_of,
    describe_face,
    describe_sizes,
    face_pixels,
    view_face,
    view_picture,
)
from doorbell.models.store import face_path

# The face of Obama's portrait as it is detected, about 1000 pixels high, becomes 72 pixels wide.
BOX = np.array([345, 165, 645, 465], np.float32)
SCALE = 72 / 300
SMALLEST = 40


@pytest.fixture(scope="module")
def portrait(models_directory: Path) -> UInt8Array:
    pixels = decode_photo(read_photo(face_path("obama", models_directory)), "obama")
    small = cv2.resize(pixels, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def face(scale: float = SCALE) -> Face:
    return Face(BOX * np.float32(scale), np.zeros((6, 2), np.float32), 0.9)


def lit(pixels: UInt8Array, light: float) -> UInt8Array:
    """With so many times the light."""
    linear = (pixels / 255.0) ** 2.2 * light
    return np.asarray(np.clip(linear, 0, 1) ** (1 / 2.2) * 255, np.uint8)


def before_the_sky(pixels: UInt8Array) -> UInt8Array:
    bright = np.full_like(pixels, 255)
    left, top, right, bottom = (int(edge) for edge in face().box_xyxy)
    shown = np.zeros(pixels.shape[:2], np.float32)
    middle = ((left + right) // 2, (top + bottom) // 2)
    cv2.ellipse(shown, middle, ((right - left) // 2, (bottom - top) * 2 // 3), 0, 0, 360, 1.0, -1)
    dim = lit(pixels, 0.3) * shown[..., None] + bright * (1 - shown[..., None])
    return np.asarray(dim, np.uint8)


def advice(pixels: UInt8Array, scale: float = SCALE) -> list[str]:
    view = view_face(pixels, face(scale))
    assert view is not None
    return advise_on_face(view, SMALLEST)


def test_a_good_face_needs_nothing(portrait: UInt8Array) -> None:
    view = view_face(portrait, face())
    assert view is not None
    assert advise_on_face(view, SMALLEST) == []
    assert describe_face(view).startswith("a face 72 pixels wide, brightness 1")


def test_each_fault_is_named_and_none_that_is_not_there(portrait: UInt8Array) -> None:
    [dark] = advice(lit(portrait, 0.05))
    assert "too dark" in dark
    assert "lamp" in dark
    [against] = advice(before_the_sky(portrait))
    assert "against the light" in against
    [white] = advice(lit(portrait, 6.0))
    assert "plain white" in white
    [blurred] = advice(np.asarray(cv2.blur(portrait, (9, 1)), np.uint8))
    assert "blurred" in blurred
    far = cv2.resize(portrait, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
    [small] = advice(np.asarray(far, np.uint8), SCALE * 0.4)
    assert "29 pixels wide" in small
    assert "recognition.min_face_pixels = 40" in small


def test_a_larger_picture_of_the_same_face_is_judged_alike(models_directory: Path) -> None:
    pixels = decode_photo(read_photo(face_path("obama", models_directory)), "obama")
    assert advice(pixels, 1.0) == []
    [blurred] = advice(np.asarray(cv2.blur(pixels, (36, 1)), np.uint8), 1.0)
    assert "blurred" in blurred


def test_a_face_out_of_the_picture_is_none(portrait: UInt8Array) -> None:
    away = Face(BOX + 5000, np.zeros((6, 2), np.float32), 0.9)
    assert view_face(portrait, away) is None
    assert face_light(portrait, away) is None


def test_light_doubles_as_the_level_does(portrait: UInt8Array) -> None:
    before, after = face_light(lit(portrait, 0.1), face()), face_light(lit(portrait, 0.2), face())
    assert before is not None
    assert after is not None
    assert after.level / before.level == pytest.approx(2.0, rel=0.05)


def frames(pixels: UInt8Array, noise: float) -> list[UInt8Array]:
    rng = np.random.default_rng(7)
    return [
        np.asarray(np.clip(pixels + rng.normal(0, noise, pixels.shape), 0, 255), np.uint8)
        for _ in range(3)
    ]


def picture_advice(pixels: UInt8Array, noise: float = 2.0) -> list[str]:
    return advise_on_picture(view_picture(frames(pixels, noise)), SMALLEST, 60.0)


def test_an_empty_porch_by_day_needs_nothing() -> None:
    assert picture_advice(draw_porch(1280, 720, 3)) == []


def test_each_fault_of_an_empty_picture_is_named() -> None:
    porch = draw_porch(1280, 720, 3)
    [black] = picture_advice(lit(porch, 0.0005), 0.5)
    assert "almost black" in black
    [dark] = picture_advice(lit(porch, 0.03), 1.0)
    assert "is dark" in dark
    [noisy] = picture_advice(porch, 16.0)
    assert "noisy" in noisy
    [blurred] = picture_advice(np.asarray(cv2.GaussianBlur(porch, (0, 0), 8), np.uint8), 0.5)
    assert "blurred" in blurred
    bright = porch.copy()
    bright[:260] = 255
    [white] = picture_advice(bright)
    assert "36% of the picture is plain white" in white
    small = cv2.resize(porch, (320, 180), interpolation=cv2.INTER_AREA)
    [far] = picture_advice(np.asarray(small, np.uint8))
    assert "up to 1.1 metres away" in far


def test_noise_is_measured_in_grey_values_whatever_moves() -> None:
    porch = draw_porch(640, 360, 3)
    seen = frames(porch, 4.0)
    seen[1][100:150, 100:300] = 255
    measured = view_picture(seen).noise_grey
    # Grey is made of the three colours, whose noise is not the same.
    assert measured == pytest.approx(4.0 * np.sqrt(0.299**2 + 0.587**2 + 0.114**2), rel=0.15)
    assert view_picture(seen[:1]).noise_grey is None
    assert advise_on_noise(view_picture(seen)) == []


def test_blur_is_none_of_what_has_no_contours_and_grows_with_blurring() -> None:
    assert blur_of(np.full((50, 50), 90, np.uint8), 640) == 0.0
    porch = cv2.cvtColor(draw_porch(640, 360, 3), cv2.COLOR_RGB2GRAY)
    values = [blur_of(cv2.GaussianBlur(porch, (0, 0), sigma), 640) for sigma in (0.5, 1, 2, 4)]
    assert values == sorted(values)
    assert values[-1] > values[0] + 0.3


def test_how_wide_a_face_is_follows_from_lens_and_distance() -> None:
    # A lens of 90 degrees sees as much to each side as it is away.
    assert face_pixels(1000, 90.0, 1.0) == pytest.approx(1000 * 0.153 / 2.0)
    assert face_pixels(1000, 90.0, 3.0) == pytest.approx(face_pixels(1000, 90.0, 1.0) / 3)
    assert describe_sizes(1280, 110.0) == (
        "a face would be 69 pixels wide at 1 m, 34 at 2 m, 23 at 3 m (with 110 degrees of view)"
    )
