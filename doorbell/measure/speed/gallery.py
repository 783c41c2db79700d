"""What a large gallery costs the daemon: deciding, one stranger more, memory and start.

Everything is done by the objects that the pipeline uses, ``VisitRecorder`` and the gallery behind.
Faces are random: five samples a visitor, as alike as photographs of one person are, half of the
visitors strangers. Of the tracks to be decided on every second one is of nobody in the gallery.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from doorbell.config import RecognitionSection
from doorbell.daemon.memory import give_back_memory
from doorbell.domain import FaceSample, Float32Array
from doorbell.errors import GalleryError
from doorbell.gallery.gallery import Gallery
from doorbell.measure.speed.household import BLOCK_VISITORS, pictures_of, random_faces
from doorbell.measure.speed.report import BenchReport, Result
from doorbell.measure.speed.timing import MIN_ROUNDS, WARM_UP_ROUNDS, Timing
from doorbell.pipeline.visit_recorder import VisitRecorder
from doorbell.recognition.candidates import NOBODY
from doorbell.recognition.decision import Evidence, decide
from doorbell.recognition.nearest import MANY, VectorIndex
from doorbell.recognition.negatives import is_no_face

SIZES = (100, 10_000, 200_000, 1_000_000)
SAMPLES_OF_VISITOR = 5
SECTION = RecognitionSection()
# Four seconds of 15 frames a second, in which a face is embedded as often as ``Recognizer`` does.
FRAMES_OF_TRACK = 60
FRAMES_PER_EMBEDDING = round(15 / SECTION.embeddings_per_second)
MODEL = "bench"
SEED = 1

DOORBELL = "doorbell"
DECIDING, NEW_STRANGER = "deciding", "stranger"


def measure_gallery(
    sizes: Sequence[int],
    *,
    seconds: float,
    machine: Mapping[str, str],
    say: Callable[[str], None],
) -> BenchReport:
    """Fill a gallery with so many samples, open it and use it; for each size anew.

    Args:
        sizes: numbers of samples, multiples of ten.
        seconds: of measuring, all together.
        machine: goes into the report.
        say: told what is being done.

    Raises:
        GalleryError: there is no room for the files.
    """
    results: list[Result] = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "gallery.sqlite"
            say(f"writing a gallery of {size:,} samples")
            write_gallery(path, size)
            say(f"measuring {size:,} samples")
            # A process of its own: what the last size left behind would pass for free memory.
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                results += process.submit(_measure, path, size, seconds / len(sizes)).result()
    return BenchReport(machine, tuple(results), {})


def write_gallery(path: Path, size: int) -> None:
    """Make a gallery with so many samples, half of them of people and half of strangers.

    Raises:
        GalleryError: the disk is full, or the like.
    """
    Gallery.open(path).close()
    half = size // SAMPLES_OF_VISITOR // 2
    try:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("PRAGMA synchronous = OFF")  # it is thrown away
            numbers = [(number,) for number in range(1, half + 1)]
            connection.executemany(
                "INSERT INTO people (id, name, name_key) VALUES (?1, ?1, ?1)", numbers
            )
            connection.executemany(
                "INSERT INTO strangers (id, first_seen_at, last_seen_at, visits) "
                "VALUES (?, 0, 0, 1)",
                numbers,
            )
            connection.executemany(
                "INSERT INTO samples (person_id, stranger_id, model_id, embedding, quality) "
                "VALUES (?, ?, ?, ?, 1)",
                (
                    (
                        1 + visitor if visitor < half else None,
                        None if visitor < half else 1 + visitor - half,
                        MODEL,
                        embedding.astype("<f4").tobytes(),
                    )
                    for visitor, embeddings in enumerate(_visitors(2 * half))
                    for embedding in embeddings
                ),
            )
    except sqlite3.Error as exc:
        raise GalleryError(
            f"cannot write a gallery of {size} samples to {path}: {exc}; set TMPDIR to a place "
            f"with {size * 700 / 1e6:.0f} MB, or give a smaller --most"
        ) from exc


def _visitors(count: int) -> Iterator[Float32Array]:
    """The samples of each visitor, (5, 128) float32."""
    generator = np.random.default_rng(SEED)
    for start in range(0, count, BLOCK_VISITORS):
        faces = random_faces(generator, min(BLOCK_VISITORS, count - start))
        yield from pictures_of(generator, faces, SAMPLES_OF_VISITOR)


def _measure(path: Path, size: int, seconds: float) -> list[Result]:
    # The daemon has OpenVINO in memory for its networks; the gallery adds only what follows.
    few = random_faces(np.random.default_rng(SEED), MANY)
    VectorIndex(np.arange(MANY), few).best(few[0])
    del few
    before_mb = _resident_mb()
    started = time.perf_counter()
    with Gallery.open(path) as gallery:
        opened = time.perf_counter()
        book = VisitRecorder(gallery, MODEL)
        loaded = time.perf_counter()
        _time_deciding(book, np.random.default_rng(SEED), 0)
        give_back_memory()  # as the daemon does after its first frame
        memory_mb = _resident_mb() - before_mb
        generator = np.random.default_rng(SEED + 1)
        deciding, compared = _time_deciding(book, generator, seconds / 2)
        exact = _part_that_is_exact(book, generator)
        storing, following = _time_new_strangers(book, generator, seconds / 2)
    threads = len(os.sched_getaffinity(0))
    figures = {
        "embeddings": size,
        "open_seconds": round(opened - started, 3),
        "load_seconds": round(loaded - opened, 3),
        "memory_mb": round(memory_mb, 1),
        "exact": exact,
        "new_sample_ms": compared.p50_ms,
        "new_sample_p99_ms": compared.p99_ms,
    }
    return [
        Result(DECIDING, DOORBELL, deciding, threads, figures),
        Result(
            NEW_STRANGER, DOORBELL, following, threads, {"embeddings": size, **_stored(storing)}
        ),
    ]


def _stored(storing: Timing) -> dict[str, float]:
    return {"stored_ms": round(storing.p50_ms, 2), "stored_p99_ms": round(storing.p99_ms, 2)}


def _tracks(generator: np.random.Generator, book: VisitRecorder) -> Float32Array:
    """The faces of two tracks, (2, 60, 128) float32: of somebody enrolled, and of nobody."""
    templates = book.templates()
    known = templates.person_template(int(generator.integers(1, len(templates.people) + 1)))
    return pictures_of(generator, np.stack([known, random_faces(generator, 1)[0]]), FRAMES_OF_TRACK)


def _time_deciding(
    book: VisitRecorder, generator: np.random.Generator, seconds: float
) -> tuple[Timing, Timing]:
    """Decide on a track in every frame: of all frames, and of those with a new sample alone."""
    every_ms: list[float] = []
    compared_ms: list[float] = []
    began = time.perf_counter()
    while len(compared_ms) < MIN_ROUNDS or time.perf_counter() - began < seconds:
        for faces in _tracks(generator, book):
            evidence, left, candidates = Evidence(0.0), list(faces), NOBODY
            for frame in range(FRAMES_OF_TRACK):
                is_new = frame < SECTION.min_frames or frame % FRAMES_PER_EMBEDDING == 0
                if is_new:
                    evidence.add(FaceSample(left.pop(), MODEL, 0.8))
                signature = evidence.signature
                started = time.perf_counter()
                templates = book.templates()
                if is_new and signature is not None:
                    candidates = templates.candidates(signature)
                decide(evidence, candidates, SECTION, 0.0)
                is_no_face(candidates, SECTION.stranger_similarity)
                every_ms.append((time.perf_counter() - started) * 1000)
                compared_ms += every_ms[-1:] if is_new else []
    return Timing.of(every_ms[WARM_UP_ROUNDS:]), Timing.of(compared_ms[WARM_UP_ROUNDS:])


def _part_that_is_exact(book: VisitRecorder, generator: np.random.Generator) -> float:
    """In how many tracks nobody is more alike than who was found."""
    templates = book.templates()
    ids = np.array([person.person_id for person in templates.people])
    people = np.stack([templates.person_template(person_id) for person_id in ids.tolist()])
    right = 0
    for _ in range(MIN_ROUNDS):
        for faces in _tracks(generator, book):
            products = (people.astype(np.float64) @ faces[0].astype(np.float64)).astype(np.float32)
            found = [each.person.person_id for each in templates.candidates(faces[0]).people]
            right += found == ids[np.lexsort((ids, -products))[:2]].tolist()
    return right / (2 * MIN_ROUNDS)


def _time_new_strangers(
    book: VisitRecorder, generator: np.random.Generator, seconds: float
) -> tuple[Timing, Timing]:
    """Store strangers one by one, and take each over into the templates; both times."""
    storing: list[float] = []
    following: list[float] = []
    began = time.perf_counter()
    while len(storing) < MIN_ROUNDS or time.perf_counter() - began < seconds:
        faces = pictures_of(generator, random_faces(generator, 1), SAMPLES_OF_VISITOR)[0]
        started = time.perf_counter()
        book.introduce(None, [FaceSample(face, MODEL, 0.8) for face in faces], time.time())
        stored = time.perf_counter()
        book.templates()
        following.append((time.perf_counter() - stored) * 1000)
        storing.append((stored - started) * 1000)
    return Timing.of(storing), Timing.of(following)


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
