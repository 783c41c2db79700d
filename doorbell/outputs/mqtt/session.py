"""Whether another doorbell connects with our id, and which of the two gives way.

A broker ends the connection of a client when another with the same id connects, so two doorbells
with one ``device.id`` would take it from each other for ever. In MQTT 3.1.1 nothing says why it
ended. So each run leaves a mark at the broker, retained. Where another's mark has taken its place
since, somebody else was connected as us; a network or a broker that fails leaves ours there.
The run that began later gives way, so that exactly one does.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from doorbell.outputs.mqtt.messages import ONLINE, SCHEMA_VERSION, encode
from doorbell.outputs.mqtt.topics import Topics
from doorbell.storage.files import whole_file

# As often, and within as many seconds: once may be a doorbell that takes the place of another.
TAKEOVERS, WITHIN_SECONDS = 2, 120.0
# How long it is told that there was another.
TOLD_SECONDS = 3600.0
TOKEN_BYTES = 8

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """What a run leaves at the broker.

    Attributes:
        since: wall time at which it began, seconds since the epoch; of whom began later it is
            expected to give way.
        token: by chance, of this run alone.
    """

    since: float
    token: str

    @classmethod
    def new(cls) -> Mark:
        """Of a run that begins now."""
        return cls(round(time.time(), 3), secrets.token_hex(TOKEN_BYTES))

    @classmethod
    def parse(cls, payload: bytes) -> Mark | None:
        """Read a document; None where it is not one of ours."""
        try:
            match json.loads(payload):
                case {"since": float() | int() as since, "session": str() as token}:
                    return cls(float(since), token)
        except (ValueError, RecursionError):
            pass
        return None

    def encode(self) -> bytes:
        """The document."""
        return encode({"version": SCHEMA_VERSION, "session": self.token, "since": self.since})


class Session:
    """Who else connects with our id. Under the caller's lock.

    Args:
        client_id: by which the broker knows us.
        mark: of this run.
    """

    def __init__(self, client_id: str, mark: Mark) -> None:
        self.mark = mark
        self._client_id = client_id
        self._is_ours = False  # for all we know, what lies at the broker
        self._takeovers: deque[float] = deque(maxlen=TAKEOVERS)
        self._told_at: float | None = None

    def learn(self, payload: bytes, *, retained: bool, now: float) -> bool:
        """Take in what lies, or was put, at the broker.

        Args:
            payload: as it came.
            retained: whether it lay there when we subscribed.
            now: monotonic seconds.

        Returns:
            Whether to give way.
        """
        mark = Mark.parse(payload)
        if mark == self.mark:
            self._is_ours = True
        elif retained and mark is not None and self._is_ours:
            self._is_ours = False
            self._takeovers.append(now)
            if len(self._takeovers) == TAKEOVERS and now - self._takeovers[0] <= WITHIN_SECONDS:
                self.say(now)
                return mark < self.mark
        return False

    def say(self, now: float) -> None:
        """Log that there seems to be another, unless that was just said."""
        if self.problem(now) is None:
            log.warning("%s", describe_twin(self._client_id))
        self._told_at = now

    def problem(self, now: float) -> str | None:
        """That there seems to be another, in words for people; None where there is none."""
        if self._told_at is None or now - self._told_at > TOLD_SECONDS:
            return None
        return describe_twin(self._client_id)


def describe_twin(client_id: str) -> str:
    """Say that somebody else connects as us, and what to do."""
    return (
        f"another client with the id {client_id} seems to be connected; give each doorbell its own "
        "device.id"
    )


def is_taken(lies: Mapping[str, bytes], topics: Topics, mark: Mark | None) -> bool:
    """Whether another doorbell with this id is connected, by what lies at the broker.

    Args:
        lies: what is retained, by topic.
        topics: of the device.
        mark: ours; None where there was never a run.
    """
    other = Mark.parse(lies.get(topics.session, b""))
    is_online = lies.get(topics.availability) == ONLINE
    return is_online and other is not None and other != mark


def note_mark(outbox_path: Path, mark: Mark) -> None:
    """Leave this run's mark beside the outbox, for ``doorbell check``; a full disk keeps none."""
    with suppress(OSError), whole_file(_mark_path(outbox_path), durable=False) as file:
        file.write_bytes(mark.encode())


def noted_mark(outbox_path: Path) -> Mark | None:
    """The mark of the last run with this outbox; None where there was none."""
    try:
        return Mark.parse(_mark_path(outbox_path).read_bytes())
    except OSError:
        return None


def _mark_path(outbox_path: Path) -> Path:
    return outbox_path.with_name("session.json")
