"""How much the box of a face trembles in video, by how it is made from the same candidates."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from doorbell.config import Config
from doorbell.detection.blazeface import Candidates, blend, iou
from doorbell.domain import Float32Array
from doorbell.evaluation.doors import read_frames
from doorbell.evaluation.figures import second_differences
from doorbell.evaluation.labels import list_videos
from doorbell.evaluation.report import Report
from doorbell.models.fetch import Progress
from doorbell.perception import Perception
from doorbell.tracking import Tracker

METHODS = ("nms", "blending", "track")


@dataclass(slots=True)
class _Boxes:
    """The boxes of one track in every frame of a video, by method; None where it was not found."""

    area: float = 0.0
    by_method: dict[str, list[Float32Array | None]] = field(default_factory=dict)


def measure_jitter(
    folder: Path, perception: Perception, config: Config, progress: Progress
) -> Report:
    """Follow the main face of every video of a folder.

    Raises:
        UsageError: the folder holds no video.
        CameraError: a video cannot be read.
    """
    videos = list_videos(folder)
    jitters: dict[str, list[float]] = defaultdict(list)
    notes = []
    for done, video in enumerate(videos, start=1):
        boxes = _follow(video, perception, config)
        medians = []
        for method in METHODS:
            found = second_differences(boxes.by_method.get(method, []))
            jitters[method] += found
            medians.append(f"{method} {np.median(found):.4f}" if found else f"{method} -")
        notes.append(f"{video.name}: {', '.join(medians)}")
        progress("videos", done, len(videos))
    return Report(
        figures={
            method: float(np.median(jitters[method])) if jitters[method] else None
            for method in METHODS
        },
        notes=tuple(notes),
    )


def keep_best(candidates: Candidates, min_iou: float) -> Float32Array:
    """Non-maximum suppression under the same conditions as blending: (n, 4) xyxy, best first.

    Of each cluster that ``blend`` averages, its best candidate alone. The clusters are the same and
    so is the region believed, so that the two differ in nothing else.

    Args:
        candidates: decoded anchors.
        min_iou: candidates that overlap the best remaining one by more than this are its cluster.
    """
    kept = []
    order = np.argsort(-candidates.scores, kind="stable")
    while order.size:
        together = iou(candidates.boxes_xyxy[order[0]], candidates.boxes_xyxy[order]) > min_iou
        together[0] = True
        ranks = candidates.ranks[order[together]]
        believed = order[together][ranks == ranks.min()]
        kept.append(candidates.boxes_xyxy[believed[0]])
        order = order[~together]
    return np.array(kept, np.float32).reshape(-1, 4)


def _follow(video: Path, perception: Perception, config: Config) -> _Boxes:
    """The boxes of the face seen largest and longest."""
    tracker = Tracker(config.tracking)
    seen: dict[int, _Boxes] = {}
    for index, frame in enumerate(read_frames(video)):
        candidates = perception.candidates(frame.pixels, tracker.tracks)
        faces = blend(candidates, config.detection.blend_iou)
        best = keep_best(candidates, config.detection.blend_iou)  # (n, 4)
        for face, track in zip(faces, tracker.update(faces, frame.time_seconds), strict=True):
            boxes = seen.setdefault(track.track_id, _Boxes())
            boxes.area += track.face.width_pixels * track.face.height_pixels
            nearest = best[int(np.argmax(iou(face.box_xyxy, best)))]
            for method, box in zip(
                METHODS, (nearest, face.box_xyxy, track.face.box_xyxy), strict=True
            ):
                line = boxes.by_method.setdefault(method, [])
                line += [None] * (index - len(line))
                line.append(box)
    return max(seen.values(), key=lambda boxes: boxes.area, default=_Boxes())
