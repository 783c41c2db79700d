"""What has to be known of the week, and whether it is."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

from doorbell.clock import STEP_SECONDS
from doorbell.gallery.gallery import Gallery
from doorbell.outputs.sound.synthesis import SAMPLE_RATE, synthesize
from soaking.week import (
    PICTURES_DAYS,
    STRANGERS_DAYS,
    VISITS_DAYS,
    ZONE,
    Happening,
    NameStranger,
    Visit,
    Visitor,
    is_quiet,
)

DAY_SECONDS = 86400.0
# A visit is dated when its face was first seen; who returns comes when the scene says so.
DATE_SECONDS, RETURN_DATE_SECONDS = 5.0, 90.0
LONGEST_SECONDS = 120.0
SAMPLE_BYTES = 2
# aplay fills its last eighth of a second.
MOST_SILENCE_BYTES = SAMPLE_BYTES * SAMPLE_RATE // 8 + SAMPLE_BYTES
CHIMES = ("westminster", "alert", "sunrise")

Documents: TypeAlias = Sequence[Mapping[str, Any]]


@dataclass
class Expected:
    """One person's scripted visit, and what the daemon took it for.

    Attributes:
        visit: of the script.
        who: came.
        ids: of the daemon's visits that began in it.
        label: whom the daemon's log named.
        on_time: whether its events had to reach the broker at once.
        late: whether they had to come late.
        clock_error: of the wall clock when it ended.
    """

    visit: Visit
    who: Visitor
    ids: list[str] = field(default_factory=list)
    label: str | None = None
    on_time: bool = False
    late: bool = False
    clock_error: float = 0.0

    @property
    def dated(self) -> float:
        """When the gallery has to say it began: an error is mended later, unless it is small."""
        return self.visit.at + (self.clock_error if abs(self.clock_error) < STEP_SECONDS else 0.0)


@dataclass(frozen=True, slots=True)
class KeptVisit:
    """A visit as the gallery has it."""

    label: str | None
    started_at: float
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class Kept:
    """What was kept at one moment.

    Attributes:
        integrity: SQLite's word.
        visits: by identifier.
        pictures: identifiers of the visits that have one.
    """

    integrity: str
    visits: Mapping[str, KeptVisit]
    pictures: frozenset[str]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table."""

    what: str
    expected: int
    found: int
    wrong: tuple[str, ...] = ()

    @property
    def is_right(self) -> bool:
        """Whether it is as it should be."""
        return self.expected == self.found and not self.wrong


def read_kept(folder: Path) -> Kept:
    """Read the storage beside the daemon."""
    storage = folder / "storage"
    with closing(sqlite3.connect(storage / "gallery.sqlite")) as database:
        integrity = str(database.execute("PRAGMA integrity_check").fetchone()[0])
    with Gallery.open(storage / "gallery.sqlite") as gallery:
        visits = {
            visit.visit_id: KeptVisit(
                visit.visitor.label if visit.visitor else None, visit.started_at, visit.ended_at
            )
            for visit in gallery.visits.newest(100_000)
        }
    pictures = frozenset(path.stem for path in (storage / "pictures").glob("*.jpg"))
    return Kept(integrity, visits, pictures)


def judge(
    happenings: Sequence[Happening],
    visits: Sequence[Expected],
    kept: Sequence[tuple[float, Kept]],
    documents: Documents,
    sounds: Sequence[bytes],
) -> Iterator[Finding]:
    """Compare what happened with the script."""
    who = _Identities(happenings, visits)
    once = [each for each in visits if len(each.ids) == 1]
    wrong = [f"{_of(each)} was {len(each.ids)} visits" for each in visits if len(each.ids) != 1]
    yield Finding("visits, each begun once", len(visits), len(once), tuple(wrong))
    yield who.names()
    yield who.strangers()
    yield from _events(visits, who, documents)
    yield _chimes(visits, who, sounds)
    yield from _kept(visits, who, kept)


