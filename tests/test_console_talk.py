"""Talking, listening and answering over HTTP, before a doorbell as a test writes it down."""

from __future__ import annotations

import http.client
import json
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from console_server import Console

from doorbell.console.routing import Role
from doorbell.control.requests.talk import MAX_TALK_BYTES
from doorbell.testbed.waiting import eventually

SAID = b"\1\2" * 8000


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    answers = {"talk.say": lambda _: {"summary": "said"}, "door.answer": lambda _: {}}
    with Console(tmp_path, answers=answers) as running:
        yield running


def ours(console: Console, role: Role) -> dict[str, str]:
    return {**console.device(role), "origin": console.origin, "x-door": "1"}


def noted(console: Console) -> list[str]:
    """What was written down, oldest first."""
    return [each.action for each in reversed(console.access.audit.newest(100))]


def test_what_is_said_reaches_the_doorbell_and_is_noted(console: Console) -> None:
    member = ours(console, Role.MEMBER)
    answered = console.ask("POST", "/talk", {**member, "accept": "application/json"}, SAID)
    assert answered.status == 200
    assert json.loads(answered.body) == {"summary": "It is said at the door."}
    assert console.doorbell.asked[-1] == {"do": "talk.say"}
    assert console.doorbell.blobs[-1] == SAID
    assert noted(console) == ["talk"]


def test_no_more_is_taken_than_may_be_said(console: Console) -> None:
    member = ours(console, Role.MEMBER)
    assert console.ask("POST", "/talk", member, b"\0" * MAX_TALK_BYTES).status == 200
    assert console.ask("POST", "/talk", member, b"\0" * (MAX_TALK_BYTES + 1)).status == 413
    assert console.ask("POST", "/talk", {**member, "x-door": "0"}, SAID).status == 403
    assert len(console.doorbell.asked) == 1


def test_who_only_looks_answers_too_and_that_is_not_noted(console: Console) -> None:
    answered = console.ask("POST", "/answered", ours(console, Role.VIEWER), b"")
    assert answered.status == 204
    assert console.doorbell.asked[-1] == {"do": "door.answer", "how": "watched"}
    assert console.ask("POST", "/answered", ours(console, Role.STREAM), b"").status == 403
    assert noted(console) == []


@contextmanager
def listening(console: Console, headers: dict[str, str]) -> Iterator[Any]:
    with closing(http.client.HTTPConnection("127.0.0.1", console.port, timeout=5)) as connection:
        connection.request("POST", "/listen", headers=headers)
        yield connection.getresponse()


def part(response: Any) -> tuple[dict[str, Any], bytes]:
    (size,) = struct.unpack(">I", response.read(4))
    document = json.loads(response.read(size))
    (size,) = struct.unpack(">I", response.read(4))
    return document, response.read(size)


def test_the_microphone_is_heard_and_closed_with_the_answer(console: Console) -> None:
    with listening(console, ours(console, Role.MEMBER)) as response:
        assert part(response) == ({"event": "sound"}, SAID[:3200])
        assert part(response) == ({"event": "silent"}, b"")
        assert console.doorbell.listening == 1
        response.close()
    assert eventually(lambda: console.doorbell.listening == 0, 2.0)
    assert noted(console) == ["listen"]


def test_whoever_loses_access_hears_no_more_at_once(console: Console) -> None:
    headers = ours(console, Role.MEMBER)
    with listening(console, headers) as response:  # which takes nothing
        assert eventually(lambda: console.doorbell.listening == 1)
        console.access.devices.revoke(console.access.devices.all()[-1].device_id)
        assert eventually(lambda: console.doorbell.listening == 0, 3.0)
        assert response.status == 200


def test_a_microphone_that_cannot_be_heard_is_said_in_words(console: Console) -> None:
    console.doorbell.answers["talk.listen"] = lambda _: {
        "ok": False,
        "kind": "refused",
        "error": "listening is switched off; set talk.microphone",
    }
    with listening(console, ours(console, Role.MEMBER)) as response:
        told, _ = part(response)
        assert told["event"] == "failed"
        assert told["error"].startswith("listening is switched off")
        assert response.read() == b""


def test_what_the_microphone_lacks_is_said_in_the_reader_s_language(console: Console) -> None:
    console.doorbell.answers["talk.listen"] = lambda _: {
        "ok": False,
        "kind": "failed",
        "error": "the microphone has given nothing for 3 s; check its cable",
    }
    member = {**ours(console, Role.MEMBER), "accept-language": "de"}
    with listening(console, member) as response:
        told, _ = part(response)
    assert told["error"] == "Das Mikrofon an der Tür liefert nichts. Steckt sein Kabel?"
