"""Pairs of photos: one person or two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from doorbell.measure.accuracy.figures import Floats, accepted_at, best_threshold, ten_fold_accuracy
from doorbell.measure.accuracy.labels import Pair, read_pairs
from doorbell.measure.accuracy.report import Mistake, Report, Scores, View
from doorbell.measure.accuracy.stills import Recognizer, Subject, find_subjects
from doorbell.models.fetch import Progress

# The similarity of a pair of which one photo shows no face: nobody is recognized on it.
NO_FACE = -1.0


def measure_pairs(folder: Path, recognizer: Recognizer, progress: Progress) -> Report:
    """Compare the main faces of every pair of ``pairs.csv``.

    Raises:
        UsageError: the folder is not as it should be.
        PictureError: a picture cannot be read.
    """
    pairs = read_pairs(folder)
    subjects = find_subjects(
        recognizer, [path for pair in pairs for path in (pair.first, pair.second)], progress
    )
    scores = similarities(pairs, subjects)
    same = np.array([pair.same for pair in pairs])
    accuracy, deviation = ten_fold_accuracy(scores, same)
    undetected = [path for path, subject in subjects.items() if subject is None]
    threshold = best_threshold(scores, same)
    wrong = np.flatnonzero((scores >= threshold) != same)
    worst = sorted(wrong, key=lambda i: -abs(scores[i] - threshold))
    return Report(
        figures={
            "pairs": len(pairs),
            "accuracy": accuracy,
            "accuracy_std": deviation,
            "tar_at_far_1e-3": accepted_at(scores[same], scores[~same]),
            "undetected": len(undetected),
        },
        scores=Scores(scores[same], scores[~same]),
        mistakes={
            "wrong pairs": tuple(
                Mistake(
                    f"{'same' if same[i] else 'different'} {scores[i]:.3f}",
                    (_view(pairs[i].first, subjects), _view(pairs[i].second, subjects)),
                )
                for i in worst
            ),
            "undetected": tuple(Mistake(path.name, (View(path),)) for path in undetected),
        },
    )


def similarities(pairs: Sequence[Pair], subjects: Mapping[Path, Subject | None]) -> Floats:
    """The similarity of the main faces of each pair: (n,)."""
    return np.array([_similarity(subjects[pair.first], subjects[pair.second]) for pair in pairs])


def _similarity(first: Subject | None, second: Subject | None) -> float:
    if first is None or second is None:
        return NO_FACE
    return float(first.sample.embedding @ second.sample.embedding)


def _view(path: Path, subjects: Mapping[Path, Subject | None]) -> View:
    subject = subjects[path]
    return View(path, None if subject is None else subject.face.box_xyxy)