class _Identities:
    """Whom each visit is of: a name, or a stranger between two times of being forgotten."""

    def __init__(self, happenings: Sequence[Happening], visits: Sequence[Expected]) -> None:
        self._namings = [each for each in happenings if isinstance(each, NameStranger)]
        self._visits = visits
        # The first visit that it is remembered by tells one stranger from the same one forgotten.
        self._since: dict[int, float] = {}
        last: dict[Visitor, tuple[float, float]] = {}
        for place, each in enumerate(visits):
            at = each.visit.at
            since, seen = last.get(each.who, (at, at))
            since = at if at - seen > STRANGERS_DAYS * DAY_SECONDS else since
            self._since[place] = since
            last[each.who] = since, at

    def name_at(self, who: Visitor, at: float) -> str | None:
        """What somebody is called then; None for a stranger."""
        given = [each.name for each in self._namings if each.who == who and each.at <= at]
        return given[-1] if given else who.name

    def stranger(self, place: int) -> tuple[Visitor, float]:
        """Who the stranger of a visit is."""
        return self._visits[place].who, self._since[place]

    def was_forgotten(self, place: int, at: float) -> bool:
        """Whether the stranger of a visit has not come for so long that retention forgot them."""
        who = self.stranger(place)
        seen = max(
            each.visit.at
            for other, each in enumerate(self._visits)
            if self.stranger(other) == who and each.visit.at < at
        )
        named = self.name_at(who[0], seen) or self.name_at(who[0], at)
        return named is None and seen < at - STRANGERS_DAYS * DAY_SECONDS

    def names(self) -> Finding:
        """Whether people, and nobody else, were called by their names."""
        right, wrong = 0, []
        for each in self._visits:
            name = self.name_at(each.who, each.visit.at)
            is_stranger = (each.label or "").startswith("stranger-")
            if each.label == name or (name is None and is_stranger):
                right += 1
            else:
                wrong.append(f"{_of(each)} was taken for {each.label}")
        return Finding(
            "right name, or a stranger's identifier", len(self._visits), right, tuple(wrong)
        )

    def strangers(self) -> Finding:
        """Whether each stranger had one identifier of their own for as long as remembered."""
        labels: dict[tuple[Visitor, float], set[str]] = {}
        for place, each in enumerate(self._visits):
            if self.name_at(each.who, each.visit.at) is None and each.label is not None:
                labels.setdefault(self.stranger(place), set()).add(each.label)
        found = set().union(*labels.values())
        wrong = [
            f"{who.portrait} was {', '.join(sorted(several))}"
            for (who, _), several in labels.items()
            if len(several) > 1
        ]
        return Finding("strangers, each with one identifier", len(labels), len(found), tuple(wrong))


def _events(
    visits: Sequence[Expected], who: _Identities, documents: Documents
) -> Iterator[Finding]:
    once = {each["event_id"]: each for each in reversed(documents)}  # the first of each
    first = sorted(once.values(), key=list(documents).index)
    of_visit: dict[str, list[Mapping[str, Any]]] = {}
    for document in first:
        of_visit.setdefault(document["visit_id"], []).append(document)
    expected, wrong, untimely = 0, [], []
    for each in visits:
        name = who.name_at(each.who, each.visit.at)
        types = ["arrived", "recognized" if name else "unknown", "ring", "left"]
        if each.visit.returns:
            types.remove("ring")
        expected += len(types)
        received = [event for key in each.ids for event in of_visit.pop(key, [])]
        told = [str(event["event_type"]).removeprefix("late_") for event in received]
        labels = {event["person"] or event["stranger"] for event in received[1:]}
        if told != types or labels != {each.label}:
            wrong.append(f"{_of(each)}: {' '.join(told)} of {', '.join(map(str, labels))}")
        late = {bool(event["late"]) for event in received}
        if (each.on_time and late != {False}) or (each.late and late != {True}):
            untimely.append(f"{_of(each)}: late {late}")
    wrong += [f"{len(events)} events of a visit of nobody" for events in of_visit.values()]
    yield Finding("events at the subscriber, once an id", expected, len(first), tuple(wrong))
    arrivals = [event["visit_id"] for event in first if event["event_type"].endswith("arrived")]
    rank = {key: place for place, each in enumerate(visits) for key in each.ids}
    turned = [
        key for key, after in pairwise(arrivals) if rank.get(key, -1) - rank.get(after, -1) > 1
    ]  # two who come together
    yield Finding("in order", 0, len(turned))
    timed = [each for each in visits if each.on_time or each.late]
    right = len(timed) - len(untimely)
    yield Finding("marked late if and only if late", len(timed), right, tuple(untimely))


