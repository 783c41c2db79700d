"""Single pictures with the real networks."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from doorbell.domain import UInt8Array
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.models.store import face_path
from doorbell.pipeline.perception import Perception


def portrait(name: str, models_directory: Path) -> UInt8Array:
    return decode_photo(read_photo(face_path(name, models_directory)), name)


@pytest.fixture
def obama(models_directory: Path) -> UInt8Array:
    return portrait("obama", models_directory)


@pytest.mark.parametrize("face_pixels", [24, 60, 150])
def test_a_face_of_any_size_is_found_where_it_is(
    face_pixels: int, perception: Perception, obama: UInt8Array
) -> None:
    large = perception.detect_still(obama)[0]
    scale = face_pixels / large.width_pixels
    small = cv2.resize(obama, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    scene = np.full((600, 800, 3), 120, np.uint8)
    height, width = min(small.shape[0], 590), min(small.shape[1], 790)
    scene[10 : 10 + height, 10 : 10 + width] = small[:height, :width]
    face = perception.detect_still(scene)[0]
    np.testing.assert_allclose(face.box_xyxy, large.box_xyxy * scale + 10, atol=0.2 * face_pixels)
    np.testing.assert_allclose(
        face.keypoints_xy, large.keypoints_xy * scale + 10, atol=0.1 * face_pixels
    )


def test_what_shows_nobody_has_no_face(perception: Perception) -> None:
    noise = np.random.default_rng(3).integers(0, 255, (400, 600, 3), np.uint8)
    for scene in (noise, cv2.GaussianBlur(noise, (31, 31), 8), np.zeros((30, 20, 3), np.uint8)):
        assert perception.detect_still(np.asarray(scene, np.uint8)) == []


def test_the_score_is_a_sure_one_for_a_clear_face(
    perception: Perception, obama: UInt8Array
) -> None:
    face = perception.detect_still(obama)[0]
    assert 0.9 < face.score <= 1
