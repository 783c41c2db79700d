"""What corrections mean to a face: who it is not, and that it is none."""

import numpy as np
import pytest
from all_samples import Samples

from doorbell.config import RecognitionSection
from doorbell.domain import FaceSample, Float32Array, Person, Verdict
from doorbell.recognition.candidates import NOBODY, Candidates
from doorbell.recognition.decision import Evidence, decide
from doorbell.recognition.negatives import is_no_face, ruled_out
from doorbell.recognition.templates import Templates

ANNA, BELA, CORA = Person(1, "Anna"), Person(2, "Béla"), Person(3, "Cora")


def vector(*cosines: float) -> Float32Array:
    """A unit vector by its cosines with the first axes; the rest of it is like nobody."""
    found = np.zeros(128, np.float32)
    found[: len(cosines)] = cosines
    found[127] = max(1 - float(found @ found), 0) ** 0.5
    return found


def household(*negatives: tuple[int, Float32Array]) -> Templates:
    """Anna and Cora, and Béla between them who has no sample yet."""
    return Samples(
        (ANNA, BELA, CORA),
        np.array([0, 2, 0], np.int64),
        np.stack([vector(1), vector(0, 1), vector(1)]),
        negative_index=np.array([place for place, _ in negatives], np.int64),
        negative_embeddings=np.array([face for _, face in negatives], np.float32).reshape(-1, 128),
    ).templates()


def decided(face: Float32Array, known: Templates) -> tuple[Verdict, Person | None]:
    evidence = Evidence(started_seconds=0.0)
    for _ in range(12):
        evidence.add(FaceSample(face, "test", 0.8))
    assert evidence.signature is not None
    candidates = known.candidates(evidence.signature)
    match = decide(evidence, candidates, RecognitionSection(), 5.0)
    assert match.visitor is None or isinstance(match.visitor, Person)
    return match.verdict, match.visitor


def test_a_face_as_much_like_a_negative_as_like_the_person_is_not_the_person() -> None:
    face = vector(0.8, 0, 0.4)
    assert decided(face, household()) == (Verdict.KNOWN, ANNA)
    assert decided(face, household((0, face))) == (Verdict.UNKNOWN, None)
    assert decided(face, household((2, face))) == (Verdict.KNOWN, ANNA)


def test_the_person_is_still_named_beside_a_negative() -> None:
    mistaken = vector(0.6, 0, 0.8)
    assert decided(mistaken, household((0, mistaken))) == (Verdict.UNKNOWN, None)
    assert decided(vector(0.9), household((0, mistaken))) == (Verdict.KNOWN, ANNA)


def test_who_is_out_does_not_stand_in_the_way_of_another() -> None:
    twin = vector(0.7, 0.7)
    assert decided(twin, household()) == (Verdict.UNKNOWN, None)
    assert decided(twin, household((0, twin))) == (Verdict.KNOWN, CORA)


def test_a_negative_of_somebody_without_samples_is_of_no_consequence() -> None:
    face = vector(0.8)
    assert decided(face, household((1, face))) == (Verdict.KNOWN, ANNA)


def test_equally_alike_is_out_and_nobody_else_is() -> None:
    face = vector(0.5, 0.5)
    similarities = np.array([0.5, 0.5], np.float32)
    negatives = np.array([1, 1]), np.stack([vector(1), vector(0, 0, 1)])
    out = ruled_out(face, np.array([0, 1]), similarities, *negatives)
    assert out.tolist() == [False, True]
    reordered = ruled_out(face, np.array([1, 0]), similarities, *negatives)
    assert reordered.tolist() == [True, False]
    no_negatives = np.empty(0, np.int64), np.empty((0, 128), np.float32)
    assert not ruled_out(face, np.array([0, 1]), similarities, *no_negatives).any()
    nobody = ruled_out(face, np.empty(0, np.int64), similarities[:0], *negatives)
    assert nobody.shape == (0,)


@pytest.mark.parametrize(
    ("non_face", "nearest", "expected"),
    [(0.61, -1.0, True), (0.59, -1.0, False), (0.7, 0.6, True), (0.65, 0.7, False)],
    ids=["alike", "not alike", "less like a person", "more like a person"],
)
def test_what_is_no_face_is_known_again_but_no_person_is(
    non_face: float, nearest: float, expected: bool
) -> None:
    found = Candidates(non_face_similarity=non_face, nearest_similarity=nearest)
    assert is_no_face(found, 0.6) is expected
    assert not is_no_face(NOBODY, 0.6)


def test_a_person_ruled_out_is_a_face_all_the_same() -> None:
    face = vector(0.7, 0, 0.5)
    known = household((0, face))
    known.set_corrected(np.array([1]), face[None], vector(0.95, 0.312)[None])
    found = known.candidates(face)
    assert [each.person for each in found.people] == [CORA]
    assert found.nearest_similarity > found.non_face_similarity > 0.6
    assert not is_no_face(found, 0.6)