def _chime_of(sound: bytes) -> str:
    """Which chime was played, by its length: the longest that fits, with a little silence."""
    lengths = {SAMPLE_BYTES * synthesize(name).samples.shape[0]: name for name in CHIMES}
    fitting = [each for each in lengths if each <= len(sound) < each + MOST_SILENCE_BYTES]
    return lengths[max(fitting)] if fitting else "no chime"


def _chimes(visits: Sequence[Expected], who: _Identities, sounds: Sequence[bytes]) -> Finding:
    wanted: Counter[str] = Counter()
    for each in visits:
        if not each.visit.returns and not is_quiet(each.visit.at):
            name = who.name_at(each.who, each.visit.at)
            wanted[each.who.chime or "westminster" if name else "alert"] += 1
    heard = Counter(_chime_of(sound) for sound in sounds)
    wrong = [
        f"{name} was heard {heard[name]} times instead of {wanted[name]}"
        for name in {**wanted, **heard}
        if heard[name] != wanted[name]
    ]
    return Finding("chimes, and none in quiet hours", wanted.total(), heard.total(), tuple(wrong))


def _kept(
    visits: Sequence[Expected], who: _Identities, kept: Sequence[tuple[float, Kept]]
) -> Iterator[Finding]:
    visits_wanted = visits_found = pictures_wanted = pictures_found = removed = removed_found = 0
    wrong_visits: list[str] = []
    wrong_pictures: list[str] = []
    wrong_dates: list[str] = []
    dated = 0
    for at, state in kept:
        wanted: set[str] = set()
        pictured: set[str] = set()
        for place, each in enumerate(visits):
            seen = each.visit.at
            if seen >= at:
                continue
            name = who.name_at(each.who, at)
            if seen < at - VISITS_DAYS * DAY_SECONDS or (
                name is None and who.was_forgotten(place, at)
            ):
                removed += len(each.ids)
                removed_found += sum(key not in state.visits for key in each.ids)
                continue
            wanted.update(each.ids)
            if seen >= at - PICTURES_DAYS * DAY_SECONDS:
                pictured.update(each.ids)
            for key in each.ids:
                stored = state.visits.get(key)
                label = name or each.label
                if stored is None or stored.label != label:
                    wrong_visits.append(f"{_of(each)} is kept as {stored}")
                    continue
                dated += 1
                limit = RETURN_DATE_SECONDS if each.visit.returns else DATE_SECONDS
                if (
                    abs(stored.started_at - each.dated) > limit
                    or stored.ended_at is None
                    or not 0 <= stored.ended_at - stored.started_at <= LONGEST_SECONDS
                ):
                    error = stored.started_at - each.dated
                    wrong_dates.append(f"{_of(each)} began {error:+.1f} s: {stored}")
        visits_wanted, visits_found = visits_wanted + len(wanted), visits_found + len(state.visits)
        pictures_wanted += len(pictured)
        pictures_found += len(state.pictures)
        wrong_visits += [f"a visit of nobody: {key}" for key in state.visits.keys() - wanted]
        wrong_pictures += [f"no picture of {key}" for key in pictured - state.pictures]
        wrong_pictures += [f"a picture of {key} still" for key in state.pictures - pictured]
        if state.integrity != "ok":
            wrong_visits.append(state.integrity)
    yield Finding("visits kept, over all checks", visits_wanted, visits_found, tuple(wrong_visits))
    yield Finding(
        "of those rightly dated", visits_wanted, dated - len(wrong_dates), tuple(wrong_dates)
    )
    yield Finding("visits removed for their age", removed, removed_found)
    yield Finding("pictures kept", pictures_wanted, pictures_found, tuple(wrong_pictures))


def _of(each: Expected) -> str:

    local = datetime.fromtimestamp(each.visit.at, ZONE)
    return f"{each.who.name or each.who.portrait} of {local:%a %H:%M}"
