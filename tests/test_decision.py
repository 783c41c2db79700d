"""Who is named, who is a stranger, and what is waited for."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from all_samples import Samples, decide_plainly, is_no_face_plainly
from deciding import (
    ANNA,
    BELA,
    COURIER,
    ENOUGH_FOR_UNKNOWN,
    HOUSEHOLD,
    NOBODY,
    POSTMAN,
    QUALITY,
    SECTION,
    THRESHOLD,
    decided,
    evidence,
    samples,
    templates,
    unit,
    vector,
    verdict,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from doorbell.domain import FaceSample, Float32Array, Match, Person, Stranger, Verdict
from doorbell.recognition.calibration import needed_similarity
from doorbell.recognition.candidates import Candidates, PersonCandidate, Source
from doorbell.recognition.decision import UNKNOWN_FRAMES_FACTOR, Evidence, decide
from doorbell.recognition.nearest import MANY, VectorIndex
from doorbell.recognition.negatives import is_no_face
from doorbell.recognition.templates import Templates, no_embeddings


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
