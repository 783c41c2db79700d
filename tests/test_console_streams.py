"""Answers without an end: what they come from is closed with them, whatever ends them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any

import pytest
from starlette.types import Message

from doorbell.console.streams import Stream, of_blocking

SECONDS = 2.0
Send = Callable[[Message], Awaitable[None]]


class Source:
    """Gives parts for ever.

    Attributes:
        open: whether it is, or was never asked for anything.
    """

    def __init__(self, pause_seconds: float = 0.0) -> None:
        self.open = True
        self._pause_seconds = pause_seconds

    async def parts(self) -> AsyncGenerator[bytes, None]:
        try:
            while True:
                await asyncio.sleep(self._pause_seconds)
                yield b"part"
        finally:
            self.open = False

    def blocking(self) -> Generator[bytes, None, None]:
        try:
            while True:
                time.sleep(self._pause_seconds)
                yield b"part"
        finally:
            self.open = False


class Reader:
    """Takes so many messages, then none; leaves when it is told to."""

    def __init__(self, takes: int) -> None:
        self.taken: list[Message] = []
        self.takes = takes
        self.left = asyncio.Event()
        self.is_full = asyncio.Event()

    async def send(self, message: Message) -> None:
        if len(self.taken) == self.takes:
            self.is_full.set()
            await self.left.wait()  # as a server does whose client takes nothing
        self.taken.append(message)

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}


def run(body: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(asyncio.ensure_future(body()), SECONDS)

    asyncio.run(bounded())


def answering(stream: Stream, reader: Reader) -> asyncio.Task[None]:
    scope: Any = {"type": "http"}
    return asyncio.ensure_future(stream(scope, reader.receive, reader.send))


@pytest.mark.parametrize("blocking", [False, True])
def test_whoever_loses_access_while_they_take_nothing_closes_the_source(blocking: bool) -> None:
    async def body() -> None:
        source, reader = Source(0.01), Reader(takes=3)
        parts = of_blocking(source.blocking()) if blocking else source.parts()  # held all the time
        answer = answering(Stream(parts, "text/plain"), reader)
        await reader.is_full.wait()
        assert source.open
        answer.cancel()  # as access_middleware does
        with pytest.raises(asyncio.CancelledError):
            await answer
        assert not source.open
        assert [each["type"] for each in reader.taken] == [
            "http.response.start",
            *["http.response.body"] * 2,
        ]

    run(body)


@pytest.mark.parametrize("takes", [3, 1000])
def test_whoever_goes_closes_the_source(takes: int) -> None:
    async def body() -> None:
        source, reader = Source(0.01), Reader(takes)
        parts = source.parts()
        answer = answering(Stream(parts, "text/plain"), reader)
        await asyncio.sleep(0.1)
        assert source.open
        reader.left.set()
        await answer
        assert not source.open

    run(body)


def test_whoever_takes_nothing_for_too_long_closes_the_source_before_they_go() -> None:
    async def body() -> None:
        source, reader = Source(), Reader(takes=3)
        parts = source.parts()
        answer = answering(Stream(parts, "text/plain", take_seconds=0.1), reader)
        await reader.is_full.wait()
        await asyncio.sleep(0.3)
        assert not source.open
        assert not answer.done()  # the end of the answer waits for the connection's
        reader.left.set()
        await answer

    run(body)


def test_a_source_that_ends_ends_the_answer_and_one_that_fails_is_a_fault_of_ours() -> None:
    async def ending() -> AsyncGenerator[bytes, None]:
        yield b"one"

    async def failing() -> AsyncGenerator[bytes, None]:
        yield b"one"
        raise ZeroDivisionError

    async def body() -> None:
        reader = Reader(takes=1000)
        await answering(Stream(ending(), "text/plain"), reader)
        assert [each.get("body") for each in reader.taken] == [None, b"one", b""]
        assert not reader.taken[-1]["more_body"]
        with pytest.raises(ZeroDivisionError):
            await answering(Stream(failing(), "text/plain"), Reader(takes=1000))

    run(body)


def test_a_cancellation_that_is_lost_on_the_way_is_given_again() -> None:
    async def body() -> None:
        lost = 0

        async def stubborn() -> AsyncGenerator[bytes, None]:
            nonlocal lost
            while True:
                try:
                    await asyncio.sleep(60.0)
                except asyncio.CancelledError:
                    lost += 1
                    if lost > 1:
                        raise
                yield b"part"

        answer = answering(Stream(stubborn(), "text/plain"), Reader(takes=1000))
        await asyncio.sleep(0.01)
        answer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answer
        assert lost == 2

    run(body)
