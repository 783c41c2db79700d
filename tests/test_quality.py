from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbell.domain import Face, Float32Array, Pose, UInt8Array
from doorbell.recognition.pose import HEAD, head_pose
from doorbell.recognition.quality import Quality, expected_similarity, measure_quality
from doorbell.recognition.veil import Unveiled

FRONTAL = (6 * HEAD[:, :2] + 56).astype(np.float32)
GOOD = Quality(
    size_pixels=120,
    sharpness=0.5,
    pose=Pose(0.0, 0.0, 0.0),
    brightness=120,
    in_frame=1.0,
    chroma=40.0,
    veil=0.0,
)


def turned(degrees: float) -> Float32Array:
    """The head turned to the person's left."""
    radians = np.radians(degrees)
    x, y, z = HEAD.T
    return (6 * np.stack([x * np.cos(radians) - z * np.sin(radians), y], axis=1) + 56).astype(
        np.float32
    )


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


def measured(crop: UInt8Array, shown: Face | None = None) -> Quality:
    return measure_quality(shown or face(), crop, 0.9, Unveiled(crop, 0.1))


def test_motion_blur_lowers_sharpness_whichever_way_it_goes() -> None:
    sharp = measured(picture()).sharpness
    for shape in ((1, 11), (11, 1)):
        streaked = cv2.filter2D(picture(), -1, np.full(shape, 1 / 11)).astype(np.uint8)
        assert measured(streaked).sharpness < 0.7 * sharp


def test_sharpness_does_not_depend_on_light() -> None:
    sharp = measured(picture()).sharpness
    assert measured(picture() // 2).sharpness == pytest.approx(sharp, rel=0.1)


def test_what_is_measured() -> None:
    grey = np.full((112, 112, 3), 77, np.uint8)
    narrow = Face(np.array([10, 10, 50, 90], np.float32), turned(25), 0.6)
    quality = measured(grey, narrow)
    assert quality.size_pixels == 40
    assert quality.brightness == pytest.approx(77)
    assert quality.sharpness == quality.chroma == 0
    assert quality.pose == head_pose(turned(25))
    assert (quality.in_frame, quality.veil) == (0.9, 0.1)


def test_colour_is_told_from_grey() -> None:
    red = picture()
    red[:, :, 2] //= 2
    assert measured(picture()).chroma == 0
    assert measured(red).chroma > 30


def test_more_of_a_face_promises_more_likeness() -> None:
    """As measured with the person's own template: 0.47 at a length of 9, 0.67 at 12."""
    assert expected_similarity(GOOD, 9.0) == pytest.approx(0.47)
    assert expected_similarity(GOOD, 12.0) == pytest.approx(0.67)


def test_a_face_without_colour_and_one_behind_a_veil_promise_less() -> None:
    expected = expected_similarity(GOOD, 10.0)
    assert expected_similarity(replace(GOOD, chroma=0.5), 10.0) == pytest.approx(expected - 0.14)
    assert expected_similarity(replace(GOOD, veil=0.1), 10.0) == pytest.approx(expected - 0.086)


@given(st.floats(0, 30), st.floats(0, 5), st.floats(0, 255), st.floats(0, 1))
def test_a_longer_embedding_never_promises_less(
    length: float, longer: float, chroma: float, veil: float
) -> None:
    quality = replace(GOOD, chroma=chroma, veil=veil)
    shorter = expected_similarity(quality, length)
    assert 0 <= shorter <= expected_similarity(quality, length + longer) <= 1


def test_hair_and_background_do_not_count() -> None:
    framed = picture()
    framed[:16] = framed[104:] = framed[:, :16] = framed[:, 96:] = 255
    assert measured(framed) == measured(picture())
