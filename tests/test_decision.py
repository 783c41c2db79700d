from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbell.config import RecognitionSection
from doorbell.domain import FaceSample, Float32Array, Match, Person, Stranger, Verdict
from doorbell.recognition.calibration import needed_similarity
from doorbell.recognition.decision import (
    ALIEN_RUN,
    ALIEN_SIMILARITY,
    UNKNOWN_FRAMES_FACTOR,
    Centroids,
    Evidence,
    decide,
)
from doorbell.recognition.nearest import MANY
from doorbell.recognition.templates import Templates

SECTION = RecognitionSection(
    risk=0.001,
    stranger_similarity=0.55,
    min_frames=3,
    decide_within_seconds=2.0,
)
QUALITY = 0.8
# Every frame of ``evidence`` is the same, and so worth no more than one.
THRESHOLD = needed_similarity(2, QUALITY, SECTION.risk)
ENOUGH_FOR_UNKNOWN = SECTION.min_frames * UNKNOWN_FRAMES_FACTOR

ANNA, BELA = Person(1, "Anna"), Person(2, "Béla")
POSTMAN, COURIER = Stranger(1, 0.0, 1.0, 2), Stranger(2, 0.0, 1.0, 1)


def vector(**cosines: float) -> Float32Array:
    """A unit vector by its cosines with each visitor; the rest of it is like nobody."""
    axes = {"anna": 0, "bela": 1, "postman": 2, "courier": 3}
    found = np.zeros(128, np.float32)
    for name, cosine in cosines.items():
        found[axes[name]] = cosine
    found[127] = max(1 - float(found @ found), 0) ** 0.5
    return found


def templates(
    people: Sequence[tuple[Person, Float32Array]] = (),
    strangers: Sequence[tuple[Stranger, Float32Array]] = (),
) -> Templates:
    everybody = [p for i, (p, _) in enumerate(people) if p not in [q for q, _ in people[:i]]]
    others = [stranger for stranger, _ in strangers]
    return Templates(
        "test",
        tuple(everybody),
        np.array([everybody.index(person) for person, _ in people], np.int64),
        np.array([v for _, v in people], np.float32).reshape(-1, 128),
        tuple(others),
        np.array([others.index(stranger) for stranger, _ in strangers], np.int64),
        np.array([v for _, v in strangers], np.float32).reshape(-1, 128),
    )


HOUSEHOLD = Centroids.of(
    templates(
        [(ANNA, vector(anna=1)), (BELA, vector(bela=1))],
        [(POSTMAN, vector(postman=1)), (COURIER, vector(courier=1))],
    )
)
NOBODY = Centroids.of(templates())


def evidence(embedding: Float32Array, frames: int) -> Evidence:
    gathered = Evidence(started_seconds=10.0)
    for _ in range(frames):
        gathered.add(FaceSample(embedding, "test", QUALITY))
    return gathered


def verdict(
    cosines: Mapping[str, float],
    *,
    frames: int = 3,
    after: float = 0.5,
    centroids: Centroids = HOUSEHOLD,
) -> Match:
    gathered = evidence(vector(**cosines), frames)
    return decide(gathered, centroids, SECTION, 10.0 + after)


def test_a_near_person_is_named_after_enough_frames() -> None:
    match = verdict({"anna": 0.65})
    assert (match.verdict, match.visitor, match.frames_used) == (Verdict.KNOWN, ANNA, 3)
    assert match.similarity == pytest.approx(0.65)


@pytest.mark.parametrize("frames", [0, 1, 2])
@pytest.mark.parametrize("after", [0.1, 100.0])
@pytest.mark.parametrize("cosines", [{"anna": 1.0}, {}], ids=["anna", "stranger"])
def test_too_few_frames_decide_nothing_however_long_it_takes(
    frames: int, after: float, cosines: dict[str, float]
) -> None:
    match = verdict(cosines, frames=frames, after=after)
    assert (match.verdict, match.visitor) == (Verdict.UNDECIDED, None)
    assert match.frames_used == frames


