"""A household's photographs made as a door camera would see them, and who is named at the door.

Every probe and every stranger becomes a short stream in every condition and is played at the doors
of small households, each enrolled once from five photographs and once from one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from doorbell.domain import UInt8Array
from doorbell.errors import UsageError
from doorbell.gallery.names import name_key
from doorbell.measure.accuracy.door_conditions import Condition, film, named_conditions
from doorbell.measure.accuracy.figures import accepted_at, fraction
from doorbell.measure.accuracy.labels import Household, Member, read_household
from doorbell.measure.accuracy.replay import NOT_SEEN, Replay, ShownVisitor
from doorbell.measure.accuracy.report import LIFELESS, Report, Table
from doorbell.measure.accuracy.skin_tone import (
    THIRDS,
    gap,
    person_angles,
    third_bounds,
    third_of,
    typology_angle,
)
from doorbell.measure.accuracy.stills import Recognizer, Subject, find_subjects, read_picture
from doorbell.models.fetch import Progress

# How many photographs the households are enrolled from.
MANY, ONE = 5, 1

# What is printed once more, and from which gap on it is told.
WORST_ROWS = 3
TOLD_GAP = 0.10


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
class _Visitor:
    """Somebody whose photograph is shown; ``who`` is None for a stranger."""

    who: str | None
    household: int | None
    subject: Subject
    third: str | None


@dataclass(frozen=True, slots=True)
class _Door:
    """A household's door; ``photographs`` is how many each was enrolled from."""

    household: int
    photographs: int
    replay: Replay


@dataclass(frozen=True, slots=True)
class _Trial:
    """One visitor at one door."""

    visitor: _Visitor
    photographs: int
    shown: ShownVisitor

    @property
    def is_member(self) -> bool:
        return self.visitor.who is not None

    @property
    def is_named_right(self) -> bool:
        return _are_same(self.visitor.who, self.shown.named)

    @property
    def is_named_wrong(self) -> bool:
        return self.shown.named is not None and not self.is_named_right

    @property
    def genuine_similarity(self) -> float:
        """The similarity, if it is with the right person."""
        is_right = _are_same(self.visitor.who, self.shown.nearest)
        return self.shown.similarity if is_right else NOT_SEEN


@dataclass(frozen=True, slots=True)
class _Row:
    """What came of one condition, or of several: rates 0 to 1."""

    named_of_five: float
    named_of_one: float
    possible: float
    strangers: float
    wrong_names: int
    member_trials: int
    stranger_trials: int

    @classmethod
    def of(cls, trials: Sequence[_Trial]) -> _Row:
        members = [trial for trial in trials if trial.is_member]
        strangers = [trial for trial in trials if not trial.is_member]
        genuine = [t.genuine_similarity for t in members if t.photographs == MANY]
        impostors = [t.shown.similarity for t in strangers if t.photographs == MANY]
        return cls(
            _named(members, MANY),
            _named(members, ONE),
            accepted_at(np.array(genuine), np.array(impostors)),
            _named_at_all(strangers),
            sum(trial.is_named_wrong for trial in members),
            len(members),
            len(strangers),
        )

    @classmethod
    def mean(cls, rows: Sequence[_Row]) -> _Row:
        means: dict[str, Any] = {
            name: float(np.mean([getattr(row, name) for row in rows])) for name in RATES
        }
        sums = {name: sum(getattr(row, name) for row in rows) for name in COUNTS}
        return cls(**means, **sums)

    def figures(self) -> dict[str, float | int]:
        return {name: getattr(self, name) for name in (*RATES, *COUNTS)}

    def cells(self, title: str) -> tuple[str, ...]:
        return (
            title,
            f"{self.named_of_five:.2f}",
            f"{self.named_of_one:.2f}",
            f"{self.possible:.2f}",
            f"{1000 * self.strangers:.1f}",
            str(self.wrong_names),
            f"{self.member_trials} + {self.stranger_trials}",
        )


