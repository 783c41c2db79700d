"""Talking and listening at the door."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from doorbell.config import Config
from doorbell.control import requests
from doorbell.control.requests.talk import (
    LONGEST_TALK_SECONDS,
    MAX_TALK_BYTES,
    SHORTEST_TALK_SECONDS,
    TALK_RATE,
)
from doorbell.control.wire import send
from doorbell.daemon.control.server import Answer
from doorbell.errors import DoorbellError, RefusedError, SoundError, UsageError
from doorbell.outputs import Publish
from doorbell.status import DoorAnswered

# Nobody listens for longer at a time, lest a page that was left open does.
LISTEN_SECONDS = 300.0
# A listener that takes nothing for so long has gone.
TAKE_SECONDS = 2.0


class Listening(Protocol):
    """What one listener hears."""

    def next(self) -> bytes:
        """The next tenth of a second, or nothing where it is withheld.

        Raises:
            SoundError: there is no more, and why.
        """


class Microphone(Protocol):
    """The microphone at the door."""

    def listen(self) -> AbstractContextManager[Listening]:
        """Listen, for as long as the context lasts.

        Raises:
            RefusedError, SoundError: it cannot be.
        """


class TalkRequests:
    """Answers what is asked of talking and listening.

    Args:
        config: of the daemon.
        say: says samples at the door, soon, and tells what was done; raises ``SoundError``.
        microphone: at the door.
        publish: told that somebody answers the bell.
        listen_seconds: how long somebody may listen at a time.
    """

    def __init__(
        self,
        config: Config,
        say: Callable[[bytes], str],
        microphone: Microphone,
        publish: Publish,
        *,
        listen_seconds: float = LISTEN_SECONDS,
    ) -> None:
        self._talk = config.talk
        self._door_id = config.device.id
        self._say = say
        self._microphone = microphone
        self._publish = publish
        self._listen_seconds = listen_seconds

    def say(self, _request: requests.Say, blob: bytes) -> Answer:
        """Say at the door what somebody has said in the house."""
        if not self._talk.enabled:
            raise UsageError("talking at the door is switched off; set talk.enabled")
        if len(blob) % 2 or len(blob) > MAX_TALK_BYTES:
            raise UsageError(
                f"{len(blob)} bytes are not 16-bit samples of at most {LONGEST_TALK_SECONDS:.0f} s "
                f"at {TALK_RATE} Hz"
            )
        if len(blob) < 2 * TALK_RATE * SHORTEST_TALK_SECONDS:
            raise UsageError("nothing was said: speak while you hold the button")
        try:
            summary = self._say(blob)
        except SoundError as exc:
            raise RefusedError(str(exc), "failed") from exc
        return Answer({"summary": summary})

    def listen(self, _request: requests.Listen) -> Answer:
        """Let somebody listen at the door until they leave."""
        if not self._talk.microphone:
            raise UsageError("listening at the door is switched off; set talk.microphone")
        return Answer(more=self._follow)

    def answer(self, request: requests.AnswerDoor) -> Answer:
        """Note that somebody answers the bell."""
        self._publish(DoorAnswered(request.how, self._door_id))
        return Answer()

    def _follow(self, peer: socket.socket) -> None:
        peer.settimeout(TAKE_SECONDS)
        end = time.monotonic() + self._listen_seconds
        try:
            with self._microphone.listen() as listening:
                while time.monotonic() < end:
                    piece = listening.next()
                    send(peer, {"event": "sound" if piece else "silent"}, piece)
        except DoorbellError as exc:
            send(peer, {"event": "failed", "error": str(exc)})
        else:
            send(peer, {"event": "done"})
