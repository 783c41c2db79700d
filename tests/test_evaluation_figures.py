"""The arithmetic of the figures, on scores and boxes made by hand."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbell.detection.blazeface import Candidates, blend
from doorbell.domain import Float32Array
from doorbell.measure.accuracy.figures import (
    accepted_at,
    best_threshold,
    match_boxes,
    second_differences,
    ten_fold_accuracy,
    threshold_at,
)
from doorbell.measure.accuracy.jitter import keep_best


def boxes(*rows: tuple[float, float, float, float]) -> Float32Array:
    return np.array(rows, np.float32).reshape(-1, 4)


def test_the_best_threshold_parts_what_can_be_parted() -> None:
    scores = np.array([0.9, 0.6, 0.2, 0.1])
    assert 0.2 < best_threshold(scores, np.array([True, True, False, False])) < 0.6


def test_the_best_threshold_refuses_all_where_none_is_genuine() -> None:
    assert best_threshold(np.array([0.9, 0.1]), np.array([False, False])) > 0.9
    assert best_threshold(np.array([0.9, 0.1]), np.array([True, True])) < 0.1


def literal_accuracy(scores: list[float], same: list[bool]) -> list[float]:
    """Ten folds again, by trying every threshold for every fold."""
    accuracies = []
    size = len(scores) // 10
    for fold in range(10):
        test = range(fold * size, (fold + 1) * size)
        train = [i for i in range(len(scores)) if i not in test]
        tried = sorted(scores[i] for i in train)
        middles = [tried[0] - 1, *((a + b) / 2 for a, b in pairwise(tried))]
        middles.append(tried[-1] + 1)
        rights = [sum((scores[i] >= t) == same[i] for i in train) for t in middles]
        best = [t for t, right in zip(middles, rights, strict=True) if right == max(rights)]
        middle = (best[0] + best[-1]) / 2
        threshold = min(best, key=lambda t: abs(t - middle))
        accuracies.append(sum((scores[i] >= threshold) == same[i] for i in test) / size)
    return accuracies


@given(
    st.lists(
        st.tuples(st.integers(-100, 100).map(lambda i: i / 100), st.booleans()),
        min_size=30,
        max_size=30,
    )
)
def test_ten_folds_are_judged_by_the_threshold_of_the_others(
    pairs: list[tuple[float, bool]],
) -> None:
    scores, same = [p[0] for p in pairs], [p[1] for p in pairs]
    mean, deviation = ten_fold_accuracy(np.array(scores), np.array(same))
    literal = literal_accuracy(scores, same)
    assert mean == pytest.approx(np.mean(literal))
    assert deviation == pytest.approx(np.std(literal))


def test_one_wrong_pair_costs_its_own_fold_only() -> None:
    same = np.tile([True, False], 20)
    scores = np.where(same, 0.8, 0.1)
    assert ten_fold_accuracy(scores, same) == (1.0, 0.0)
    scores[0] = 0.0
    mean, deviation = ten_fold_accuracy(scores, same)
    assert mean == pytest.approx(39 / 40)
    assert deviation == pytest.approx(np.std([0.75] + 9 * [1.0]))


@pytest.mark.parametrize(
    ("impostors", "threshold"),
    [(999, 0.999), (1000, 0.998), (1999, 0.998), (2000, 0.997)],
)
def test_at_most_one_impostor_in_a_thousand_passes(impostors: int, threshold: float) -> None:
    scores = 0.999 - np.arange(impostors) / 1000
    np.random.default_rng(1).shuffle(scores)
    assert threshold_at(scores) == pytest.approx(threshold)
    assert (scores > threshold_at(scores)).sum() == impostors // 1000


def test_genuine_scores_must_be_above_the_highest_impostor() -> None:
    impostors = np.array([0.4, 0.1])
    assert accepted_at(np.array([0.5, 0.41, 0.4, 0.2]), impostors) == 0.5


def test_everybody_passes_where_there_is_no_impostor() -> None:
    assert accepted_at(np.array([0.5, -1.0]), np.array([])) == 1.0


TRUTH = boxes((0, 0, 40, 40), (100, 0, 125, 25), (200, 0, 208, 8))


def test_detections_find_the_boxes_that_they_cover() -> None:
    detected = boxes((2, 2, 42, 42), (100, 0, 125, 60), (300, 0, 340, 40))
    matching = match_boxes(detected, np.array([0.9, 0.8, 0.7]), TRUTH)
    assert matching.found.tolist() == [True, True, False]  # 25 / 60 is above 0.4
    assert matching.false.tolist() == [False, False, True]


def test_a_detection_that_covers_too_little_is_false() -> None:
    matching = match_boxes(boxes((100, 0, 125, 63)), np.array([0.9]), TRUTH)
    assert not matching.found.any()
    assert matching.false.all()


def test_a_second_detection_of_one_face_is_false() -> None:
    detected = boxes((0, 0, 40, 40), (3, 3, 43, 43))
    matching = match_boxes(detected, np.array([0.6, 0.9]), TRUTH)
    assert matching.found.tolist() == [True, False, False]
    assert matching.false.tolist() == [True, False]  # the better score came first


def test_a_detection_goes_on_to_the_next_best_box_that_is_free() -> None:
    crowd = boxes((0, 0, 40, 40), (8, 0, 48, 40))
    detected = boxes((0, 0, 40, 40), (3, 0, 43, 40))
    assert match_boxes(detected, np.array([0.9, 0.8]), crowd).found.all()


def test_a_tiny_face_is_neither_missed_nor_false_when_found() -> None:
    detected = boxes((200, 0, 208, 8), (201, 0, 209, 8))
    matching = match_boxes(detected, np.array([0.9, 0.8]), TRUTH)
    assert not matching.found.any()
    assert not matching.false.any()


def test_a_picture_without_faces_or_detections_matches_nothing() -> None:
    assert match_boxes(boxes(), np.array([]), TRUTH).found.tolist() == [False] * 3
    assert match_boxes(boxes((0, 0, 9, 9)), np.array([0.9]), boxes()).false.tolist() == [True]


def test_a_box_that_moves_and_grows_evenly_does_not_tremble() -> None:
    moving = [np.array([t, 2 * t, 50 + 2 * t, 60 + 3 * t], np.float32) for t in range(5)]
    assert second_differences(moving) == pytest.approx([0, 0, 0], abs=1e-6)


def test_the_second_difference_is_relative_to_the_width() -> None:
    still, aside = boxes((0, 0, 50, 50), (3, 4, 53, 54))
    # The centre goes by (3, 4) and back: its second difference is (6, 8).
    assert second_differences([still, aside, still]) == pytest.approx([10 / 50])


def test_three_frames_in_a_row_are_called_for() -> None:
    box = boxes((0, 0, 50, 50))[0]
    assert second_differences([box, box, None, box, box]) == []
    assert second_differences([]) == []


def test_suppression_keeps_the_best_of_what_blending_averages() -> None:
    candidates = Candidates(
        boxes((0, 0, 40, 40), (4, 0, 44, 40), (200, 0, 240, 40), (202, 0, 242, 40)),
        np.zeros((4, 6, 2), np.float32),
        np.array([0.9, 0.8, 0.6, 0.7], np.float32),
        np.array([0, 0, 1, 0]),
    )
    best = np.stack([face.box_xyxy for face in keep_best(candidates, 0.3)])
    assert best.tolist() == [[0, 0, 40, 40], [202, 0, 242, 40]]
    blended = np.stack([face.box_xyxy for face in blend(candidates, 0.3)])
    assert blended[0] == pytest.approx([4 * 0.8 / 1.7, 0, 40 + 4 * 0.8 / 1.7, 40], abs=1e-4)
    assert blended[1] == pytest.approx(best[1])  # a region of higher rank is believed alone
