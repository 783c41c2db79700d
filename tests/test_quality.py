from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbell.domain import Face, Float32Array, UInt8Array
from doorbell.recognition.alignment import TEMPLATE
from doorbell.recognition.quality import Quality, measure_quality, yaw

FRONTAL = np.vstack([TEMPLATE, [[10, 60], [100, 60]]]).astype(np.float32)
GOOD = Quality(size_pixels=120, sharpness=0.5, yaw=0.0, brightness=120, contrast=50, detection=0.95)


def turned(by: float) -> Float32Array:
    """The nose moved towards the person's left eye, by parts of the distance of the eyes."""
    right_eye, left_eye, nose, *others = FRONTAL
    return np.array([right_eye, left_eye, nose + by * (left_eye - right_eye), *others], np.float32)


def face(size: float = 120, score: float = 0.95, points: Float32Array = FRONTAL) -> Face:
    return Face(np.array([0, 0, size, size], np.float32), points, score)


def picture() -> UInt8Array:
    """Texture with detail at several scales, as a face has."""
    random = np.random.default_rng(7)
    layers = [
        cv2.resize(random.normal(size=(n, n)), (112, 112), interpolation=cv2.INTER_CUBIC) / n**0.5
        for n in (7, 14, 28, 56, 112)
    ]
    grey = np.sum(layers, axis=0)
    grey = 128 + 45 * (grey - grey.mean()) / grey.std()
    return np.repeat(np.clip(grey, 0, 255)[:, :, None], 3, axis=2).astype(np.uint8)


def blurred(sigma: float) -> UInt8Array:
    return np.asarray(cv2.GaussianBlur(picture(), (0, 0), sigma), np.uint8)


def value(crop: UInt8Array, shown: Face | None = None) -> float:
    return measure_quality(shown or face(), crop).value


def test_a_blurred_face_is_worse_the_more_it_is_blurred() -> None:
    values = [value(picture()), *(value(blurred(sigma)) for sigma in (1.5, 3, 6))]
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0] / 2


def test_motion_blur_lowers_sharpness_whichever_way_it_goes() -> None:
    sharp = measure_quality(face(), picture()).sharpness
    for shape in ((1, 11), (11, 1)):
        streaked = cv2.filter2D(picture(), -1, np.full(shape, 1 / 11)).astype(np.uint8)
        assert measure_quality(face(), streaked).sharpness < 0.7 * sharp


def test_a_turned_face_is_worse_to_either_side() -> None:
    frontal, left, right = (value(picture(), face(points=turned(by))) for by in (0.0, 0.4, -0.4))
    assert left < frontal / 2
    assert left == pytest.approx(right, rel=0.05)


def test_a_dark_face_is_worse_than_a_bright_one() -> None:
    dark = (picture() * 0.15).astype(np.uint8)
    assert value(dark) < value(picture()) / 2


def test_sharpness_does_not_depend_on_light() -> None:
    sharp = measure_quality(face(), picture()).sharpness
    assert measure_quality(face(), picture() // 2).sharpness == pytest.approx(sharp, rel=0.1)


def test_a_washed_out_face_is_worse() -> None:
    washed = (200 + picture() * 0.04).astype(np.uint8)
    assert value(washed) < value(picture())


def test_a_small_or_doubtful_face_is_worse() -> None:
    best = value(picture())
    assert value(picture(), face(size=30)) < best
    assert value(picture(), face(score=0.5)) < best


def test_what_is_measured() -> None:
    grey = np.full((112, 112, 3), 77, np.uint8)
    narrow = Face(np.array([10, 10, 50, 90], np.float32), turned(0.25), 0.6)
    quality = measure_quality(narrow, grey)
    assert quality.size_pixels == 40
    assert quality.brightness == pytest.approx(77)
    assert (quality.sharpness, quality.contrast) == (0, 0)
    assert quality.yaw == pytest.approx(0.5, abs=0.03)
    assert quality.detection == 0.6


def test_hair_and_background_do_not_count() -> None:
    framed = picture()
    framed[:16] = framed[104:] = framed[:, :16] = framed[:, 96:] = 255
    assert measure_quality(face(), framed) == measure_quality(face(), picture())


@given(st.floats(-2, 2), st.floats(-180, 180), st.floats(0.1, 20))
def test_yaw_is_the_same_however_the_head_is_tilted_near_or_far(
    by: float, degrees: float, scale: float
) -> None:
    cos, sin = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    tilted = (turned(by) @ np.array([[cos, sin], [-sin, cos]])).astype(np.float32)
    assert yaw(tilted) == pytest.approx(yaw(turned(by)), abs=0.01)
    assert -1 <= yaw(tilted) <= 1


def test_yaw_is_nought_in_front_grows_with_the_turn_and_changes_its_sign() -> None:
    assert yaw(FRONTAL) == pytest.approx(0, abs=0.02)
    turns = [yaw(turned(by)) for by in (-0.4, -0.2, 0.2, 0.4)]
    assert turns == sorted(turns)
    assert turns[0] == pytest.approx(-turns[3], abs=0.05)


def test_eyes_in_one_place_count_as_a_profile() -> None:
    assert yaw(np.full((6, 2), 5, np.float32)) == 1


@given(
    st.builds(
        Quality,
        size_pixels=st.floats(0, 1000),
        sharpness=st.floats(0, 3),
        yaw=st.floats(-1, 1),
        brightness=st.floats(0, 255),
        contrast=st.floats(0, 128),
        detection=st.floats(0, 1),
    ),
    st.sampled_from(["size_pixels", "sharpness", "brightness", "contrast", "detection"]),
    st.floats(0, 50),
)
def test_no_part_that_improves_makes_the_whole_worse(
    quality: Quality, part: str, by: float
) -> None:
    better = replace(quality, **{part: getattr(quality, part) + by})
    assert 0 < quality.value <= better.value <= 1
    assert replace(quality, yaw=quality.yaw / 2).value >= quality.value
    assert replace(quality, yaw=-quality.yaw).value == quality.value


def test_a_face_good_in_everything_is_fully_trusted() -> None:
    assert GOOD.value == 1
