"""Commands from the broker: read, and let through where that is allowed and not too often.

Whoever may write to the broker may write anything, of any length, as often as they like. So every
payload has a schema and a greatest length, every verb a rate, and what gives or takes away a name
is off unless the household has switched it on. What was refused is logged once, then at most once a
minute with its number: a flood fills neither the log nor the queue, and is not answered by another.
"""

from __future__ import annotations

import json
import logging
import math
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from doorbell.config import MqttSection
from doorbell.domain import (
    Command,
    CommandResult,
    EnrollCommand,
    ForgetCommand,
    MuteCommand,
    RingCommand,
)
from doorbell.errors import BrokerError
from doorbell.outputs.mqtt.messages import OFF, ON, PRESS

COMMAND_BYTES = 1024
REQUEST_ID_CHARACTERS = 64
SAID_SECONDS = 60.0

log = logging.getLogger(__name__)


class MalformedCommandError(BrokerError):
    """A command that is not of the documented form."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How often a command is carried out: ``burst`` times at once, then again every ``seconds``.

    Attributes:
        hourly: at most so many in any hour: who asks more often for so long is no hand at a
            button but an automation that has gone wrong.
    """

    burst: int
    seconds: float
    hourly: int


# More than a hand at a button or switch does, on a night of trick-or-treating too. Enrolling and
# forgetting happen a few times a year.
RATES: Mapping[str, Rate] = {
    "ring": Rate(5, 2.0, 60),
    "mute": Rate(10, 1.0, 120),
    "enroll": Rate(3, 10.0, 60),
    "forget": Rate(3, 10.0, 60),
}

HOUR_SECONDS = 3600.0


class _Request(BaseModel):
    """``{"name": "Anna", "id": "7"}``, the latter if wanted, and nothing else in it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    id: Annotated[str, StringConstraints(max_length=REQUEST_ID_CHARACTERS)] = ""

    @property
    def request_id(self) -> str | None:
        """The sender's own name for it; None where it has none."""
        return self.id if "id" in self.model_fields_set else None


def parse_command(verb: str, payload: bytes) -> Command:
    """Read a command.

    Args:
        verb: the topic's last level: ``ring`` (payload empty or PRESS), ``mute`` (ON or OFF),
            ``enroll`` or ``forget`` (a JSON object with the key ``name``, and ``id`` if wanted).
        payload: as it came.

    Raises:
        MalformedCommandError: with what was expected.
    """
    if len(payload) > COMMAND_BYTES:
        raise MalformedCommandError(f"{len(payload)} bytes, where {COMMAND_BYTES} are allowed")
    match verb:
        case "ring" if payload in (b"", PRESS):
            return RingCommand()
        case "ring":
            expected = "an empty payload or PRESS"
        case "mute" if payload in (ON, OFF):
            return MuteCommand(payload == ON)
        case "mute":
            expected = "ON or OFF"
        case "enroll":
            request = _request(payload)
            return EnrollCommand(request.name, request_id=request.request_id)
        case "forget":
            request = _request(payload)
            return ForgetCommand(request.name, request_id=request.request_id)
        case _:
            expected = "no such topic"
    raise MalformedCommandError(f"{_shown(payload)}, where {expected} is expected")


