"""Many candidates become one face each: the paper's rule, in exact arithmetic."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from blazeface_outputs import points_in
from hypothesis import given
from hypothesis import strategies as st

from doorbell.detection.blazeface import CONTAINED_PART, Candidates, blend, iou
from doorbell.detection.regions import RegionKind
from doorbell.domain import Face

Box = tuple[int, int, int, int]


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    left, top = draw(st.integers(0, 20)), draw(st.integers(0, 20))
    return left, top, left + draw(st.integers(1, 20)), top + draw(st.integers(1, 20))


@st.composite
def candidate_sets(draw: st.DrawFn) -> Candidates:
    """Candidates of different scores: among equal ones the order is nobody's promise."""
    scores = draw(st.lists(st.integers(1, 1000), min_size=1, max_size=12, unique=True))
    return make_candidates(
        [draw(boxes()) for _ in scores],
        [score / 1000 for score in scores],
        [draw(st.sampled_from(RegionKind)).value for _ in scores],
    )


def make_candidates(
    corners: Sequence[Sequence[float]], scores: Sequence[float], ranks: Sequence[int] | None = None
) -> Candidates:
    array = np.array(corners, np.float32)
    return Candidates(
        array,
        np.stack([points_in(box) for box in array]),
        np.array(scores, np.float32),
        np.zeros(len(scores), np.int64) if ranks is None else np.array(ranks, np.int64),
    )


def area(box: Sequence[float]) -> Fraction:
    left, top, right, bottom = map(Fraction, box)
    return max(right - left, Fraction(0)) * max(bottom - top, Fraction(0))


def shared(a: Sequence[float], b: Sequence[float]) -> Fraction:
    return area([max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])])


def exact_iou(a: Sequence[float], b: Sequence[float]) -> Fraction:
    return shared(a, b) / (area(a) + area(b) - shared(a, b))


def is_contained(a: Sequence[float], b: Sequence[float]) -> bool:
    smaller = np.float32(min(area(a), area(b)))
    return bool(np.float32(shared(a, b)) > np.float32(CONTAINED_PART) * smaller)


def literal_blend(
    candidates: Candidates, min_iou: float
) -> list[tuple[float, list[float], list[list[float]]]]:
    """Section 4.2 of the paper, one candidate at a time: (score, box, keypoints).

    Two rules are ours: the region of the lowest rank is believed, and no face lies within another.
    """
    corners = candidates.boxes_xyxy.tolist()
    remaining = sorted(range(len(candidates.scores)), key=lambda i: -float(candidates.scores[i]))
    found = []
    while remaining:
        best = remaining[0]
        cluster = [i for i in remaining if exact_iou(corners[best], corners[i]) > min_iou]
        parts = [i for i in remaining if is_contained(corners[best], corners[i])]
        remaining = [i for i in remaining if i not in cluster and i not in parts]
        believed = min(int(candidates.ranks[i]) for i in cluster)
        cluster = [i for i in cluster if candidates.ranks[i] == believed]
        total = sum(float(candidates.scores[i]) for i in cluster)

        def mean(values: list[float], cluster: list[int] = cluster, total: float = total) -> float:
            pairs = zip(cluster, values, strict=True)
            return sum(float(candidates.scores[i]) * value for i, value in pairs) / total

        found.append(
            (
                float(candidates.scores[best]),
                [mean([corners[i][k] for i in cluster]) for k in range(4)],
                [
                    [
                        mean([float(candidates.keypoints_xy[i, p, k]) for i in cluster])
                        for k in (0, 1)
                    ]
                    for p in range(6)
                ],
            )
        )
    return found


# Four digits lie further from every ratio of two areas of `boxes` than float32 errs.
SOME_IOUS = st.sampled_from([0.0713, 0.2871, 0.3713, 0.5339, 0.8117])


def assert_same(faces: Sequence[Face], others: Sequence[Face]) -> None:
    assert [face.score for face in faces] == [face.score for face in others]
    for face, other in zip(faces, others, strict=True):
        np.testing.assert_allclose(face.box_xyxy, other.box_xyxy, atol=1e-4)
        np.testing.assert_allclose(face.keypoints_xy, other.keypoints_xy, atol=1e-4)


