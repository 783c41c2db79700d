import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from doorbell.domain import Float32Array, UInt8Array
from doorbell.recognition.alignment import (
    CROP_PIXELS,
    TEMPLATE,
    align,
    part_in_frame,
    similarity_transform,
)

# Scale, degrees and shift of a face in its picture, against the template.
PLACES = [
    (0.4, 0, (60, 40)),
    (0.7, 25, (80, 30)),
    (1.0, -40, (20, 120)),
    (1.8, 10, (30, 50)),
    (3.3, -20, (10, 160)),
    (6.0, 5, (40, 20)),
]


def apply(transform: Float32Array, points: Float32Array) -> Float32Array:
    return np.asarray(points @ transform[:, :2].T + transform[:, 2], np.float32)


def similarity(scale: float, degrees: float, shift: tuple[float, float]) -> Float32Array:
    cos, sin = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]], np.float32)


def all_six(points: Float32Array) -> Float32Array:
    """Eyes, nose and mouth with two ears far off, which must not matter."""
    return np.vstack([points, [[-500, 900], [3000, -40]]]).astype(np.float32)


COORDINATES = st.floats(-100, 100, width=16)


@st.composite
def point_sets(draw: st.DrawFn) -> Float32Array:
    pairs = draw(st.lists(st.tuples(COORDINATES, COORDINATES), min_size=2, max_size=8))
    points = np.array(pairs, np.float32)
    points[0] += [150, 30]  # never all in one place
    return points


@given(
    point_sets(),
    st.floats(0.05, 20),
    st.floats(-180, 180),
    st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
)
def test_any_similarity_is_recovered(
    source: Float32Array, scale: float, degrees: float, shift: tuple[float, float]
) -> None:
    assume(np.ptp(source, axis=0).max() > 1)
    truth = similarity(scale, degrees, shift)
    found = similarity_transform(source, apply(truth, source))
    np.testing.assert_allclose(found[:, :2], truth[:, :2], atol=1e-3 * max(scale, 1))
    np.testing.assert_allclose(apply(found, source), apply(truth, source), atol=0.01 * scale + 0.01)
    assert found.shape == (2, 3)
    assert found.dtype == np.float32


@given(point_sets(), point_sets())
def test_it_is_a_similarity_that_never_mirrors(source: Float32Array, target: Float32Array) -> None:
    count = min(len(source), len(target))
    (a, b, _), (c, d, _) = similarity_transform(source[:count], target[:count])
    assert (a, b) == (d, -c)
    assert a * d - b * c >= 0


@given(point_sets(), st.floats(-0.05, 0.05), st.floats(0.95, 1.05), st.floats(-3, 3))
def test_no_similarity_near_it_fits_better(
    source: Float32Array, turn: float, stretch: float, shift: float
) -> None:
    target = np.asarray(source[:, ::-1] * [1, 0.5] + source**2 / 100, np.float32)
    found = similarity_transform(source, target)
    nudge = similarity(stretch, np.degrees(turn), (shift, -shift))
    error = ((apply(found, source) - target) ** 2).sum()
    nudged = ((apply(nudge, apply(found, source)) - target) ** 2).sum()
    assert error <= nudged * 1.001 + 0.1


def test_points_all_in_one_place_are_moved_only() -> None:
    here = np.full((4, 2), 7, np.float32)
    transform = similarity_transform(here, TEMPLATE)
    np.testing.assert_allclose(transform[:, :2], np.eye(2))
    np.testing.assert_allclose(apply(transform, here)[0], TEMPLATE.mean(axis=0), rtol=1e-5)


def test_the_template_is_level_and_symmetric() -> None:
    right_eye, left_eye, nose, mouth = TEMPLATE
    assert right_eye[0] < nose[0] < left_eye[0]
    assert right_eye[1] == pytest.approx(left_eye[1], abs=0.5)
    assert right_eye[1] < nose[1] < mouth[1]
    for point in (nose, mouth):
        assert point[0] == pytest.approx((right_eye[0] + left_eye[0]) / 2, abs=0.5)


def dot(place: Float32Array, sigma: float) -> UInt8Array:
    """A picture with one soft white dot."""
    y, x = np.mgrid[0:900, 0:1000].astype(np.float32)
    squares = (x - place[0]) ** 2 + (y - place[1]) ** 2
    grey = 255 * np.exp(-squares / (2 * sigma**2))
    return np.repeat(grey[:, :, None], 3, axis=2).astype(np.uint8)


def centre_of_light(crop: UInt8Array) -> Float32Array:
    light = crop[:, :, 0].astype(np.float32)
    y, x = np.mgrid[0:CROP_PIXELS, 0:CROP_PIXELS]
    total = light.sum()
    return np.array([(x * light).sum() / total, (y * light).sum() / total], np.float32)


@pytest.mark.parametrize(("scale", "degrees", "shift"), PLACES)
def test_painted_points_land_on_the_template_at_any_size(
    scale: float, degrees: float, shift: tuple[float, float]
) -> None:
    points = apply(similarity(scale, degrees, shift), TEMPLATE)
    for place, expected in zip(points, TEMPLATE, strict=True):
        crop = align(dot(place, sigma=2.5 * max(scale, 0.6)), all_six(points))
        assert crop.shape == (CROP_PIXELS, CROP_PIXELS, 3)
        assert crop.dtype == np.uint8
        np.testing.assert_allclose(centre_of_light(crop), expected, atol=0.1)


def test_colours_and_sides_are_kept() -> None:
    frame = np.zeros((112, 112, 3), np.uint8)
    frame[:, :56] = (200, 10, 30)
    crop = align(frame, all_six(TEMPLATE))
    assert crop[60, 20].tolist() == [200, 10, 30]
    assert crop[60, 90].tolist() == [0, 0, 0]


def test_a_large_face_is_averaged_and_not_sampled() -> None:
    frame = np.zeros((900, 900, 3), np.uint8)
    frame[::2, ::2] = 255  # a quarter of all pixels, in a grid finer than the crop's
    crop = align(frame, all_six(TEMPLATE * 6))
    assert crop.mean() == pytest.approx(255 / 4, abs=2)
    assert crop.std() < 12


def test_a_face_at_the_edge_is_continued_and_not_blackened() -> None:
    frame = np.full((200, 200, 3), 120, np.uint8)
    crop = align(frame, all_six(TEMPLATE - 50))
    assert (crop == 120).all()


@pytest.mark.parametrize(
    "points",
    [np.full((6, 2), 50.0), np.full((6, 2), -1e4), all_six(TEMPLATE)[[1, 0, 2, 3, 4, 5]]],
    ids=["one place", "far outside", "eyes swapped"],
)
def test_keypoints_of_no_face_still_give_a_crop(points: Float32Array) -> None:
    crop = align(np.full((200, 200, 3), 90, np.uint8), points.astype(np.float32))
    assert crop.shape == (CROP_PIXELS, CROP_PIXELS, 3)


@pytest.mark.parametrize(
    ("left", "top", "shown"), [(100, 100, 1.0), (-56, 100, 0.5), (100, -28, 0.75), (-200, 0, 0.0)]
)
def test_what_the_border_cuts_off_is_not_in_frame(left: float, top: float, shown: float) -> None:
    points = np.zeros((6, 2), np.float32)
    points[:4] = TEMPLATE + np.array([left, top], np.float32)
    assert part_in_frame(640, 480, points) == shown
