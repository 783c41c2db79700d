"""What corrections mean to a face: who it is not, and that it is none."""

import numpy as np
import pytest

from doorbell.config import RecognitionSection
from doorbell.domain import FaceSample, Float32Array, Person, Verdict
from doorbell.recognition.corrections import is_no_face, ruled_out
from doorbell.recognition.decision import Centroids, Evidence, decide
from doorbell.recognition.templates import Templates

ANNA, BELA, CORA = Person(1, "Anna"), Person(2, "Béla"), Person(3, "Cora")


def vector(*cosines: float) -> Float32Array:
    """A unit vector by its cosines with the first axes; the rest of it is like nobody."""
    found = np.zeros(128, np.float32)
    found[: len(cosines)] = cosines
    found[127] = max(1 - float(found @ found), 0) ** 0.5
    return found


def household(*negatives: tuple[int, Float32Array]) -> Centroids:
    """Anna and Cora, and Béla between them who has no sample yet."""
    return Centroids.of(
        Templates(
            "test",
            (ANNA, BELA, CORA),
            np.array([0, 2, 0], np.int64),
            np.stack([vector(1), vector(0, 1), vector(1)]),
            (),
            np.empty(0, np.int64),
            np.empty((0, 128), np.float32),
            np.array([place for place, _ in negatives], np.int64),
            np.array([face for _, face in negatives], np.float32).reshape(-1, 128),
        )
    )


def decided(face: Float32Array, centroids: Centroids) -> tuple[Verdict, Person | None]:
    evidence = Evidence(started_seconds=0.0)
    for _ in range(12):
        evidence.add(FaceSample(face, "test", 0.8))
    match = decide(evidence, centroids, RecognitionSection(), 5.0)
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
    ("face", "people", "expected"),
    [
        (vector(0.61), [], True),
        (vector(0.59), [], False),
        (vector(0.7, 0.6), [vector(0, 1)], True),
        (vector(0.65, 0.7), [vector(0, 1)], False),
        (None, [], False),
    ],
    ids=["alike", "not alike", "less like a person", "more like a person", "never seen"],
)
def test_what_is_no_face_is_known_again_but_no_person_is(
    face: Float32Array | None, people: list[Float32Array], expected: bool
) -> None:
    vectors = np.array(people, np.float32).reshape(-1, 128)
    assert is_no_face(face, vector(1)[None], vectors, 0.6) is expected
    assert not is_no_face(face, np.empty((0, 128), np.float32), vectors, 0.6)