def test_similarity_between_the_thresholds_waits_until_time_is_up() -> None:
    doubtful = THRESHOLD - 0.05
    waiting = verdict({"anna": doubtful}, frames=20, after=1.9)
    assert (waiting.verdict, waiting.visitor) == (Verdict.UNDECIDED, None)
    assert waiting.similarity == pytest.approx(doubtful)
    late = verdict({"anna": doubtful}, frames=20, after=2.0)
    assert (late.verdict, late.visitor) == (Verdict.UNKNOWN, None)
    assert late.similarity == pytest.approx(doubtful)


def test_unknown_takes_more_frames_than_a_name() -> None:
    assert UNKNOWN_FRAMES_FACTOR > 1
    early = verdict({"anna": 0.2}, frames=ENOUGH_FOR_UNKNOWN - 1)
    assert early.verdict is Verdict.UNDECIDED
    assert verdict({"anna": 0.2}, frames=ENOUGH_FOR_UNKNOWN).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(("bela", "expected"), [(0.55, ANNA), (0.62, None)])
def test_a_name_must_be_clearly_nearer_than_the_next(bela: float, expected: Person | None) -> None:
    match = verdict({"anna": 0.7, "bela": bela})
    assert match.visitor == expected
    assert (match.verdict is Verdict.KNOWN) == (expected is not None)


def test_between_two_people_nobody_is_named_even_when_time_is_up() -> None:
    assert verdict({"anna": 0.7, "bela": 0.69}, frames=20, after=9).verdict is Verdict.UNKNOWN


def test_the_only_person_enrolled_needs_no_lead_and_less_evidence() -> None:
    alone = Centroids.of(templates([(ANNA, vector(anna=1))]))
    threshold = needed_similarity(1, QUALITY, SECTION.risk)
    assert threshold < THRESHOLD
    assert verdict({"anna": threshold + 0.002}, centroids=alone).visitor == ANNA
    assert verdict({"anna": threshold - 0.002}, centroids=alone).verdict is Verdict.UNDECIDED


def test_frames_that_show_nothing_new_are_worth_no_more_than_one() -> None:
    alike, different = evidence(vector(anna=1), 5), Evidence(0.0)
    for axis in ("bela", "postman", "courier"):
        different.add(FaceSample(vector(anna=0.8, **{axis: 0.6}), "test", QUALITY))
    assert alike.worth == pytest.approx(QUALITY)
    assert different.worth == pytest.approx(3 * QUALITY)


def test_frames_that_differ_make_a_name_possible_that_one_alone_does_not() -> None:
    alone = Centroids.of(templates([(ANNA, vector(anna=1))]))
    moving = Evidence(10.0)
    for axis in ("bela", "postman", "courier"):
        moving.add(FaceSample(vector(anna=0.36, **{axis: 0.8}), "test", QUALITY))
    assert moving.signature is not None
    cosine = float(moving.signature @ vector(anna=1))
    assert needed_similarity(1, moving.worth, SECTION.risk) < cosine
    assert cosine < needed_similarity(1, QUALITY, SECTION.risk)
    assert decide(moving, alone, SECTION, 10.5).visitor == ANNA
    assert verdict({"anna": cosine}, centroids=alone).verdict is Verdict.UNDECIDED


def test_a_stranger_met_before_is_known_by_identifier() -> None:
    match = verdict({"courier": 0.6, "anna": 0.2}, frames=ENOUGH_FOR_UNKNOWN)
    assert (match.verdict, match.visitor) == (Verdict.UNKNOWN, COURIER)
    assert match.similarity == pytest.approx(0.6)
    too_unlike = verdict({"courier": 0.5, "anna": 0.2}, frames=ENOUGH_FOR_UNKNOWN)
    assert (too_unlike.verdict, too_unlike.visitor) == (Verdict.UNKNOWN, None)
    assert too_unlike.similarity == pytest.approx(0.2)


