"""What came of showing a household in many conditions: rates, tables and what is said of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from doorbell.gallery.names import name_key
from doorbell.measure.accuracy.door_conditions import Condition
from doorbell.measure.accuracy.figures import accepted_at, fraction
from doorbell.measure.accuracy.replay import NOT_SEEN, ShownVisitor
from doorbell.measure.accuracy.report import Table
from doorbell.measure.accuracy.skin_tone import THIRDS, gap
from doorbell.measure.accuracy.stills import Subject

# How many photographs the households are enrolled from.
MANY, ONE = 5, 1

# What is printed once more, and from which gap on it is told.
WORST_ROWS = 3
TOLD_GAP = 0.10


@dataclass(frozen=True, slots=True)
class ShownPhoto:
    """Somebody whose photograph is shown; ``who`` is None for a stranger."""

    who: str | None
    household: int | None
    subject: Subject
    third: str | None


@dataclass(frozen=True, slots=True)
class Trial:
    """One visitor at one door."""

    visitor: ShownPhoto
    photographs: int
    shown: ShownVisitor

    @property
    def is_member(self) -> bool:
        """Whether somebody enrolled at that door is shown."""
        return self.visitor.who is not None

    @property
    def is_named_right(self) -> bool:
        """Whether the door gave the name of who is shown."""
        return _are_same(self.visitor.who, self.shown.named)

    @property
    def is_named_wrong(self) -> bool:
        """Whether it gave another."""
        return self.shown.named is not None and not self.is_named_right

    @property
    def genuine_similarity(self) -> float:
        """The similarity, if it is with the right person."""
        is_right = _are_same(self.visitor.who, self.shown.nearest)
        return self.shown.similarity if is_right else NOT_SEEN


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one condition, or of several: rates 0 to 1."""

    named_of_five: float
    named_of_one: float
    possible: float
    strangers: float
    wrong_names: int
    member_trials: int
    stranger_trials: int

    @classmethod
    def of(cls, trials: Sequence[Trial]) -> Row:
        """Count what came of these."""
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
    def mean(cls, rows: Sequence[Row]) -> Row:
        """Take the mean of the rates, and the sum of the counts."""
        means: dict[str, Any] = {
            name: float(np.mean([getattr(row, name) for row in rows])) for name in RATES
        }
        sums = {name: sum(getattr(row, name) for row in rows) for name in COUNTS}
        return cls(**means, **sums)

    def figures(self) -> dict[str, float | int]:
        """As JSON has them, by name."""
        return {name: getattr(self, name) for name in (*RATES, *COUNTS)}

    def cells(self, title: str) -> tuple[str, ...]:
        """As printed below ``COLUMNS``."""
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


def by_tone(results: Mapping[str, Sequence[Trial]]) -> dict[str, dict[str, Any]]:
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


def tables_of(
    conditions: Sequence[Condition], rows: Mapping[str, Row], mean: Row, tones: Mapping[str, Any]
) -> tuple[Table, ...]:
    """Every condition and the mean, the worst once more, and the skin tones where compared."""
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


def gaps(tones: Mapping[str, Any]) -> Iterator[str]:
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


def _named(trials: Sequence[Trial], photographs: int) -> float:
    mine = [trial for trial in trials if trial.photographs == photographs]
    return fraction(sum(trial.is_named_right for trial in mine), len(mine))


def _named_at_all(trials: Sequence[Trial]) -> float:
    return fraction(sum(trial.shown.named is not None for trial in trials), len(trials))


def _are_same(who: str | None, name: str | None) -> bool:
    return who is not None and name is not None and name_key(who) == name_key(name)
