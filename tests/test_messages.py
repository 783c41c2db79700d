import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from doorbell.domain import (
    Arrived,
    Attention,
    CommandResult,
    Event,
    Left,
    Person,
    Pose,
    Recognized,
    Ring,
    Stranger,
    Unknown,
    UnknownReason,
    Visit,
)
from doorbell.outputs.mqtt.messages import (
    EVENT_TYPES,
    encode,
    event_document,
    event_type,
    reply_document,
    statistics_document,
    visitor_document,
)
from doorbell.status import StageLatency, Statistics

ANNA = Person(3, "Anna", preferences={"scene": "evening"})
UNDECIDED = Visit("v1", 1.0, 2.0)
KNOWN = Visit("v1", 1.0, 2.0, visitor=ANNA, similarity=0.7, seconds_to_decision=0.5)
STRANGE = Visit(
    "v1",
    1.0,
    2.0,
    visitor=Stranger(7, 0.0, 1.0, 5, visits_week=2),
    similarity=-0.1,
    seconds_to_decision=2.0,
)
KEYS = {
    "version",
    "event_id",
    "event_type",
    "late",
    "occurred_at",
    "pressed",
    "visit_id",
    "visit_started_at",
    "visit_ended_at",
    "person",
    "person_id",
    "stranger",
    "stranger_visits",
    "stranger_visits_week",
    "similarity",
    "seconds_to_decision",
    "preferences",
    "attention",
    "reason",
    "live",
    "repeated",
}


def decoded(document: Any) -> dict[str, Any]:
    result = json.loads(encode(document))
    assert isinstance(result, dict)
    return result


def test_an_event_tells_whether_somebody_pressed() -> None:
    assert decoded(event_document(Ring("e", 1.0, pressed=True)))["pressed"] is True
    assert decoded(event_document(Ring("e", 1.0)))["pressed"] is False
    assert decoded(event_document(Arrived("e", 1.0, UNDECIDED)))["pressed"] is False


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (Ring("e", 1.0), "ring"),
        (Arrived("e", 1.0, UNDECIDED), "arrived"),
        (Recognized("e", 1.0, KNOWN), "recognized"),
        (Unknown("e", 1.0, STRANGE), "unknown"),
        (Left("e", 1.0, KNOWN), "left"),
    ],
)
def test_every_event_has_a_type_and_the_same_keys(event: Event, expected: str) -> None:
    assert event_type(event) == expected
    assert expected in EVENT_TYPES
    document = decoded(event_document(event))
    assert document.keys() == KEYS
    assert document["event_type"] == expected


def test_an_unknown_visitor_and_the_ring_tell_why_nobody_can_be_named() -> None:
    reason = UnknownReason.NO_USABLE_FACE
    for event in (Unknown("e", 1.0, UNDECIDED, reason=reason), Ring("e", 1.0, reason=reason)):
        document = decoded(event_document(event))
        assert (document["reason"], document["person"], document["stranger"]) == (
            "no_usable_face",
            None,
            None,
        )
    for named in (Unknown("e", 1.0, STRANGE), Ring("e", 1.0, KNOWN), Left("e", 1.0, UNDECIDED)):
        assert decoded(event_document(named))["reason"] is None


def test_who_it_is() -> None:
    known = decoded(event_document(Ring("e", 1.0, KNOWN)))
    assert (known["person"], known["person_id"], known["stranger"]) == ("Anna", 3, None)
    assert known["preferences"] == {"scene": "evening"}
    strange = decoded(event_document(Ring("e", 1.0, STRANGE)))
    assert (strange["person"], strange["person_id"]) == (None, None)
    assert (strange["stranger"], strange["similarity"]) == ("stranger-7", -0.1)
    assert (strange["stranger_visits"], strange["stranger_visits_week"]) == (5, 2)
    assert (known["stranger_visits"], known["stranger_visits_week"]) == (None, None)
    for nobody in (Ring("e", 1.0, UNDECIDED), Ring("e", 1.0)):
        document = decoded(event_document(nobody))
        for key in ("person", "person_id", "stranger", "similarity", "seconds_to_decision"):
            assert document[key] is None
        assert document["preferences"] == {}


def test_attention_says_whether_the_visitor_looks_at_the_door() -> None:
    attention = Attention(True, 2.04, Pose(-12.3, 4.6, 1.0))
    document = decoded(event_document(Left("e", 1.0, replace(KNOWN, attention=attention))))
    assert document["attention"] == {
        "looking": True,
        "looking_seconds": 2.0,
        "yaw_degrees": -12,
        "pitch_degrees": 5,
    }
    assert decoded(event_document(Ring("e", 1.0)))["attention"] is None


def test_a_name_that_the_household_gave_has_no_similarity() -> None:
    document = decoded(event_document(Left("e", 1.0, replace(KNOWN, corrected=True))))
    assert (document["person"], document["similarity"]) == ("Anna", None)
    assert document["seconds_to_decision"] == 0.5


def test_times_are_utc() -> None:
    document = decoded(event_document(Left("e", 1e9 + 0.25, UNDECIDED)))
    assert document["occurred_at"] == "2001-09-09T01:46:40.250+00:00"
    assert document["visit_ended_at"] is None


def test_the_picture_stays_out_of_the_documents() -> None:
    event = Recognized("e", 1.0, KNOWN, b"JPEG")
    assert b"JPEG" not in encode(event_document(event))


def test_the_last_visitor() -> None:
    assert decoded(visitor_document(KNOWN))["visitor"] == "Anna"
    assert decoded(visitor_document(STRANGE))["visitor"] == "stranger-7"
    assert decoded(visitor_document(UNDECIDED))["visitor"] == "unknown"


def test_statistics() -> None:
    stages = {"detect": StageLatency(6.12345, 9.0, 12.5, 1470)}
    document = decoded(
        statistics_document(Statistics(60.0, 24.5, 3, 8.0, 21.0, 1, 2, 7, True, stages))
    )
    assert document == {
        "version": 1,
        "uptime_seconds": 60.0,
        "frames_per_second": 24.5,
        "frames_dropped": 3,
        "latency_ms_p50": 8.0,
        "latency_ms_p99": 21.0,
        "visits_open": 1,
        "people": 2,
        "strangers": 7,
        "camera_online": True,
        "stages": {"detect": {"p50_ms": 6.123, "p95_ms": 9.0, "p99_ms": 12.5, "count": 1470}},
    }


def test_an_answer_carries_the_id_of_its_request() -> None:
    result = CommandResult("enroll", False, "2 usable faces are in sight", "back-door", "7")
    assert decoded(reply_document(result)) == {
        "version": 1,
        "id": "7",
        "command": "enroll",
        "done": False,
        "summary": "2 usable faces are in sight",
    }
    assert decoded(reply_document(CommandResult("forget", True, "")))["id"] is None


@given(name=st.text())
def test_any_name_survives_as_data(name: str) -> None:
    event = Ring("e", 1.0, Visit("v", 1.0, 1.0, visitor=Person(1, name)))
    payload = encode(event_document(event))
    assert payload.isascii()
    assert json.loads(payload)["person"] == name


@given(text=st.text(st.characters(exclude_categories=[]) | st.sampled_from("\\ud89\ud83d\ude00")))
def test_no_text_makes_a_document_that_a_strict_parser_refuses(text: str) -> None:
    payload = encode({"preferences": {text: [text]}})
    [(key, [value])] = from_json(payload)["preferences"].items()
    assert payload.isascii()
    assert key == value
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert value == text