@given(candidate_sets(), SOME_IOUS)
def test_blending_is_the_papers_rule(candidates: Candidates, min_iou: float) -> None:
    faces = blend(candidates, min_iou)
    literal = [
        Face(np.array(box, np.float32), np.array(points, np.float32), score)
        for score, box, points in literal_blend(candidates, min_iou)
    ]
    assert_same(faces, literal)
    assert 1 <= len(faces) <= len(candidates.scores)
    assert [face.score for face in faces] == sorted((f.score for f in faces), reverse=True)


@given(candidate_sets(), SOME_IOUS, st.randoms(use_true_random=False))
def test_blending_does_not_depend_on_the_order_of_candidates(
    candidates: Candidates, min_iou: float, random: object
) -> None:
    order = np.arange(len(candidates.scores))
    random.shuffle(order)  # type: ignore[attr-defined] # Hypothesis gives a random.Random
    shuffled = Candidates(
        candidates.boxes_xyxy[order],
        candidates.keypoints_xy[order],
        candidates.scores[order],
        candidates.ranks[order],
    )
    assert_same(blend(candidates, min_iou), blend(shuffled, min_iou))


def test_scores_are_the_weights_of_blending() -> None:
    candidates = make_candidates([[0, 0, 10, 10], [2, 2, 12, 12]], [0.9, 0.3])
    (face,) = blend(candidates, 0.3)
    np.testing.assert_allclose(face.box_xyxy, [0.5, 0.5, 10.5, 10.5], atol=1e-5)
    assert face.score == pytest.approx(0.9)


@given(boxes(), st.lists(st.floats(0.125, 1, width=32), min_size=1, max_size=8))
def test_identical_boxes_are_one_face_at_that_place(box: Box, scores: list[float]) -> None:
    (face,) = blend(make_candidates([box] * len(scores), scores), 0.5)
    np.testing.assert_allclose(face.box_xyxy, box, atol=1e-4)
    assert face.score == max(scores)


def test_the_region_of_the_lowest_rank_is_believed_where_several_see_one_face() -> None:
    candidates = make_candidates(
        [[0, 0, 10, 10], [1, 1, 11, 11], [2, 2, 12, 12]],
        [0.9, 0.6, 0.5],
        [RegionKind.WHOLE.value, RegionKind.TRACK.value, RegionKind.TILE.value],
    )
    (face,) = blend(candidates, 0.3)
    np.testing.assert_allclose(face.box_xyxy, [1, 1, 11, 11], atol=1e-5)
    assert face.score == pytest.approx(0.9)


@pytest.mark.parametrize(
    "other", [[40, 40, 60, 60], [20, 10, 150, 210]], ids=["part of the face", "head and shoulders"]
)
def test_a_box_within_a_box_is_no_face_of_its_own_and_moves_nothing(other: list[float]) -> None:
    face = [30, 30, 90, 90]
    (found,) = blend(make_candidates([other, face], [0.6, 0.9]), 0.3)
    np.testing.assert_allclose(found.box_xyxy, face, atol=1e-5)


def test_faces_side_by_side_stay_apart() -> None:
    found = blend(
        make_candidates([[0, 0, 50, 50], [40, 0, 90, 50], [60, 60, 80, 80]], [0.7, 0.9, 0.8]), 0.3
    )
    assert [face.box_xyxy[0] for face in found] == [40, 60, 0]


@given(boxes(), boxes())
def test_iou_is_the_exact_ratio_of_areas(first: Box, second: Box) -> None:
    a, b = np.array(first, np.float32), np.array([second], np.float32)
    value = float(iou(a, b)[0])
    assert value == pytest.approx(float(exact_iou(first, second)), abs=1e-6)
    assert value == float(iou(b[0], a[None])[0])
    assert 0 <= value <= 1
    assert float(iou(a, a[None])[0]) == 1


def test_iou_of_boxes_without_area_is_nought() -> None:
    point = np.array([3, 3, 3, 3], np.float32)
    assert iou(point, point[None]).tolist() == [0]
