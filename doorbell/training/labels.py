"""What a picture is said to hold: faces the released networks agree on, and faces marked by hand.

A face that one network alone sees, and nobody has marked, is neither learned nor held against a
detector.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from doorbell.config import InferenceSection
from doorbell.detection.blazeface import (
    BACK,
    FULL_RANGE,
    SHORT_RANGE,
    BlazeFace,
    Candidates,
    clusters,
    iou,
    mean_face,
)
from doorbell.detection.regions import whole_frame
from doorbell.domain import Face, Float32Array, UInt8Array
from doorbell.errors import UsageError
from doorbell.inference import open_runner
from doorbell.measure.accuracy.stills import read_picture
from doorbell.models.store import network_files
from doorbell.storage.files import READABLE, write_whole
from doorbell.training.pictures import Picture, Pictures, fingerprint

TEACHERS = {"blazeface_short": SHORT_RANGE, "blazeface_back": BACK, "blazeface_full": FULL_RANGE}
LABELS_FILE = "labels.npz"
# What a teacher is heard from, and what two or more have to reach together.
HEARD_SCORE = 0.3
AGREED_SCORES = 1.0
MATCH_IOU = 0.4

# How well the middle of the marks has to lie in a face to be of it: in widths of the face.
SAME_FACE_WIDTHS = 0.35
# The box of a face that was marked and not found: a square around the middle of the four marks,
# this many times as wide as the eyes are apart, or as the mouth is from them, whichever is more. Of
# 9,127 faces that were both it has 0.85 to 1.18 of the width in nine of ten (2026-11-29).
BOX_EYE_DISTANCES = 2.4
BOX_MOUTH_DISTANCES = 2.1

_POINTS = 6


@dataclass(frozen=True, eq=False, slots=True)
class Labels:
    """The faces of one picture, in its pixels.

    Attributes:
        boxes_xyxy: (n, 4) float32.
        keypoints_xy: (n, 6, 2) float32, as BlazeFace's: eyes, nose, mouth, ears.
        known: (n, 6) bool: which keypoints are known.
        ignored_xyxy: (m, 4) float32: what may be a face or not.
    """

    boxes_xyxy: Float32Array
    keypoints_xy: Float32Array
    known: np.ndarray
    ignored_xyxy: Float32Array

    def scaled(self, scale: float) -> Labels:
        """The labels of the picture in another size."""
        factor = np.float32(scale)
        return Labels(
            self.boxes_xyxy * factor,
            self.keypoints_xy * factor,
            self.known,
            self.ignored_xyxy * factor,
        )


class Teachers:
    """The released networks, looking at whole pictures together."""

    def __init__(self, detectors: Sequence[BlazeFace]) -> None:
        self._detectors = detectors

    def look(self, pixels: UInt8Array) -> tuple[list[Face], list[Face]]:
        """Find faces that several see, and those that one sees alone."""
        height, width = pixels.shape[:2]
        whole = [whole_frame(width, height)]
        found = [detector.candidates(pixels, whole) for detector in self._detectors]
        return agreed(found)


def agreed(found: Sequence[Candidates]) -> tuple[list[Face], list[Face]]:
    """The faces that several of some networks' candidates show, and the others."""
    origins = np.repeat(np.arange(len(found)), [len(each.scores) for each in found])  # (n,)
    candidates = Candidates.joined(found)
    sure: list[Face] = []
    doubtful: list[Face] = []
    for cluster in clusters(candidates, MATCH_IOU):
        best = np.zeros(len(found))
        np.maximum.at(best, origins[cluster], candidates.scores[cluster])
        weights = candidates.scores[cluster] ** 2
        face = mean_face(candidates, cluster, weights, float(best.max()))
        together = best.sum() >= AGREED_SCORES and (best > 0).sum() >= 2
        (sure if together else doubtful).append(face)
    return sure, doubtful


def join(sure: Sequence[Face], doubtful: Sequence[Face], marks_xy: Float32Array) -> Labels:
    """Join what networks agree on with what is marked.

    Args:
        sure: become labels as they are.
        doubtful: become labels where they are marked, else they are ignored.
        marks_xy: (n, 4, 2), see ``Picture``.
    """
    boxes = [face.box_xyxy for face in sure]
    points = [face.keypoints_xy for face in sure]
    known = [np.ones(_POINTS, bool) for _ in sure]
    left = list(doubtful)
    for marks in marks_xy:
        if any(is_of(marks, box) for box in boxes):
            continue
        seen = next((face for face in left if is_of(marks, face.box_xyxy)), None)
        if seen is not None:
            left = [face for face in left if face is not seen]
            boxes.append(seen.box_xyxy)
            points.append(seen.keypoints_xy)
            known.append(np.ones(_POINTS, bool))
        else:
            boxes.append(box_of_marks(marks))
            points.append(np.concatenate([marks, np.zeros((2, 2), np.float32)]))
            known.append(np.arange(_POINTS) < len(marks))
    return Labels(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(points, np.float32).reshape(-1, _POINTS, 2),
        np.array(known, bool).reshape(-1, _POINTS),
        np.array([face.box_xyxy for face in left], np.float32).reshape(-1, 4),
    )


