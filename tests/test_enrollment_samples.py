"""Which pictures of one face are kept."""

import numpy as np

from doorbell.domain import Face, FaceSample, Float32Array, Pose
from doorbell.household.enrollment_samples import (
    EMBEDDED_PORTRAITS,
    KEPT_SAMPLES,
    TOO_ALIKE,
    SeenTrack,
    distinct,
)
from doorbell.pipeline.perception import FaceCrop
from doorbell.recognition.quality import Quality

QUALITY = Quality(120, 0.5, Pose(0, 0, 0), 120, 1.0, 30.0, 0.0)


def portrait(number: int) -> FaceCrop:
    face = Face(np.zeros(4, np.float32), np.zeros((6, 2), np.float32), number / 10_000)
    return FaceCrop(face, np.zeros((112, 112, 3), np.uint8), QUALITY)


def like(first: Float32Array, cosine: float, axis: int) -> Float32Array:
    """A vector at that cosine from another."""
    vector = cosine * first
    vector[axis] += np.sqrt(1 - cosine**2)
    return np.asarray(vector, np.float32)


def sample(vector: Float32Array, quality: float = 0.5) -> FaceSample:
    return FaceSample(vector, "any", quality)


FIRST = np.eye(128, dtype=np.float32)[0]


def test_a_long_track_is_thinned_out_evenly() -> None:
    track = SeenTrack()
    for number in range(10_000):
        track.add(portrait(number))
        assert len(track.portraits) < 4 * EMBEDDED_PORTRAITS
    kept = np.array([round(each.face.score * 10_000) for each in track.portraits])
    assert track.usable == 10_000
    assert kept[0] == 0
    assert set(np.diff(kept)) == {64}
    assert EMBEDDED_PORTRAITS <= len(track.spread) < 2 * EMBEDDED_PORTRAITS
    assert len(SeenTrack().spread) == 0


def test_those_that_differ_are_kept_the_best_first() -> None:
    vectors = [like(FIRST, 0.9, axis) for axis in range(1, 13)]
    samples = [sample(v, quality=0.5 + axis / 100) for axis, v in enumerate(vectors)]
    chosen = distinct(samples)
    assert len(chosen) == KEPT_SAMPLES
    assert chosen[0] is samples[-1]


def test_twins_and_strangers_to_the_rest_are_left_out() -> None:
    other = np.eye(128, dtype=np.float32)[100]
    twins = [sample(like(FIRST, 0.999, axis)) for axis in range(1, 6)]
    turned = sample(like(FIRST, 0.9, 7))
    chosen = distinct([*twins, turned, sample(other, quality=1.0)])
    assert len(chosen) == 2
    assert any(each is turned for each in chosen)
    cosine = float(chosen[0].embedding @ chosen[1].embedding)
    assert cosine <= TOO_ALIKE


def test_of_nothing_and_of_faces_that_are_all_others_nothing_is_kept() -> None:
    assert distinct([]) == []
    assert distinct([sample(vector) for vector in np.eye(128, dtype=np.float32)[:8]]) == []
