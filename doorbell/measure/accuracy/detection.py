"""Pictures with many faces: which are found, by their height."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from doorbell.measure.accuracy.figures import HEIGHT_BINS, fraction, heights, match_boxes
from doorbell.measure.accuracy.labels import read_scenes
from doorbell.measure.accuracy.report import Mistake, Report, View
from doorbell.measure.accuracy.stills import Recognizer, read_picture
from doorbell.models.fetch import Progress

# Smaller faces that are missed are too many and too small to look at one by one.
SHOWN_HEIGHT = 20.0


def measure_scenes(folder: Path, recognizer: Recognizer, progress: Progress) -> Report:
    """Look for the faces of every picture of ``boxes.json``.

    Raises:
        UsageError: the folder is not as it should be.
        PictureError: a picture cannot be read.
    """
    scenes = read_scenes(folder)
    found = dict.fromkeys(HEIGHT_BINS, 0)
    present = dict.fromkeys(HEIGHT_BINS, 0)
    false: list[tuple[float, Mistake]] = []
    missed: list[tuple[float, Mistake]] = []
    for done, scene in enumerate(scenes, start=1):
        faces = [portrait.face for portrait in recognizer.look(read_picture(scene.path))]
        boxes = np.array([face.box_xyxy for face in faces], np.float32).reshape(-1, 4)  # (d, 4)
        scores = np.array([face.score for face in faces])
        matching = match_boxes(boxes, scores, scene.boxes_xyxy)
        tall = heights(scene.boxes_xyxy)
        for name, (lowest, highest) in HEIGHT_BINS.items():
            within = (tall >= lowest) & (tall < highest)
            present[name] += int(within.sum())
            found[name] += int((within & matching.found).sum())
        for i in np.flatnonzero(matching.false):
            mistake = Mistake(f"false {scores[i]:.2f}", (View(scene.path, boxes[i]),))
            false.append((float(scores[i]), mistake))
        for i in np.flatnonzero(~matching.found & (tall >= SHOWN_HEIGHT)):
            view = View(scene.path, scene.boxes_xyxy[i])
            missed.append((float(tall[i]), Mistake(f"missed {tall[i]:.0f} px", (view,))))
        progress("pictures", done, len(scenes))
    return Report(
        figures={
            "pictures": len(scenes),
            "recall": {name: fraction(found[name], present[name]) for name in HEIGHT_BINS},
            "false_positives": len(false),
        },
        mistakes={"false faces": _worst(false), "missed faces": _worst(missed)},
        notes=tuple(f"{found[name]} of {present[name]} faces of {name} px" for name in HEIGHT_BINS),
    )


def _worst(mistakes: list[tuple[float, Mistake]]) -> tuple[Mistake, ...]:
    return tuple(mistake for _, mistake in sorted(mistakes, key=lambda pair: -pair[0]))
