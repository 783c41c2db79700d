from __future__ import annotations

import json
import logging
from contextlib import suppress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from doorbell.config import MqttSection
from doorbell.control.rates import HOUR_SECONDS
from doorbell.domain import (
    AnnouncementsCommand,
    AnyCommand,
    ChimeCommand,
    CommandResult,
    CorrectCommand,
    EnrollCommand,
    ForgetCommand,
    IgnoreCommand,
    MuteCommand,
    NameCommand,
    PrivacyCommand,
    QuietHoursCommand,
    ReplyCommand,
    RingCommand,
    VolumeCommand,
)
from doorbell.outputs.mqtt.commands import (
    ALLOWED_BY,
    RATES,
    SAID_SECONDS,
    CommandGate,
)
from doorbell.outputs.mqtt.requests import (
    CHOSEN,
    COMMAND_BYTES,
    MalformedCommandError,
    parse_command,
)
from doorbell.outputs.mqtt.topics import COMMAND_VERBS
from doorbell.text import is_control

PAYLOADS = {
    "ring": b"PRESS",
    "mute": b"ON",
    "enroll": b'{"name":"A"}',
    "forget": b'{"name":"A"}',
    "name": b'{"stranger":7,"name":"A"}',
    "correct": b'{"person":"A"}',
    "ignore": b"{}",
    "volume": b"0.5",
    "chime": b"gong",
    "quiet_hours": b"ON",
    "privacy": b"OFF",
    "announcements": b"ON",
    "say": b"coming",
    "choose_reply": b"Ich komme",
}


def gate(**allowed: bool) -> CommandGate:
    section = MqttSection.model_validate({**dict.fromkeys(ALLOWED_BY.values(), True), **allowed})
    return CommandGate("back-door", section, 0.0)


def test_commands() -> None:
    assert parse_command("ring", b"") == RingCommand()
    assert parse_command("ring", b"PRESS") == RingCommand()
    assert parse_command("mute", b"ON") == MuteCommand(True)
    assert parse_command("mute", b"OFF") == MuteCommand(False)
    assert parse_command("enroll", b' {"name": " Anna "} ') == EnrollCommand("Anna")
    assert parse_command("forget", b'{"name": "Anna"}') == ForgetCommand("Anna")
    named = parse_command("enroll", b'{"name": "Anna", "id": "request 7"}')
    assert named == EnrollCommand("Anna", request_id="request 7")
    assert parse_command("forget", b'{"id": "", "name": "Anna"}') == ForgetCommand(
        "Anna", request_id=""
    )


def test_commands_for_settings() -> None:
    assert parse_command("mute", b'{"minutes": 90}') == MuteCommand(True, 90.0)
    assert parse_command("mute", b'{"minutes": 0.5, "id": "x"}') == MuteCommand(
        True, 0.5, request_id="x"
    )
    for payload, volume in ((b"0", 0.0), (b"1", 1.0), (b"1.0", 1.0), (b"0.35", 0.35)):
        assert parse_command("volume", payload) == VolumeCommand(volume)
    assert parse_command("chime", b"gong") == ChimeCommand("gong")
    assert parse_command("chime", b"configured") == ChimeCommand(None)
    assert parse_command("quiet_hours", b"OFF") == QuietHoursCommand(False)
    assert parse_command("privacy", b"ON") == PrivacyCommand(True)
    assert parse_command("announcements", b"OFF") == AnnouncementsCommand(False)


def test_commands_for_replies() -> None:
    for pressed in (b"", b"PRESS"):
        assert parse_command("say", pressed) == ReplyCommand(CHOSEN)
    assert parse_command("say", b"coming") == ReplyCommand("coming")
    assert parse_command("say", b'{"reply": "Back at 6", "id": "3"}') == ReplyCommand(
        "Back at 6", request_id="3"
    )
    assert parse_command("choose_reply", "Später wieder".encode()) == ReplyCommand("Später wieder")


def test_commands_on_who_somebody_is() -> None:
    for stranger in (b"7", b'"stranger-7"'):
        payload = b'{"stranger": %s, "name": "Ben", "id": "1"}' % stranger
        assert parse_command("name", payload) == NameCommand(7, "Ben", request_id="1")
    assert parse_command("correct", b'{"person": "Anna"}') == CorrectCommand("last", "Anna")
    assert parse_command("correct", b'{"visit": "ab-1", "person": null}') == CorrectCommand(
        "ab-1", None
    )
    assert parse_command("correct", b'{"person": "Anna", "learn": true}') == CorrectCommand(
        "last", "Anna", True
    )
    assert parse_command("ignore", b"{}") == IgnoreCommand("last")
    assert parse_command("ignore", b'{"visit": "v1", "ignored": false}') == IgnoreCommand(
        "v1", False
    )


