from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from all_samples import Samples, decide_plainly, is_no_face_plainly
from hypothesis import given, settings
from hypothesis import strategies as st

from doorbell.config import RecognitionSection
from doorbell.domain import FaceSample, Float32Array, Match, Person, Stranger, Verdict
from doorbell.recognition.calibration import needed_similarity
from doorbell.recognition.candidates import Candidates, PersonCandidate, Source
from doorbell.recognition.decision import (
    ALIEN_RUN,
    ALIEN_SIMILARITY,
    UNKNOWN_FRAMES_FACTOR,
    Evidence,
    decide,
)
from doorbell.recognition.nearest import MANY, VectorIndex
from doorbell.recognition.negatives import is_no_face
from doorbell.recognition.templates import Templates, no_embeddings

SECTION = RecognitionSection(
    risk=0.001,
    stranger_similarity=0.55,
    min_frames=3,
    decide_within_seconds=2.0,
)
QUALITY = 0.65
# Every frame of ``evidence`` is the same, and so worth no more than one.
THRESHOLD = needed_similarity(2, QUALITY, 1.0, SECTION.risk)
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


def samples(
    people: Sequence[tuple[Person, Float32Array]] = (),
    strangers: Sequence[tuple[Stranger, Float32Array]] = (),
) -> Samples:
    everybody = [p for i, (p, _) in enumerate(people) if p not in [q for q, _ in people[:i]]]
    others = [stranger for stranger, _ in strangers]
    return Samples(
        tuple(everybody),
        np.array([everybody.index(person) for person, _ in people], np.int64),
        np.array([v for _, v in people], np.float32).reshape(-1, 128),
        tuple(others),
        np.array([others.index(stranger) for stranger, _ in strangers], np.int64),
        np.array([v for _, v in strangers], np.float32).reshape(-1, 128),
    )


def templates(
    people: Sequence[tuple[Person, Float32Array]] = (),
    strangers: Sequence[tuple[Stranger, Float32Array]] = (),
) -> Templates:
    return samples(people, strangers).templates()


HOUSEHOLD = templates(
    [(ANNA, vector(anna=1)), (BELA, vector(bela=1))],
    [(POSTMAN, vector(postman=1)), (COURIER, vector(courier=1))],
)
NOBODY = templates()


def evidence(embedding: Float32Array, frames: int, quality: float = QUALITY) -> Evidence:
    gathered = Evidence(started_seconds=10.0)
    for _ in range(frames):
        gathered.add(FaceSample(embedding, "test", quality))
    return gathered


def decided(gathered: Evidence, known: Templates, time_seconds: float) -> Match:
    signature = gathered.signature
    candidates = Candidates() if signature is None else known.candidates(signature)
    return decide(gathered, candidates, SECTION, time_seconds)


def verdict(
    cosines: Mapping[str, float],
    *,
    frames: int = 3,
    after: float = 0.5,
    known: Templates = HOUSEHOLD,
) -> Match:
    gathered = evidence(vector(**cosines), frames)
    return decided(gathered, known, 10.0 + after)


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
    alone = templates([(ANNA, vector(anna=1))])
    threshold = needed_similarity(1, QUALITY, 1.0, SECTION.risk)
    assert threshold < THRESHOLD
    assert verdict({"anna": threshold + 0.002}, known=alone).visitor == ANNA
    assert verdict({"anna": threshold - 0.002}, known=alone).verdict is Verdict.UNDECIDED


def test_frames_that_show_nothing_new_are_worth_no_more_than_one() -> None:
    alike, different = evidence(vector(anna=1), 5), Evidence(0.0)
    for axis in ("bela", "postman", "courier"):
        different.add(FaceSample(vector(anna=0.8, **{axis: 0.6}), "test", QUALITY))
    assert alike.looks == pytest.approx(1)
    assert different.looks == pytest.approx(3)


def test_frames_that_differ_make_a_name_possible_that_one_alone_does_not() -> None:
    alone = templates([(ANNA, vector(anna=1))])
    needed = [needed_similarity(1, QUALITY, looks, SECTION.risk) for looks in (1.0, 3.0)]
    cosine = sum(needed) / 2
    moving = Evidence(10.0)
    for axis in ("bela", "postman", "courier"):  # whose mean is 0.757 long
        moving.add(FaceSample(vector(anna=0.757 * cosine, **{axis: 0.8}), "test", QUALITY))
    assert moving.signature is not None
    assert float(moving.signature @ vector(anna=1)) == pytest.approx(cosine, abs=1e-3)
    assert moving.looks == pytest.approx(3)
    assert decided(moving, alone, 10.5).visitor == ANNA
    assert verdict({"anna": cosine}, known=alone).verdict is Verdict.UNDECIDED


