"""The arithmetic of the figures: scores and boxes in, rates out.

Pure: knows no picture, network or file. Rates are fractions, 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from doorbell.detection.blazeface import iou
from doorbell.domain import Float32Array

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]

FOLDS = 10
FALSE_RATE = 1e-3

# How well a found box has to lie on the true one, and the heights by which faces are told apart.
MATCH_IOU = 0.4
HEIGHT_BINS = {"32": (32.0, np.inf), "20": (20.0, 32.0), "12": (12.0, 20.0)}
SMALLEST_HEIGHT = 12.0


def ten_fold_accuracy(scores: Floats, same: Bools) -> tuple[float, float]:
    """Accuracy of telling pairs apart by a threshold that the pair's own fold did not choose.

    LFW's protocol (Huang et al., 2007): ten folds in the given order; the best threshold of nine
    judges the tenth.

    Args:
        scores: (n,) of the pairs, at least ten.
        same: (n,) which pairs show one person.

    Returns:
        Mean and standard deviation over the folds.
    """
    accuracies = []
    for fold in np.array_split(np.arange(len(scores)), FOLDS):
        others = np.ones(len(scores), bool)
        others[fold] = False
        threshold = best_threshold(scores[others], same[others])
        accuracies.append(float(np.mean((scores[fold] >= threshold) == same[fold])))
    return float(np.mean(accuracies)), float(np.std(accuracies))


def best_threshold(scores: Floats, same: Bools) -> float:
    """The threshold with the highest accuracy; of several the one nearest to their middle."""
    order = np.sort(scores)
    candidates = np.concatenate([[order[0] - 1], (order[:-1] + order[1:]) / 2, [order[-1] + 1]])
    ascending = np.sort(scores[same]), np.sort(scores[~same])
    accepted = len(ascending[0]) - np.searchsorted(ascending[0], candidates)
    refused = np.searchsorted(ascending[1], candidates)
    right = accepted + refused
    best = candidates[right == right.max()]
    # Scores are dense on one side: the middle by value is as far from both kinds as can be.
    return float(best[np.argmin(np.abs(best - (best[0] + best[-1]) / 2))])


def threshold_at(impostors: Floats, rate: float = FALSE_RATE) -> float:
    """The lowest threshold that at most this part of the impostors passes, by being above it."""
    allowed = int(np.floor(rate * len(impostors) + 1e-9))
    if not len(impostors):
        return -np.inf
    return float(np.sort(impostors)[::-1][allowed])


def accepted_at(genuine: Floats, impostors: Floats, rate: float = FALSE_RATE) -> float:
    """Which part of the genuine scores passes where at most ``rate`` of the impostors do."""
    return fraction(int((genuine > threshold_at(impostors, rate)).sum()), len(genuine))


def fraction(part: int, whole: int) -> float:
    """A rate; 0 where there is nothing to count."""
    return part / whole if whole else 0.0


@dataclass(frozen=True, eq=False, slots=True)
class Matching:
    """What became of the boxes of one picture.

    Attributes:
        found: (t,) which true boxes were found.
        false: (d,) which detections lie on no true box.
    """

    found: Bools
    false: Bools


def match_boxes(detected: Float32Array, scores: Floats, truth: Float32Array) -> Matching:
    """Pair detections with true boxes: best score first, each with the free box it covers best.

    A true box lower than 12 pixels takes any number of detections, and none of them is false.

    Args:
        detected: (d, 4) xyxy.
        scores: (d,).
        truth: (t, 4) xyxy.
    """
    found = np.zeros(len(truth), bool)
    false = np.zeros(len(detected), bool)
    counted = heights(truth) >= SMALLEST_HEIGHT
    for index in np.argsort(-scores, kind="stable"):
        overlaps = iou(detected[index], truth)  # (t,)
        covered = overlaps >= MATCH_IOU
        free = covered & counted & ~found
        if free.any():
            found[np.argmax(np.where(free, overlaps, -1))] = True
        elif not (covered & ~counted).any():
            false[index] = True
    return Matching(found, false)


def heights(boxes: Float32Array) -> Floats:
    """Heights of boxes (n, 4) xyxy: (n,)."""
    return np.asarray(boxes[:, 3] - boxes[:, 1])


def second_differences(boxes: Sequence[Float32Array | None]) -> list[float]:
    """How boxes of one face tremble: what moves at an even speed has none.

    Args:
        boxes: (4,) xyxy for each frame; None where there is no box.

    Returns:
        For each three frames in a row: the length of the second difference of centre and size,
        over the width of the middle box.
    """
    jitters = []
    for before, box, after in zip(boxes, boxes[1:], boxes[2:], strict=False):
        if before is None or box is None or after is None:
            continue
        places = [
            np.concatenate([(b[:2] + b[2:]) / 2, b[2:] - b[:2]]) for b in (before, box, after)
        ]
        bend = places[0] - 2 * places[1] + places[2]  # (4,)
        jitters.append(float(np.linalg.norm(bend) / max(float(box[2] - box[0]), 1e-6)))
    return jitters