class CommandGate:
    """Lets commands through, from any thread.

    Args:
        door_id: of the door that they are for.
        section: ``[mqtt]``.
        now: monotonic seconds.
    """

    def __init__(self, door_id: str, section: MqttSection, now: float) -> None:
        self._door_id = door_id
        self._allowed = {"enroll": section.allow_enroll, "forget": section.allow_forget}
        self._buckets = {
            verb: _Bucket(rate.burst, rate.seconds, now) for verb, rate in RATES.items()
        }
        # How often it is answered that they come too fast.
        self._too_fast = {verb: _Bucket(1, rate.seconds, now) for verb, rate in RATES.items()}
        self._budgets = {verb: _Budget(rate.hourly) for verb, rate in RATES.items()}
        self._refusals = {verb: _Refusals() for verb in RATES}
        self._lock = threading.Lock()

    def take(self, verb: str, payload: bytes, now: float) -> Command | CommandResult | None:
        """Read a command.

        Args:
            verb: one of ``RATES``.
            payload: as it came.
            now: monotonic seconds.

        Returns:
            What to answer where it is malformed, not allowed or one too many, which the log says
            too. None where no answer is due: that they come too fast is answered now and then.
        """
        with self._lock:
            answered = True
            # First of all: a message that is refused takes time as well.
            if not self._buckets[verb].take(now):
                refused = "they come too fast"
                answered = self._too_fast[verb].take(now)
            elif not self._allowed.get(verb, True):
                refused = f"set mqtt.allow_{verb} = true to allow it"
            else:
                try:
                    command = parse_command(verb, payload)
                except MalformedCommandError as exc:
                    refused = str(exc)
                else:
                    if self._budgets[verb].take(now):
                        return replace(command, door_id=self._door_id)
                    refused = self._refuse_over_budget(verb, now)
                    return CommandResult(
                        verb, False, refused, self._door_id, request_id_of(payload)
                    )
            self._refusals[verb].add(refused)
            self._refusals[verb].say(verb, now)
        if not answered:
            return None
        return CommandResult(verb, False, refused, self._door_id, request_id_of(payload))

    def _refuse_over_budget(self, verb: str, now: float) -> str:
        """Say it, in the log once until there is room again."""
        hourly = RATES[verb].hourly
        if self._budgets[verb].must_say(now):
            log.warning(
                "the command %s came more than %d times within an hour, so more are ignored: "
                "look for an automation that has gone wrong; a button at the door is not counted",
                verb,
                hourly,
            )
        return f"{hourly} were carried out within an hour; look for what sends them"

    def say_refused(self, now: float) -> None:
        """Log what was refused since the last time, where a minute has passed.

        Args:
            now: monotonic seconds.
        """
        with self._lock:
            for verb, refusals in self._refusals.items():
                refusals.say(verb, now)


class _Budget:
    """The last hour's commands."""

    def __init__(self, hourly: int) -> None:
        self._taken: deque[float] = deque(maxlen=hourly)
        self._refused = -math.inf

    def take(self, now: float) -> bool:
        """Take one, unless as many as may be were taken within the last hour."""
        if len(self._taken) == self._taken.maxlen and now - self._taken[0] < HOUR_SECONDS:
            return False
        self._taken.append(now)
        return True

    def must_say(self, now: float) -> bool:
        """Note that one was refused; whether the first since what hurried had stopped."""
        before, self._refused = self._refused, now
        return now - before >= HOUR_SECONDS


class _Bucket:
    """A token bucket."""

    def __init__(self, burst: int, seconds: float, now: float) -> None:
        self._burst = float(burst)
        self._seconds = seconds
        self._tokens = float(burst)
        self._filled = now

    def take(self, now: float) -> bool:
        """Take a token if there is one."""
        gained = (now - self._filled) / self._seconds
        self._tokens = min(self._tokens + gained, self._burst)
        self._filled = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


@dataclass(slots=True)
class _Refusals:
    """What was refused of one verb and not said yet."""

    count: int = 0
    reason: str = ""
    silent_until: float = float("-inf")

    def add(self, reason: str) -> None:
        """Count one more."""
        self.count += 1
        self.reason = reason

    def say(self, verb: str, now: float) -> None:
        """Log them, unless others were said within the last minute."""
        if self.count and now >= self.silent_until:
            more = f" (and {self.count - 1} more)" if self.count > 1 else ""
            log.warning("ignored a command %s: %s%s", verb, self.reason, more)
            self.count = 0
            self.silent_until = now + SAID_SECONDS


def _request(payload: bytes) -> _Request:
    try:
        return _Request.model_validate_json(payload)
    except ValidationError as exc:
        raise MalformedCommandError(
            f'{_shown(payload)}, where {{"name": "Anna"}} is expected, with a name, and an "id" of '
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
