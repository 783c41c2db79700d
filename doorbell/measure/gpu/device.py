"""Trying a device: its answers beside the reference's, and its times.

Decides nothing by time: how fast a device is depends on its power mode and on what else it does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone

import cv2
import numpy as np

from doorbell.domain import Float32Array, UInt8Array
from doorbell.errors import InferenceError
from doorbell.inference import Input, NetworkFiles
from doorbell.measure.gpu.comparison import Bounds, Found, compare_faces, output_cosine
from doorbell.measure.gpu.report import Check, DeviceReport
from doorbell.measure.gpu.times import measure_times, notes
from doorbell.measure.gpu.trial import Trial
from doorbell.measure.speed.backends import Backend
from doorbell.measure.speed.machine import temperatures
from doorbell.models.manifest import Model, load_manifest
from doorbell.models.store import network_files
from doorbell.pipeline.perception import Perception

# In float32 only the order of sums differs.
FLOAT32_BOUNDS = Bounds(output_cosine=0.99999, shift=0.005, embedding_cosine=0.9995)
# Measured on the sample portraits on 2026-11-22, every result rounded to float16: shifts of up to
# 0.003, embeddings to 0.9996; in bfloat16, which has three bits less, 0.005 and 0.997.
FLOAT16_BOUNDS = Bounds(output_cosine=0.999, shift=0.02, embedding_cosine=0.995)


def try_device(trial: Trial, say: Callable[[str], None]) -> DeviceReport:
    """Compare and measure.

    Args:
        trial: what is tried.
        say: told what is being done.

    Raises:
        ModelError: the models have not been built.
        InferenceError: the reference cannot be loaded.
    """
    before = temperatures()
    checks = check_answers(trial, say)
    try:
        bench = measure_times(trial, say)
    except InferenceError as exc:
        bench = None
        checks.append(Check("times", False, str(exc)))
    return DeviceReport(
        datetime.now(timezone.utc),
        trial.machine,
        {backend.name: bounds for backend, bounds in _backends(trial)},
        {"before": before, "after": temperatures()},
        tuple(checks),
        bench,
        notes(bench, trial) if bench else (),
    )


def check_answers(trial: Trial, say: Callable[[str], None]) -> list[Check]:
    """Compare what every network computes, then what all of them find together.

    Raises:
        ModelError, InferenceError: as ``try_device``.
    """
    checks: list[Check] = []
    say(f"finding faces on {trial.reference.name}")
    expected = _main_faces(trial, trial.reference)
    for backend, bounds in _backends(trial):
        networks = [_check_network(trial, backend, bounds, case, say) for case in _cases(trial)]
        checks += networks
        if all(check.ok for check in networks):
            checks.append(_check_faces(trial, backend, bounds, expected, say))
    return checks


def _backends(trial: Trial) -> tuple[tuple[Backend, Bounds], ...]:
    return (trial.float32, FLOAT32_BOUNDS), (trial.float16, FLOAT16_BOUNDS)


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One network and what it is given."""

    name: str
    files: NetworkFiles
    inputs: Mapping[str, Input]


def _cases(trial: Trial) -> Iterator[Case]:
    """Every network that the daemon may load."""
    section = trial.config.inference
    for name, model in load_manifest().models.items():
        images = _network_input(trial.pictures, model)
        yield Case(name, network_files(name, section), {"image": images})
        if model.cuts_regions:
            frame = trial.pictures[0]
            side = min(frame.shape[:2])
            squares = np.array([[0, 0, side], [side / 4, side / 4, side / 2]], np.float32)
            yield Case(
                f"{name} of a frame",
                network_files(name, section, cutting_regions=True),
                {"frame": np.ascontiguousarray(frame[None]), "regions": squares},
            )


def _check_network(
    trial: Trial, backend: Backend, bounds: Bounds, case: Case, say: Callable[[str], None]
) -> Check:
    """Load one network on both and give them the same input."""
    what = f"{case.name}, {backend.name}"
    say(f"loading {case.name} on {backend.name}")
    with closing(trial.reference.open(case.files)) as runner:
        expected = runner.infer(case.inputs)
    try:
        started = time.perf_counter()
        with closing(backend.open(case.files)) as runner:
            seconds = time.perf_counter() - started
            cosine = output_cosine(expected, runner.infer(case.inputs))
    except InferenceError as exc:
        return Check(what, False, str(exc))
    return Check(
        what,
        cosine >= bounds.output_cosine,
        f"cosine {cosine:.6f} with {trial.reference.name}; ready in {seconds:.1f} s",
        {"cosine": cosine, "load_seconds": seconds},
    )


def _check_faces(
    trial: Trial,
    backend: Backend,
    bounds: Bounds,
    expected: Sequence[Found],
    say: Callable[[str], None],
) -> Check:
    """Find and embed the face of every picture, through all networks."""
    what = f"faces, {backend.name}"
    say(f"finding faces on {backend.name}")
    try:
        apart = compare_faces(expected, _main_faces(trial, backend))
    except InferenceError as exc:
        return Check(what, False, str(exc))
    return Check(
        what,
        apart.within(bounds),
        f"{apart.faces} in {len(expected)} pictures, {apart.missed} of them missed; moved by at "
        f"most {apart.shift:.4f} of their width, embeddings to a cosine of "
        f"{apart.embedding_cosine:.5f}",
        {
            "faces": apart.faces,
            "missed": apart.missed,
            "shift": apart.shift,
            "embedding_cosine": apart.embedding_cosine,
        },
    )


def _main_faces(trial: Trial, backend: Backend) -> list[Found]:
    """The largest face of every picture, and its vector."""
    with closing(trial.perception(backend)) as perception:
        return [_main_face(perception, pixels) for pixels in trial.pictures]


def _main_face(perception: Perception, pixels: UInt8Array) -> Found:
    faces = perception.detect_still(pixels)
    samples = perception.embed([perception.crop_face(pixels, face) for face in faces])
    known = [(f, s.embedding) for f, s in zip(faces, samples, strict=True) if s is not None]
    return max(known, key=lambda found: found[0].width_pixels, default=None)


def _network_input(pictures: Sequence[UInt8Array], model: Model) -> Float32Array:
    """Every picture squeezed into a network's input: (n, 3, size, size) float32."""
    size = int(model.inputs["image"][-1])
    low, high = model.value_range
    squares = [cv2.resize(p, (size, size), interpolation=cv2.INTER_AREA) for p in pictures]
    batch = np.stack(squares).transpose(0, 3, 1, 2).astype(np.float32, order="C")
    return np.asarray(low + batch * ((high - low) / 255), np.float32)