def test_frames_that_could_not_tell_the_household_make_no_strangers() -> None:
    """In the dark Anna's face may be as unlike Anna as anybody's."""
    poor = needed_similarity(2, 0.3, 1.0, SECTION.risk) - 0.1
    gathered = evidence(vector(anna=0.0), ENOUGH_FOR_UNKNOWN, quality=poor)
    assert decided(gathered, HOUSEHOLD, 100.0).verdict is Verdict.UNDECIDED
    assert decided(gathered, NOBODY, 100.0).verdict is Verdict.UNDECIDED
    better = evidence(vector(anna=0.0), ENOUGH_FOR_UNKNOWN, quality=poor + 0.2)
    assert decided(better, HOUSEHOLD, 100.0).verdict is Verdict.UNKNOWN


def test_a_poor_face_that_is_alike_enough_is_named() -> None:
    gathered = evidence(vector(anna=0.5), 3, quality=0.3)
    assert decided(gathered, HOUSEHOLD, 10.5).visitor == ANNA


def test_the_quality_is_the_mean_as_the_signature_weighs_it() -> None:
    gathered = Evidence(0.0)
    assert gathered.quality == 0
    gathered.add(FaceSample(vector(anna=1), "test", 0.6))
    gathered.add(FaceSample(vector(anna=0.8, bela=0.6), "test", 0.2))
    assert gathered.quality == pytest.approx((0.6**2 + 0.2**2) / 0.8)


def likeness_to_anna(by_source: Mapping[Source, float], quality: float = QUALITY) -> Match:
    candidates = Candidates((PersonCandidate(ANNA, max(by_source.values()), by_source),), 4)
    return decide(evidence(vector(anna=1), 3, quality=quality), candidates, SECTION, 10.5)


def test_frames_of_a_camera_must_be_more_alike_than_photographs() -> None:
    """They share its lens and light with every visitor."""
    cosine = needed_similarity(4, QUALITY, 1.0, SECTION.risk) + 0.01
    assert likeness_to_anna({Source.PHOTOGRAPH: cosine}).visitor == ANNA
    assert likeness_to_anna({Source.CAMERA: cosine}).visitor is None
    assert likeness_to_anna({Source.CAMERA: cosine + 0.15}).visitor == ANNA


def test_one_of_a_persons_templates_is_enough() -> None:
    alike = needed_similarity(8, QUALITY, 1.0, SECTION.risk) + 0.01
    found = likeness_to_anna({Source.PHOTOGRAPH: alike, Source.CAMERA: 0.1})
    assert found.visitor == ANNA
    neither = likeness_to_anna({Source.PHOTOGRAPH: alike - 0.02, Source.CAMERA: 0.1})
    assert neither.visitor is None


DRAWN = [source for source in Source if source.is_drawn]


@pytest.mark.parametrize("source", DRAWN)
def test_a_drawn_variant_names_somebody_and_asks_for_more(source: Source) -> None:
    of_photograph = needed_similarity(4, QUALITY, 1.0, SECTION.risk)
    of_drawn = needed_similarity(4, QUALITY, 1.0, SECTION.risk, source)
    assert of_drawn > of_photograph + 0.02
    below = {Source.PHOTOGRAPH: of_photograph - 0.01}
    assert likeness_to_anna({**below, source: of_drawn - 0.01}).visitor is None
    assert likeness_to_anna({**below, source: of_drawn + 0.01}).visitor == ANNA


def test_variants_ask_no_more_of_the_photograph() -> None:
    alike = needed_similarity(4, QUALITY, 1.0, SECTION.risk) + 0.001
    drawn = dict.fromkeys(DRAWN, 0.1)
    assert likeness_to_anna({Source.PHOTOGRAPH: alike, **drawn}).visitor == ANNA


def test_nobody_is_waited_for_because_of_a_variant() -> None:
    """Whoever is a little like one of them, and like no photograph, is a stranger at once."""
    by_source = {Source.PHOTOGRAPH: 0.0, **dict.fromkeys(DRAWN, 0.36)}
    candidates = Candidates((PersonCandidate(ANNA, 0.0, by_source),), 4)
    gathered = evidence(vector(bela=1), ENOUGH_FOR_UNKNOWN)
    assert decide(gathered, candidates, SECTION, 0.5).verdict is Verdict.UNKNOWN


def test_two_who_are_alike_in_a_hood_are_not_told_apart_by_it() -> None:
    hooded = {Source.PHOTOGRAPH: 0.3, Source.HOODED: 0.6}
    both = tuple(PersonCandidate(each, 0.3, hooded) for each in (ANNA, BELA))
    match = decide(evidence(vector(anna=1), 3), Candidates(both, 4), SECTION, 10.5)
    assert match.verdict is not Verdict.KNOWN


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
    assert verdict({}, known=NOBODY).verdict is Verdict.UNDECIDED
    match = verdict({}, frames=ENOUGH_FOR_UNKNOWN, known=NOBODY)
    assert (match.verdict, match.visitor, match.similarity) == (Verdict.UNKNOWN, None, 0)


