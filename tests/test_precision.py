"""The faces of two precisions, face by face."""

from pathlib import Path

import numpy as np
import pytest

from doorbell.domain import Face, FaceSample
from doorbell.measure.accuracy.precision import compare_faces
from doorbell.measure.accuracy.stills import Seen


def face(left: float, nose: float = 50.0) -> Face:
    """A face 100 pixels wide."""
    keypoints = np.full((6, 2), 50, np.float32)
    keypoints[2, 0] = nose
    return Face(np.array([left, 0, left + 100, 120], np.float32), keypoints, 0.9)


def sample(angle: float) -> FaceSample:
    vector = np.zeros(128, np.float32)
    vector[:2] = np.cos(angle), np.sin(angle)
    return FaceSample(vector, "sface", 1.0)


def seen(*faces: tuple[Face, FaceSample]) -> Seen:
    return Seen(Path("picture.jpg"), np.zeros(2, np.float32), faces)


def test_shifts_are_parts_of_the_faces_width() -> None:
    (difference,) = compare_faces(
        seen((face(0), sample(0))), seen((face(2, nose=53), sample(np.pi / 3)))
    )
    assert difference.box == pytest.approx(0.02)
    assert difference.keypoints == pytest.approx(0.03)
    assert difference.cosine == pytest.approx(0.5)


def test_each_face_is_compared_with_its_own_and_no_other() -> None:
    exact = seen((face(0), sample(0)), (face(300), sample(1)), (face(600), sample(2)))
    rough = seen((face(301), sample(1)), (face(0), sample(0)))
    assert [d.box for d in compare_faces(exact, rough)] == pytest.approx([0, 0.01])
    assert compare_faces(exact, seen()) == []
    assert compare_faces(seen(), exact) == []
