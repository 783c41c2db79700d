"""Commands from the broker: read, and let through where that is allowed and not too often.

Whoever may write to the broker may write anything, of any length, as often as they like. So every
payload has a schema and a greatest length, every verb a rate, and what gives or takes away a name
is off unless the household has switched it on. What was refused is logged once, then at most once a
minute with its number: a flood fills neither the log nor the queue, and is not answered by another.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace

from doorbell.config import MqttSection
from doorbell.control.rates import HourlyBudget, Rate, TokenBucket
from doorbell.domain import AnyCommand, CommandResult
from doorbell.outputs.mqtt.requests import (
    MalformedCommandError,
    parse_command,
    request_id_of,
)

SAID_SECONDS = 60.0

log = logging.getLogger(__name__)


# More than a hand at a button or switch does, on a night of trick-or-treating too. Enrolling and
# forgetting happen a few times a year.
RATES: Mapping[str, Rate] = {
    "ring": Rate(5, 2.0, 60),
    "mute": Rate(10, 1.0, 120),
    "enroll": Rate(3, 10.0, 60),
    "forget": Rate(3, 10.0, 60),
    "name": Rate(3, 10.0, 60),
    "correct": Rate(5, 5.0, 60),
    "ignore": Rate(5, 5.0, 60),
    "volume": Rate(20, 1.0, 600),  # a slider
    "chime": Rate(10, 1.0, 120),
    "quiet_hours": Rate(10, 1.0, 120),
    "privacy": Rate(10, 1.0, 120),
    "announcements": Rate(10, 1.0, 120),
    "say": Rate(5, 2.0, 120),
    "choose_reply": Rate(20, 1.0, 600),  # who goes through the list
}

# By which key of ``[mqtt]`` each is switched on; the others always are.
ALLOWED_BY: Mapping[str, str] = {
    **{verb: f"allow_{verb}" for verb in ("enroll", "forget", "name", "correct", "ignore")},
    **dict.fromkeys(
        ("volume", "chime", "quiet_hours", "privacy", "announcements"), "allow_settings"
    ),
}


class CommandGate:
    """Lets commands through, from any thread.

    Args:
        door_id: of the door that they are for.
        section: ``[mqtt]``.
        now: monotonic seconds.
    """

    def __init__(self, door_id: str, section: MqttSection, now: float) -> None:
        self._door_id = door_id
        self._allowed = {verb: bool(getattr(section, key)) for verb, key in ALLOWED_BY.items()}
        self._buckets = {
            verb: TokenBucket(rate.burst, rate.seconds, now) for verb, rate in RATES.items()
        }
        # How often it is answered that they come too fast.
        self._too_fast = {verb: TokenBucket(1, rate.seconds, now) for verb, rate in RATES.items()}
        self._budgets = {verb: HourlyBudget(rate.hourly) for verb, rate in RATES.items()}
        self._refusals = {verb: _Refusals() for verb in RATES}
        self._lock = threading.Lock()

    def take(self, verb: str, payload: bytes, now: float) -> AnyCommand | CommandResult | None:
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
                refused = f"set mqtt.{ALLOWED_BY[verb]} = true to allow it"
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
