"""Single pictures: how networks agree, and with the real ones."""

import math
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from blazeface_outputs import SIDE, Outputs, points_in
from numpy.typing import NDArray

from doorbell.config import DetectionSection
from doorbell.detection.blazeface import SHORT_RANGE, BlazeFace
from doorbell.detection.regions import several_looks, whole_frame
from doorbell.detection.stills import CLOSELY_SEEN_FACES, HEARD_SCORE, Source, StillDetector
from doorbell.domain import Face, Float32Array, UInt8Array
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.inference import Input
from doorbell.inference.tensors import host_array
from doorbell.models.store import face_path
from doorbell.pipeline.perception import Perception

BOX = np.array([40, 40, 80, 80], np.float32)
PICTURE = np.zeros((SIDE, SIDE, 3), np.uint8)


class Says:
    """A network that sees faces with this score, each by so many anchors.

    Attributes:
        looks: how many regions it was shown.
    """

    def __init__(self, score: float, *boxes: Float32Array, anchors: int = 1) -> None:
        self.looks = 0
        self._outputs = Outputs(1)
        logit = math.log(score / (1 - score))
        for box in boxes or [BOX]:
            for anchor in range(anchors):
                self._outputs.put(
                    0, whole_frame(SIDE, SIDE), box, logit=logit, neighbour=2 * anchor
                )

    def infer(self, inputs: Mapping[str, Input]) -> dict[str, NDArray[np.float32]]:
        batch = len(host_array(inputs["image"]))
        self.looks += batch
        outputs = self._outputs
        return {
            "regressors": np.repeat(outputs.regressors, batch, axis=0),
            "scores": np.repeat(outputs.logits, batch, axis=0),
        }

    def close(self) -> None:
        """Nothing is held."""


def still_detector(light: Says, heavy: Says, close_look: Says | None = None) -> StillDetector:
    """One network of weight 1, one of weight 3; close looks show nothing unless they are given."""
    sources = [
        Source(BlazeFace(says, SHORT_RANGE, HEARD_SCORE), SIDE, weight)
        for says, weight in ((light, 1.0), (heavy, 3.0))
    ]
    return StillDetector(
        sources, BlazeFace(close_look or Says(0.01), SHORT_RANGE, HEARD_SCORE), DetectionSection()
    )


@pytest.mark.parametrize(
    ("light", "heavy", "faces"), [(0.95, 0.01, 0), (0.01, 0.95, 1), (0.95, 0.3, 1), (0.01, 0.5, 0)]
)
def test_networks_have_a_say_by_their_weight(light: float, heavy: float, faces: int) -> None:
    found = still_detector(Says(light), Says(heavy)).detect(PICTURE)
    assert len(found) == faces
    assert all(face.score == pytest.approx(max(light, heavy), abs=1e-4) for face in found)


def test_a_face_lies_where_networks_see_it_by_weight_and_not_by_number_of_sightings() -> None:
    aside = BOX + np.float32(4)
    (face,) = still_detector(Says(0.9, aside, anchors=5), Says(0.8)).detect(PICTURE)
    np.testing.assert_allclose(face.box_xyxy, BOX + 1, atol=1e-3)
    np.testing.assert_allclose(face.keypoints_xy, points_in(BOX + np.float32(1)), atol=1e-3)


def portrait(name: str, models_directory: Path) -> UInt8Array:
    return decode_photo(read_photo(face_path(name, models_directory)), name)


def test_in_a_crowd_only_the_largest_faces_are_looked_at_closely() -> None:
    crowd = [
        np.array([x, y, x + 8, y + 8], np.float32)
        for x in range(12, 120, 24)
        for y in range(12, 120, 24)
    ]
    large = np.array([100, 100, 128, 128], np.float32)
    close_look = Says(0.9, large)
    crowded = still_detector(
        Says(0.9, *crowd[:-1], large), Says(0.9, *crowd[:-1], large), close_look
    )
    assert len(crowded.detect(PICTURE)) == 25
    assert close_look.looks == CLOSELY_SEEN_FACES * len(
        several_looks(Face(large, points_in(large), 0.9))
    )


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
