"""Photos of a household and of strangers: who is recognized, and who is named by mistake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from doorbell.gallery.names import name_key
from doorbell.measure.accuracy.figures import fraction, threshold_at
from doorbell.measure.accuracy.labels import read_household
from doorbell.measure.accuracy.replay import Replay
from doorbell.measure.accuracy.report import LIFELESS, Mistake, Report, Scores, View
from doorbell.measure.accuracy.stills import Subject, find_subjects
from doorbell.models.fetch import Progress

# How many of the lowest genuine and highest impostor scores are shown.
SHOWN = 24

# The similarity where there is no face, or nobody to be similar to.
NOBODY = -1.0


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the door makes of one photo.

    Attributes:
        who: the name of the member shown; None for a stranger.
        view: the photo and its main face.
        nearest: the name of the most similar person.
        similarity: with that person.
        named: whom the decision names.
    """

    who: str | None
    view: View
    nearest: str | None = None
    similarity: float = NOBODY
    named: str | None = None

    @property
    def genuine_similarity(self) -> float:
        """The similarity, if it is with the right person."""
        return self.similarity if self.is_nearest_right else NOBODY

    @property
    def is_nearest_right(self) -> bool:
        return _are_same(self.who, self.nearest)

    @property
    def is_named_right(self) -> bool:
        return _are_same(self.who, self.named)


def measure_household(folder: Path, door: Replay, progress: Progress) -> Report:
    """Enroll the members of ``household.json``, then show the other photos to the door.

    Raises:
        UsageError: the folder is not as it should be.
        PictureError: a picture to be recognized cannot be read.
    """
    household = read_household(folder)
    refused = []
    for done, member in enumerate(household.members, start=1):
        refused += door.enroll_photos(member.name, member.enroll)
        progress("members", done, len(household.members))
    probes = [(path, member.name) for member in household.members for path in member.probe]
    paths = [*(path for path, _ in probes), *household.strangers]
    subjects = find_subjects(door.recognizer, paths, progress)
    members = [_answer(door, who, path, subjects[path]) for path, who in probes]
    strangers = [_answer(door, None, path, subjects[path]) for path in household.strangers]
    genuine = np.array([answer.genuine_similarity for answer in members])
    impostors = np.array([answer.similarity for answer in strangers])
    passed = int((genuine > max(threshold_at(impostors), NOBODY)).sum())
    named_right = sum(answer.is_named_right for answer in members)
    named_wrong = sum(answer.named is not None for answer in members) - named_right
    strangers_named = sum(answer.named is not None for answer in strangers)
    return Report(
        figures={
            "members": len(household.members),
            "probes": len(members),
            "strangers": len(strangers),
            "rank1": fraction(sum(answer.is_nearest_right for answer in members), len(members)),
            "tpir_at_fpir_1e-3": fraction(passed, len(members)),
            "operating_tpir": fraction(named_right, len(members)),
            "operating_fpir": fraction(strangers_named, len(strangers)),
        },
        scores=Scores(genuine, impostors),
        mistakes={
            "lowest members": _shown(sorted(members, key=lambda a: a.genuine_similarity)),
            "highest strangers": _shown(sorted(strangers, key=lambda a: -a.similarity)),
        },
        notes=(
            f"{named_wrong} of {len(members)} photos of members named as another member",
            f"{sum(subject is None for subject in subjects.values())} photos without a face",
            *(f"not enrolled: {reason}" for reason in refused),
            LIFELESS,
        ),
    )


def _answer(door: Replay, who: str | None, path: Path, subject: Subject | None) -> _Answer:
    if subject is None:
        return _Answer(who, View(path))
    view = View(path, subject.face.box_xyxy)
    nearest = door.nearest(subject.sample)
    if nearest is None:
        return _Answer(who, view)
    person = door.name_on_photo(subject)
    return _Answer(
        who,
        view,
        nearest=nearest[0].name,
        similarity=nearest[1],
        named=None if person is None else person.name,
    )


def _are_same(who: str | None, name: str | None) -> bool:
    return who is not None and name is not None and name_key(who) == name_key(name)


def _shown(answers: Sequence[_Answer]) -> tuple[Mistake, ...]:
    return tuple(
        Mistake(
            f"{answer.similarity:.3f} {answer.who or 'stranger'}"
            + ("" if answer.is_nearest_right else f" as {answer.nearest}"),
            (answer.view,),
        )
        for answer in answers[:SHOWN]
    )
