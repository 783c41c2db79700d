import io

import pytest
from rich.console import Console

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
    Visitor,
)
from doorbell.outputs.sound.chime import ChimeChoice, Choice, Silence
from doorbell.outputs.terminal import Timeline

ANNA = Person(1, "Anna [red]")
START = 1000.0


class Terminal:
    def __init__(self) -> None:
        self._text = io.StringIO()
        self.timeline = Timeline(Console(file=self._text, width=60), START)

    def shows(self, event: Event) -> str:
        self.timeline.handle(event)
        return self._take()

    def shows_choice(self, ring: Ring, choice: Choice) -> str:
        self.timeline.chose(ring, choice)
        return self._take()

    def _take(self) -> str:
        text = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        return text


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


def visit(visitor: Visitor | None, name: str = "v1", ended_at: float | None = None) -> Visit:
    return Visit(name, START + 1, START + 9, ended_at, visitor, 0.714, 5, 0.87)


def test_a_visit_is_told_line_by_line(terminal: Terminal) -> None:
    assert terminal.shows(Arrived("e1", START + 1.24, visit(None))) == (
        "00:01.2  visit 1  ●  somebody is at the door\n"
    )
    assert terminal.shows(Recognized("e2", START + 2, visit(ANNA))) == (
        "00:02.0  visit 1  ✔  Anna [red]  (similarity 0.71, after 0.87 s and 5 frames)\n"
    )
    assert terminal.shows(Left("e3", START + 75, visit(ANNA, ended_at=START + 10))) == (
        "01:15.0  visit 1  ○  Anna [red] left after 9 s\n"
    )


def test_the_door_is_named_where_there_are_several() -> None:
    text = io.StringIO()
    doors = {"front": "Front door", "garden": "Garden gate"}
    timeline = Timeline(Console(file=text, width=80), START, doors)
    timeline.handle(Recognized("e1", START + 1, visit(ANNA, "a"), door_id="front"))
    timeline.handle(Arrived("e2", START + 9, visit(None, "b"), door_id="garden"))
    timeline.chose(Ring("e3", START + 9.5, door_id="garden"), Silence("muted"))
    assert [line[9:36] for line in text.getvalue().splitlines()] == [
        "Front door   visit 1  ✔  An",
        "Garden gate  visit 2  ●  so",
        "Garden gate           ♪  no",
    ]


@pytest.mark.parametrize(
    ("visits", "week", "words"),
    [
        (1, 1, "unknown: stranger-7, never seen before  (after 0.87 s and 5 frames)"),
        (2, 1, "here for the 2nd time  (similarity 0.71, after 0.87 s and 5 frames)"),
        (3, 3, "here for the 3rd time this week  (similarity"),
        (4, 1, "here for the 4th time"),
        (11, 2, "here for the 11th time, the 2nd this week  (similarity"),
        (12, 1, "here for the 12th time"),
        (13, 1, "here for the 13th time"),
        (21, 1, "here for the 21st time"),
        (111, 21, "here for the 111th time, the 21st this week"),
    ],
)
def test_a_stranger_is_told_with_how_often_they_came(
    terminal: Terminal, visits: int, week: int, words: str
) -> None:
    stranger = Stranger(7, START, START, visits, week)
    assert words in terminal.shows(Unknown("e1", START, visit(stranger)))


def test_who_cannot_be_told_is_told_as_somebody(terminal: Terminal) -> None:
    event = Unknown("e1", START, visit(None), reason=UnknownReason.NO_USABLE_FACE)
    assert "?  unknown: somebody whose face cannot be made out\n" in terminal.shows(event)


def test_visits_are_numbered_in_order_of_arrival(terminal: Terminal) -> None:
    assert "visit 1 " in terminal.shows(Arrived("e1", START, visit(None, "a")))
    assert "visit 2 " in terminal.shows(Arrived("e2", START, visit(None, "b")))
    assert "visit 1 " in terminal.shows(Left("e3", START, visit(None, "a")))
    assert "somebody left" in terminal.shows(Left("e4", START, visit(None, "b")))


def test_a_ring_is_told_with_its_chime_or_why_there_is_none(terminal: Terminal) -> None:
    ring = Ring("e1", START + 3, visit(ANNA))
    assert terminal.shows(ring) == ""
    assert terminal.shows_choice(ring, ChimeChoice("/sounds/owl.wav", 0.8)) == (
        "00:03.0  visit 1  ♪  chime: owl\n"
    )
    assert "♪  no chime: muted\n" in terminal.shows_choice(ring, Silence("muted"))
    pressed = Ring("e2", START + 4)
    assert terminal.shows_choice(pressed, ChimeChoice("gong", 0.8)) == (
        "00:04.0           ♪  chime: gong\n"
    )
