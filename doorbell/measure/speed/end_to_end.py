"""How long it takes from the first usable face to a message at home automation, and from a start.

A face is usable from the first frame on in which the networks, told where to look, find it as large
and as good as recognition wants it. The clock starts when that frame was due.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from doorbell.camera.simulated.camera import SceneRenderer
from doorbell.camera.simulated.script import Appearance, SceneScript
from doorbell.config import Config
from doorbell.domain import Face, Track
from doorbell.gallery.gallery import Gallery
from doorbell.measure.speed.daemon import open_daemon, overrides
from doorbell.measure.speed.memory import PART, measure_parts, resident_megabytes
from doorbell.measure.speed.product import DOORBELL, enroll_known
from doorbell.measure.speed.report import BenchReport, Result
from doorbell.measure.speed.scene import FRAMES_PER_SECOND, P720, face_box, standing, visits
from doorbell.measure.speed.timing import Timing
from doorbell.models.store import models_directory
from doorbell.pipeline.perception import Perception, open_perception
from doorbell.testbed.broker import open_broker
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

ARRIVED, NAMED = "usable face to message: somebody is there", "usable face to message: the name"
READY, DECIDED = "start to first frame processed", "start to first name at a subscriber"
# The porch is empty for longer than the daemon needs to end a visit.
BETWEEN_SECONDS = 3.5
SEED = 7
PATIENCE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Heard:
    """An event at the subscriber.

    Attributes:
        at: wall time.
        kind: its ``event_type``.
    """

    at: float
    kind: str


def measure_answers(
    config: Config,
    *,
    count: int,
    threads: int | None,
    machine: Mapping[str, str],
    say: Callable[[str], None],
) -> BenchReport:
    """Let visitors come to a daemon, in real time, at 30 frames a second.

    Args:
        config: of the product.
        count: visits.
        threads: it infers on; None on a GPU.
        machine: goes into the report.
        say: told what is being done.

    Raises:
        DoorbellError: a model, a portrait or a broker is missing, or the daemon does not start.
    """
    script = visits(
        count,
        models_directory(config.inference) / "faces",
        seed=SEED,
        between_seconds=BETWEEN_SECONDS,
    )
    with (
        tempfile.TemporaryDirectory(prefix="doorbell-bench-") as folder,
        open_broker(Path(folder)) as (port, broker),
        Subscriber(port) as subscriber,
    ):
        say("finding the first usable face of each visit")
        usable = prepare(config, Path(folder), script)
        say(f"{count} visits to a daemon: {script.duration_seconds:.0f} s")
        with open_daemon(config, script, port, Path(folder)) as daemon:
            daemon.wait_ready()
            began = daemon.scene_began_at()
            eventually(lambda: _is_over(subscriber, count), script.duration_seconds)
            memory = resident_megabytes(daemon.process.pid)
        heard = _heard(subscriber)
    results = []
    for name, kinds in ((ARRIVED, ("arrived",)), (NAMED, ("recognized", "unknown"))):
        times = _answers(heard, kinds, [began + seconds for seconds in usable])
        known = [each for each in times if not math.isnan(each)]
        if known:
            figures = {
                "p95_ms": float(np.percentile(known, 95)),
                "answered": len(known) / count,
                "resident_mb": memory,
            }
            results.append(Result(name, DOORBELL, Timing.of(known), threads, figures))
    return BenchReport({**machine, "broker": broker}, tuple(results), {})


def measure_starts(
    config: Config,
    *,
    count: int,
    threads: int | None,
    machine: Mapping[str, str],
    say: Callable[[str], None],
) -> BenchReport:
    """Start a daemon before a known visitor who stands there already.

    Args:
        config: of the product.
        count: starts.
        threads: it infers on; None on a GPU.
        machine: goes into the report.
        say: told what is being done.

    Raises:
        DoorbellError: as ``measure_answers``.
    """
    script = standing(1, models_directory(config.inference) / "faces")
    ready, decided = [], []
    with (
        tempfile.TemporaryDirectory(prefix="doorbell-bench-") as folder,
        open_broker(Path(folder)) as (port, broker),
        Subscriber(port) as subscriber,
    ):
        prepare(config, Path(folder), SceneScript((), 1.0))
        for start in range(count):
            say(f"start {start + 1} of {count}")
            subscriber.messages.clear()
            with open_daemon(config, script, port, Path(folder)) as daemon:
                started_at = daemon.process.started_at
                ready.append((daemon.wait_ready() - started_at) * 1000)
                eventually(lambda: bool(_names(subscriber)), PATIENCE_SECONDS)
                if named := _names(subscriber):
                    decided.append((named[0].at - started_at) * 1000)
    say("measuring the memory of each part")
    starts = [
        Result(name, DOORBELL, Timing.of(taken), threads)
        for name, taken in ((READY, ready), (DECIDED, decided))
        if taken
    ]
    return BenchReport({**machine, "broker": broker}, (*starts, *_parts(config, threads)), {})


def _parts(config: Config, threads: int | None) -> list[Result]:
    """Every part of the memory, with the time that it took to get there."""
    return [
        Result(
            PART.format(part["part"]),
            DOORBELL,
            Timing.of([float(part["ms"])]),
            threads,
            {key: float(part[key]) for key in ("added_mb", "resident_mb")},
        )
        for part in measure_parts(overrides(config))
    ]


def prepare(
    config: Config,
    folder: Path,
    script: SceneScript,
    frames_per_second: float = FRAMES_PER_SECOND,
) -> list[float]:
    """Enroll the visitor for a daemon, and say when each visit shows the first usable face.

    Args:
        config: of the product.
        folder: gets the gallery.
        script: the visits.
        frames_per_second: of the camera.

    Returns:
        Seconds of the scene, NaN where no frame of a visit is good enough.
    """
    with (
        closing(open_perception(config)) as perception,
        Gallery.open(folder / "gallery.sqlite") as gallery,
    ):
        enroll_known(perception, gallery, config)
        renderer = SceneRenderer(script, P720.width, P720.height, FRAMES_PER_SECOND)
        return [
            _first_usable(each, renderer, perception, config, frames_per_second)
            for each in script.appearances
        ]


def _first_usable(
    appearance: Appearance,
    renderer: SceneRenderer,
    perception: Perception,
    config: Config,
    frames_per_second: float,
) -> float:
    """Seconds of the scene at which a visit's face can first be recognized."""
    section = config.recognition
    index = math.ceil(appearance.enters_seconds * frames_per_second)
    while (seconds := index / frames_per_second) < appearance.gone_seconds:
        pose = appearance.pose_at(seconds, P720.width, P720.height)
        if pose is not None:
            pixels = renderer.render(seconds, index)
            there = Face(face_box(pose), np.zeros((6, 2), np.float32), 1.0)
            for face in perception.detect(pixels, [Track(1, there, seconds, seconds, 1)]):
                large = min(face.width_pixels, face.height_pixels) >= section.min_face_pixels
                if not large:
                    continue
                [sample] = perception.embed([perception.portray(pixels, face)])
                if sample is not None and sample.quality >= section.min_quality:
                    return seconds
        index += 1
    return math.nan


def _answers(heard: list[Heard], kinds: tuple[str, ...], usable_at: list[float]) -> list[float]:
    """Milliseconds from each usable face to the next event of a kind; NaN where none came."""
    answers = []
    for place, at in enumerate(usable_at):
        after = usable_at[place + 1] if place + 1 < len(usable_at) else math.inf
        # What is heard a little before the face is usable still belongs to this visit.
        first = [e.at for e in heard if e.kind in kinds and at - 1.5 <= e.at < after - 1.5]
        answers.append((first[0] - at) * 1000 if first else math.nan)
    return answers


def _heard(subscriber: Subscriber) -> list[Heard]:
    return [
        Heard(message.at, json.loads(message.payload)["event_type"])
        for message in subscriber.heard("event")
    ]


def _is_over(subscriber: Subscriber, count: int) -> bool:
    return sum(event.kind == "left" for event in _heard(subscriber)) >= count


def _names(subscriber: Subscriber) -> list[Heard]:
    return [e for e in _heard(subscriber) if e.kind in ("recognized", "unknown")]