def test_a_person_goes_before_a_stranger_who_is_nearer() -> None:
    assert verdict({"anna": 0.65, "postman": 0.7}, frames=20, after=9).visitor == ANNA


def test_with_an_empty_gallery_everybody_is_unknown() -> None:
    assert verdict({}, centroids=NOBODY).verdict is Verdict.UNDECIDED
    match = verdict({}, frames=ENOUGH_FOR_UNKNOWN, centroids=NOBODY)
    assert (match.verdict, match.visitor, match.similarity) == (Verdict.UNKNOWN, None, 0)


def test_without_a_single_embedding_there_is_nothing_to_say() -> None:
    assert decide(Evidence(0.0), HOUSEHOLD, SECTION, 100.0) == Match(
        Verdict.UNDECIDED, None, 0.0, 0
    )


@given(
    st.dictionaries(st.sampled_from(["anna", "bela", "postman"]), st.floats(0, THRESHOLD - 0.01)),
    st.integers(0, 12),
    st.floats(0, 5),
)
def test_nobody_is_named_below_the_threshold(
    cosines: dict[str, float], frames: int, after: float
) -> None:
    match = verdict(cosines, frames=frames, after=after)
    assert match.verdict is not Verdict.KNOWN
    assert not isinstance(match.visitor, Person)


def unit(seed: int) -> Float32Array:
    found = np.random.default_rng(seed).normal(size=128)
    return np.asarray(found / np.linalg.norm(found), np.float32)


def test_centroids_are_the_mean_direction_of_each_visitors_samples() -> None:
    centroids = Centroids.of(
        templates([(BELA, unit(1)), (ANNA, unit(2)), (BELA, unit(3))], [(POSTMAN, unit(4))])
    )
    assert centroids.people == (BELA, ANNA)
    both = unit(1) + unit(3)
    np.testing.assert_allclose(
        centroids.people_vectors, [both / np.linalg.norm(both), unit(2)], atol=1e-6
    )
    assert centroids.strangers == (POSTMAN,)
    np.testing.assert_allclose(centroids.stranger_vectors, [unit(4)], atol=1e-6)


def test_people_without_samples_of_this_model_are_never_compared() -> None:
    enrolled = templates([(BELA, vector(bela=1))])
    with_anna = Templates(
        enrolled.model_id,
        (ANNA, BELA),
        np.array([1], np.int64),
        enrolled.person_embeddings,
        (),
        enrolled.stranger_index,
        enrolled.stranger_embeddings,
    )
    centroids = Centroids.of(with_anna)
    assert centroids.people == (BELA,)
    assert verdict({"bela": 0.9}, centroids=centroids).visitor == BELA


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
    assert decide(gathered, HOUSEHOLD, SECTION, 11.0).visitor == ANNA
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


def test_a_town_is_told_apart_as_a_household_is() -> None:
    """So many are compared in one byte a number; what is decided is the same."""
    generator = np.random.default_rng(3)
    vectors = generator.standard_normal((MANY, 128)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    people = tuple(Person(number, f"Person {number}") for number in range(MANY))
    strangers = tuple(Stranger(number, 0.0, 1.0, 1) for number in range(MANY))
    town = Centroids(people, vectors, strangers, -vectors)
    first = verdict_on(vectors[77], town)
    assert (first.verdict, first.visitor) == (Verdict.KNOWN, people[77])
    stranger = verdict_on(-vectors[88], town)
    assert (stranger.verdict, stranger.visitor) == (Verdict.UNKNOWN, strangers[88])
    assert stranger.similarity == pytest.approx(1)
    mistaken = replace(town, negative_index=np.array([77, 5]), negative_vectors=vectors[[77, 5]])
    assert verdict_on(vectors[77], mistaken).visitor is None
    assert verdict_on(vectors[78], mistaken).visitor == people[78]


def verdict_on(face: Float32Array, centroids: Centroids) -> Match:
    return decide(evidence(face, ENOUGH_FOR_UNKNOWN), centroids, SECTION, 20.0)
