import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbell.domain import Float32Array, Pose
from doorbell.household.enrollment_checks import (
    ANOTHER_PERSON_SIMILARITY,
    CHECKS,
    SAME_PERSON_SIMILARITY,
    check_others,
    check_quality,
    check_same_person,
    likeness_to_own,
)
from doorbell.recognition.quality import Quality

NONE_STORED = np.empty((0, 128), np.float32)


def quality(
    size: float = 120, sharpness: float = 0.5, yaw: float = 0, brightness: float = 120
) -> Quality:
    return Quality(size, sharpness, Pose(yaw, 0.0, 0.0), brightness, 1.0, 30.0, 0.0)


def photos(identity: int, count: int, seed: int = 0, likeness: float = 0.8) -> list[Float32Array]:
    """Vectors of one person; two of them have about the square of that cosine."""
    random = np.random.default_rng(seed)
    vectors = []
    for _ in range(count):
        other = random.normal(size=128)
        other[:8] = 0
        other *= (1 - likeness**2) ** 0.5 / np.linalg.norm(other)
        other[identity] = likeness
        vectors.append(other.astype(np.float32))
    return vectors


@pytest.mark.parametrize(
    ("spoilt", "name", "problem"),
    [
        (quality(size=40), "size", "only 40 pixels"),
        (quality(sharpness=0.05), "blur", "blurred"),
        (quality(yaw=-50), "pose", "yaw -50 degrees"),
        (quality(brightness=10), "light", "too dark"),
        (quality(brightness=250), "light", "too bright"),
    ],
)
def test_each_thing_is_checked_by_itself(spoilt: Quality, name: str, problem: str) -> None:
    checks = check_quality(spoilt, "the face")
    assert tuple(check.name for check in checks) == CHECKS[:4]
    [failed] = [check for check in checks if not check.passed]
    assert failed.name == name
    assert problem in failed.problem
    assert failed.hint


def test_a_good_picture_passes() -> None:
    assert all(check.passed and not check.hint for check in check_quality(quality(), "the face"))


def test_who_looks_like_somebody_else_is_told_whom() -> None:
    assert check_others(ANOTHER_PERSON_SIMILARITY - 0.01, "Anna").passed
    check = check_others(ANOTHER_PERSON_SIMILARITY, "Anna")
    assert not check.passed
    assert "looks like Anna (similarity 0.50)" in check.problem


def test_who_is_unlike_the_other_pictures_may_be_somebody_else() -> None:
    assert check_same_person(SAME_PERSON_SIMILARITY, 0.7, "Anna").passed
    assert not check_same_person(SAME_PERSON_SIMILARITY - 0.01, 0.7, "Anna").passed
    check = check_same_person(0.1, 0.7, "Anna")
    assert not check.passed
    assert "Anna's other pictures" in check.problem
    assert "somebody else" in check.hint


def test_of_a_picture_by_night_less_likeness_is_asked() -> None:
    assert check_same_person(0.24, 0.4, "Anna").passed
    assert not check_same_person(0.24, 0.6, "Anna").passed
    assert not check_same_person(0.2, 0.25, "Anna").passed  # as many a stranger has


def test_a_single_picture_has_nothing_to_be_compared_with() -> None:
    assert likeness_to_own(photos(1, 1), NONE_STORED) == [None]
    assert likeness_to_own([], NONE_STORED) == []


@given(st.integers(2, 6), st.integers(0, 6), st.integers(0, 1000))
def test_the_odd_picture_is_found_wherever_it_is(count: int, place: int, seed: int) -> None:
    vectors = photos(1, count, seed)
    place = min(place, count)
    vectors.insert(place, photos(2, 1, seed + 1)[0])
    likeness = likeness_to_own(vectors, NONE_STORED)
    odd = [i for i, each in enumerate(likeness) if (each or 0) < SAME_PERSON_SIMILARITY]
    assert odd == [place]


def test_of_two_different_people_the_later_is_refused() -> None:
    first, second = likeness_to_own([photos(1, 1)[0], photos(2, 1, 5)[0]], NONE_STORED)
    assert first is None
    assert second is not None
    assert second < SAME_PERSON_SIMILARITY


def test_what_is_stored_is_trusted_against_a_majority() -> None:
    stored = np.stack(photos(1, 1))
    likeness = likeness_to_own([*photos(2, 3, 1), *photos(1, 1, 2)], stored)
    assert [(each or 0) >= SAME_PERSON_SIMILARITY for each in likeness] == [False] * 3 + [True]
