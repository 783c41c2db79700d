"""BlazeFace beside MobileNetV2-SSD at the same input: the comparison of BlazeFace's paper.

Two of the networks have no published weights and are filled with random ones, which cost the same
time; how well anything is found is not looked at here.

Source: Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import numpy as np
import onnx

from doorbell.config import InferenceSection
from doorbell.domain import Float32Array
from doorbell.inference import NetworkFiles
from doorbell.measure.speed.backends import Backend
from doorbell.measure.speed.multiply_adds import count_work
from doorbell.measure.speed.report import BenchReport, Result
from doorbell.measure.speed.timing import time_alternating
from doorbell.models.store import network_files, network_path
from doorbell.networks.blazeface import SHORT_RANGE_SIZE, published
from doorbell.networks.float16 import to_float16
from doorbell.networks.graph import GraphBuilder
from doorbell.networks.mobilenet_ssd import mobilenet_ssd
from doorbell.networks.weights import SeededWeights

PUBLISHED, RELEASED, SSD = "blazeface_published", "blazeface_short", "mobilenet_v2_ssd"
TITLES = {
    PUBLISHED: "BlazeFace, Table 1",
    RELEASED: "BlazeFace, released",
    SSD: "MobileNetV2-SSD",
}
# The paper's Table 2, milliseconds on the GPU of an iPhone XS, in float16.
PAPER_SSD_MS, PAPER_BLAZEFACE_MS = 2.1, 0.6
PAPER_RATIO = PAPER_SSD_MS / PAPER_BLAZEFACE_MS
SEED = 1


def compared_networks(section: InferenceSection, directory: Path) -> dict[str, NetworkFiles]:
    """The released BlazeFace as built, and both others written into a directory.

    Raises:
        ModelError: the models have not been built.
    """
    seeded = {PUBLISHED: published, SSD: mobilenet_ssd}
    networks = {RELEASED: network_files(RELEASED, section)}
    for name, write in seeded.items():
        float32 = write(GraphBuilder(SeededWeights(SEED)))
        exact, half = (network_path(directory, name, p) for p in ("float32", "float16"))
        onnx.save(float32, exact)
        onnx.save(to_float16(float32), half)
        networks[name] = NetworkFiles(name, exact, half)
    return {name: networks[name] for name in TITLES}


def measure_networks(
    networks: Mapping[str, NetworkFiles],
    backends: Sequence[Backend],
    *,
    seconds: float,
    machine: Mapping[str, str],
    say: Callable[[str], None],
) -> BenchReport:
    """Time every network on every backend, in alternation, one picture at a time.

    Args:
        networks: see ``compared_networks``.
        backends: what they run on.
        seconds: of measuring, all together.
        machine: goes into the report.
        say: told what is being done.

    Raises:
        InferenceError: a backend refuses a network.
    """
    image = random_image()
    with ExitStack() as stack:
        calls = {}
        for backend in backends:
            for name, files in networks.items():
                say(f"loading {TITLES[name]} on {backend.name}")
                runner = stack.enter_context(closing(backend.open(files)))
                calls[f"{name}, {backend.name}"] = partial(runner.infer, {"image": image})
        say("measuring")
        timings = time_alternating(calls, seconds=seconds)
    work = {name: count_work(onnx.load(files.float32)) for name, files in networks.items()}
    return BenchReport(
        machine,
        tuple(
            Result(
                TITLES[name],
                backend.name,
                timings[f"{name}, {backend.name}"],
                backend.threads,
                {"multiply_adds": work[name].multiply_adds, "parameters": work[name].parameters},
            )
            for backend in backends
            for name in networks
        ),
        {
            f"{SSD} / {blazeface}, {what}": ratio
            for blazeface in (PUBLISHED, RELEASED)
            for what, ratio in (
                ("multiply-adds", work[SSD].multiply_adds / work[blazeface].multiply_adds),
                *(
                    (
                        backend.name,
                        timings[f"{SSD}, {backend.name}"].p50_ms
                        / timings[f"{blazeface}, {backend.name}"].p50_ms,
                    )
                    for backend in backends
                ),
            )
        },
    )


def random_image() -> Float32Array:
    """A picture that is no picture, in BlazeFace's range: (1, 3, 128, 128) float32."""
    generator = np.random.default_rng(SEED)
    shape = (1, 3, SHORT_RANGE_SIZE, SHORT_RANGE_SIZE)
    return generator.uniform(-1, 1, shape).astype(np.float32)
