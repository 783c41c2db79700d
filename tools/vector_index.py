"""The index of very many vectors beside a full scan: ``.venv/bin/python tools/vector_index.py``.

Writes an index of a million vectors, twice: 100 samples of each of 10,000 residents, and a million
visitors of one sample each. Then it asks both, the index and a product of everything in float32,
who is most alike to faces of somebody who is there and to faces of nobody, and says how often both
name the same; and what that takes.

Faces are random, distributed as SFace's: their mean, the variance along each principal component,
and how alike two photographs of one person are were measured on 830 photographs of Labeled Faces in
the Wild (2026-11-29). Among them are look-alikes (cosines of 0.6 to 0.75), and people who are there
twice with nearly the same vector.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from doorbell.cli.printing import say
from doorbell.domain import Float32Array
from doorbell.measure.speed.machine import describe_machine
from doorbell.recognition.calibration import log_odds, needed_lead, needed_similarity
from doorbell.recognition.mapped_index import MappedIndex
from doorbell.recognition.templates import EMBEDDING_SIZE, directions

MODEL = "sface"
BLOCK = 10_000

# Of SFace's vectors of these photographs: the length of their mean, the cosine of two
# photographs of one person, and the variance along some principal components by that along all.
MEAN_LENGTH = 0.323
ALIKE, ALIKE_SPREAD = 0.685, 0.10
COMPONENTS = (0, 1, 3, 7, 15, 31, 63, 95, 127)
VARIANCES = (3.41, 3.28, 3.13, 2.58, 1.95, 1.27, 0.75, 0.49, 0.11)

TWINS, TWIN_COSINES = 0.05, (0.60, 0.75)
TWICE, TWICE_COSINE = 0.005, 0.999

# A track of a visit: looked at often enough, of a good quality, at the default risk.
QUALITY, LOOKS, RISK = 0.65, 10.0, 0.001


class Faces:
    """Random faces of one distribution."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng(seed)
        square = self._generator.standard_normal((EMBEDDING_SIZE, EMBEDDING_SIZE))
        basis, _ = np.linalg.qr(square)
        numbers = np.arange(EMBEDDING_SIZE)
        variances = np.exp(np.interp(numbers, COMPONENTS, np.log(VARIANCES)))
        scale = np.sqrt(variances / variances.sum() * (1 - MEAN_LENGTH**2))
        self._mean = (MEAN_LENGTH * basis[:, 0]).astype(np.float32)
        self._spread = (basis * scale[self._generator.permutation(EMBEDDING_SIZE)]).T.astype(
            np.float32
        )

    def people(self, count: int) -> Float32Array:
        """Whoever there is, (count, 128) float32: some look like others, some are there twice."""
        generator = self._generator
        faces = directions(self._mean + self._noise(count))
        chosen = generator.permutation(count)
        twins, twice = int(TWINS * count), int(TWICE * count)
        for some, cosines in (
            (chosen[:twins], generator.uniform(*TWIN_COSINES, twins)),
            (chosen[twins : twins + twice], np.full(twice, TWICE_COSINE)),
        ):
            others = faces[generator.integers(0, count, len(some))]
            own = faces[some]
            own -= (own * others).sum(axis=1, keepdims=True) * others
            cosine = cosines[:, np.newaxis].astype(np.float32)
            faces[some] = cosine * others + np.sqrt(1 - cosine**2) * directions(own)
        return directions(faces)

    def pictures(self, faces: Float32Array) -> Float32Array:
        """Another picture of each, (n, 128) float32."""
        part = (ALIKE - MEAN_LENGTH**2) / (1 - MEAN_LENGTH**2)
        parts = self._generator.normal(part, ALIKE_SPREAD, (len(faces), 1)).clip(0.2, 0.98)
        own = np.sqrt(parts, dtype=np.float32) * (faces - self._mean)
        other = np.sqrt(1 - parts, dtype=np.float32) * self._noise(len(faces))
        return directions(np.asarray(self._mean + own + other, np.float32))

    def _noise(self, count: int) -> Float32Array:
        shape = (count, EMBEDDING_SIZE)
        return np.asarray(self._generator.standard_normal(shape, np.float32) @ self._spread)


