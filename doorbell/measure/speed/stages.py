"""From a frame to faces, from a frame to a name, from a face to a vector: beside peers.

Each round is one frame: the product and every peer look at it, in another order each time, after a
rest in which the one before comes to rest too.

The product does not do the same work in every frame: it follows a face and searches the rest in
turns. So frames come in the order of a camera's stream, one visitor is being followed, and the mean
stands beside the median.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnx

from doorbell.config import Config
from doorbell.domain import Float32Array
from doorbell.errors import InferenceError
from doorbell.measure.speed.arithmetic import WorkCounter, floor_ms, peak_multiply_adds
from doorbell.measure.speed.multiply_adds import count_work
from doorbell.measure.speed.peers import ONE_THREAD, TITLES, Answer, Peer, SharedPicture
from doorbell.measure.speed.product import DOORBELL, FrameConsumer, SystemUnderTest, open_system
from doorbell.measure.speed.report import BenchReport, Result
from doorbell.measure.speed.scene import (
    FRAMES_PER_SECOND,
    P720,
    P1080,
    Size,
    View,
    for_seconds,
    shows,
)
from doorbell.measure.speed.timing import MIN_ROUNDS, WARM_UP_ROUNDS, Timing
from doorbell.models.store import network_files

FACES_720, FACES_1080 = "720p frame to faces", "1080p frame to faces"
NAME = "720p frame to name"
NAME_EACH = "720p frame to name, embedded in each"
EMBED = "one face to its vector"

# The visitor is followed, recognized and greeted before the clock starts.
WARM_UP_FRAMES = 30
# Workers of some libraries wait for more, busily, for a moment after each call; not while the call
# of another is timed. ONNX Runtime 1.32 with two threads burns 30 to 40 ms of a core after each
# (measured 2026-11-22), with one thread none.
REST_SECONDS = 0.003
REST_AFTER_THREADS_SECONDS = 0.06
COUNTED_FRAMES = 30
SEED = 1
# A face whose name is known is embedded twice a second, so at this speed in every frame.
SLOW_FRAMES_PER_SECOND = 2.0

Frames: TypeAlias = Callable[[Size, float], Iterator[View]]
"""Opens the frames of a size, so many a second."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One thing that is compared.

    Attributes:
        name: for people.
        call: what peers are asked for; the beginning of its name.
        size: of the frames.
        frames_per_second: of the stream.
        look: begins the product's side.
    """

    name: str
    call: str
    size: Size
    frames_per_second: float
    look: Callable[[SystemUnderTest], FrameConsumer]


STAGES = (
    Stage(FACES_720, "faces", P720, FRAMES_PER_SECOND, SystemUnderTest.watcher),
    Stage(FACES_1080, "faces", P1080, FRAMES_PER_SECOND, SystemUnderTest.watcher),
    Stage(NAME, "name", P720, FRAMES_PER_SECOND, SystemUnderTest.namer),
    Stage(NAME_EACH, "name", P720, SLOW_FRAMES_PER_SECOND, SystemUnderTest.namer),
)


@dataclass(frozen=True, slots=True)
class Bench:
    """What every stage is measured with.

    Attributes:
        config: of the product.
        threads: of the product; None on a GPU.
        seconds: of measuring, each stage.
        peers: looking at the same.
        picture: where they find it.
        say: told what is being done.
    """

    config: Config
    threads: int | None
    seconds: float
    peers: Sequence[Peer]
    picture: SharedPicture
    say: Callable[[str], None]


def measure_stages(
    stages: Sequence[Stage], bench: Bench, frames: Frames, machine: Mapping[str, str]
) -> BenchReport:
    """Time stages, and the embedding of one face.

    Args:
        stages: in order; each name once.
        bench: with what.
        frames: what is looked at.
        machine: goes into the report.

    Raises:
        ModelError: the models or the sample portraits have not been built.
        InferenceError: a network cannot be loaded.
        CameraError: the frames cannot be read.
    """
    bench.say("measuring what the processor can do at best")
    with tempfile.TemporaryDirectory() as scratch:
        peak = peak_multiply_adds(bench.config.inference, Path(scratch))
    work = count_frames(stages, bench, frames)
    results: list[Result] = []
    with open_system(bench.config) as product:
        for stage in stages:
            bench.say(f"measuring: {stage.name}")
            figures = {"multiply_adds": work[stage], "floor_ms": floor_ms(work[stage], peak)}
            results += _measure_stage(stage, product, bench, frames, figures)
        bench.say(f"measuring: {EMBED}")
        results += _measure_embedding(product, bench, peak)
    versions = {name: version for peer in bench.peers for name, version in peer.versions.items()}
    found = {**versions, "peak": f"{2 * peak / 1e9:.0f} GFLOP/s in a product of matrices"}
    return BenchReport({**machine, **found}, tuple(results), ratios_to_doorbell(results))


def ratios_to_doorbell(results: Sequence[Result]) -> dict[str, float]:
    """Median of each peer by that of the product, of what was measured of both."""
    ours = {r.name: r.timing.p50_ms for r in results if r.backend == DOORBELL}
    return {
        f"{result.name}: {result.backend} / {DOORBELL}": result.timing.p50_ms / ours[result.name]
        for result in results
        if result.backend != DOORBELL and result.name in ours
    }


def count_frames(stages: Sequence[Stage], bench: Bench, frames: Frames) -> dict[Stage, float]:
    """Multiply-adds that a frame of each stage takes, in the mean of some frames."""
    counter = WorkCounter()
    counted = {}
    with open_system(bench.config, counter.open_network) as product:
        for stage in stages:
            bench.say(f"counting: {stage.name}")
            looker = stage.look(product)
            views = frames(stage.size, stage.frames_per_second)
            for view in islice(views, WARM_UP_FRAMES):
                looker.look(view.frame)
            counter.multiply_adds = 0
            for view in islice(views, COUNTED_FRAMES):
                looker.look(view.frame)
            counted[stage] = counter.multiply_adds / COUNTED_FRAMES
    return counted


def _measure_stage(
    stage: Stage,
    product: SystemUnderTest,
    bench: Bench,
    frames: Frames,
    figures: Mapping[str, float],
) -> list[Result]:
    calls = {
        TITLES[peer.name, call]: (peer, call)
        for peer in bench.peers
        for call in peer.calls
        if call.startswith(stage.call)
    }
    tallies = {title: _Tally() for title in (DOORBELL, *calls)}
    looker = stage.look(product)
    views = frames(stage.size, stage.frames_per_second)
    for view in islice(views, WARM_UP_FRAMES):
        looker.look(view.frame)
        bench.picture.write(view.frame.pixels)
    for peer, call in list(calls.values()) * WARM_UP_ROUNDS:
        peer.ask(call)
    turns = _Turns(tallies)
    for view in for_seconds(views, bench.seconds):
        bench.picture.write(view.frame.pixels)
        for title in turns.next():
            time.sleep(REST_SECONDS)
            if title == DOORBELL:
                # A copy, as every peer takes one, so that the caches are alike.
                looked = looker.look(replace(view.frame, pixels=bench.picture.read()))
                tallies[title].add(looked.milliseconds, looked.boxes_xyxy, view)
            else:
                peer, call = calls[title]
                answer = peer.ask(call)
                tallies[title].add(answer.milliseconds, answer.boxes_xyxy, view)
    return [
        tally.result(
            stage.name,
            title,
            _threads(title, stage.call, bench),
            figures if title == DOORBELL else {},
        )
        for title, tally in tallies.items()
    ]


def _measure_embedding(product: SystemUnderTest, bench: Bench, peak: float) -> list[Result]:
    calls = {TITLES[peer.name, "embed"]: peer for peer in bench.peers if "embed" in peer.calls}
    times: dict[str, list[float]] = {title: [] for title in (DOORBELL, *calls)}
    vectors: dict[str, Float32Array] = {DOORBELL: product.embed()}
    bench.picture.write(product.portrait.crop)
    for title, peer in calls.items():
        for _ in range(WARM_UP_ROUNDS):
            vectors[title] = _vector(peer.ask("embed"))
    turns = _Turns(times)
    began = time.perf_counter()
    while len(times[DOORBELL]) < MIN_ROUNDS or time.perf_counter() - began < bench.seconds:
        for title in turns.next():
            time.sleep(REST_AFTER_THREADS_SECONDS)
            if title == DOORBELL:
                started = time.perf_counter()
                product.embed()
                times[title].append((time.perf_counter() - started) * 1000)
            else:
                times[title].append(calls[title].ask("embed").milliseconds)
    sface = network_files("sface", bench.config.inference).float32
    work = count_work(onnx.load(sface)).multiply_adds
    figures: dict[str, dict[str, float]] = {
        DOORBELL: {"multiply_adds": work, "floor_ms": floor_ms(work, peak)}
    }
    for title in calls:
        figures[title] = {"cosine": _cosine(vectors[title], vectors[DOORBELL])}
    return [
        Result(EMBED, title, Timing.of(taken), _threads(title, "embed", bench), figures[title])
        for title, taken in times.items()
    ]


def _threads(title: str, call: str, bench: Bench) -> int | None:
    """How many threads somebody computes on for a call; None on a GPU."""
    if title in ONE_THREAD:
        return 1
    if title == DOORBELL and call == "faces" and bench.threads is not None:
        return bench.config.inference.threads or 1  # small networks take no more by themselves
    return bench.threads


class _Turns:
    """Who comes when: in each round another order, so that nobody always follows the same one."""

    def __init__(self, titles: Iterable[str]) -> None:
        self._titles = [*titles]
        self._generator = np.random.default_rng(SEED)

    def next(self) -> list[str]:
        """Everybody once."""
        return [self._titles[place] for place in self._generator.permutation(len(self._titles))]


class _Tally:
    """Times of one contestant, and how often it found the visitor."""

    def __init__(self) -> None:
        self._times_ms: list[float] = []
        self._found = 0

    def add(self, milliseconds: float, boxes_xyxy: Float32Array, view: View) -> None:
        self._times_ms.append(milliseconds)
        self._found += shows(boxes_xyxy, view.face_xyxy)

    def result(
        self, name: str, backend: str, threads: int | None, figures: Mapping[str, float]
    ) -> Result:
        found = self._found / len(self._times_ms)
        return Result(
            name, backend, Timing.of(self._times_ms), threads, {"found": found, **figures}
        )


def _vector(answer: Answer) -> Float32Array:
    if answer.vector is None:
        raise InferenceError("a peer gave no vector for a face; leave it out of --against")
    return answer.vector


def _cosine(one: Float32Array, other: Float32Array) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
