"""The figures by which detectors are compared."""

import numpy as np
import pytest

from doorbell.domain import Face
from doorbell.training.labels import Labels
from doorbell.training.precision import average_precision, judge

POINTS = np.array([[20, 20], [40, 20], [30, 30], [30, 40], [10, 22], [50, 22]], np.float32)


def truth(*boxes: tuple[float, ...], ignored: tuple[float, ...] = ()) -> Labels:
    table = np.array(boxes, np.float32).reshape(-1, 4)
    return Labels(
        table,
        np.tile(POINTS, (len(table), 1, 1)),
        np.ones((len(table), 6), bool),
        np.array(ignored, np.float32).reshape(-1, 4),
    )


def found(score: float, *box: float, moved: float = 0.0) -> Face:
    return Face(np.array(box, np.float32), POINTS + np.float32(moved), score)


def test_average_precision_is_the_area_under_precision_over_recall() -> None:
    right = np.array([True, False, True])
    # One of four faces at precision 1, another at 2/3, two never.
    assert average_precision(np.array([0.9, 0.8, 0.7]), right, 4) == pytest.approx((1 + 2 / 3) / 4)
    assert average_precision(np.array([0.7, 0.8, 0.9]), right, 4) == pytest.approx((1 + 2 / 3) / 4)
    # A dip is made good by what comes after it.
    dip = np.array([False, True, True])
    assert average_precision(np.array([3.0, 2.0, 1.0]), dip, 2) == pytest.approx(2 / 3)
    assert average_precision(np.zeros(0), np.zeros(0, bool), 4) == 0
    assert average_precision(np.zeros(0), np.zeros(0, bool), 0) == 0


def test_each_face_is_found_once_and_what_is_ignored_does_not_count() -> None:
    judged = judge(
        [
            [
                found(0.9, 0, 0, 40, 40, moved=2),
                found(0.8, 2, 0, 42, 40),
                found(0.7, 100, 100, 140, 140),
                found(0.6, 200, 0, 240, 40),
            ],
            [],
        ],
        [truth((0, 0, 40, 40), (300, 300, 340, 340), ignored=(98, 98, 142, 142)), truth()],
    )
    assert judged.scores.tolist() == pytest.approx([0.9, 0.8, 0.6])
    assert judged.right.tolist() == [True, False, False]
    figures = judged.figures(0.7)
    assert figures["average_precision"] == pytest.approx(0.5)
    assert figures["recall"] == 0.5
    assert figures["false_per_picture"] == 0.5
    # Moved by two pixels down and aside, the eyes are twenty apart.
    assert figures["keypoint_error"] == pytest.approx(np.sqrt(8) / 20, abs=1e-5)


def test_a_box_that_covers_less_than_half_is_none() -> None:
    judged = judge([[found(0.9, 0, 0, 20, 39)]], [truth((0, 0, 40, 40))])
    assert judged.right.tolist() == [False]
