"""What a further door costs: one daemon with several cameras, and visitors at all of them.

The cameras play one recording, each from another place of it on, so that somebody is at most doors
at any moment; drawing it is not counted. A name is timed as in ``end_to_end``: from the moment at
which the first frame with a usable face was sent up to the message at home automation.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from doorbell.camera.simulated.camera import SceneRenderer
from doorbell.camera.simulated.script import SceneScript
from doorbell.config import Config
from doorbell.measure.speed.daemon import door_id, open_doors
from doorbell.measure.speed.end_to_end import SEED, prepare
from doorbell.measure.speed.memory import resident_megabytes
from doorbell.measure.speed.product import DOORBELL
from doorbell.measure.speed.report import BenchReport, Result
from doorbell.measure.speed.scene import FRAMES_PER_SECOND, P720, visits
from doorbell.measure.speed.timing import Timing
from doorbell.models.store import models_directory
from doorbell.testbed.broker import open_broker
from doorbell.testbed.recorded_cameras import RecordedCameras, recorded_cameras
from doorbell.testbed.subscriber import Subscriber

SENT_PER_SECOND = 10.0
MOST_DOORS = 8
VISITS = 5
# The porch is empty for a little longer than the daemon needs to end a visit.
BETWEEN_SECONDS = 2.2
# Cameras do not wait for each other: a door's frames come so much of a period later than the one's
# before it, which spreads any number of them, and never evenly.
GOLDEN_RATIO = 0.618
# Before the clock starts, every camera has given frames and every network has run.
WARM_UP_SECONDS = 3.0
# The last visitors of the time that is measured are named by then, or not at all.
AFTER_SECONDS = 4.0
# Who was named before the first usable face, by a frame that only looks worse, still counts.
BEFORE_SECONDS = 1.5


def doors_name(count: int) -> str:
    """Name the measurement with so many doors."""
    doors = f"{count} doors" if count > 1 else "one door"
    return f"{doors}: first usable face to the name"


def beside_one_door(count: int, what: str) -> str:
    """The key of a ratio: ``what`` of so many doors by that of one."""
    return f"{doors_name(count)}, {what} / one door"


@dataclass(frozen=True, slots=True)
class Recording:
    """What the cameras play.

    Attributes:
        folder: its pictures.
        length: how many there are.
        usable: places in it of the first usable face of each visit.
    """

    folder: Path
    length: int
    usable: Sequence[int]


def measure_doors(
    config: Config,
    *,
    most: int,
    seconds: float,
    threads: int | None,
    machine: Mapping[str, str],
    say: Callable[[str], None],
) -> BenchReport:
    """Let a daemon watch one door, then two, and so on, in real time.

    Args:
        config: of the product.
        most: doors in the end.
        seconds: of each number of doors.
        threads: it infers on; None on a GPU.
        machine: goes into the report.
        say: told what is being done.

    Raises:
        DoorbellError: a model, a portrait or a broker is missing, or the daemon does not start.
    """
    with (
        tempfile.TemporaryDirectory(prefix="doorbell-bench-") as scratch,
        open_broker(Path(scratch)) as (port, broker),
    ):
        folder = Path(scratch)
        say("drawing what the cameras play")
        recording = draw_recording(config, folder)
        results = []
        for count in range(1, most + 1):
            say(f"measuring: {doors_name(count)}")
            figures, names_ms = _measure(config, recording, (count, seconds), port, folder)
            timing = Timing.of([each for each in names_ms if not math.isnan(each)] or [math.nan])
            results.append(Result(doors_name(count), DOORBELL, timing, threads, figures))
    alone = results[0]
    ratios = {
        beside_one_door(int(each.figures["doors"]), what): ratio
        for each in results[1:]
        for what, ratio in (
            ("p50", each.timing.p50_ms / alone.timing.p50_ms),
            ("p95", each.figures["p95_ms"] / alone.figures["p95_ms"]),
        )
    }
    return BenchReport({**machine, "broker": broker}, tuple(results), ratios)


def draw_recording(config: Config, folder: Path) -> Recording:
    """Draw visits, and enroll the visitor for a daemon in the same folder."""
    faces = models_directory(config.inference) / "faces"
    script = visits(VISITS, faces, seed=SEED, between_seconds=BETWEEN_SECONDS)
    usable = prepare(config, folder, script, SENT_PER_SECOND)
    pictures = folder / "recording"
    pictures.mkdir()
    length = _draw(script, pictures)
    places = [round(each * SENT_PER_SECOND) for each in usable if not math.isnan(each)]
    return Recording(pictures, length, places)


def _draw(script: SceneScript, folder: Path) -> int:
    """Draw a scene into files; how many."""
    renderer = SceneRenderer(script, P720.width, P720.height, FRAMES_PER_SECOND)
    length = int(script.duration_seconds * SENT_PER_SECOND)
    for index in range(length):
        pixels = renderer.render(index / SENT_PER_SECOND, index)
        cv2.imwrite(str(folder / f"{index:05}.jpg"), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    return length


def _measure(
    config: Config, recording: Recording, work: tuple[int, float], port: int, folder: Path
) -> tuple[dict[str, float], list[float]]:
    """Watch so many doors for so many seconds: figures, and how long each name took (ms)."""
    count, seconds = work
    starts = [number * recording.length // count for number in range(count)]
    phases = [number * GOLDEN_RATIO % 1 for number in range(count)]
    with (
        Subscriber(port) as subscriber,
        recorded_cameras(recording.folder, SENT_PER_SECOND) as cameras,
    ):
        uris = [cameras.uri(*each) for each in zip(starts, phases, strict=True)]
        with open_doors(config, uris, port, folder) as daemon:
            ready = daemon.wait_ready()
            begins = ready + WARM_UP_SECONDS
            _sleep_until(begins)
            used = _processor_seconds(daemon.process.pid)
            _sleep_until(begins + seconds)
            core = (_processor_seconds(daemon.process.pid) - used) / (time.time() - begins)
            _sleep_until(begins + seconds + AFTER_SECONDS)
            memory = resident_megabytes(daemon.process.pid)
            watched = time.time() - ready
        names: list[float] = []
        for number, (start, phase) in enumerate(zip(starts, phases, strict=True)):
            sent = _sent(recording, cameras, start, phase)
            due = [each for each in sent if begins <= each < begins + seconds]
            names += names_at(_decided(subscriber, door_id(number)), due)
        statuses = [_statuses(subscriber, door_id(number)) for number in range(count)]
    # The last covers what the others do not.
    taken = sum(each["stages"]["frame"]["count"] for of_door in statuses for each in of_door)
    figures = {
        "doors": float(count),
        "p95_ms": float(np.nanpercentile(names, 95)),
        "answered": float(np.mean([not math.isnan(each) for each in names])),
        "frames_per_second": taken / watched,
        "sent_per_second": count * SENT_PER_SECOND,
        "frame_p99_ms": max(each["stages"]["frame"]["p99_ms"] for *_, each in statuses),
        "core": core,
        "resident_mb": memory,
    }
    return figures, names


def _sent(
    recording: Recording, cameras: RecordedCameras, start: int, phase: float
) -> Iterator[float]:
    """When a camera has sent first usable faces by now, by the wall clock, in order."""
    for number in itertools.count():
        at = cameras.sent_at(number, phase)
        if at > time.time():
            return
        if (start + number) % recording.length in recording.usable:
            yield at


def names_at(decided: Sequence[float], sent: Sequence[float]) -> list[float]:
    """Milliseconds from each first usable face at a door to its name; NaN where none came.

    Args:
        decided: when visitors were named there, or found to be unknown; wall times in order.
        sent: when the faces were sent, likewise.
    """
    answers = []
    for at, after in zip(sent, [*sent[1:], math.inf], strict=True):
        those = [each for each in decided if at - BEFORE_SECONDS <= each < after - BEFORE_SECONDS]
        answers.append((those[0] - at) * 1000 if those else math.nan)
    return answers


def _decided(subscriber: Subscriber, door: str) -> list[float]:
    return [
        message.at
        for message in subscriber.heard(f"doorbell/{door}/event")
        if json.loads(message.payload)["event_type"] in ("recognized", "unknown")
    ]


def _statuses(subscriber: Subscriber, door: str) -> list[dict[str, Any]]:
    return [
        json.loads(message.payload)
        for message in subscriber.heard(f"doorbell/{door}/status")
        if not message.retain
    ]


def _processor_seconds(pid: int) -> float:
    """What a process has computed so far, on all cores."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _sleep_until(wall_time: float) -> None:
    time.sleep(max(wall_time - time.time(), 0.0))
