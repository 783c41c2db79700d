from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbell.domain import Face, Float32Array, Pose, UInt8Array
from doorbell.recognition.pose import HEAD, head_pose
from doorbell.recognition.quality import Quality, measure_quality

FRONTAL = (6 * HEAD[:, :2] + 56).astype(np.float32)
FACING = Pose(0.0, 0.0, 0.0)
GOOD = Quality(
    size_pixels=120,
    sharpness=0.5,
    pose=FACING,
    brightness=120,
    contrast=50,
    detection=0.95,
    steadiness=0.9,
    in_frame=1.0,
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


def with_yaw(quality: Quality, degrees: float) -> Quality:
    return replace(quality, pose=replace(quality.pose, yaw_degrees=degrees))


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


def measured(crop: UInt8Array, shown: Face | None = None, in_frame: float = 1.0) -> Quality:
    return measure_quality(shown or face(), crop, in_frame)


def value(crop: UInt8Array, shown: Face | None = None) -> float:
    return measured(crop, shown).value


def test_a_blurred_face_is_worse_the_more_it_is_blurred() -> None:
    values = [value(picture()), *(value(blurred(sigma)) for sigma in (1.5, 3, 6))]
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0] / 2


def test_motion_blur_lowers_sharpness_whichever_way_it_goes() -> None:
    sharp = measured(picture()).sharpness
    for shape in ((1, 11), (11, 1)):
        streaked = cv2.filter2D(picture(), -1, np.full(shape, 1 / 11)).astype(np.uint8)
        assert measured(streaked).sharpness < 0.7 * sharp


@pytest.mark.parametrize("degrees", [0, 30, 90, 135])
def test_a_face_smeared_by_motion_is_not_steady_whichever_way_it_goes(degrees: float) -> None:
    radians = np.radians(degrees)
    streak = np.zeros((25, 25), np.float32)
    reach = 10 * np.array([np.cos(radians), np.sin(radians)])
    start, end = (tuple(int(v) for v in np.round(12 + sign * reach)) for sign in (-1, 1))
    cv2.line(streak, start, end, 1.0)
    smeared = cv2.filter2D(picture(), -1, streak / streak.sum()).astype(np.uint8)
    assert measured(picture()).steadiness > 0.85
    assert measured(smeared).steadiness < 0.55
    assert value(smeared) < value(picture()) / 2


def test_out_of_focus_is_steady() -> None:
    assert measured(blurred(3)).steadiness > 0.8


def test_a_plain_picture_is_steady() -> None:
    assert measured(np.full((112, 112, 3), 77, np.uint8)).steadiness == 1


def test_a_face_that_the_border_cuts_is_worse() -> None:
    whole, three_quarters, half = (measured(picture(), in_frame=x).value for x in (1, 0.75, 0.5))
    assert whole > 1.5 * three_quarters > 3 * half


def test_a_turned_face_is_worse_to_either_side() -> None:
    frontal, left, right = (value(picture(), face(points=turned(by))) for by in (0, 30, -30))
    assert left < frontal / 2
    assert left == pytest.approx(right, rel=0.05)


def test_a_dark_face_is_worse_than_a_bright_one() -> None:
    dark = (picture() * 0.15).astype(np.uint8)
    assert value(dark) < value(picture()) / 2


def test_sharpness_does_not_depend_on_light() -> None:
    sharp = measured(picture()).sharpness
    assert measured(picture() // 2).sharpness == pytest.approx(sharp, rel=0.1)


def test_a_washed_out_face_is_worse() -> None:
    washed = (200 + picture() * 0.04).astype(np.uint8)
    assert value(washed) < value(picture())


def test_a_small_or_doubtful_face_is_worse() -> None:
    best = value(picture())
    assert value(picture(), face(size=30)) < best
    assert value(picture(), face(score=0.5)) < best


def test_what_is_measured() -> None:
    grey = np.full((112, 112, 3), 77, np.uint8)
    narrow = Face(np.array([10, 10, 50, 90], np.float32), turned(25), 0.6)
    quality = measured(grey, narrow)
    assert quality.size_pixels == 40
    assert quality.brightness == pytest.approx(77)
    assert (quality.sharpness, quality.contrast) == (0, 0)
    assert quality.pose == head_pose(turned(25))
    assert quality.detection == 0.6


def test_hair_and_background_do_not_count() -> None:
    framed = picture()
    framed[:16] = framed[104:] = framed[:, :16] = framed[:, 96:] = 255
    assert measured(framed) == measured(picture())


@given(
    st.builds(
        Quality,
        size_pixels=st.floats(0, 1000),
        sharpness=st.floats(0, 3),
        pose=st.builds(Pose, st.floats(-90, 90), st.floats(-90, 90), st.floats(-180, 180)),
        brightness=st.floats(0, 255),
        contrast=st.floats(0, 128),
        detection=st.floats(0, 1),
        steadiness=st.floats(0, 1),
        in_frame=st.floats(0, 1),
    ),
    st.sampled_from(
        [
            "size_pixels",
            "sharpness",
            "brightness",
            "contrast",
            "detection",
            "steadiness",
            "in_frame",
        ]
    ),
    st.floats(0, 50),
)
def test_no_part_that_improves_makes_the_whole_worse(
    quality: Quality, part: str, by: float
) -> None:
    better = replace(quality, **{part: getattr(quality, part) + by})
    assert 0 < quality.value <= better.value <= 1
    yaw = quality.pose.yaw_degrees
    assert with_yaw(quality, yaw / 2).value >= quality.value
    assert with_yaw(quality, -yaw).value == quality.value


def test_a_face_good_in_everything_is_fully_trusted() -> None:
    assert GOOD.value == 1
