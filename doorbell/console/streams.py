"""Answers without an end: what they come from is closed with them, at once."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import aclosing, suppress
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

# nginx keeps an answer back until it has a full buffer, unless it is told not to.
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
AGAIN_SECONDS = 0.5
_LENGTH = struct.Struct(">I")


class Stream(Response):
    """An answer that goes on until its source has ended, or whoever reads it has gone.

    The source is closed as soon as the answer ends, whatever ends it: the reader, a cancelled task,
    a reader that takes nothing. It is not left to the garbage collector, which may come by late.

    Args:
        source: gives the parts.
        media_type: of the whole.
        take_seconds: how long the reader may take for a part; None for as long as its connection
            is kept.
    """

    def __init__(
        self,
        source: AsyncGenerator[bytes, None],
        media_type: str,
        *,
        take_seconds: float | None = None,
    ) -> None:
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self._source = source
        self._take_seconds = take_seconds
        self.init_headers(_HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        del scope
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            await _cancelled({sending, leaving})

    async def _send(self, send: Send) -> None:
        async with aclosing(self._source) as parts:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            async for part in parts:
                message = {"type": "http.response.body", "body": part, "more_body": True}
                try:
                    await asyncio.wait_for(send(message), self._take_seconds)
                except (TimeoutError, asyncio.TimeoutError):  # two classes in Python 3.10
                    break
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def part_of(document: Mapping[str, Any], blob: bytes = b"") -> bytes:
    """A part as our pages read it: ``[u32][JSON][u32][bytes]``, big-endian (``stream.js``)."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return b"".join((_LENGTH.pack(len(text)), text, _LENGTH.pack(len(blob)), blob))


async def of_blocking(source: Generator[bytes, None, None]) -> AsyncGenerator[bytes, None]:
    """The parts of a source that blocks, each waited for in a thread.

    It is closed with this, once it has given the part that it was asked for: so it is to give one
    often.
    """
    asked: asyncio.Future[bytes | None] | None = None
    try:
        while True:
            asked = asyncio.ensure_future(run_in_threadpool(next, source, None))
            part = await asyncio.shield(asked)
            if part is None:
                return
            yield part
    finally:
        # A generator that runs cannot be closed.
        while asked is not None and not asked.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({asked})
        if asked is not None:
            asked.exception()  # it was raised already, or comes too late
        source.close()


async def _cancelled(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel tasks, and wait until they have ended.

    Before Python 3.12 ``asyncio.wait_for`` loses a cancellation that comes together with what it
    waits for (python/cpython#86296), so one that does not end is cancelled again.
    """
    while tasks:
        for task in tasks:
            task.cancel()
        ended, tasks = await asyncio.wait(tasks, timeout=AGAIN_SECONDS)
        for task in ended:
            if not task.cancelled():
                task.exception()  # it was raised already, or comes too late


async def _left(receive: Receive) -> None:
    """Wait until whoever asked has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
