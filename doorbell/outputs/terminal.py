"""What happens at the door, line by line, for people at a terminal."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from rich.console import Console
from rich.text import Text
from typing_extensions import assert_never

from doorbell.domain import (
    Arrived,
    Event,
    Left,
    Person,
    Recognized,
    Ring,
    Stranger,
    Unknown,
    UnknownReason,
    Visit,
)
from doorbell.outputs.sound.chime import ChimeChoice, Choice
from doorbell.status import Message
from doorbell.text import shown


class Timeline:
    """The output for a terminal.

    Args:
        console: where lines go.
        started_at: wall time of the beginning, seconds since the epoch; times count from it.
        doors: what each door is called, by its id; none where there is only one, which is not
            named.
    """

    def __init__(
        self, console: Console, started_at: float, doors: Mapping[str, str] | None = None
    ) -> None:
        self._console = console
        self._started_at = started_at
        self._doors = doors or {}
        self._door_width = max(map(len, self._doors.values()), default=0)
        self._lock = threading.Lock()
        self._numbers: dict[str, int] = {}

    def handle(self, message: Message) -> None:
        """Print a line about an event; a ring is told by ``chose``."""
        if isinstance(message, Event):
            self._tell(message)

    def chose(self, ring: Ring, choice: Choice) -> None:
        """Print which chime a ring got."""
        if isinstance(choice, ChimeChoice):
            self._line(ring, "♪", "cyan", f"chime: {choice.label}")
        else:
            self._line(ring, "♪", "bright_black", f"no chime: {choice.reason}")

    def close(self) -> None:
        """Nothing is held."""

    def _tell(self, event: Event) -> None:
        match event:
            case Arrived():
                self._line(event, "●", "bright_black", "somebody is at the door")
            case Recognized():
                self._line(event, "✔", "bold green", _named(event.visit))
            case Unknown():
                self._line(event, "?", "bold yellow", _unnamed(event.visit, event.reason))
            case Left():
                seconds = (event.visit.ended_at or event.occurred_at) - event.visit.started_at
                self._line(
                    event, "○", "bright_black", f"{_who(event.visit)} left after {seconds:.0f} s"
                )
            case Ring():
                pass
            case _:
                assert_never(event)

    def _line(self, event: Event, sign: str, style: str, words: str) -> None:
        with self._lock:
            elapsed = event.occurred_at - self._started_at
            line = Text(f"{int(elapsed // 60):02d}:{elapsed % 60:04.1f}  ", style="bright_black")
            if self._doors:
                door = shown(self._doors.get(event.door_id, event.door_id))
                line.append(f"{door:<{self._door_width}}  ")
            if event.visit is not None:
                number = self._numbers.setdefault(event.visit.visit_id, len(self._numbers) + 1)
                line.append(f"visit {number:<3d}", style="bright_black")
            else:
                line.append(" " * 9)
            line.append(f"{sign}  ", style=style)
            line.append(shown(words), style=style)
            self._console.print(line, soft_wrap=True)


def _who(visit: Visit) -> str:
    return "somebody" if visit.visitor is None else visit.visitor.label


def _named(visit: Visit) -> str:
    return f"{_who(visit)}  (similarity {visit.similarity:.2f}, {_speed(visit)})"


def _unnamed(visit: Visit, reason: UnknownReason | None) -> str:
    if reason is UnknownReason.NO_USABLE_FACE:
        return "unknown: somebody whose face cannot be made out"
    visitor = visit.visitor
    if visitor is None or isinstance(visitor, Person) or visitor.visits == 1:
        return f"unknown: {_who(visit)}, never seen before  ({_speed(visit)})"
    return (
        f"unknown: {_who(visit)}, here for the {_ordinal(visitor.visits)} time{_of_week(visitor)}  "
        f"(similarity {visit.similarity:.2f}, {_speed(visit)})"
    )


def _of_week(stranger: Stranger) -> str:
    if stranger.visits_week == stranger.visits:
        return " this week"
    return f", the {_ordinal(stranger.visits_week)} this week" if stranger.visits_week > 1 else ""


def _speed(visit: Visit) -> str:
    seconds = visit.seconds_to_decision or 0.0
    return f"after {seconds:.2f} s and {visit.frames_used} frames"


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
