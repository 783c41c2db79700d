"""How late a visitor who comes to an empty porch is found.

A frame shows a face where the networks, told where to look, find it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import closing

import numpy as np

from doorbell.camera.simulated.camera import SceneRenderer
from doorbell.camera.simulated.script import Appearance
from doorbell.config import Config
from doorbell.domain import Face, Frame, Track
from doorbell.measure.speed.product import DOORBELL, open_system
from doorbell.measure.speed.report import BenchReport, Result
from doorbell.measure.speed.scene import P720, WALL_TIME, View, face_box, shows, visits
from doorbell.measure.speed.timing import Timing
from doorbell.models.store import models_directory
from doorbell.pipeline.perception import Perception, open_perception

ARRIVING = "720p, somebody comes, 15 frames a second: found late by"
FRAMES_PER_SECOND = 15.0
SEED = 11
# Every part of the empty porch has had its first look after that.
EMPTY_SECONDS = 2.0


def measure_arrivals(
    config: Config, *, count: int, threads: int | None, machine: Mapping[str, str]
) -> BenchReport:
    """Let visitors come to a porch at which nobody is.

    Args:
        config: of the product.
        count: visitors, each in a stream of their own.
        threads: it infers on; None on a GPU.
        machine: goes into the report.

    Raises:
        ModelError: the models or the sample portraits have not been built.
        InferenceError: a network cannot be loaded.
    """
    faces = models_directory(config.inference) / "faces"
    script = visits(count, faces, seed=SEED, between_seconds=EMPTY_SECONDS)
    renderer = SceneRenderer(script, P720.width, P720.height, FRAMES_PER_SECOND)
    late: list[float] = []
    with open_system(config) as product, closing(open_perception(config)) as guide:
        for appearance in script.appearances:
            watcher = product.watcher()
            shown_at = None
            for view in _coming(appearance, renderer):
                found = watcher.look(view.frame).boxes_xyxy
                if shown_at is None and _shows(view, guide):
                    shown_at = view.frame.time_seconds
                if shown_at is None or view.face_xyxy is None:
                    continue
                if shows(found, view.face_xyxy):
                    late.append((view.frame.time_seconds - shown_at) * 1000)
                    break
    figures = {"found": len(late) / count, "at_once": sum(each == 0 for each in late) / count}
    results = (Result(ARRIVING, DOORBELL, Timing.of(late), threads, figures),) if late else ()
    return BenchReport(machine, results, {})


def _coming(appearance: Appearance, renderer: SceneRenderer) -> Iterator[View]:
    """The empty porch, then one visitor who comes and stays."""
    first = max(math.floor((appearance.enters_seconds - EMPTY_SECONDS) * FRAMES_PER_SECOND), 0)
    for index in range(first, math.ceil(appearance.gone_seconds * FRAMES_PER_SECOND)):
        seconds = index / FRAMES_PER_SECOND
        pose = appearance.pose_at(seconds, P720.width, P720.height)
        pixels = renderer.render(seconds, index)
        frame = Frame(pixels, seconds, WALL_TIME + seconds, index)
        yield View(frame, None if pose is None else face_box(pose))


def _shows(view: View, guide: Perception) -> bool:
    if view.face_xyxy is None:
        return False
    there = Face(view.face_xyxy, np.zeros((6, 2), np.float32), 1.0)
    seconds = view.frame.time_seconds
    faces = guide.detect(view.frame.pixels, [Track(1, there, seconds, seconds, 1)])
    boxes = np.array([face.box_xyxy for face in faces], np.float32).reshape(-1, 4)
    return shows(boxes, view.face_xyxy)
