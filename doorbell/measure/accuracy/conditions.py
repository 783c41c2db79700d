"""A household's photographs made as a door camera would see them, and who is named at the door.

Every probe and every stranger becomes a short stream in every condition and is played at the doors
of small households, each enrolled once from five photographs and once from one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

from doorbell.domain import UInt8Array
from doorbell.errors import UsageError
from doorbell.measure.accuracy.condition_table import (
    LEGEND,
    MANY,
    ONE,
    Row,
    ShownPhoto,
    Trial,
    by_tone,
    gaps,
    tables_of,
)
from doorbell.measure.accuracy.door_conditions import Condition, film, named_conditions
from doorbell.measure.accuracy.labels import Household, Member, read_household
from doorbell.measure.accuracy.replay import Replay
from doorbell.measure.accuracy.report import LIFELESS, Report
from doorbell.measure.accuracy.skin_tone import (
    person_angles,
    third_bounds,
    third_of,
    typology_angle,
)
from doorbell.measure.accuracy.stills import Recognizer, find_subjects, read_picture
from doorbell.models.fetch import Progress


@dataclass(frozen=True, slots=True)
class Trials:
    """How much is tried.

    Attributes:
        household: people who live behind one door.
        probes: photographs of each member that are shown; None for all.
        strangers: photographs of strangers that are shown to every household; None for all.
        conditions: keys of those tried; all without any.
        seed: of noise and everything else left to chance.
    """

    household: int = 5
    probes: int | None = None
    strangers: int | None = None
    conditions: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True, slots=True)
class _Door:
    """A household's door; ``photographs`` is how many each was enrolled from."""

    household: int
    photographs: int
    replay: Replay


def measure_conditions(
    folder: Path,
    trials: Trials,
    finder: Recognizer,
    open_replay: Callable[[], AbstractContextManager[Replay]],
    progress: Progress,
) -> Report:
    """Enroll the members of ``household.json`` and show the other photos in every condition.

    Args:
        folder: of the household.
        trials: how much is tried.
        finder: finds the faces that conditions are drawn around.
        open_replay: gives a door with an empty gallery.
        progress: told about each member and each photo.

    Raises:
        UsageError: the folder or a condition is not as it should be.
        PictureError: a picture cannot be read.
    """
    conditions, notes = _possible_conditions(trials.conditions)
    household = read_household(folder)
    groups = [
        household.members[start : start + trials.household]
        for start in range(0, len(household.members), trials.household)
    ]
    visitors, faceless = _visitors(household, groups, trials, finder, progress)
    results: dict[str, list[Trial]] = {condition.key: [] for condition in conditions}
    with ExitStack() as stack:
        doors, refused = _open_doors(groups, lambda: stack.enter_context(open_replay()), progress)
        for done, visitor in enumerate(visitors, start=1):
            pixels = read_picture(visitor.subject.path)
            for condition in conditions:
                results[condition.key] += _play(pixels, visitor, condition, doors, trials.seed)
            progress("visitors", done, len(visitors))
    rows = {key: Row.of(of_one) for key, of_one in results.items()}
    tones = by_tone(results)
    mean = Row.mean([*rows.values()])
    return Report(
        figures={
            "members": len(household.members),
            "households": len(groups),
            "photos": len(visitors),
            "seed": trials.seed,
            "mean": mean.figures(),
            "conditions": {key: row.figures() for key, row in rows.items()},
            "skin_tone": tones,
        },
        notes=(
            LEGEND,
            LIFELESS,
            *notes,
            *([f"photos without a face, left out: {faceless}"] if faceless else []),
            *(f"not enrolled: {reason}" for reason in refused),
            *gaps(tones),
        ),
        tables=tables_of(conditions, rows, mean, tones),
    )


def _possible_conditions(keys: Sequence[str]) -> tuple[list[Condition], list[str]]:
    """Those that this machine can make, and a note on each other."""
    chosen = named_conditions(keys)
    if find_spec("av") is not None:
        return [*chosen], []
    kept = [condition for condition in chosen if condition.bits_per_second is None]
    without = [condition.title for condition in chosen if condition not in kept]
    help_ = "it takes PyAV: `pip install '.[conditions]'` in the checkout"
    if not kept:
        raise UsageError(f"cannot make {', '.join(without)}; {help_}")
    return kept, [f"{title} is left out; {help_}" for title in without]


def _visitors(
    household: Household,
    groups: Sequence[Sequence[Member]],
    trials: Trials,
    finder: Recognizer,
    progress: Progress,
) -> tuple[list[ShownPhoto], int]:
    """Who is shown, and how many photos show no face."""
    probes = [
        (member.name, place, path)
        for place, group in enumerate(groups)
        for member in group
        for path in member.probe[: trials.probes]
    ]
    strangers = household.strangers[: trials.strangers]
    paths = [*(path for _, _, path in probes), *strangers]
    subjects = find_subjects(finder, paths, progress)
    seen = {path: subject for path, subject in subjects.items() if subject is not None}
    angles = {
        path: typology_angle(read_picture(path), subject.face.keypoints_xy)
        for path, subject in seen.items()
    }
    by_name = {
        name: [angles[path] for _, _, path in of_one if path in angles]
        for name, of_one in groupby(probes, key=lambda probe: probe[0])
    }
    of_members = person_angles(by_name)
    of_strangers = person_angles({str(path): [angles.get(path)] for path in strangers})
    bounds = third_bounds(of_members.values())

    def third(angle: float | None) -> str | None:
        return None if angle is None or bounds is None else third_of(angle, bounds)

    visitors = [
        ShownPhoto(name, place, seen[path], third(of_members.get(name)))
        for name, place, path in probes
        if path in seen
    ]
    visitors += [
        ShownPhoto(None, None, seen[path], third(of_strangers.get(str(path))))
        for path in strangers
        if path in seen
    ]
    return visitors, len(paths) - len(visitors)


def _open_doors(
    groups: Sequence[Sequence[Member]], open_replay: Callable[[], Replay], progress: Progress
) -> tuple[list[_Door], list[str]]:
    """Two doors for each household, and why photos were refused."""
    doors: list[_Door] = []
    refused: list[str] = []
    done, total = 0, sum(len(group) for group in groups)
    for place, group in enumerate(groups):
        many, one = (_Door(place, count, open_replay()) for count in (MANY, ONE))
        for member in group:
            refused += many.replay.enroll_photos(member.name, member.enroll[:MANY])
            for photo in member.enroll:  # whose first photo is refused takes another
                if not one.replay.enroll_photos(member.name, [photo]):
                    break
            done += 1
            progress("members", done, total)
        doors += [many, one]
    return doors, refused


def _play(
    pixels: UInt8Array,
    visitor: ShownPhoto,
    condition: Condition,
    doors: Sequence[_Door],
    seed: int,
) -> Iterator[Trial]:
    """Show somebody at their own doors, or a stranger at all of them."""
    frames = film(pixels, visitor.subject.face, condition, [seed, visitor.subject.path.stem])
    for door in doors:
        if visitor.household in (None, door.household):
            yield Trial(visitor, door.photographs, door.replay.show(frames))
