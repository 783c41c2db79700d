"""Poses of projected keypoints, exactly; of turned pictures, through the real detector."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from doorbell.config import AttentionSection
from doorbell.domain import Face, Float32Array, Pose, UInt8Array
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.models.store import face_path
from doorbell.pipeline.perception import Perception
from doorbell.recognition.pose import HEAD, head_pose, is_looking

SECTION = AttentionSection(max_yaw_degrees=20, max_pitch_degrees=15)
FRONTAL = ("ardern", "obama")


def rotation(yaw: float, pitch: float, roll: float = 0.0) -> NDArray[np.float64]:
    """Pitch first, then yaw, then roll; axes as in ``HEAD``."""
    (cy, cp, cr), (sy, sp, sr) = (f(np.radians([yaw, pitch, roll])) for f in (np.cos, np.sin))
    nod = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    shake = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    tilt = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(tilt @ shake @ nod)


def projected(yaw: float, pitch: float, roll: float, scale: float = 9.0) -> Float32Array:
    shown = scale * (HEAD @ rotation(yaw, pitch, roll).T)[:, :2] + [320, 180]
    return np.asarray(shown, np.float32)


def angles(pose: Pose) -> tuple[float, float, float]:
    return pose.yaw_degrees, pose.pitch_degrees, pose.roll_degrees


turns = st.tuples(st.floats(-80, 80), st.floats(-60, 60), st.floats(-170, 170))


@given(turns, st.floats(1, 100))
def test_the_pose_of_a_projected_head_is_recovered(
    turn: tuple[float, float, float], scale: float
) -> None:
    assert angles(head_pose(projected(*turn, scale))) == pytest.approx(turn, abs=0.1)


@given(turns, st.integers(0, 2**32 - 1))
def test_of_a_head_that_fits_no_pose_it_is_the_nearest_rotation(
    turn: tuple[float, float, float], seed: int
) -> None:
    points = projected(*turn) + np.random.default_rng(seed).normal(0, 12, (6, 2))
    camera = (points - points.mean(axis=0)).T @ np.linalg.pinv(HEAD - HEAD.mean(axis=0)).T
    left, lengths, right = np.linalg.svd(camera, full_matrices=False)
    assume(lengths[1] > 0.05 * lengths[0])
    nearest = left @ right  # (2, 3): the rotation that is least far from the camera
    pose = head_pose(points.astype(np.float32))
    rows = rotation(*angles(pose))[:2]
    np.testing.assert_allclose(rows, nearest, atol=1e-4)


@given(turns)
def test_a_mirrored_face_is_turned_and_tilted_the_other_way(
    turn: tuple[float, float, float],
) -> None:
    assume(abs(turn[2]) < 90)
    points = projected(*turn)[[1, 0, 2, 3, 5, 4]] * np.array([-1, 1], np.float32)
    yaw, pitch, roll = turn
    assert angles(head_pose(points)) == pytest.approx((-yaw, pitch, -roll), abs=0.1)


def test_the_signs_are_the_person_s_own_left_and_up() -> None:
    straight = projected(0, 0, 0)
    nose_to_own_left, nose_up = straight.copy(), straight.copy()
    nose_to_own_left[2, 0] += 10  # the picture's right
    nose_up[2, 1] -= 10
    assert head_pose(nose_to_own_left).yaw_degrees > 2
    assert head_pose(nose_up).pitch_degrees > 2
    assert straight[1, 0] > straight[0, 0]
    left_eye_lower = projected(0, 0, 20)
    assert left_eye_lower[1, 1] > left_eye_lower[0, 1]


@given(turns, st.integers(0, 2**32 - 1))
def test_keypoints_a_little_off_give_angles_a_little_off(
    turn: tuple[float, float, float], seed: int
) -> None:
    assume(abs(turn[0]) < 45 and abs(turn[1]) < 30)
    # 2 % of the width of the face, as a detector errs.
    noise = np.random.default_rng(seed).uniform(-1, 1, (6, 2)) * 0.02 * 15.3 * 9.0
    off = np.subtract(angles(head_pose((projected(*turn) + noise).astype(np.float32))), turn)
    assert np.abs((off + 180) % 360 - 180).max() < 12


@pytest.mark.parametrize("points", [np.full((6, 2), 5), np.linspace((0, 0), (9, 9), 6)])
def test_keypoints_that_fix_no_turn_count_as_a_profile(points: NDArray[np.float64]) -> None:
    pose = head_pose(points.astype(np.float32))
    assert pose == Pose(90.0, 0.0, 0.0)
    assert not is_looking(pose, SECTION)


@pytest.mark.parametrize(
    ("pose", "looking"),
    [
        (Pose(0, 0, 0), True),
        (Pose(20, -15, 0), True),
        (Pose(-20, 15, 45), True),
        (Pose(21, 0, 0), False),
        (Pose(-21, 0, 0), False),
        (Pose(0, 16, 0), False),
        (Pose(0, -16, 0), False),
    ],
)
def test_who_faces_the_door_looks_at_it_however_tilted(pose: Pose, *, looking: bool) -> None:
    assert is_looking(pose, SECTION) is looking


# Pictures turned by known angles


def relief(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Depth of a smooth face, away from the camera: half an ellipsoid with a ridge for the nose.

    Centimetres from the point between eyes and mouth; not the model that is fitted.
    """
    inside = np.clip(1 - (x / 7.6) ** 2 - ((y - 0.5) / 11.5) ** 2, 0, None)
    along = np.where(y < 1.5, 2.6, 0.9)
    nose = 2.6 * np.exp(-((x / 1.5) ** 2) - ((y - 1.5) / along) ** 2)
    return np.asarray(np.where(inside > 0, -6.8 * np.sqrt(inside) - nose, 0.0))