def test_every_verb_has_a_payload_and_a_rate() -> None:
    assert set(COMMAND_VERBS) == set(RATES) == set(PAYLOADS)


@pytest.mark.parametrize(
    ("verb", "payload", "words"),
    [
        ("ring", b"press", "empty payload or PRESS"),
        ("mute", b"1", "ON or OFF"),
        ("say", b"\xff", "identifier or label of a reply"),
        ("say", b"x" * 201, "identifier or label of a reply"),
        ("say", b'{"reply": ""}', "or a label"),
        ("choose_reply", b"", "identifier or label of a reply"),
        ("announcements", b"on", "ON or OFF"),
        ("enroll", b"", "with a name"),
        ("enroll", b'{"name": ""}', "with a name"),
        ("enroll", b'{"name": " "}', "with a name"),
        ("enroll", b'{"name": null}', "with a name"),
        ("enroll", b'{"name": 7}', "with a name"),
        ("enroll", b'{"name": "\\ud800"}', "with a name"),
        ("enroll", b'{"name": "\xff"}', "with a name"),
        ("enroll", b"[" * COMMAND_BYTES, "with a name"),
        ("enroll", b'"Anna"', "with a name"),
        ("enroll", b'{"name": "Anna", "x": 1}', "with a name"),
        ("enroll", b'{"name": "Anna", "id": 7}', '"id" of at most 64 characters'),
        ("enroll", b'{"name": "Anna", "id": null}', '"id" of at most 64 characters'),
        ("enroll", b'{"name": "Anna", "id": "%s"}' % (b"x" * 65), '"id" of at most 64 characters'),
        ("forget", b'{"person_id": 1}', "with a name"),
        ("forget", b"Anna", "with a name"),
        ("name", b'{"name": "Anna"}', "with a name"),
        ("name", b'{"stranger": 0, "name": "Anna"}', "with a name"),
        ("name", b'{"stranger": "7; drop", "name": "Anna"}', "with a name"),
        ("name", b'{"stranger": true, "name": "Anna"}', "with a name"),
        ("name", b'{"stranger": 7, "name": "Anna", "force": true}', "with a name"),
        ("correct", b"{}", "null for a stranger"),
        ("correct", b'{"person": ""}', "null for a stranger"),
        ("correct", b'{"person": "A", "visit": "../x"}', "null for a stranger"),
        ("correct", b'{"person": "A", "visit": null}', "null for a stranger"),
        ("correct", b'{"person": "A", "force": true}', "null for a stranger"),
        ("ignore", b"", "or the identifier"),
        ("ignore", b'{"visit": "%s"}' % (b"x" * 65), "or the identifier"),
        ("ignore", b'{"ignored": "no"}', "or the identifier"),
        ("mute", b'{"minutes": 0}', "of a week at most"),
        ("mute", b'{"minutes": 10081}', "of a week at most"),
        ("mute", b'{"minutes": NaN}', "of a week at most"),
        ("mute", b'{"minutes": "90"}', "of a week at most"),
        ("volume", b"", "a number from 0 to 1"),
        ("volume", b"1.01", "a number from 0 to 1"),
        ("volume", b"-0.1", "a number from 0 to 1"),
        ("volume", b"nan", "a number from 0 to 1"),
        ("volume", b"1e-1", "a number from 0 to 1"),
        ("volume", b"0.5\n", "a number from 0 to 1"),
        ("chime", b"/etc/passwd", "one of westminster"),
        ("chime", b"bell.wav", "one of westminster"),
        ("chime", b"\xff", "one of westminster"),
        ("quiet_hours", b"on", "ON or OFF"),
        ("privacy", b"1", "ON or OFF"),
        ("ring", b"x" * (COMMAND_BYTES + 1), "1025 bytes, where 1024"),
        ("mute", b"\n\x1b[31m" + b"x" * 500, r"'\\n\\x1b\[31mx+'\.\.\."),
        ("open", b"", "no such topic"),
    ],
)
def test_a_malformed_command_says_what_is_expected(verb: str, payload: bytes, words: str) -> None:
    with pytest.raises(MalformedCommandError, match=words) as caught:
        parse_command(verb, payload)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


