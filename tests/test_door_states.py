"""Who is at the door, and when each person last was, as the broker keeps it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from doorbell.domain import (
    Arrived,
    Left,
    Person,
    Recognized,
    Ring,
    Stranger,
    Unknown,
    Visit,
    Visitor,
)
from doorbell.outputs.mqtt.door_states import MOST_WITH_ENTITIES, DoorStates
from doorbell.outputs.mqtt.topics import Topics
from doorbell.status import KnownVisitors

TOPICS = Topics("front-door")
ANNA, BEN = Person(1, "Anna"), Person(2, "Ben")
STRANGER = Stranger(7, 0.0, 0.0, 1)


def known(*people: Person, strangers: frozenset[int] = frozenset({7})) -> KnownVisitors:
    return KnownVisitors(people, strangers)


@pytest.fixture
def states() -> DoorStates:
    return DoorStates(TOPICS, known(ANNA, BEN))


def visit(number: int, visitor: Visitor | None = None, at: float = 1000.0) -> Visit:
    return Visit(f"v{number}", at, at + 5.0, visitor=visitor)


def told(states: DoorStates, topic: str) -> dict[str, Any]:
    document = json.loads(states.all()[topic])
    assert document.pop("version") == 1
    assert isinstance(document, dict)
    return document


def words(states: DoorStates) -> str:
    return str(told(states, TOPICS.at_door)["at_door"])


def at_door(states: DoorStates) -> list[bool]:
    return [told(states, TOPICS.person(each))["at_door"] for each in (1, 2)]


def test_nobody_is_there_at_the_start_and_nothing_known_of_a_visit(states: DoorStates) -> None:
    assert told(states, TOPICS.at_door) == {"at_door": "nobody", "visitors": []}
    assert told(states, TOPICS.person(1)) == {"at_door": False, "last_seen_at": None}
    assert set(states.all()) == {TOPICS.at_door, TOPICS.person(1), TOPICS.person(2)}


def test_who_is_there_is_told_and_cleared(states: DoorStates) -> None:
    states.take(Arrived("e1", 1000.0, visit(1)))
    assert words(states) == "somebody"
    states.take(Recognized("e2", 1001.0, visit(1, ANNA)))
    states.take(Ring("e3", 1001.0, visit(1, ANNA)))
    states.take(Unknown("e4", 1002.0, visit(2, STRANGER)))
    assert words(states) == "Anna, stranger-7"
    assert at_door(states) == [True, False]
    assert told(states, TOPICS.at_door)["visitors"] == [
        {
            "visit_id": "v1",
            "person": "Anna",
            "person_id": 1,
            "stranger": None,
            "arrived_at": "1970-01-01T00:16:40.000+00:00",
        },
        {
            "visit_id": "v2",
            "person": None,
            "person_id": None,
            "stranger": "stranger-7",
            "arrived_at": "1970-01-01T00:16:40.000+00:00",
        },
    ]
    states.take(Left("e5", 1006.0, replace(visit(1, ANNA), ended_at=1006.0)))
    assert (words(states), at_door(states)) == ("stranger-7", [False, False])
    assert told(states, TOPICS.person(1))["last_seen_at"] == "1970-01-01T00:16:45.000+00:00"
    states.take(Left("e6", 1006.0, replace(visit(2, STRANGER), ended_at=1006.0)))
    states.take(Ring("e7", 1007.0, pressed=True))  # with nobody in sight
    assert words(states) == "nobody"


def test_somebody_in_two_visits_is_there_until_the_end_of_both(states: DoorStates) -> None:
    for number in (1, 2):
        states.take(Recognized(f"e{number}", 1001.0, visit(number, ANNA)))
    states.take(Left("e3", 1006.0, visit(1, ANNA)))
    assert at_door(states) == [True, False]
    states.take(Left("e4", 1006.0, visit(2, ANNA)))
    assert at_door(states) == [False, False]


def test_the_last_visit_is_that_of_the_gallery_until_there_is_a_later_one() -> None:
    before = replace(known(ANNA), last_visits=(visit(1, ANNA, 500.0),))
    states = DoorStates(TOPICS, before)
    assert told(states, TOPICS.person(1))["last_seen_at"] == "1970-01-01T00:08:25.000+00:00"
    states.take(Left("e1", 300.0, visit(2, ANNA, 200.0)))  # an event that waited
    assert told(states, TOPICS.person(1))["last_seen_at"] == "1970-01-01T00:08:25.000+00:00"
    states.take(Left("e2", 900.0, visit(3, ANNA, 800.0)))
    assert told(states, TOPICS.person(1))["last_seen_at"] == "1970-01-01T00:13:25.000+00:00"


def test_who_is_renamed_or_gone_is_so_at_the_door_too(states: DoorStates) -> None:
    states.take(Recognized("e1", 1001.0, visit(1, ANNA)))
    states.take(Unknown("e2", 1002.0, visit(2, STRANGER)))
    states.know(known(Person(1, "Annabel"), BEN))
    assert words(states) == "Annabel, stranger-7"
    states.know(known(BEN, strangers=frozenset()))
    assert words(states) == "somebody, somebody"
    assert TOPICS.person(1) not in states.all()
    # Whom the disk would not keep has no lasting number, and is not gone.
    states.take(Unknown("e3", 1002.0, visit(3, Stranger(-4, 0.0, 0.0, 1))))
    states.know(known(BEN, strangers=frozenset()))
    assert words(states) == "somebody, somebody, new-stranger-4"


def test_a_visit_that_is_forgotten_or_corrected_is_no_longer_anybody_s(states: DoorStates) -> None:
    states.take(Recognized("e1", 1001.0, visit(1, ANNA)))
    states.correct(replace(visit(1, BEN), corrected=True))
    assert (words(states), at_door(states)) == ("Ben", [False, True])
    assert told(states, TOPICS.person(1))["last_seen_at"] is None
    states.forget(["v1"])
    assert words(states) == "nobody"
    assert told(states, TOPICS.person(2))["last_seen_at"] is None


def test_a_crowd_fits_into_a_state(states: DoorStates) -> None:
    for number in range(5):
        person = Person(number + 10, "x" * 64)
        states.take(Recognized(f"e{number}", 1001.0, visit(number, person)))
    assert words(states) == "5 visitors"


def test_a_ring_has_a_time(states: DoorStates) -> None:
    assert json.loads(states.ring(Ring("e1", 1000.0, pressed=True))) == {
        "version": 1,
        "rang_at": "1970-01-01T00:16:40.000+00:00",
        "pressed": True,
    }


def test_of_very_many_people_none_has_a_state_but_who_is_there_is_told() -> None:
    crowd = tuple(Person(number, f"resident {number}") for number in range(MOST_WITH_ENTITIES + 1))
    states = DoorStates(TOPICS, known(*crowd))
    assert set(states.all()) == {TOPICS.at_door}
    states.take(Recognized("e1", 1001.0, visit(1, crowd[7])))
    assert words(states) == "resident 7"
    states.know(known(*crowd[1:]))
    assert len(states.all()) == 1 + MOST_WITH_ENTITIES