@dataclass(frozen=True, eq=False, slots=True)
class Scanned:
    """What a product of everything finds.

    Attributes:
        places: (n,) int64, of the most alike to each probe.
        products: (n,) float64.
    """

    places: NDArray[np.int64]
    products: NDArray[np.float64]


def in_8_bits(vectors: Float32Array) -> Float32Array:
    """Vectors, (n, 128) float32, as one byte a number keeps them, on the best scale for each."""
    scales = np.abs(vectors).max(axis=1, keepdims=True) / np.float32(127)
    return np.asarray(np.rint(vectors / scales) * scales)


def scan(
    vectors: Float32Array,
    probes: Float32Array,
    kept: Callable[[Float32Array], Float32Array] = np.asarray,
) -> Scanned:
    """Compare probes with everything, in float32; ``kept`` is what is kept of vectors."""
    places = np.zeros(len(probes), np.int64)
    products = np.full(len(probes), -2.0, np.float32)
    for at in range(0, len(vectors), BLOCK):
        block = kept(vectors[at : at + BLOCK]) @ probes.T
        best = block.argmax(axis=0)
        found = block[best, np.arange(len(probes))]
        better = found > products
        places[better], products[better] = best[better] + at, found[better]
    return Scanned(places, (vectors[places].astype(np.float64) * probes).sum(axis=1))


