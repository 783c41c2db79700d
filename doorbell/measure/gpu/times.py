"""How fast a device is: each network in both precisions, each step from a frame to a vector."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from doorbell.domain import UInt8Array
from doorbell.measure.gpu.trial import Trial
from doorbell.measure.speed.backends import Backend
from doorbell.measure.speed.networks import (
    PAPER_RATIO,
    PUBLISHED,
    RELEASED,
    SSD,
    TITLES,
    compared_networks,
    measure_networks,
)
from doorbell.measure.speed.report import BenchReport, Result
from doorbell.measure.speed.timing import time_alternating

# What float16 is expected to gain over float32 on a GPU.
CLAIMED_FLOAT16_RATIO = 2.3

FRAME_HEIGHT, FRAME_WIDTH = 720, 1280


def measure_times(trial: Trial, say: Callable[[str], None]) -> BenchReport:
    """Times of the networks on the device, then of the steps from a frame to a vector.

    Raises:
        InferenceError: the device refuses a network.
    """
    with tempfile.TemporaryDirectory() as scratch:
        report = measure_networks(
            compared_networks(trial.config.inference, Path(scratch)),
            [trial.float32, trial.float16],
            seconds=trial.seconds,
            machine=trial.machine,
            say=say,
        )
    p50 = {(result.name, result.backend): result.timing.p50_ms for result in report.results}
    gains = {
        f"{name}, {trial.float32.name} / {trial.float16.name}": p50[title, trial.float32.name]
        / p50[title, trial.float16.name]
        for name, title in TITLES.items()
    }
    stages = _measure_stages(trial, say)
    return replace(report, results=report.results + stages, ratios={**report.ratios, **gains})


def _measure_stages(trial: Trial, say: Callable[[str], None]) -> tuple[Result, ...]:
    """Times from a 720p frame with one face to its vector, on the device and on the reference."""
    frame = _frame(trial.pictures[0])
    calls: dict[tuple[str, Backend], Callable[[], object]] = {}
    with ExitStack() as stack:
        for backend in (trial.float16, trial.reference):
            say(f"loading every network on {backend.name}")
            perception = stack.enter_context(closing(trial.perception(backend)))
            faces = perception.detect_still(frame)
            calls["detect", backend] = partial(perception.detect, frame, ())
            if faces:
                portrait = perception.portray(frame, faces[0])
                calls["align", backend] = partial(perception.portray, frame, faces[0])
                calls["embed", backend] = partial(perception.embed, [portrait])
        say("measuring every step")
        timings = time_alternating(
            {f"{stage}, {backend.name}": call for (stage, backend), call in calls.items()},
            seconds=trial.seconds,
        )
    return tuple(
        Result(f"{stage}, 720p", backend.name, timings[f"{stage}, {backend.name}"], backend.threads)
        for stage, backend in calls
    )


def notes(bench: BenchReport, trial: Trial) -> tuple[str, ...]:
    """What is published and what was measured, a sentence each."""
    gain = bench.ratios[f"{RELEASED}, {trial.float32.name} / {trial.float16.name}"]
    lead = bench.ratios[f"{SSD} / {PUBLISHED}, {trial.float16.name}"]
    return (
        f"BlazeFace as released: float16 is {gain:.2f} times as fast as float32 "
        f"(claimed: {CLAIMED_FLOAT16_RATIO}).",
        f"BlazeFace of Table 1 is {lead:.2f} times as fast as MobileNetV2-SSD of the same input "
        f"(its paper: {PAPER_RATIO:.1f}).",
    )


def _frame(picture: UInt8Array) -> UInt8Array:
    """A grey 720p frame with a picture in its middle, half as high."""
    height = FRAME_HEIGHT // 2
    width = min(round(picture.shape[1] * height / picture.shape[0]), FRAME_WIDTH)
    top, left = (FRAME_HEIGHT - height) // 2, (FRAME_WIDTH - width) // 2
    frame = np.full((FRAME_HEIGHT, FRAME_WIDTH, 3), 128, np.uint8)
    frame[top : top + height, left : left + width] = cv2.resize(
        picture, (width, height), interpolation=cv2.INTER_AREA
    )
    return frame
