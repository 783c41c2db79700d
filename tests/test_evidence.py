"""What the frames of a track add up to."""

import numpy as np
import pytest
from deciding import ANNA, HOUSEHOLD, QUALITY, decided, evidence, unit, vector
from hypothesis import given
from hypothesis import strategies as st

from doorbell.domain import FaceSample
from doorbell.recognition.decision import ALIEN_RUN, ALIEN_SIMILARITY, Evidence


def test_frames_that_show_nothing_new_are_worth_no_more_than_one() -> None:
    alike, different = evidence(vector(anna=1), 5), Evidence(0.0)
    for axis in ("bela", "postman", "courier"):
        different.add(FaceSample(vector(anna=0.8, **{axis: 0.6}), "test", QUALITY))
    assert alike.looks == pytest.approx(1)
    assert different.looks == pytest.approx(3)


def test_the_quality_is_the_mean_as_the_signature_weighs_it() -> None:
    gathered = Evidence(0.0)
    assert gathered.quality == 0
    gathered.add(FaceSample(vector(anna=1), "test", 0.6))
    gathered.add(FaceSample(vector(anna=0.8, bela=0.6), "test", 0.2))
    assert gathered.quality == pytest.approx((0.6**2 + 0.2**2) / 0.8)


def test_better_frames_weigh_more() -> None:
    gathered = Evidence(0.0)
    gathered.add(FaceSample(vector(anna=1), "test", 0.9))
    gathered.add(FaceSample(vector(anna=0.6, bela=0.8), "test", 0.3))
    expected = 0.9 * vector(anna=1) + 0.3 * vector(anna=0.6, bela=0.8)
    assert gathered.signature is not None
    np.testing.assert_allclose(gathered.signature, expected / np.linalg.norm(expected), atol=1e-6)


def test_the_best_samples_are_kept_best_first() -> None:
    gathered = Evidence(0.0)
    qualities = [0.3, 0.9, 0.1, 0.8, 0.2, 0.7, 0.6, 0.4]
    for quality in qualities:
        gathered.add(FaceSample(vector(anna=1), "test", quality))
    kept = [sample.quality for sample in gathered.best_samples]
    assert kept == sorted(qualities, reverse=True)[: Evidence.KEPT]
    assert gathered.frames == len(qualities)


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0, 1)), min_size=1, max_size=12))
def test_the_signature_has_unit_length(samples: list[tuple[int, float]]) -> None:
    gathered = Evidence(0.0)
    for seed, quality in samples:
        gathered.add(FaceSample(unit(seed), "test", quality))
    assert gathered.signature is not None
    assert np.linalg.norm(gathered.signature) == pytest.approx(1, abs=1e-5)
    assert gathered.signature.dtype == np.float32


ALIEN = FaceSample(vector(bela=1), "test", 0.9)
OWN = FaceSample(vector(anna=1), "test", 0.9)


def test_a_track_that_jumps_to_another_face_is_broken_and_keeps_its_own() -> None:
    gathered = evidence(vector(anna=1), 4)
    for run in range(ALIEN_RUN):
        assert not gathered.is_broken, run
        gathered.add(ALIEN)
    assert gathered.is_broken
    assert gathered.frames == 4
    assert decided(gathered, HOUSEHOLD, 11.0).visitor == ANNA
    assert ALIEN not in gathered.best_samples


def test_a_bad_frame_now_and_then_does_not_break_a_track() -> None:
    gathered = evidence(vector(anna=1), 4)
    for _ in range(5):
        for _ in range(ALIEN_RUN - 1):
            gathered.add(ALIEN)
        gathered.add(OWN)
        assert not gathered.is_broken
    assert gathered.frames == 9


def test_a_face_only_somewhat_unlike_its_track_counts() -> None:
    gathered = evidence(vector(anna=1), 4)
    turned = vector(anna=ALIEN_SIMILARITY + 0.05, bela=0.5)
    gathered.add(FaceSample(turned, "test", 0.9))
    assert gathered.frames == 5