def compare(
    vectors: Float32Array, index: MappedIndex, samples: int, probes: Float32Array
) -> tuple[str, list[float]]:
    """How often both find the same, for people; and milliseconds of each search."""
    exact, rounded = scan(vectors, probes), scan(vectors, probes, in_8_bits)
    taken: list[float] = []
    same = misled = near = named = 0
    needed = needed_similarity(len(vectors) // samples, QUALITY, LOOKS, RISK)
    for probe, place, product in zip(probes, exact.places, exact.products, strict=True):
        started = time.perf_counter()
        ids, _ = index.best(probe, 2)
        taken.append((time.perf_counter() - started) * 1000)
        if ids[0] // samples == place // samples:
            same += 1
        elif product - vectors[ids[0]].astype(np.float64) @ probe < 1e-4:
            near += 1
        else:
            misled += 1
        named += ids[0] // samples != place // samples and would_name(index, probe, samples, needed)
    alone = np.count_nonzero(rounded.places // samples == exact.places // samples)
    return (
        f"{same} of {len(probes)} the same; {near} others as alike to 0.0001, {misled} less alike; "
        f"{named} of these named (which takes {needed:.2f}); by 8 bits alone "
        f"{alone} the same; cosines "
        f"{np.percentile(exact.products, 1):.2f} to {np.percentile(exact.products, 99):.2f}",
        taken,
    )


def would_name(index: MappedIndex, probe: Float32Array, samples: int, needed: float) -> bool:
    """Whether the index's best is as alike as a name takes, and far enough before the second."""
    ids, products = index.best(probe, 2 * samples)
    others = products[ids // samples != ids[0] // samples]
    lead = log_odds(float(products[0]), QUALITY, LOOKS) - log_odds(float(others[0]), QUALITY, LOOKS)
    return float(products[0]) >= needed and lead >= needed_lead(RISK)


def private_megabytes(path: Path, probes: Path) -> tuple[float, float]:
    """What a process that searches holds for itself more than before, and what it shares."""
    command = [sys.executable, __file__, "--read", str(path), str(probes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as other:
        if other.stdout is not None:
            other.stdout.readline()  # it has searched, and maps the file as long as it waits
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=True, text=True
        )
        other.communicate(b"\n")
    found = json.loads(done.stdout)
    return found["private"], found["shared"]


def read(path: Path, probes: Path) -> None:
    """Search as one of several processes, and print what it holds."""
    before = _memory()
    index = MappedIndex.open(path, MODEL)
    for probe in np.load(probes):
        index.best(probe, 2)
    after = _memory()
    sys.stdout.write(
        json.dumps({name: round(after[name] - before[name], 1) for name in before}) + "\n"
    )
    sys.stdout.flush()
    sys.stdin.readline()


def _memory() -> dict[str, float]:
    found = {"private": 0.0, "shared": 0.0}
    for line in Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines():
        name = line.split("_")[0].lower()
        if name in found:
            found[name] += float(line.split()[1]) / 1024
    return found


def say_times(what: str, milliseconds: list[float]) -> None:
    """Print the middle one and what 95 in 100 stay below."""
    p50, p95 = np.percentile(milliseconds, [50, 95])
    say(f"  {what}: p50 {p50:.2f} ms, p95 {p95:.2f} ms")


def measure(people: int, samples: int, probes: int, seed: int, folder: Path) -> None:
    """Write one index and ask it."""
    say(f"{people:,} people of {samples} samples each")
    faces = Faces(seed)
    everybody = faces.people(people)
    vectors = np.empty((people * samples, EMBEDDING_SIZE), np.float32)
    for at in range(0, people, BLOCK):
        some = everybody[at : at + BLOCK]
        block = some if samples == 1 else faces.pictures(some.repeat(samples, axis=0))
        vectors[at * samples : at * samples + len(block)] = block
    path = folder / "vectors.index"
    started = time.perf_counter()
    index = MappedIndex.create(path, MODEL, np.arange(len(vectors)), vectors)
    taken = time.perf_counter() - started
    size = path.stat().st_size
    say(
        f"  written in {taken:.1f} s: {size / 1e6:.0f} MB, {size / vectors.nbytes:.0%} of float32, "
        f"of which every search reads {vectors.size / vectors.nbytes:.0%}"
    )
    chosen = np.random.default_rng(seed + 1).integers(0, people, probes)
    known = faces.pictures(everybody[chosen])
    times: list[float] = []
    for what, asked in (
        ("of somebody there", known),
        ("of nobody", directions(faces.people(probes))),
    ):
        said, taken_ms = compare(vectors, index, samples, asked)
        say(f"  {what}: {said}")
        times += taken_ms
    began, used = time.perf_counter(), time.process_time()
    for probe in known[:100]:
        index.best(probe, 2)
    elsewhere = 10 * (time.perf_counter() - began), 10 * (time.process_time() - used)
    say_times("a search", times)
    say(f"  a search: {elsewhere[1]:.1f} ms of processor time, in {elsewhere[0]:.1f} ms")
    np.save(folder / "probes.npy", known[:100])
    private, shared = private_megabytes(path, folder / "probes.npy")
    say(f"  a second process that searches: {private} MB of its own, {shared} MB shared")
    changed = faces.pictures(everybody[chosen])
    put = []
    for vector_id, vector in zip((chosen * samples).tolist(), changed, strict=True):
        started = time.perf_counter()
        index.put(vector_id, vector)
        put.append(1000 * (time.perf_counter() - started))
    say_times("a vector put", put)
    removed = []
    for vector_id in (chosen[:200] * samples).tolist():
        started = time.perf_counter()
        index.remove(vector_id)
        removed.append(1000 * (time.perf_counter() - started))
    say_times("a vector removed", removed)
    index.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--probes", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--read", nargs=2, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)  # as the doorbell does
    if arguments.read:
        read(*arguments.read)
        return
    machine = describe_machine()
    say(", ".join(f"{name}: {value}" for name, value in machine.items()))
    with tempfile.TemporaryDirectory() as folder:
        for samples in (100, 1):
            measure(
                arguments.vectors // samples,
                samples,
                arguments.probes,
                arguments.seed,
                Path(folder),
            )


if __name__ == "__main__":
    main()