def test_without_a_single_embedding_there_is_nothing_to_say() -> None:
    assert decided(Evidence(0.0), HOUSEHOLD, 100.0) == Match(Verdict.UNDECIDED, None, 0.0, 0)


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


def test_a_template_is_the_mean_direction_of_the_visitors_samples() -> None:
    known = templates([(BELA, unit(1)), (ANNA, unit(2)), (BELA, unit(3))], [(POSTMAN, unit(4))])
    both = unit(1) + unit(3)
    found = known.candidates(np.asarray(both / np.linalg.norm(both), np.float32))
    assert [each.person for each in found.people] == [BELA, ANNA]
    assert found.people[0].similarity == found.nearest_similarity == pytest.approx(1, abs=1e-6)
    assert found.enrolled == 2
    assert known.candidates(unit(4)).stranger == POSTMAN
    assert known.candidates(unit(4)).stranger_similarity == pytest.approx(1, abs=1e-6)


def test_people_without_samples_of_this_model_are_never_compared() -> None:
    of_bela = samples([(BELA, vector(bela=1))])
    known = replace(of_bela, people=(ANNA, BELA), person_index=np.array([1])).templates()
    assert known.enrolled == 1
    assert known.people == (ANNA, BELA)
    assert verdict({"bela": 0.9}, known=known).visitor == BELA


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


def test_a_town_is_told_apart_as_a_household_is() -> None:
    """So many are compared in one byte a number; what is decided is the same."""
    generator = np.random.default_rng(3)
    vectors = generator.standard_normal((MANY, 128)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    people = {number: Person(number, f"Person {number}") for number in range(MANY)}
    strangers = {number: Stranger(number, 0.0, 1.0, 1) for number in range(MANY)}
    ids = np.arange(MANY)
    town = Templates(
        people,
        VectorIndex(ids, vectors),
        strangers,
        VectorIndex(ids, -vectors),
        {number: {Source.PHOTOGRAPH: None} for number in people},
    )
    first = verdict_on(vectors[77], town)
    assert (first.verdict, first.visitor) == (Verdict.KNOWN, people[77])
    stranger = verdict_on(-vectors[88], town)
    assert (stranger.verdict, stranger.visitor) == (Verdict.UNKNOWN, strangers[88])
    assert stranger.similarity == pytest.approx(1)
    town.set_corrected(np.array([77, 5]), vectors[[77, 5]], no_embeddings())
    assert verdict_on(vectors[77], town).visitor is None
    assert verdict_on(vectors[78], town).visitor == people[78]


def verdict_on(face: Float32Array, known: Templates) -> Match:
    return decided(evidence(face, ENOUGH_FOR_UNKNOWN), known, 20.0)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_candidates_decide_as_a_product_with_everybody_does(seed: int) -> None:
    """Whatever the gallery, the track, and what was corrected."""
    random = np.random.default_rng(seed)
    axes = random.standard_normal((6, 128)).astype(np.float32)  # few, so that many are alike

    def faces(count: int) -> Float32Array:
        found = axes[random.integers(0, 6, count)] + random.standard_normal((count, 128)) * 0.7
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)

    people = tuple(
        Person(3 * number + 1, f"Person {number}") for number in range(random.integers(6))
    )
    strangers = tuple(Stranger(number + 1, 0.0, 1.0, 1) for number in range(random.integers(6)))
    of_people = int(random.integers(0, 9)) if people else 0
    of_strangers = int(random.integers(0, 9)) if strangers else 0
    negatives = int(random.integers(0, 9)) if people else 0
    everybody = Samples(
        people,
        random.integers(0, max(len(people), 1), of_people),
        faces(of_people),
        strangers,
        random.integers(0, max(len(strangers), 1), of_strangers),
        faces(of_strangers),
        random.integers(0, max(len(people), 1), negatives),
        faces(negatives),
        faces(int(random.integers(0, 3))),
    )
    known = everybody.templates()
    track = Evidence(0.0)
    for embedding in faces(1).repeat(random.integers(0, 14), axis=0):
        track.add(FaceSample(embedding, "test", float(random.uniform(0.3, 1))))
    now = float(random.uniform(0, 3))
    expected = decide_plainly(track, everybody, SECTION, now)
    found = decided(track, known, now)
    assert replace(found, similarity=0.0) == replace(expected, similarity=0.0)
    assert found.similarity == pytest.approx(expected.similarity, abs=1e-5)
    if track.signature is not None:
        candidates = known.candidates(track.signature)
        assert is_no_face(candidates, 0.5) == is_no_face_plainly(track, everybody, 0.5)