RATES = ("named_of_five", "named_of_one", "possible", "strangers")
COUNTS = ("wrong_names", "member_trials", "stranger_trials")
COLUMNS = (
    "condition",
    "5 photos",
    "1 photo",
    "possible",
    "strangers",
    "wrong",
    "trials",
)
LEGEND = (
    "members named, enrolled from five photographs and from one; possible: from five, at the one "
    "threshold that no more than one stranger in a thousand reaches; strangers named per thousand; "
    "members named as somebody else; trials of members and of strangers"
)


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
    results: dict[str, list[_Trial]] = {condition.key: [] for condition in conditions}
    with ExitStack() as stack:
        doors, refused = _open_doors(groups, lambda: stack.enter_context(open_replay()), progress)
        for done, visitor in enumerate(visitors, start=1):
            pixels = read_picture(visitor.subject.path)
            for condition in conditions:
                results[condition.key] += _play(pixels, visitor, condition, doors, trials.seed)
            progress("visitors", done, len(visitors))
    rows = {key: _Row.of(of_one) for key, of_one in results.items()}
    tones = _by_tone(results)
    mean = _Row.mean([*rows.values()])
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
            *_gaps(tones),
        ),
        tables=_tables(conditions, rows, mean, tones),
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
) -> tuple[list[_Visitor], int]:
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
        _Visitor(name, place, seen[path], third(of_members.get(name)))
        for name, place, path in probes
        if path in seen
    ]
    visitors += [
        _Visitor(None, None, seen[path], third(of_strangers.get(str(path))))
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
    visitor: _Visitor,
    condition: Condition,
    doors: Sequence[_Door],
    seed: int,
) -> Iterator[_Trial]:
    """Show somebody at their own doors, or a stranger at all of them."""
    frames = film(pixels, visitor.subject.face, condition, [seed, visitor.subject.path.stem])
    for door in doors:
        if visitor.household in (None, door.household):
            yield _Trial(visitor, door.photographs, door.replay.show(frames))


def _by_tone(results: Mapping[str, Sequence[_Trial]]) -> dict[str, dict[str, Any]]:
    """For each third of skin tones, rates over all conditions and for each."""
    tones: dict[str, dict[str, Any]] = {}
    everything = [trial for of_one in results.values() for trial in of_one]
    for third in THIRDS:
        mine = [trial for trial in everything if trial.visitor.third == third]
        members = [trial for trial in mine if trial.is_member]
        strangers = [trial for trial in mine if not trial.is_member]
        if not members:
            return {}
        tones[third] = {
            "people": len({trial.visitor.who for trial in members}),
            "named_of_five": _named(members, MANY),
            "named_of_one": _named(members, ONE),
            "strangers": _named_at_all(strangers),
            "member_trials": len(members),
            "stranger_trials": len(strangers),
            "conditions": {
                key: _named([t for t in of_one if t.is_member and t.visitor.third == third], MANY)
                for key, of_one in results.items()
            },
        }
    return tones


def _tables(
    conditions: Sequence[Condition], rows: Mapping[str, _Row], mean: _Row, tones: Mapping[str, Any]
) -> tuple[Table, ...]:
    titles = {condition.key: condition.title for condition in conditions}
    worst = sorted(rows, key=lambda key: rows[key].named_of_five)[:WORST_ROWS]
    tables = [
        Table(
            COLUMNS,
            (*(row.cells(titles[key]) for key, row in rows.items()), mean.cells("mean")),
        ),
        Table(("the worst", *COLUMNS[1:]), tuple(rows[key].cells(titles[key]) for key in worst)),
    ]
    if tones:
        columns = ("skin tone", "people", *COLUMNS[1:3], *COLUMNS[4:5], *COLUMNS[6:])
        tables.append(Table(columns, tuple(_tone_cells(*tone) for tone in tones.items())))
    return tuple(tables)


def _tone_cells(title: str, tone: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        title,
        str(tone["people"]),
        f"{tone['named_of_five']:.2f}",
        f"{tone['named_of_one']:.2f}",
        f"{1000 * tone['strangers']:.1f}",
        f"{tone['member_trials']} + {tone['stranger_trials']}",
    )


def _gaps(tones: Mapping[str, Any]) -> Iterator[str]:
    """What is to be said of differences between skin tones, as they are printed."""
    if not tones:
        yield "skin tones are not compared: it takes three members with colour photographs"
        return
    for figure, title in (("named_of_five", "5 photos"), ("named_of_one", "1 photo")):
        between = gap([tone[figure] for tone in tones.values()])
        above = f", above {TOLD_GAP:.2f}" if between > TOLD_GAP else ""
        yield f"gap between skin tones, named, {title}: {between:.2f}{above}"
    for key in tones[THIRDS[0]]["conditions"]:
        rates = {third: tone["conditions"][key] for third, tone in tones.items()}
        if gap([*rates.values()]) > TOLD_GAP:
            each = ", ".join(f"{third} {rate:.2f}" for third, rate in rates.items())
            yield f"gap above {TOLD_GAP:.2f} in {key}: {each}"


def _named(trials: Sequence[_Trial], photographs: int) -> float:
    mine = [trial for trial in trials if trial.photographs == photographs]
    return fraction(sum(trial.is_named_right for trial in mine), len(mine))


def _named_at_all(trials: Sequence[_Trial]) -> float:
    return fraction(sum(trial.shown.named is not None for trial in trials), len(trials))


def _are_same(who: str | None, name: str | None) -> bool:
    return who is not None and name is not None and name_key(who) == name_key(name)
