import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbell.recognition.calibration import (
    FRAME_SPREAD,
    OTHERS_MEAN,
    OTHERS_SPREAD,
    PERSON_MEAN,
    PERSON_SPREAD,
    log_odds,
    needed_log_odds,
    needed_similarity,
)

PEOPLE = st.integers(1, 2000)
FRAMES = st.floats(0.1, 50)
RISKS = st.floats(1e-6, 0.1)


def test_evidence_is_the_ratio_of_both_densities() -> None:
    def density(value: float, mean: float, variance: float) -> float:
        return float(np.exp(-((value - mean) ** 2) / 2 / variance) / np.sqrt(2 * np.pi * variance))

    noise = FRAME_SPREAD**2 / 4
    expected = density(0.5, PERSON_MEAN, PERSON_SPREAD**2 + noise) / density(
        0.5, OTHERS_MEAN, OTHERS_SPREAD**2 + noise
    )
    found = log_odds(np.array([0.5], np.float32), 4)
    assert float(found[0]) == pytest.approx(np.log(expected), rel=1e-4)


@given(FRAMES)
def test_more_alike_is_more_evidence(frames: float) -> None:
    odds = log_odds(np.linspace(0, 1, 101, dtype=np.float32), frames)
    assert (np.diff(odds) > 0).all()
    assert odds[0] < 0 < odds[-1]


@given(PEOPLE, FRAMES, RISKS)
def test_the_needed_similarity_has_the_needed_evidence(
    people: int, frames: float, risk: float
) -> None:
    needed = needed_similarity(people, frames, risk)
    assert OTHERS_MEAN < needed <= 1
    if needed < 1:
        around = log_odds(np.array([needed - 0.001, needed], np.float32), frames)
        assert around[0] < needed_log_odds(people, risk) <= around[1]


@given(PEOPLE, FRAMES, RISKS)
def test_more_people_fewer_frames_and_less_risk_take_more(
    people: int, frames: float, risk: float
) -> None:
    needed = needed_similarity(people, frames, risk)
    assert needed_similarity(people + 100, frames, risk) >= needed
    assert needed_similarity(people, frames / 2, risk) >= needed
    assert needed_similarity(people, frames, risk / 2) >= needed


@pytest.mark.parametrize("people", [1, 8])
def test_strangers_who_stay_long_are_named_no_more_often_than_the_risk(people: int) -> None:
    """The bound holds over all frames of a visit together, not only for one look."""
    rng = np.random.default_rng(5)
    visits, frames, risk = 4000, 30, 0.05
    own = rng.normal(OTHERS_MEAN, OTHERS_SPREAD, (visits, people, 1))
    cosines = own + rng.normal(0, FRAME_SPREAD, (visits, people, frames))
    means = np.cumsum(cosines, axis=2) / np.arange(1, frames + 1)
    named = np.zeros(visits, bool)
    for seen in range(1, frames + 1):
        odds = log_odds(means[:, :, seen - 1].astype(np.float32), seen)
        named |= (odds >= needed_log_odds(people, risk)).any(axis=1)
    assert 0 < named.mean() <= risk


def test_a_person_seen_as_in_the_measurements_is_named() -> None:
    for people in (1, 5, 30):
        assert needed_similarity(people, 1.0, 0.001) < PERSON_MEAN