# But for a reply, which is known by its own words.
FORMAL_VERBS = sorted({*COMMAND_VERBS} - {"say", "choose_reply"})


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300).map(str.encode)


@given(payload=st.binary(max_size=1100) | WORDS)
def test_a_reply_is_asked_for_in_some_words_or_refused(payload: bytes) -> None:
    with suppress(MalformedCommandError):
        command = parse_command("choose_reply", payload)
        assert isinstance(command, ReplyCommand)
        assert 0 < len(command.reply_id) <= 200
        assert not any(map(is_control, command.reply_id))


@given(verb=st.sampled_from(FORMAL_VERBS), payload=st.binary(max_size=1100))
def test_no_payload_gets_past_the_refusal(verb: str, payload: bytes) -> None:
    assume(payload not in (b"", b"PRESS", b"ON", b"OFF", b"0", b"1", b"{}", b"gong", b"horn"))
    with pytest.raises(MalformedCommandError):
        parse_command(verb, payload)


# Control characters are for the gallery to refuse.
@given(name=st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=100))
def test_a_name_comes_as_it_was_written_but_for_the_space_around_it(name: str) -> None:
    payload = json.dumps({"name": name}).encode()
    assume(len(payload) <= COMMAND_BYTES)
    if name.strip():
        assert parse_command("enroll", payload) == EnrollCommand(name.strip())
    else:
        with pytest.raises(MalformedCommandError):
            parse_command("enroll", payload)


def test_who_gives_or_takes_a_name_needs_the_household_s_leave(
    caplog: pytest.LogCaptureFixture,
) -> None:
    by_default = CommandGate("back-door", MqttSection(), 0.0)
    # Whatever changes who somebody is, or silences, but for the mute that has always been there.
    assert set(ALLOWED_BY) == set(COMMAND_VERBS) - {"ring", "mute", "say", "choose_reply"}
    for verb, key in ALLOWED_BY.items():
        refusal = by_default.take(verb, PAYLOADS[verb], 0.0)
        words = f"set mqtt.{key} = true to allow it"
        assert refusal == CommandResult(verb, False, words, "back-door")
        assert words in caplog.text
    assert by_default.take("ring", b"", 0.0) == RingCommand(door_id="back-door")
    enrolling = gate(allow_forget=False)
    assert enrolling.take("enroll", PAYLOADS["enroll"], 0.0) == EnrollCommand(
        "A", door_id="back-door"
    )
    assert isinstance(enrolling.take("forget", PAYLOADS["forget"], 0.0), CommandResult)


@pytest.mark.parametrize("verb", COMMAND_VERBS)
def test_a_verb_is_obeyed_only_so_often(verb: str) -> None:
    gated, rate = gate(), RATES[verb]

    def obeyed(now: float, times: int) -> int:
        taken = [gated.take(verb, PAYLOADS[verb], now) for _ in range(times)]
        return sum(isinstance(each, AnyCommand) for each in taken)

    assert obeyed(0.0, 1000) == rate.burst
    assert obeyed(rate.seconds * 0.9, 1000) == 0
    assert obeyed(rate.seconds * 1.1, 1000) == 1
    assert obeyed(1e9, 1000) == rate.burst


def test_a_flood_of_one_verb_leaves_the_others_alone() -> None:
    gated = gate()
    for _ in range(1000):
        gated.take("mute", b"?", 0.0)
    assert gated.take("ring", b"", 0.0) == RingCommand(door_id="back-door")


@given(st.lists(st.floats(0.0, 20.0), max_size=60))
def test_no_order_of_moments_passes_more_than_the_rate(pauses: list[float]) -> None:
    gated, now, passed = gate(), 0.0, 0
    taken: list[AnyCommand | CommandResult | None] = []
    for pause in pauses:
        now += pause
        taken.append(gated.take("enroll", PAYLOADS["enroll"], now))
    passed = sum(isinstance(each, AnyCommand) for each in taken)
    rate = RATES["enroll"]
    assert passed <= rate.burst + now / rate.seconds + 1e-6
    refused = sum(isinstance(each, CommandResult) for each in taken)
    assert refused <= 1 + now / rate.seconds + 1e-6


