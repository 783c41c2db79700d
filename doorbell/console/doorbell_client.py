"""The console's way to the running doorbell: requests, events and the live picture.

The daemon is asked by blocking connections in threads; what they bring is handed to the event loop.
A daemon that stops or starts anew is noticed here, and nobody has to connect again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

from starlette.requests import Request

from doorbell.console.events import Events
from doorbell.console.live import LivePicture
from doorbell.control.client import Client, Reply

# Requests that may wait for the daemon at a time; the next ones wait for a thread.
WORKERS = 6
TIMEOUT_SECONDS = 10.0
# A microphone gives something ten times a second, or is said to hang within three.
LISTEN_SECONDS = 5.0


class Doorbell:
    """The running doorbell.

    Args:
        path: of the control socket.

    Attributes:
        live: the picture of now of the first door, for any number of viewers.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="ask")
        self._events = Events(path)
        self.live = LivePicture(path)
        self._live_of: dict[str, LivePicture] = {}  # of doors that were named

    @property
    def running(self) -> bool:
        """Whether the daemon has shown a sign of life in the last seconds, to who follows it."""
        return self._events.running

    async def ask(
        self,
        verb: str,
        blob: bytes = b"",
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        **arguments: Any,
    ) -> Reply:
        """Ask for something, and wait for the answer.

        Args:
            verb: which request; see ``doorbell.control.requests``.
            blob: the bytes that belong to it.
            timeout_seconds: how long the answer may take.
            **arguments: of the request.

        Raises:
            RefusedError: it was not done, and why.
            NotRunningError: there is no daemon.
            ControlError: it does not answer in time.
        """

        def exchange() -> Reply:
            with Client.connect(self._path, timeout_seconds) as client:
                return client.ask(verb, blob, **arguments)

        return await asyncio.get_running_loop().run_in_executor(self._workers, exchange)

    def follow(
        self, verb: str, *, timeout_seconds: float = TIMEOUT_SECONDS, **arguments: Any
    ) -> Generator[dict[str, Any], None, None]:
        """What a request tells until it has ended; it blocks, and is for a thread.

        Raises:
            ControlError: as in ``ask``.
        """
        with Client.connect(self._path, timeout_seconds) as client:
            yield from client.subscribe(verb, **arguments)

    async def live_at(self, door_id: str | None) -> LivePicture:
        """The picture of now of a door, as ``live``; None for the first.

        Raises:
            RefusedError: there is no such door.
            NotRunningError, ControlError: as in ``ask``, of a door that nobody has watched yet.
        """
        if door_id is None:
            return self.live
        if door_id not in self._live_of:
            await self.ask("status", door_id=door_id)
        return self._live_of.setdefault(door_id, LivePicture(self._path, door_id))

    def listen(self, door_id: str | None = None) -> Generator[Reply, None, None]:
        """What the microphone at a door hears; it blocks, and is for a thread.

        Raises:
            ControlError: as in ``ask``.
        """
        with Client.connect(self._path, LISTEN_SECONDS) as client:
            yield from client.listen(door_id)

    def events(self) -> AsyncGenerator[dict[str, Any], None]:
        """What happens from now on; see ``Events.follow``."""
        return self._events.follow()

    async def close(self) -> None:
        """End all connections."""
        self._workers.shutdown(wait=False, cancel_futures=True)
        live = (self.live, *self._live_of.values())
        await asyncio.gather(self._events.close(), *(each.close() for each in live))


def doorbell_of(request: Request) -> Doorbell:
    """The doorbell that the application of a request asks."""
    return cast("Doorbell", request.app.state.doorbell)
