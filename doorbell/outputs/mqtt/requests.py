"""Payloads of commands: their schemas, and what each becomes.

Pure data. A payload may come from anybody: it is of a greatest length and of one form, or refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from doorbell.domain import (
    CHIME_NAMES,
    AnnouncementsCommand,
    AnyCommand,
    ChimeCommand,
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
from doorbell.errors import BrokerError
from doorbell.outputs.mqtt.messages import CONFIGURED, OFF, ON, PRESS
from doorbell.text import is_control

COMMAND_BYTES = 1024
REQUEST_ID_CHARACTERS = 64
REPLY_CHARACTERS = 200
# The identifier of whichever reply is chosen.
CHOSEN = ""


class MalformedCommandError(BrokerError):
    """A command that is not of the documented form."""


_NAME = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class _Request(BaseModel):
    """A JSON object, with an ``id`` if wanted, and nothing else in it than is said."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: Annotated[str, StringConstraints(max_length=REQUEST_ID_CHARACTERS)] = ""

    @property
    def request_id(self) -> str | None:
        """The sender's own name for it; None where it has none."""
        return self.id if "id" in self.model_fields_set else None


class _Named(_Request):
    """``{"name": "Anna"}``."""

    name: _NAME


class _NamedStranger(_Named):
    """``{"stranger": 7, "name": "Anna"}``; ``"stranger-7"``, as it is shown, will do too."""

    stranger: (
        Annotated[int, Field(ge=1, lt=10**18)]
        | Annotated[str, StringConstraints(pattern=r"^stranger-[0-9]{1,18}$")]
    )


class _OfVisit(_Request):
    """``{"visit": "last"}``, or the identifier of a visit."""

    visit: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "last"


class _Corrected(_OfVisit):
    """``{"visit": "last", "person": "Anna", "learn": true}``; the person null for a stranger."""

    person: _NAME | None
    learn: bool = False


class _Ignored(_OfVisit):
    """``{"visit": "last", "ignored": false}``, true unless said."""

    ignored: bool = True


class _Minutes(_Request):
    """``{"minutes": 90}``, a week at most."""

    minutes: Annotated[float, Field(gt=0, le=7 * 24 * 60, allow_inf_nan=False)]


class _Said(_Request):
    """``{"reply": "coming"}``, an identifier or a label."""

    reply: Annotated[str, StringConstraints(min_length=1, max_length=REPLY_CHARACTERS)]


_AnyRequest = TypeVar("_AnyRequest", bound=_Request)


def parse_command(verb: str, payload: bytes) -> AnyCommand:
    """Read a command.

    Args:
        verb: the topic's last level.
        payload: as it came; what each takes: ``doorbell.outputs.mqtt.topics``.

    Raises:
        MalformedCommandError: with what was expected.
    """
    if len(payload) > COMMAND_BYTES:
        raise MalformedCommandError(f"{len(payload)} bytes, where {COMMAND_BYTES} are allowed")
    if verb not in _PARSERS:
        raise _unexpected(payload, "no such topic")
    return _PARSERS[verb](payload)


def _ring(payload: bytes) -> AnyCommand:
    if payload in (b"", PRESS):
        return RingCommand()
    raise _unexpected(payload, "an empty payload or PRESS")


def _mute(payload: bytes) -> AnyCommand:
    if payload[:1] != b"{":
        return MuteCommand(_is_on(payload))
    timed = _request(_Minutes, payload, '{"minutes": 90}', "of a week at most")
    return MuteCommand(True, timed.minutes, request_id=timed.request_id)


def _volume(payload: bytes) -> AnyCommand:
    if re.fullmatch(rb"0(\.[0-9]{1,17})?|1(\.0{1,17})?", payload):
        return VolumeCommand(float(payload))
    raise _unexpected(payload, "a number from 0 to 1")


