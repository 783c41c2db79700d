"""The parts of the benchmark run together: which sizes, frames, backends and threads."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

from doorbell.config import Config, InferenceSection
from doorbell.inference.tensorrt import gpu_fault, require_gpu
from doorbell.measure.speed.backends import Backend, openvino_backend, tensorrt_backend
from doorbell.measure.speed.doors import measure_doors
from doorbell.measure.speed.end_to_end import measure_answers, measure_starts
from doorbell.measure.speed.gallery import SIZES, measure_gallery
from doorbell.measure.speed.machine import describe_machine
from doorbell.measure.speed.networks import compared_networks, measure_networks
from doorbell.measure.speed.peers import PeerName, SharedPicture, open_peers
from doorbell.measure.speed.pipeline import WORK, measure_pipeline
from doorbell.measure.speed.report import BenchReport
from doorbell.measure.speed.scene import Size, View, draw, play, standing
from doorbell.measure.speed.stages import STAGES, Bench, measure_stages
from doorbell.measure.speed.time_to_detect import ARRIVING, measure_arrivals
from doorbell.models.store import models_directory

Say: TypeAlias = Callable[[str], None]


def run_stages(
    config: Config,
    *,
    against: Sequence[PeerName],
    seconds: float,
    video: Path | None,
    say: Say,
    warn: Say,
) -> BenchReport:
    """Time a frame to faces and names, and a face to its vector; see ``measure_stages``.

    Args:
        config: of the product.
        against: peers in the same run.
        seconds: for each stage.
        video: whose frames are looked at; None for the simulated camera's.
        say: told what is being done.
        warn: called for a peer that is left out.
    """
    threads = _threads(config)
    if video is None:
        script = standing(1, models_directory(config.inference) / "faces")

    def frames(size: Size, frames_per_second: float) -> Iterator[View]:
        if video is not None:
            return play(video, size, frames_per_second)
        return draw(script, size, frames_per_second)

    with (
        closing(SharedPicture()) as picture,
        open_peers(
            against,
            config.inference,
            picture,
            threads=threads or len(os.sched_getaffinity(0)),
            say=say,
            warn=warn,
        ) as peers,
    ):
        bench = Bench(config, threads, seconds, peers, picture, say)
        return measure_stages(STAGES, bench, frames, describe_machine())


def run_pipeline(config: Config, seconds: float, visit_count: int, say: Say) -> BenchReport:
    """Time frames as work grows, and so many visits to a daemon; see ``measure_pipeline``."""
    machine, threads = describe_machine(), _threads(config)
    steps = measure_pipeline(
        config, WORK, threads=threads, seconds=seconds, machine=machine, say=say
    )
    say(f"measuring: {ARRIVING}")
    arrivals = measure_arrivals(config, count=visit_count, threads=threads, machine=machine)
    answers = measure_answers(config, count=visit_count, threads=threads, machine=machine, say=say)
    return BenchReport.joined([steps, arrivals, answers])


def run_startup(config: Config, starts: int, say: Say) -> BenchReport:
    """Time so many starts of a daemon; see ``measure_starts``."""
    return measure_starts(
        config, count=starts, threads=_threads(config), machine=describe_machine(), say=say
    )


def run_doors(config: Config, most: int, seconds: float, say: Say) -> BenchReport:
    """Let a daemon watch one to so many doors; see ``measure_doors``."""
    return measure_doors(
        config,
        most=most,
        seconds=seconds,
        threads=_threads(config),
        machine=describe_machine(),
        say=say,
    )


def run_gallery(seconds: float, most: int, say: Say) -> BenchReport:
    """Time a gallery of up to so many samples; see ``measure_gallery``."""
    sizes = [size for size in SIZES if size < most] + [most // 10 * 10]
    return measure_gallery(sizes, seconds=seconds, machine=describe_machine(), say=say)


def run_networks(config: Config, seconds: float, say: Say, warn: Say) -> BenchReport:
    """Time BlazeFace beside MobileNetV2-SSD; see ``measure_networks``."""
    backends, gpu = _backends(config.inference, warn)
    with tempfile.TemporaryDirectory() as scratch:
        return measure_networks(
            compared_networks(config.inference, Path(scratch)),
            backends,
            seconds=seconds,
            machine={**gpu, **describe_machine()},
            say=say,
        )


def _threads(config: Config) -> int | None:
    """How many the product infers on; None on a GPU."""
    if config.inference.backend != "openvino" and gpu_fault() is None:
        return None
    return config.inference.threads or len(os.sched_getaffinity(0))


def _backends(section: InferenceSection, warn: Say) -> tuple[list[Backend], dict[str, str]]:
    """The processor, and the GPU where one can be used, with what is to be said of it."""
    backends = [openvino_backend(section)]
    fault = gpu_fault()
    if fault is not None:
        warn(f"on the processor alone: {fault}")
        return backends, {}
    backends += [tensorrt_backend(section, "float32"), tensorrt_backend(section, "float16")]
    return backends, {"gpu": require_gpu()}