def box_of_marks(marks: Float32Array) -> Float32Array:
    """The box of a face whose eyes, nose and mouth are marked, (4, 2): (4,) xyxy."""
    eyes = marks[:2].mean(axis=0)
    side = max(
        BOX_EYE_DISTANCES * float(np.linalg.norm(marks[1] - marks[0])),
        BOX_MOUTH_DISTANCES * float(np.linalg.norm(marks[3] - eyes)),
    )
    middle = marks.mean(axis=0)
    return np.concatenate([middle - side / 2, middle + side / 2]).astype(np.float32)


def labels_of(
    pictures: Pictures, section: InferenceSection, run: Path, say: Callable[[str, int, int], None]
) -> tuple[list[Labels], list[Labels]]:
    """The labels of what is trained on and of what is held out, kept in the run's folder.

    Raises:
        ModelError: the models have not been built.
        PictureError: a picture cannot be read.
        UsageError: the run's folder has the labels of other pictures.
    """
    run.mkdir(parents=True, exist_ok=True)
    labels = label_pictures(
        [*pictures.trained, *pictures.held_out],
        section,
        run / LABELS_FILE,
        lambda done, total: say("label pictures", done, total),
    )
    return labels[: len(pictures.trained)], labels[len(pictures.trained) :]


def label_pictures(
    pictures: Sequence[Picture],
    section: InferenceSection,
    cache: Path,
    say: Callable[[int, int], None],
) -> list[Labels]:
    """Label pictures, or read what was labelled before.

    Args:
        pictures: all of them.
        section: says where the released networks are.
        cache: the file that keeps the labels.
        say: told how many are done, of how many.

    Raises:
        ModelError: the models have not been built.
        PictureError: a picture cannot be read.
    """
    whose = fingerprint(pictures)
    kept = _load(cache, whose)
    if kept is not None:
        return kept
    labels = []
    with ExitStack() as stack:
        teachers = Teachers(
            [
                BlazeFace(
                    stack.enter_context(
                        closing(open_runner(network_files(name, section), section))
                    ),
                    geometry,
                    HEARD_SCORE,
                )
                for name, geometry in TEACHERS.items()
            ]
        )
        for done, picture in enumerate(pictures, start=1):
            labels.append(join(*teachers.look(read_picture(picture.path)), picture.marks_xy))
            say(done, len(pictures))
    _save(cache, whose, labels)
    return labels


def is_of(marks: Float32Array, box: Float32Array) -> bool:
    """Whether marks are those of the face in a box."""
    width = float(box[2] - box[0])
    apart = float(np.linalg.norm(marks.mean(axis=0) - (box[:2] + box[2:]) / 2))
    return apart < SAME_FACE_WIDTHS * width and bool(iou(box, box_of_marks(marks)[None])[0] > 0.2)


def _save(path: Path, whose: str, labels: Sequence[Labels]) -> None:
    arrays = {
        "boxes": np.concatenate([each.boxes_xyxy for each in labels]),
        "keypoints": np.concatenate([each.keypoints_xy for each in labels]),
        "known": np.concatenate([each.known for each in labels]),
        "ignored": np.concatenate([each.ignored_xyxy for each in labels]),
        "counts": np.array([[len(each.boxes_xyxy), len(each.ignored_xyxy)] for each in labels]),
        "pictures": np.array(whose),
    }
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type] # no array is called as an option
    write_whole(path, content.getvalue(), mode=READABLE)


def _load(path: Path, whose: str) -> list[Labels] | None:
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as kept:
        if str(kept["pictures"]) != whose:
            raise UsageError(
                f"{path} has the labels of other pictures: name another folder with --run"
            )
        counts = kept["counts"]
        ends = np.cumsum(counts, axis=0)
        boxes, keypoints, known, doubtful = (
            kept[name] for name in ("boxes", "keypoints", "known", "ignored")
        )
    return [
        Labels(boxes[b - n : b], keypoints[b - n : b], known[b - n : b], doubtful[i - m : i])
        for (n, m), (b, i) in zip(counts, ends, strict=True)
    ]
