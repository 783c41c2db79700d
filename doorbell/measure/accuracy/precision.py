"""What float16, bfloat16 and 8 bits change: the faces of the same pictures, compared with float32.

Differences go all the way: a box that moved changes the crop, and the embedding with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from doorbell.detection.blazeface import iou
from doorbell.domain import Face, FaceSample
from doorbell.measure.accuracy.figures import MATCH_IOU, accepted_at, ten_fold_accuracy
from doorbell.measure.accuracy.labels import Pair, read_pairs, read_scenes
from doorbell.measure.accuracy.report import Report
from doorbell.measure.accuracy.stills import Recognizer, Seen, find_faces
from doorbell.measure.accuracy.verification import similarities
from doorbell.models.fetch import Progress

Precision: TypeAlias = Literal["float32", "float16", "bfloat16", "int8"]
LOWER: tuple[Precision, ...] = ("float16", "bfloat16", "int8")


@dataclass(frozen=True, slots=True)
class Difference:
    """How far one face is from what float32 makes of it.

    Attributes:
        box: largest shift of an edge, in widths of the face.
        keypoints: largest shift of a keypoint, in widths of the face.
        cosine: of the two embeddings.
    """

    box: float
    keypoints: float
    cosine: float


def measure_precision(
    folder: Path,
    open_in: Callable[[Precision], AbstractContextManager[Recognizer]],
    progress: Progress,
) -> Report:
    """Find and embed the faces of the pictures of ``pairs.csv``, or else of ``boxes.json``.

    Raises:
        UsageError: the folder is not as it should be, or ONNX Runtime is missing.
        PictureError: a picture cannot be read.
    """
    pairs = read_pairs(folder) if (folder / "pairs.csv").is_file() else []
    if pairs:
        paths = [path for pair in pairs for path in (pair.first, pair.second)]
    else:
        paths = [scene.path for scene in read_scenes(folder)]
    with open_in("float32") as recognizer:
        exact = find_faces(recognizer, paths, _named(progress, "float32"))
    figures: dict[str, Any] = {
        "pictures": len(exact),
        "float32": {"faces": _count(exact), **_accuracy(pairs, exact)},
    }
    notes = []
    for precision in LOWER:
        with open_in(precision) as recognizer:
            rough = find_faces(recognizer, paths, _named(progress, precision))
        differences = [d for path in exact for d in compare_faces(exact[path], rough[path])]
        alone = _count(exact) + _count(rough) - 2 * len(differences)
        figures[precision] = {
            "faces": _count(rough),
            "in_one_only": alone,
            **_summary(differences),
            **_accuracy(pairs, rough),
        }
        if all(d.box == d.keypoints == 0 for d in differences):
            notes.append(f"{precision} changes nothing on this processor: it computes in float32")
    return Report(figures=figures, notes=tuple(notes))


def compare_faces(exact: Seen, rough: Seen) -> list[Difference]:
    """Compare the faces that both precisions found in a picture, by their overlap."""
    left = list(rough.faces)
    differences = []
    for face, sample in exact.faces:
        if not left:
            break
        overlaps = iou(face.box_xyxy, np.stack([other.box_xyxy for other, _ in left]))
        best = int(overlaps.argmax())
        if overlaps[best] >= MATCH_IOU:
            differences.append(_difference(face, sample, *left.pop(best)))
    return differences


def _difference(
    face: Face, sample: FaceSample, other: Face, other_sample: FaceSample
) -> Difference:
    shifts = np.linalg.norm(face.keypoints_xy - other.keypoints_xy, axis=1)  # (6,)
    return Difference(
        float(np.abs(face.box_xyxy - other.box_xyxy).max() / face.width_pixels),
        float(shifts.max() / face.width_pixels),
        float(sample.embedding @ other_sample.embedding),
    )


def _summary(differences: Sequence[Difference]) -> dict[str, float]:
    if not differences:
        return {}
    boxes = [d.box for d in differences]
    keypoints = [d.keypoints for d in differences]
    cosines = [d.cosine for d in differences]
    return {
        "box_median": float(np.median(boxes)),
        "box_largest": max(boxes),
        "keypoints_median": float(np.median(keypoints)),
        "keypoints_largest": max(keypoints),
        "cosine_median": float(np.median(cosines)),
        "cosine_lowest": min(cosines),
    }


def _accuracy(pairs: Sequence[Pair], seen: Mapping[Path, Seen]) -> dict[str, Any]:
    if not pairs:
        return {}
    scores = similarities(pairs, {path: faces.subject for path, faces in seen.items()})  # (n,)
    same = np.array([pair.same for pair in pairs])
    return {
        "accuracy": ten_fold_accuracy(scores, same)[0],
        "tar_at_far_1e-3": accepted_at(scores[same], scores[~same]),
    }


def _count(seen: Mapping[Path, Seen]) -> int:
    return sum(len(faces.faces) for faces in seen.values())


def _named(progress: Progress, precision: Precision) -> Progress:
    return lambda work, done, total: progress(f"{work} in {precision}", done, total)
