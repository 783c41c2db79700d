"""What happens at the door, from one subscription to everybody who follows it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from doorbell.control.client import Client
from doorbell.errors import ControlError

log = logging.getLogger(__name__)

# The daemon shows a sign of life each second; one that misses two does not run.
SILENCE_SECONDS = 2.2
RECONNECT_SECONDS = 0.5
# What waits for a follower that does not come; the newest stay.
WAITING = 64


class Events:
    """One subscription, opened with the first follower, and opened anew when it ends.

    Args:
        path: of the control socket.

    Attributes:
        running: whether the daemon has shown a sign of life in the last seconds.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.running = False
        self._followers: set[_Follower] = set()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    async def follow(self) -> AsyncGenerator[dict[str, Any], None]:
        """What happens from now on, as the daemon tells it.

        First, and whenever that changes, ``{"event": "running", "running": whether}``. A follower
        that is too slow misses the oldest.
        """
        self._start()
        follower = _Follower()
        follower.put({"event": "running", "running": self.running})
        self._followers.add(follower)
        try:
            while True:
                yield await follower.get()
        finally:
            self._followers.discard(follower)

    async def close(self) -> None:
        """End the subscription."""
        self._ended.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, SILENCE_SECONDS + 1.0)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._receive,
                args=(asyncio.get_running_loop(),),
                name="events",
                daemon=True,
            )
            self._thread.start()

    def _receive(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._ended.is_set():
            try:
                with Client.connect(self._path, SILENCE_SECONDS) as client:
                    for document in client.events():
                        loop.call_soon_threadsafe(self._publish, document)
                        if self._ended.is_set():
                            return
            except ControlError as exc:
                log.debug("no events from the doorbell: %s", exc)
            except RuntimeError:  # the loop has been closed
                return
            try:
                loop.call_soon_threadsafe(self._set_running, False)
            except RuntimeError:
                return
            self._ended.wait(RECONNECT_SECONDS)

    def _publish(self, document: dict[str, Any]) -> None:
        self._set_running(True)
        if document.get("event") != "alive":
            self._put(document)

    def _set_running(self, running: bool) -> None:
        if running != self.running:
            self.running = running
            log.info("the doorbell %s", "answers" if running else "does not answer")
            self._put({"event": "running", "running": running})

    def _put(self, document: dict[str, Any]) -> None:
        for follower in self._followers:
            follower.put(document)


class _Follower:
    def __init__(self) -> None:
        self._waiting: deque[dict[str, Any]] = deque(maxlen=WAITING)
        self._filled = asyncio.Event()

    def put(self, document: dict[str, Any]) -> None:
        self._waiting.append(document)
        self._filled.set()

    async def get(self) -> dict[str, Any]:
        await self._filled.wait()
        document = self._waiting.popleft()
        if not self._waiting:
            self._filled.clear()
        return document