@pytest.mark.parametrize("verb", ["enroll", "forget", "name", "correct", "ignore", "volume"])
def test_a_flood_is_not_answered_by_another(verb: str) -> None:
    gated, rate = gate(), RATES[verb]

    def answers(payload: bytes, now: float) -> int:
        return sum(gated.take(verb, payload, now) is not None for _ in range(1000))

    assert answers(b"?", 0.0) == rate.burst + 1  # malformed, then too fast
    assert answers(b"?", rate.seconds * 0.5) == 0
    assert answers(b"?", rate.seconds * 1.1) == 2


def test_what_is_refused_comes_back_with_its_own_id() -> None:
    gated = gate()
    for payload, request_id in (
        (b'{"name": 3, "id": "7"}', "7"),
        (b'{"id": "\\ud800"}', "\ud800"),
        (b'{"id": 7}', None),
        (b'{"id": "%s"}' % (b"x" * 65), None),
        (b'{"id": "7"', None),
        (b"[" * COMMAND_BYTES, None),
        (b'{"id": "7", "name": "%s"}' % (b"x" * COMMAND_BYTES), None),
    ):
        refusal = gated.take("enroll", payload, 0.0)
        if refusal is None:
            gated = gate()
            refusal = gated.take("enroll", payload, 0.0)
        assert isinstance(refusal, CommandResult)
        assert (refusal.command, refusal.done, refusal.request_id) == ("enroll", False, request_id)
    too_fast = gate()
    for _ in range(RATES["forget"].burst):
        too_fast.take("forget", PAYLOADS["forget"], 0.0)
    refusal = too_fast.take("forget", b'{"name": "Anna", "id": "8"}', 0.0)
    assert refusal == CommandResult("forget", False, "they come too fast", "back-door", "8")


@pytest.mark.parametrize(("verb", "pause"), [("ring", 2.0), ("ring", 31.0), ("mute", 1.0)])
def test_a_ring_every_two_seconds_for_ever_is_not_obeyed_for_ever(
    verb: str, pause: float, caplog: pytest.LogCaptureFixture
) -> None:
    gated, hourly, day = gate(), RATES[verb].hourly, 24 * HOUR_SECONDS
    moments = [number * pause for number in range(round(day / pause))]
    taken = [gated.take(verb, PAYLOADS[verb], now) for now in moments]
    obeyed = [
        now for now, each in zip(moments, taken, strict=True) if not isinstance(each, CommandResult)
    ]
    assert all(
        sum(0 <= now - since < HOUR_SECONDS for now in obeyed) <= hourly for since in obeyed[::7]
    )
    assert len(obeyed) <= 24 * hourly
    # Each that is refused is answered, and the log says it once.
    assert None not in taken
    [said] = [each for each in caplog.messages if verb in each]
    assert f"more than {hourly} times within an hour" in said
    # What is no such command does not use the budget up, nor one verb another's.
    assert gated.take("enroll", PAYLOADS["enroll"], day) == EnrollCommand("A", door_id="back-door")
    # Once it has stopped, a hand at the button is heard, and the next such automation is said.
    assert isinstance(gated.take(verb, PAYLOADS[verb], day + HOUR_SECONDS), AnyCommand)
    for number in range(2 * hourly):
        gated.take(verb, PAYLOADS[verb], day + (2 + number / hourly / 4) * HOUR_SECONDS)
    assert len([each for each in caplog.messages if f"than {hourly} times" in each]) == 2


def test_malformed_commands_do_not_use_up_the_hour() -> None:
    gated = gate()
    for number in range(4 * RATES["ring"].hourly):
        gated.take("ring", b"?", number * 2.5)
    assert isinstance(gated.take("ring", b"", 700.0), RingCommand)


def test_a_flood_is_said_once_a_minute_with_its_number(caplog: pytest.LogCaptureFixture) -> None:
    gated = gate()
    with caplog.at_level(logging.WARNING):
        for tenth in range(round(SAID_SECONDS * 10)):
            for _ in range(20):
                gated.take("mute", b"?\n", tenth / 10)
        gated.say_refused(SAID_SECONDS - 0.01)
        assert len(caplog.messages) == 1
        gated.say_refused(SAID_SECONDS)
        gated.say_refused(SAID_SECONDS * 2)
    assert caplog.messages == [
        "ignored a command mute: '?\\n', where ON or OFF is expected",
        "ignored a command mute: they come too fast (and 11998 more)",
    ]
