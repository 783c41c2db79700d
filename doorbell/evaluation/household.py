"""Photos of a household and of strangers: who is recognized, and who is named by mistake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from doorbell.domain import FaceSample
from doorbell.evaluation.doors import Door
from doorbell.evaluation.figures import fraction, threshold_at
from doorbell.evaluation.labels import read_household
from doorbell.evaluation.report import Mistake, Report, Scores, View
from doorbell.evaluation.stills import Subject, find_subjects
from doorbell.models.fetch import Progress
from doorbell.recognition.decision import Centroids
from doorbell.recognition.gallery_rows import name_key

# How many of the lowest genuine and highest impostor scores are shown.
SHOWN = 24

NO_FACE = -1.0


@dataclass(frozen=True, slots=True)
class _Nearest:
    """The nearest person to one photo, and whom the decision names on it."""

    name: str
    similarity: float
    named: str | None


def measure_household(folder: Path, door: Door, progress: Progress) -> Report:
    """Enroll the members of ``household.json``, then show the other photos to the door.

    Raises:
        UsageError: the folder is not as it should be.
        PictureError: a picture cannot be read.
    """
    household = read_household(folder)
    refused = []
    for done, member in enumerate(household.members, start=1):
        refused += door.enroll_photos(member.name, member.enroll)
        progress("members", done, len(household.members))
    probes = [(path, member.name) for member in household.members for path in member.probe]
    photos = [*(path for path, _ in probes), *household.strangers]
    subjects = find_subjects(door.recognizer, photos, progress)
    centroids = door.centroids()
    answers = {
        path: _nearest(door, None if subject is None else subject.sample, centroids)
        for path, subject in subjects.items()
    }
    right = np.array([name_key(answers[p].name) == name_key(who) for p, who in probes], bool)
    genuine = np.array([answers[path].similarity for path, _ in probes])
    # The decision takes its score for who they are: that of somebody else is no genuine one.
    impostors = np.array([answers[path].similarity for path in household.strangers])
    above = genuine > threshold_at(impostors)
    named = [answers[path].named for path, _ in probes]
    named_right = [
        n is not None and name_key(n) == name_key(who)
        for n, (_, who) in zip(named, probes, strict=True)
    ]
    strangers_named = sum(answers[path].named is not None for path in household.strangers)
    named_wrong = sum(n is not None for n in named) - sum(named_right)
    return Report(
        figures={
            "members": len(household.members),
            "probes": len(probes),
            "strangers": len(household.strangers),
            "rank1": fraction(int(right.sum()), len(probes)),
            "tpir_at_fpir_1e-3": fraction(int((right & above).sum()), len(probes)),
            "operating_tpir": fraction(sum(named_right), len(probes)),
            "operating_fpir": fraction(strangers_named, len(household.strangers)),
        },
        scores=Scores(np.where(right, genuine, NO_FACE), impostors),
        mistakes={
            "lowest members": tuple(
                _mistake(who, probes[i][0], answers, subjects)
                for i in np.argsort(np.where(right, genuine, NO_FACE), kind="stable")[:SHOWN]
                for who in (probes[i][1],)
            ),
            "highest strangers": tuple(
                _mistake("stranger", household.strangers[i], answers, subjects)
                for i in np.argsort(-impostors, kind="stable")[:SHOWN]
            ),
        },
        notes=(
            f"{named_wrong} of {len(probes)} photos of members named as another member",
            f"{sum(subject is None for subject in subjects.values())} photos without a face",
            *(f"not enrolled: {reason}" for reason in refused),
        ),
    )


def _nearest(door: Door, sample: FaceSample | None, centroids: Centroids) -> _Nearest:
    if sample is None or not centroids.people:
        return _Nearest("", NO_FACE, None)
    similarities = centroids.people_vectors @ sample.embedding  # (p,)
    nearest = int(np.argmax(similarities))
    person = door.name_on_photo(sample, centroids)
    return _Nearest(
        centroids.people[nearest].name,
        float(similarities[nearest]),
        None if person is None else person.name,
    )


def _mistake(
    who: str, path: Path, answers: dict[Path, _Nearest], subjects: Mapping[Path, Subject | None]
) -> Mistake:
    answer, subject = answers[path], subjects[path]
    caption = f"{who}: {answer.name} {answer.similarity:.3f}"
    return Mistake(caption, (View(path, None if subject is None else subject.box_xyxy),))
