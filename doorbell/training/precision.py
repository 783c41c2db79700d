"""How well faces are found, by the figures of the field. Pure: knows no picture and no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from doorbell.detection.blazeface import iou
from doorbell.domain import Face, Float32Array
from doorbell.measure.accuracy.figures import Bools, Floats, fraction
from doorbell.training.labels import Labels

MATCH_IOU = 0.5
# Eyes, nose and mouth: nobody marks ears.
COMPARED_POINTS = 4


@dataclass(frozen=True, eq=False, slots=True)
class Judged:
    """What became of the faces that were found on some pictures.

    Attributes:
        scores: (n,) of those that count.
        right: (n,) whether each lies on a face that no better one lies on.
        keypoint_errors: (n,) mean distance of eyes, nose and mouth from the label's, in distances
            of the eyes; NaN where it is not right.
        faces: how many there are.
        pictures: on how many pictures.
    """

    scores: Floats
    right: Bools
    keypoint_errors: Floats
    faces: int
    pictures: int

    def figures(self, threshold: float) -> dict[str, float]:
        """Average precision over all scores; the others of what scores above a threshold."""
        above = self.scores >= threshold
        right = self.right & above
        errors = self.keypoint_errors[right]
        return {
            "average_precision": average_precision(self.scores, self.right, self.faces),
            "recall": fraction(int(right.sum()), self.faces),
            "false_per_picture": fraction(int((above & ~self.right).sum()), self.pictures),
            "keypoint_error": float(errors.mean()) if len(errors) else float("nan"),
        }


def judge(found: Sequence[Sequence[Face]], truth: Sequence[Labels]) -> Judged:
    """Compare what was found on each picture with its labels, in the same pixels.

    Best score first, each takes the free face that it overlaps most, by half at least. What lies on
    something that is ignored does not count.
    """
    scores, right, errors = [], [], []
    for faces, labels in zip(found, truth, strict=True):
        free = np.ones(len(labels.boxes_xyxy), bool)
        for face in sorted(faces, key=lambda each: -each.score):
            overlaps = np.where(free, iou(face.box_xyxy, labels.boxes_xyxy), 0)
            if overlaps.size and overlaps.max() >= MATCH_IOU:
                which = int(overlaps.argmax())
                free[which] = False
                errors.append(_keypoint_error(face, labels.keypoints_xy[which]))
                right.append(True)
            elif (iou(face.box_xyxy, labels.ignored_xyxy) >= MATCH_IOU).any():
                continue
            else:
                errors.append(np.nan)
                right.append(False)
            scores.append(face.score)
    return Judged(
        np.array(scores, float),
        np.array(right, bool),
        np.array(errors, float),
        sum(len(labels.boxes_xyxy) for labels in truth),
        len(truth),
    )


def average_precision(scores: Floats, right: Bools, faces: int) -> float:
    """Area under precision over recall, precision made to fall (PASCAL VOC, from 2010 on)."""
    if not faces:
        return 0.0
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    precision = hits / np.arange(1, len(hits) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    return float(falling[right[order]].sum() / faces)


def _keypoint_error(face: Face, truth: Float32Array) -> float:
    apart = np.linalg.norm(face.keypoints_xy[:COMPARED_POINTS] - truth[:COMPARED_POINTS], axis=1)
    return float(apart.mean() / max(np.linalg.norm(truth[1] - truth[0]), 1e-6))
