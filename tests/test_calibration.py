import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbell.recognition.calibration import (
    FRAME_SPREAD,
    OTHERS_SPREAD,
    PERSON_SPREAD,
    log_odds,
    needed_similarity,
    others_mean,
)
from doorbell.recognition.candidates import Source

PEOPLE = st.integers(1, 2000)
QUALITIES = st.floats(0.1, 0.71)
LOOKS = st.floats(0.1, 50)
RISKS = st.floats(1e-6, 0.1)
SOURCES = st.sampled_from(Source)


def test_evidence_is_the_ratio_of_both_densities() -> None:
    def density(value: float, mean: float, variance: float) -> float:
        return float(np.exp(-((value - mean) ** 2) / 2 / variance) / np.sqrt(2 * np.pi * variance))

    noise = FRAME_SPREAD**2 / 4
    expected = density(0.5, 0.6, PERSON_SPREAD**2 + noise) / density(
        0.5, others_mean(0.6), OTHERS_SPREAD**2 + noise
    )
    assert log_odds(0.5, 0.6, 4) == pytest.approx(np.log(expected), rel=1e-4)


@given(QUALITIES, LOOKS, SOURCES)
def test_who_is_as_alike_as_expected_is_likelier_the_person(
    quality: float, looks: float, source: Source
) -> None:
    if quality > others_mean(quality, source) + 0.1:
        assert log_odds(quality, quality, looks, source) > 0
        assert log_odds(others_mean(quality, source) - 0.1, quality, looks, source) < 0


@given(QUALITIES, LOOKS, SOURCES, st.floats(0.01, 0.3))
def test_who_is_more_alike_than_expected_is_no_less_likely_for_it(
    quality: float, looks: float, source: Source, more: float
) -> None:
    if quality > others_mean(quality, source):
        expected = log_odds(quality, quality, looks, source)
        assert log_odds(quality + more, quality, looks, source) > expected


@given(PEOPLE, QUALITIES, LOOKS, RISKS, SOURCES)
def test_more_people_fewer_looks_and_less_risk_take_more(
    people: int, quality: float, looks: float, risk: float, source: Source
) -> None:
    needed = needed_similarity(people, quality, looks, risk, source)
    assert others_mean(quality, source) < needed <= 1
    assert needed_similarity(people + 100, quality, looks, risk, source) >= needed
    assert needed_similarity(people, quality, looks / 2, risk, source) >= needed
    assert needed_similarity(people, quality, looks, risk / 2, source) >= needed
    assert needed >= needed_similarity(people, quality, looks, risk)  # as of a photograph


@pytest.mark.parametrize("people", [1, 8])
@pytest.mark.parametrize("quality", [0.3, 0.65])
def test_strangers_who_stay_long_are_named_no_more_often_than_the_risk(
    people: int, quality: float
) -> None:
    """However often one looks."""
    rng = np.random.default_rng(5)
    visits, frames, risk = 4000, 30, 0.05
    own = rng.normal(others_mean(quality), OTHERS_SPREAD, (visits, people, 1))
    cosines = own + rng.normal(0, FRAME_SPREAD, (visits, people, frames))
    means = np.cumsum(cosines, axis=2) / np.arange(1, frames + 1)
    named = np.zeros(visits, bool)
    for seen in range(3, frames + 1):
        needed = needed_similarity(people, quality, seen, risk)
        named |= (means[:, :, seen - 1] >= needed).any(axis=1)
    assert 0 < named.mean() <= risk


@pytest.mark.parametrize("people", [1, 5, 30])
def test_who_is_seen_well_is_named_with_room_to_spare(people: int) -> None:
    assert needed_similarity(people, 0.65, 1.0, 0.001) < 0.65 - 1.3 * PERSON_SPREAD
