"""The script of the week: who comes when, what fails when, and what has to be known of it.

Times are true ones, whatever the doorbell's clock shows. The week begins on the Thursday before
daylight-saving time ends in Berlin, so that Sunday has twenty-five hours.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Berlin")
FIRST_DAY = date(2026, 10, 22)
LONGEST_DAYS = 7
QUIET_FROM, QUIET_TO = time(22), time(7)
# What the configuration says.
PICTURES_DAYS, STRANGERS_DAYS, VISITS_DAYS = 2, 3, 4
CHECK_AT = time(4, 10)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody of the sample portraits.

    Attributes:
        portrait: the file, without its ending.
        face_xyxy: the face in its pixels.
        name: of who is enrolled from the beginning.
        enrolled_by: the portrait that they are enrolled by.
        chime: theirs.
    """

    portrait: str
    face_xyxy: tuple[int, int, int, int]
    name: str | None = None
    enrolled_by: str | None = None
    chime: str | None = None


BARACK = Visitor("obama", (375, 160, 620, 465), "Barack", "obama2", "sunrise")
EMMANUEL = Visitor("macron", (215, 250, 515, 575), "Emmanuel", "macron")
NEIGHBOUR = Visitor("biden", (400, 215, 735, 540))
COURIER = Visitor("ardern", (215, 225, 490, 525))
VISITORS = (BARACK, EMMANUEL, NEIGHBOUR, COURIER)
COURIER_NAME = "Jacinda"


@dataclass(frozen=True, slots=True)
class Visit:
    """Who comes, alone or two together.

    Attributes:
        at: when, seconds since 1970.
        who: one or two.
        stays_seconds: at the door, by the camera's time.
        returns: whether the same person was there just before, so that nothing rings.
        clock_set: the error of the wall clock from the middle of the visit on.
        ending: what happens to the doorbell while they are there.
    """

    at: float
    who: tuple[Visitor, ...]
    stays_seconds: float = 1.5
    returns: bool = False
    clock_set: float | None = None
    ending: Literal["", "stop", "kill"] = ""


@dataclass(frozen=True, slots=True)
class Start:
    """The doorbell starts, or starts again; its clock is wrong by so much."""

    at: float
    clock_error: float = 0.0


@dataclass(frozen=True, slots=True)
class SetClock:
    """The wall clock is set while nobody is there."""

    at: float
    clock_error: float


@dataclass(frozen=True, slots=True)
class Broker:
    """The broker ends, in order or killed, or starts again."""

    at: float
    does: Literal["stop", "kill", "start"]


@dataclass(frozen=True, slots=True)
class NameStranger:
    """The household names somebody who has been a stranger."""

    at: float
    who: Visitor
    name: str


@dataclass(frozen=True, slots=True)
class Check:
    """What is kept is compared with what should be."""

    at: float


Happening: TypeAlias = Visit | Start | SetClock | Broker | NameStranger | Check


def is_quiet(at: float) -> bool:
    """Whether no chime may sound."""
    local = datetime.fromtimestamp(at, ZONE).time()
    return local >= QUIET_FROM or local < QUIET_TO


def write_week(days: int, seed: int) -> list[Happening]:
    """Write the script of the first days of the week.

    Args:
        days: 1 to 7.
        seed: decides who comes when, where nothing depends on it.
    """
    rng = random.Random(seed)  # noqa: S311 - no secret depends on it
    happenings: list[Happening] = [Start(_at(0, 5))]
    for day in range(days):
        happenings += sorted(_day(day, rng), key=lambda each: each.at)
        happenings.append(Check(_at(day + 1, CHECK_AT.hour, CHECK_AT.minute)))
    return happenings


def _day(day: int, rng: random.Random) -> Iterator[Happening]:
    """From five in the morning to four in the next."""
    courier = _courier_comes(day)
    yield Visit(_at(day, 6, 30), (BARACK,))  # quiet hours still
    yield Visit(_at(day, 7, 1), (EMMANUEL,))  # and no longer
    for hour in range(8, 21):
        anybody = rng.choice((BARACK, EMMANUEL, NEIGHBOUR))
        who = COURIER if courier and hour in (9, 17) else anybody
        yield Visit(_at(day, hour, rng.randrange(5, 15)), (who,))
    yield Visit(_at(day, 18, 30), (NEIGHBOUR,))
    yield Visit(_at(day, 18, 31), (NEIGHBOUR,), returns=True)
    yield Visit(_at(day, 19, 30), (BARACK, NEIGHBOUR), stays_seconds=3.0)
    yield Visit(_at(day, 21, 58), (EMMANUEL,))
    yield Visit(_at(day, 22, 1), (NEIGHBOUR,))
    yield Visit(_at(day, 23, 59, 58), (BARACK,), stays_seconds=8.0)  # over midnight
    yield Visit(_at(day + 1, 2, 30), (NEIGHBOUR,))
    yield from _faults(day)


def _courier_comes(day: int) -> bool:
    """On the first two days, and again after being forgotten."""
    return day < 2 or day >= 6


def _faults(day: int) -> Iterator[Happening]:
    """What goes wrong on each day."""
    match day:
        case 0:  # the broker is gone for two visits, and restarted in order
            yield Broker(_at(0, 10, 30), "stop")
            yield Broker(_at(0, 12, 30), "start")
        case 1:  # a machine without a clock of its own starts two hours late, until it asks one
            yield Start(_at(1, 5), clock_error=-7200.0)
            yield Visit(_at(1, 5, 30), (BARACK,))
            yield Visit(_at(1, 5, 40), (NEIGHBOUR,))
            yield SetClock(_at(1, 6), 0.0)
            yield Visit(_at(1, 15, 30), (EMMANUEL,), stays_seconds=12.0, ending="stop")
            yield Start(_at(1, 15, 31))
        case (
            2
        ):  # killed by day, and once more while the broker is away; a night of twenty-five hours
            yield Visit(_at(2, 11, 30), (NEIGHBOUR,), stays_seconds=20.0, ending="kill")
            yield Start(_at(2, 11, 40))
            yield Broker(_at(2, 13, 30), "kill")
            yield Visit(_at(2, 14, 30), (BARACK,), stays_seconds=20.0, ending="kill")
            yield Start(_at(2, 14, 40))
            yield Broker(_at(2, 16, 30), "start")
            yield Visit(_at(3, 2, 31, fold=0), (BARACK,))
            yield Visit(_at(3, 2, 31, fold=1), (BARACK,))
        case (
            3
        ):  # no fault, but a clock that is a minute and a half ahead, set while somebody is there
            yield Start(_at(3, 5), clock_error=90.0)
            yield Visit(_at(3, 6, 45), (EMMANUEL,), stays_seconds=12.0, clock_set=0.0)
            yield Start(_at(3, 7, 30))
        case 5:  # a clock that drifts and is set by seconds; the broker is away over midnight
            yield SetClock(_at(5, 9, 30), 20.0)
            yield SetClock(_at(5, 10, 30), 0.0)
            yield Broker(_at(5, 23, 30), "stop")
            yield Broker(_at(6, 0, 30), "start")
        case 6:
            yield NameStranger(_at(6, 12, 30), COURIER, COURIER_NAME)
        case _:
            pass


def _at(day: int, hour: int, minute: int = 0, second: int = 0, fold: int = 1) -> float:
    """A local time as seconds since 1970; of the hour that comes twice, the second one."""
    local = datetime.combine(FIRST_DAY + timedelta(days=day), time(hour, minute, second), ZONE)
    return local.replace(fold=fold).timestamp()