def turned(pixels: UInt8Array, face: Face, yaw: float, pitch: float) -> UInt8Array:
    """A frontal portrait laid over the relief and turned; round about it a blurred background."""
    right_eye, left_eye = face.keypoints_xy[:2]
    apart = float(np.hypot(*(left_eye - right_eye)))
    pixels_a_cm = apart / 6.4
    centre = (right_eye + left_eye) / 2 + np.array([0, 2.1 * pixels_a_cm], np.float32)
    reach, finer = 13.0, 3  # so that turning tears no holes
    axis = np.arange(-reach, reach, 1 / (finer * pixels_a_cm))
    x, y = np.meshgrid(axis, axis)
    texture = cv2.remap(
        pixels,
        (x * pixels_a_cm + centre[0]).astype(np.float32),
        (y * pixels_a_cm + centre[1]).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    head = np.hypot(x, y) < reach
    points = np.stack([x[head], y[head], relief(x, y)[head]], axis=1) @ rotation(yaw, pitch).T
    far_first = np.argsort(-points[:, 2])
    at = np.floor(points[far_first, :2] * pixels_a_cm + centre).astype(int)
    colours = texture[head][far_first]
    picture = cv2.GaussianBlur(pixels, (0, 0), apart / 2)
    height, width = picture.shape[:2]
    shown = (at >= 0).all(axis=1) & (at[:, 0] < width - 1) & (at[:, 1] < height - 1)
    corners = at[shown][:, None, :] + np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    picture[corners[..., 1].ravel(), corners[..., 0].ravel()] = np.repeat(colours[shown], 4, axis=0)
    return np.asarray(picture, np.uint8)


def rolled(pixels: UInt8Array, degrees: float) -> UInt8Array:
    """Clockwise."""
    height, width = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0)
    return np.asarray(
        cv2.warpAffine(pixels, turn, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


@pytest.fixture(scope="module", params=FRONTAL)
def portrait(request: pytest.FixtureRequest, models_directory: Path) -> UInt8Array:
    path = face_path(request.param, models_directory)
    pixels = decode_photo(read_photo(path), request.param)
    small = cv2.resize(pixels, None, fx=0.35, fy=0.35, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def seen(perception: Perception, pixels: UInt8Array) -> Face:
    return max(perception.detect_still(pixels), key=lambda face: face.score)


@pytest.mark.parametrize("degrees", [-30, -15, 15, 30])
def test_a_picture_rolled_by_a_known_angle(
    perception: Perception, portrait: UInt8Array, degrees: float
) -> None:
    upright = head_pose(seen(perception, portrait).keypoints_xy)
    pose = head_pose(seen(perception, rolled(portrait, degrees)).keypoints_xy)
    assert pose.roll_degrees - upright.roll_degrees == pytest.approx(degrees, abs=4)


def test_pictures_turned_by_known_angles(perception: Perception, portrait: UInt8Array) -> None:
    face = seen(perception, portrait)

    def pose(yaw: float, pitch: float) -> Pose:
        return head_pose(seen(perception, turned(portrait, face, yaw, pitch)).keypoints_xy)

    sideways = [pose(yaw, 0).yaw_degrees for yaw in (-40, -20, 0, 20, 40)]
    assert np.diff(sideways).min() > 4
    assert np.subtract(sideways, sideways[2])[[1, 3]] == pytest.approx([-20, 20], abs=8)
    # Of a nod the detector's keypoints show about half.
    nodding = [pose(0, pitch).pitch_degrees for pitch in (-30, -15, 0, 15, 30)]
    assert np.diff(nodding).min() > 1
    assert is_looking(pose(0, 0), SECTION)
    assert not is_looking(pose(-40, 0), SECTION)
    assert not is_looking(pose(40, 0), SECTION)
