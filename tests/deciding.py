"""A household of two people and two strangers, and what decides about faces before its door."""

from collections.abc import Mapping, Sequence

import numpy as np
from all_samples import Samples

from doorbell.config import RecognitionSection
from doorbell.domain import FaceSample, Float32Array, Match, Person, Stranger
from doorbell.recognition.calibration import needed_similarity
from doorbell.recognition.candidates import Candidates
from doorbell.recognition.decision import UNKNOWN_FRAMES_FACTOR, Evidence, decide
from doorbell.recognition.templates import Templates

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


def unit(seed: int) -> Float32Array:
    found = np.random.default_rng(seed).normal(size=128)
    return np.asarray(found / np.linalg.norm(found), np.float32)
