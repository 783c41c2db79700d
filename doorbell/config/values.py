"""Values that a configuration may hold, each checked where it is read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import time
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from doorbell.config.messages import shown
from doorbell.config.paths import expand
from doorbell.errors import ConfigError

# Looks for figures each second, if any: a figure is followed from one look at it to the next, and
# with two of them and something else that moves each gets one look in four.
LEAST_LOOKS = 2.0

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


def _expand(path: Path) -> Path:
    if "\0" in str(path):
        msg = "a path has no NUL character: write it without"
        raise ValueError(msg)
    try:
        return expand(path)
    except ConfigError as exc:
        raise ValueError(str(exc)) from exc


LocalPath = Annotated[Path, AfterValidator(_expand)]


def _often_enough(looks: float) -> float:
    if 0 < looks < LEAST_LOOKS:
        msg = f"must be 0, or {LEAST_LOOKS:g} or more: fewer looks follow nobody"
        raise ValueError(msg)
    return looks


LooksPerSecond = Annotated[float, Field(ge=0.0, le=30.0), AfterValidator(_often_enough)]


def _quarter_turns(degrees: int) -> int:
    if degrees % 90:
        msg = "must be 0, 90, 180 or 270"
        raise ValueError(msg)
    return degrees


QuarterTurns = Annotated[int, Field(ge=0, le=270), AfterValidator(_quarter_turns)]


def _where_it_hangs(clock: time) -> time:
    if clock.tzinfo is not None:
        msg = "the time is the doorbell's own: write it without a zone, as in 22:00:00"
        raise ValueError(msg)
    return clock


LocalTime = Annotated[time, AfterValidator(_where_it_hangs)]


def texts(what: str, check: Callable[[str], object]) -> BeforeValidator:
    """Texts of a list, each checked; a fault is of the key, not of a place in the list.

    Args:
        what: the list is of, in words.
        check: true, or anything like it, for a text that fits; ``ValueError`` is no fit either.
    """

    def checked(values: object) -> object:
        if not isinstance(values, list | tuple):
            return values
        for value in values:
            try:
                fits = isinstance(value, str) and check(value)
            except ValueError:
                fits = False
            if not fits:
                msg = f"must be a list of {what}, not {shown(value)}"
                raise ValueError(msg)
        return tuple(values)

    return BeforeValidator(checked)


UserNames = Annotated[
    tuple[str, ...],
    texts('user names, as in ["doorbell-console"]', lambda name: 0 < len(name) <= 64),
    Field(max_length=16, description="a list of at most 16 user names"),
]


def _number_as_text(value: object) -> object:
    return str(value) if type(value) is int else value


def _switch_as_word(value: object) -> object:
    return {True: "all", False: "none"}[value] if isinstance(value, bool) else value


# A line of a GPIO chip; its number may be written as one.
GpioLine = Annotated[
    str,
    BeforeValidator(_number_as_text),
    Field(min_length=1, description='a line\'s name, as in "PQ.05", or its number in its chip'),
]

# Of whom pictures are kept; a switch says of everybody, or nobody.
WhosePictures = Annotated[Literal["all", "people", "none"], BeforeValidator(_switch_as_word)]
