"""How much the box of a face trembles in video, by how it is made from the same candidates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from doorbell.config import DetectionSection, TrackingSection
from doorbell.detection.blazeface import Candidates, blend, clusters
from doorbell.domain import Face, Float32Array, Track, UInt8Array
from doorbell.measure.accuracy.figures import second_differences
from doorbell.measure.accuracy.labels import list_videos
from doorbell.measure.accuracy.replay import read_frames
from doorbell.measure.accuracy.report import Report
from doorbell.models.fetch import Progress
from doorbell.pipeline.tracking import Tracker

METHODS = ("nms", "blending", "track")


@dataclass(frozen=True, slots=True)
class FoundBoxes:
    """The faces of one frame, and their boxes by other methods: (n, 4) each, in the same order."""

    faces: list[Face]
    boxes: Mapping[str, Float32Array]


class BoxFinder(Protocol):
    """Finds faces in the frames of one video."""

    def look(self, pixels: UInt8Array, tracks: Sequence[Track]) -> FoundBoxes:
        """Find them in one frame, given what is followed."""


class CandidateFinder(Protocol):
    """Finds what may be faces in the frames of one video."""

    def candidates(self, pixels: UInt8Array, tracks: Sequence[Track]) -> Candidates:
        """Find it in one frame, given what is followed."""


class BlazeFaceBoxFinder:
    """Candidates made to boxes both ways."""

    def __init__(self, finder: CandidateFinder, section: DetectionSection) -> None:
        self._finder = finder
        self._min_iou = section.blend_iou

    def look(self, pixels: UInt8Array, tracks: Sequence[Track]) -> FoundBoxes:
        """Blend, and keep the best of what was blended."""
        candidates = self._finder.candidates(pixels, tracks)
        faces = blend(candidates, self._min_iou)
        blended = np.array([face.box_xyxy for face in faces], np.float32).reshape(-1, 4)
        kept = keep_best(candidates, self._min_iou)
        best = np.array([face.box_xyxy for face in kept], np.float32).reshape(-1, 4)
        return FoundBoxes(faces, {"nms": best, "blending": blended})


@dataclass(slots=True)
class _Boxes:
    """The boxes of one track in every frame of a video, by method; None where it was not found."""

    area: float = 0.0
    by_method: dict[str, list[Float32Array | None]] = field(default_factory=dict)


def measure_jitter(
    folder: Path, looker: BoxFinder, section: TrackingSection, progress: Progress
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
        medians = []
        for method, boxes in _follow(video, looker, section).by_method.items():
            found = second_differences(boxes)
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


def keep_best(candidates: Candidates, min_iou: float) -> list[Face]:
    """Non-maximum suppression under the same conditions as blending: faces, best first.

    Of each cluster that ``blend`` averages, its best candidate alone. The clusters are the same and
    so is the region believed, so that the two differ in nothing else.

    Args:
        candidates: decoded anchors.
        min_iou: candidates that overlap the best remaining one by more than this are its cluster.
    """
    kept = []
    for cluster in clusters(candidates, min_iou):
        ranks = candidates.ranks[cluster]
        believed = cluster[ranks == ranks.min()][0]
        kept.append(
            Face(
                candidates.boxes_xyxy[believed],
                candidates.keypoints_xy[believed],
                float(candidates.scores[cluster[0]]),
            )
        )
    return kept


def _follow(video: Path, looker: BoxFinder, section: TrackingSection) -> _Boxes:
    """The boxes of the face seen largest and longest."""
    tracker = Tracker(section)
    seen: dict[int, _Boxes] = {}
    for index, frame in enumerate(read_frames(video)):
        looked = looker.look(frame.pixels, tracker.tracks)
        for i, track in enumerate(tracker.update(looked.faces, frame.time_seconds)):
            entry = seen.setdefault(track.track_id, _Boxes())
            entry.area += track.face.width_pixels * track.face.height_pixels
            boxes = {method: boxes[i] for method, boxes in looked.boxes.items()}
            for method, box in {**boxes, "track": track.face.box_xyxy}.items():
                line = entry.by_method.setdefault(method, [])
                line += [None] * (index - len(line))
                line.append(box)
    return max(seen.values(), key=lambda boxes: boxes.area, default=_Boxes())
