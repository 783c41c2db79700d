"""Commands from the broker: a sequence of them through the gate, and the names that get past it."""

from __future__ import annotations

import json
from collections.abc import Iterator

from doorbell.config import MqttSection
from doorbell.domain import CommandResult, EnrollCommand, ForgetCommand
from doorbell.errors import DoorbellError
from doorbell.gallery.names import clean_name
from doorbell.outputs.mqtt.commands import RATES, CommandGate
from doorbell.outputs.mqtt.messages import encode, reply_document
from doorbell.outputs.mqtt.requests import parse_command
from doorbell.text import shown

MAX_BYTES = 1500
MAX_SECONDS = 1.0

VERBS = tuple(RATES)
BETWEEN = b"\xff\xff"
FORMS = {
    "mute": (b'{"minutes": 90}',),
    "name": (b'{"stranger": "stranger-7", "name": "Anna"}', b'{"stranger": 7, "name": "Anna"}'),
    "correct": (b'{"visit": "last", "person": null, "learn": true}', b'{"person": "Anna"}'),
    "ignore": (b'{"visit": "last", "ignored": false}', b"{}"),
    "volume": (b"0.35", b"1"),
    "chime": (b"gong", b"configured"),
    "quiet_hours": (b"ON",),
    "privacy": (b"OFF",),
}
# A byte of an input is so much time.
STEP_SECONDS = 0.1


def seeds() -> Iterator[bytes]:
    """Give each verb what it takes, names that are hard to write, and floods."""
    for verb, payload in ((0, b""), (0, b"PRESS"), (1, b"ON"), (1, b"OFF"), (1, b"x")):
        yield bytes([verb, 0]) + payload
        yield BETWEEN.join(bytes([verb, gap]) + payload for gap in range(20))
    for name in ("Anna", "  Zoë ", "李小龍", "zoe\u0308", "👩‍👩‍👧", "\ud800", "a\u202eb", "\x00"):
        for document in ({"name": name}, {"name": name, "name2": 1}, [name], name):
            for ascii_only in (True, False):
                text = json.dumps(document, ensure_ascii=ascii_only)
                yield b"\x02\x00" + text.encode("utf-8", "surrogatepass")
    for name in (
        "str\u0430nger-7",
        "\u2800",
        "Ann\u2060a",
        "\U0001f3f4\U000e0061",
        "0\ufe0f\u20e3",
    ):
        yield b"\x02\x00" + json.dumps({"name": name}).encode()
    yield b'\x02\x00{"name": ' + b"[" * 900
    yield b'\x02\x00{"name": "Anna", "id": "7"}'
    yield b'\x02\x00{"id": "\\ud800", "name": 3}'
    yield b'\x03\x00{"name": 1e999, "name": "a"}'
    yield b"\x02\x00" + b"9" * 1000
    for number, name in enumerate(VERBS):
        for payload in FORMS.get(name, ()):
            yield bytes([number, 0]) + payload


def check(content: bytes) -> None:
    """Send them: the first byte of each is its verb, the second the time since the one before."""
    section = MqttSection(
        allow_enroll=True,
        allow_forget=len(content) % 2 == 0,
        allow_name=True,
        allow_correct=True,
        allow_ignore=True,
        allow_settings=True,
    )
    gate = CommandGate("", section, now=0.0)
    now, taken, answers = 0.0, dict.fromkeys(VERBS, 0), dict.fromkeys(VERBS, 0)
    for message in content.split(BETWEEN):
        number, gap, payload = (*message[:2], 0, 0)[0], message[1:2], message[2:]
        verb = VERBS[number % len(VERBS)]
        now += sum(gap) * STEP_SECONDS
        command = gate.take(verb, payload, now)
        answers[verb] += command is not None
        if isinstance(command, CommandResult):
            encode(reply_document(command)).decode("ascii")
        elif command is not None:
            taken[verb] += 1
            if command != parse_command(verb, payload):
                raise AssertionError(f"{command} of {payload!r}")
        if isinstance(command, EnrollCommand | ForgetCommand):
            _check_name(command.name)
    gate.say_refused(now)
    for verb, rate in RATES.items():
        if taken[verb] > rate.burst + now / rate.seconds + 1e-6:
            raise AssertionError(f"{taken[verb]} times {verb} in {now} s")
        if answers[verb] > rate.burst + 1 + 2 * now / rate.seconds + 1e-6:
            raise AssertionError(f"{answers[verb]} answers to {verb} in {now} s")


def _check_name(name: str) -> None:
    """Take a name as it stays and is shown, or refuse it in words that are shown as they are."""
    try:
        cleaned = clean_name(name)
    except DoorbellError as exc:
        cleaned = str(exc)
    else:
        if clean_name(cleaned) != cleaned:
            raise AssertionError(f"{name!r} becomes another name each time")
    if shown(cleaned) != cleaned:
        raise AssertionError(f"{cleaned!r} would be obeyed by a terminal, or not be seen")
