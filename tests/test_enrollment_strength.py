from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbell.domain import FaceSample, Pose
from doorbell.household.enrollment_strength import (
    GUIDANCE,
    POSE_FRAMES,
    POSES,
    Coverage,
    Level,
    strength,
)
from doorbell.recognition.quality import Quality

GOOD = Quality(120, 0.5, Pose(0, 0, 0), 120, 1.0, 30.0, 0.0)


def samples(count: int, quality: float = 0.8, apart: float = 1.0) -> list[FaceSample]:
    """Of one person, ``apart`` in other directions than all others."""
    vectors = np.zeros((count, 128), np.float32)
    vectors[:, 0] = 1
    vectors[np.arange(count), np.arange(count) + 1] = apart
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [FaceSample(vector, "test", quality) for vector in vectors]


@pytest.mark.parametrize(
    ("count", "level"),
    [(0, Level.WEAK), (1, Level.WEAK), (2, Level.FAIR), (4, Level.FAIR), (5, Level.STRONG)],
)
def test_more_pictures_that_differ_make_a_person_stronger(count: int, level: Level) -> None:
    judged = strength(samples(count))
    assert judged.level is level
    assert bool(judged.missing) is (level is not Level.STRONG)


def test_what_is_missing_is_counted() -> None:
    assert strength(samples(4)).missing == ("one more photo of another day and light",)
    assert strength(samples(2)).missing == ("3 more photos of another day and light",)


def test_pictures_of_one_sitting_count_once() -> None:
    assert strength(samples(8, apart=0.2)).level is Level.WEAK


def test_poor_pictures_count_for_nothing() -> None:
    judged = strength(samples(8, quality=0.1))
    assert judged.level is Level.WEAK
    assert judged.missing[0] == "come nearer, in even light"


def test_the_pictures_at_hand_tell_what_to_do() -> None:
    missing = strength(samples(1), [GOOD]).missing
    assert missing[:2] == (GUIDANCE["left"], GUIDANCE["right"])
    to_the_left = replace(GOOD, pose=Pose(20, 0, 0))
    assert GUIDANCE["left"] not in strength(samples(2), [GOOD, to_the_left]).missing
    assert GUIDANCE["right"] in strength(samples(2), [GOOD, to_the_left]).missing
    assert (
        "one more photo in daylight" in strength(samples(1), [replace(GOOD, brightness=50)]).missing
    )
    assert "come nearer" in strength(samples(1), [replace(GOOD, size_pixels=60)]).missing[0]


@given(st.lists(st.floats(0, 1), max_size=8))
def test_another_sample_never_makes_a_person_weaker(qualities: list[float]) -> None:
    everything = [
        replace(sample, quality=quality)
        for sample, quality in zip(samples(len(qualities)), qualities, strict=True)
    ]
    levels = [strength(everything[:n]).level for n in range(len(everything) + 1)]
    ranks = [[Level.WEAK, Level.FAIR, Level.STRONG].index(level) for level in levels]
    assert ranks == sorted(ranks)


def test_a_person_is_guided_through_every_pose() -> None:
    coverage = Coverage()
    assert coverage.seen == ()
    # This person's straight look is measured as -5 degrees.
    path = {
        "straight": Pose(3, -5, 0),
        "left": Pose(20, -5, 0),
        "right": Pose(-20, -5, 0),
        "up": Pose(0, 3, 0),
        "down": Pose(0, -13, 0),
    }
    for number, (name, pose) in enumerate(path.items()):
        assert coverage.missing[0] == name
        for _ in range(POSE_FRAMES):
            coverage.add(pose)
        assert coverage.seen == POSES[: number + 1]
    assert not coverage.missing


def test_looking_straight_on_shows_no_other_pose() -> None:
    coverage = Coverage()
    for pitch in (-5, -4, -6, -5, -3, -7):
        coverage.add(Pose(2, pitch, 0))
    assert coverage.seen == ("straight",)