def _chime(payload: bytes) -> AnyCommand:
    name = payload.decode(errors="replace")
    if name == CONFIGURED:
        return ChimeCommand(None)
    if name in CHIME_NAMES:
        return ChimeCommand(name)
    raise _unexpected(payload, f"one of {', '.join(CHIME_NAMES)} and {CONFIGURED}")


def _enroll(payload: bytes) -> AnyCommand:
    named = _request(_Named, payload, '{"name": "Anna"}')
    return EnrollCommand(named.name, request_id=named.request_id)


def _forget(payload: bytes) -> AnyCommand:
    named = _request(_Named, payload, '{"name": "Anna"}')
    return ForgetCommand(named.name, request_id=named.request_id)


def _name(payload: bytes) -> AnyCommand:
    found = _request(_NamedStranger, payload, '{"stranger": 7, "name": "Anna"}')
    stranger_id = int(str(found.stranger).removeprefix("stranger-"))
    return NameCommand(stranger_id, found.name, request_id=found.request_id)


def _correct(payload: bytes) -> AnyCommand:
    expected = '{"visit": "last", "person": "Anna"}'
    said = _request(_Corrected, payload, expected, "the person null for a stranger")
    return CorrectCommand(said.visit, said.person, said.learn, request_id=said.request_id)


def _ignore(payload: bytes) -> AnyCommand:
    whose = _request(_Ignored, payload, '{"visit": "last"}', "or the identifier of one")
    return IgnoreCommand(whose.visit, whose.ignored, request_id=whose.request_id)


def _say(payload: bytes) -> AnyCommand:
    if payload in (b"", PRESS):
        return ReplyCommand(CHOSEN)
    if payload[:1] == b"{":
        said = _request(_Said, payload, '{"reply": "coming"}', "or a label")
        return ReplyCommand(said.reply, request_id=said.request_id)
    return _choose_reply(payload)


def _choose_reply(payload: bytes) -> AnyCommand:
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        text = ""
    if not 0 < len(text) <= REPLY_CHARACTERS or any(map(is_control, text)):
        raise _unexpected(payload, "the identifier or label of a reply")
    return ReplyCommand(text)


_PARSERS: Mapping[str, Callable[[bytes], AnyCommand]] = {
    "ring": _ring,
    "mute": _mute,
    "volume": _volume,
    "chime": _chime,
    "quiet_hours": lambda payload: QuietHoursCommand(_is_on(payload)),
    "privacy": lambda payload: PrivacyCommand(_is_on(payload)),
    "announcements": lambda payload: AnnouncementsCommand(_is_on(payload)),
    "say": _say,
    "choose_reply": _choose_reply,
    "enroll": _enroll,
    "forget": _forget,
    "name": _name,
    "correct": _correct,
    "ignore": _ignore,
}


def _is_on(payload: bytes) -> bool:
    if payload not in (ON, OFF):
        raise _unexpected(payload, "ON or OFF")
    return payload == ON


def _unexpected(payload: bytes, expected: str) -> MalformedCommandError:
    return MalformedCommandError(f"{_shown(payload)}, where {expected} is expected")


def _request(
    schema: type[_AnyRequest], payload: bytes, expected: str, more: str = "with a name"
) -> _AnyRequest:
    try:
        return schema.model_validate_json(payload)
    except ValidationError as exc:
        raise MalformedCommandError(
            f'{_shown(payload)}, where {expected} is expected, {more}, and an "id" of '
            f"at most {REQUEST_ID_CHARACTERS} characters if you like"
        ) from exc


def request_id_of(payload: bytes) -> str | None:
    """Find the sender's own name for a request, however malformed the rest of it is."""
    if len(payload) > COMMAND_BYTES:
        return None
    try:
        match json.loads(payload):
            case {"id": str(found)} if len(found) <= REQUEST_ID_CHARACTERS:
                return found
    except (ValueError, RecursionError):
        pass
    return None


def _shown(payload: bytes) -> str:
    return repr(payload[:60]).removeprefix("b") + ("..." if len(payload) > 60 else "")
