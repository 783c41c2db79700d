"""The nearest of N enrolled embeddings, beside the product of all of them in NumPy.

Enters: numbers of embeddings. Leaves: times, how long a gallery's file of so many takes to load,
and what it adds to memory. Faces are random: ten samples a person, as alike as photographs of one
person are, and queries of which every second one is of nobody enrolled.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from itertools import cycle
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from doorbell.bench.report import BenchReport, Result
from doorbell.bench.timing import time_alternating
from doorbell.domain import Float32Array
from doorbell.errors import GalleryError
from doorbell.recognition.gallery import Gallery
from doorbell.recognition.nearest import MANY, Places, Quantized
from doorbell.recognition.templates import EMBEDDING_SIZE

SIZES = (10, 1_000, 100_000, 1_000_000)
SAMPLES_OF_PERSON = 10
# Cosine of two photographs of one person (``recognition/calibration.py``).
ALIKE = 0.65
QUERIES = 64
MODEL = "bench"
SEED = 1
BLOCK_PEOPLE = 1_000
# NumPy's threads (OpenBLAS) keep a core busy for 103 ms after a large product, waiting for the next
# one; what is timed after it would pay for that.
REST_SECONDS = 0.15

OURS, NUMPY = "doorbell", "NumPy float32"


def measure_gallery(
    sizes: Sequence[int],
    *,
    seconds: float,
    machine: Mapping[str, str],
    say: Callable[[str], None],
) -> BenchReport:
    """Fill a gallery with so many embeddings, load it and search it; for each size anew.

    Args:
        sizes: numbers of embeddings, multiples of ten.
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
            say(f"writing a gallery of {size:,} embeddings")
            write_gallery(path, size)
            say(f"measuring {size:,} embeddings")
            # A process of its own: what the last size left behind would pass for free memory.
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                results += process.submit(_measure, path, seconds / len(sizes)).result()
    times = {(r.figures["embeddings"], r.backend): r.timing.p50_ms for r in results}
    ratios = {f"{NUMPY} / {OURS}, {n:,}": times[n, NUMPY] / times[n, OURS] for n in sizes}
    return BenchReport(machine, tuple(results), ratios)


def write_gallery(path: Path, size: int) -> None:
    """Make a gallery with so many samples of people.

    Raises:
        GalleryError: the disk is full, or the like.
    """
    Gallery.open(path).close()
    try:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("PRAGMA synchronous = OFF")  # it is thrown away
            connection.executemany(
                "INSERT INTO people (id, name, name_key) VALUES (?1, ?1, ?1)",
                ((number,) for number in range(1, size // SAMPLES_OF_PERSON + 1)),
            )
            connection.executemany(
                "INSERT INTO samples (person_id, model_id, embedding, quality) VALUES (?, ?, ?, 1)",
                (
                    (1 + place // SAMPLES_OF_PERSON, MODEL, embedding.astype("<f4").tobytes())
                    for place, embedding in enumerate(_embeddings(size))
                ),
            )
    except sqlite3.Error as exc:
        raise GalleryError(
            f"cannot write a gallery of {size} embeddings to {path}: {exc}; set TMPDIR to a place "
            f"with {size * 700 / 1e6:.0f} MB, or give a smaller --most"
        ) from exc


def _embeddings(size: int) -> Iterator[Float32Array]:
    """(128,) float32 each, ten a person."""
    generator = np.random.default_rng(SEED)
    for start in range(0, size, BLOCK_PEOPLE * SAMPLES_OF_PERSON):
        people = min(BLOCK_PEOPLE, (size - start) // SAMPLES_OF_PERSON)
        faces = np.repeat(_faces(generator, people), SAMPLES_OF_PERSON, axis=0)
        yield from _pictures(generator, faces)


def _faces(generator: np.random.Generator, count: int) -> Float32Array:
    return _unit(generator.standard_normal((count, EMBEDDING_SIZE), np.float32))


def _pictures(generator: np.random.Generator, faces: Float32Array) -> Float32Array:
    others = _faces(generator, len(faces))
    return _unit(ALIKE**0.5 * faces + (1 - ALIKE) ** 0.5 * others)


def _unit(vectors: Float32Array) -> Float32Array:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def _measure(path: Path, seconds: float) -> list[Result]:
    # The daemon has OpenVINO in memory for its networks; the gallery adds only what follows.
    few = _faces(np.random.default_rng(SEED), 10)
    Quantized(len(few), [few], few.__getitem__).best(few[0])
    before_mb = _resident_mb()
    started = time.perf_counter()
    with Gallery.open(path) as gallery:
        opened = time.perf_counter()
        index = gallery.index(MODEL)
        loaded = time.perf_counter()
        index.best(few[0])
        memory_mb = _resident_mb() - before_mb
        vectors = np.array(list(_embeddings(len(index))), np.float32)
        generator = np.random.default_rng(SEED + 1)
        known = vectors[generator.integers(0, len(vectors), QUERIES // 2)]
        queries = np.concatenate([_pictures(generator, known), _faces(generator, QUERIES // 2)])
        ours, theirs = cycle(queries), cycle(queries)
        timings = time_alternating(
            {
                OURS: lambda: index.best(next(ours)),
                NUMPY: lambda: int(np.argmax(vectors @ next(theirs))),
                "rest": lambda: time.sleep(REST_SECONDS if len(index) >= MANY else 0),
            },
            seconds=seconds,
        )
        exact = sum(_is_best(index.best(query)[0], query, vectors) for query in queries)
    figures = {
        OURS: {
            "open_seconds": round(opened - started, 3),
            "load_seconds": round(loaded - opened, 3),
            "memory_mb": round(memory_mb, 1),
            "exact": exact / len(queries),
        },
        NUMPY: {"memory_mb": round(vectors.nbytes / 1e6, 1)},
    }
    threads = len(os.sched_getaffinity(0))
    return [
        Result("nearest", who, timings[who], threads, {"embeddings": len(vectors), **figures[who]})
        for who in (OURS, NUMPY)
    ]


def _is_best(ids: Places, query: Float32Array, vectors: Float32Array) -> bool:
    """Whether nothing is more alike; samples are numbered from 1."""
    products = vectors @ query
    near = np.flatnonzero(products >= products.max() - 1e-5)  # float32 may order these otherwise
    exact = vectors[near].astype(np.float64) @ query.astype(np.float64)
    return bool(ids[0] - 1 == near[int(np.argmax(exact))])


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
