"""The console's way to the doorbell: requests, events and the live picture."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from scripted_doorbell import ScriptedDoorbell

from doorbell.console.doorbell_client import Doorbell
from doorbell.console.events import WAITING
from doorbell.console.live import LINGER_SECONDS
from doorbell.domain import UInt8Array
from doorbell.errors import NotRunningError, RefusedError


@pytest.fixture
def scripted(tmp_path: Path) -> ScriptedDoorbell:
    return ScriptedDoorbell(tmp_path / "doorbell.sock", {"echo": lambda request: {"got": request}})


@asynccontextmanager
async def linked(path: Path) -> AsyncIterator[Doorbell]:
    doorbell = Doorbell(path)
    try:
        yield doorbell
    finally:
        await doorbell.close()


def picture(value: int) -> UInt8Array:
    return np.full((72, 128, 3), value, np.uint8)


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


def test_requests_are_answered_side_by_side(scripted: ScriptedDoorbell) -> None:
    async def run() -> None:
        async with linked(scripted.path) as doorbell:
            replies = await asyncio.gather(*(doorbell.ask("echo", n=n) for n in range(20)))
            assert [reply.document["got"]["n"] for reply in replies] == list(range(20))

    with scripted:
        asyncio.run(run())


def test_a_refusal_comes_with_its_sentence(scripted: ScriptedDoorbell) -> None:
    async def run() -> None:
        async with linked(scripted.path) as doorbell:
            with pytest.raises(RefusedError, match="no such request"):
                await doorbell.ask("nonsense")

    with scripted:
        asyncio.run(run())


def test_a_doorbell_that_comes_back_is_asked_without_connecting_anew(
    scripted: ScriptedDoorbell,
) -> None:
    async def run() -> None:
        async with linked(scripted.path) as doorbell:
            with pytest.raises(NotRunningError):
                await doorbell.ask("echo")
            with scripted:
                await doorbell.ask("echo")
            with pytest.raises(NotRunningError):
                await doorbell.ask("echo")
            with scripted:
                await doorbell.ask("echo")

    asyncio.run(run())


def test_everybody_hears_an_event_and_one_subscription_is_enough(
    scripted: ScriptedDoorbell,
) -> None:
    async def run() -> None:
        async with (
            linked(scripted.path) as doorbell,
            aclosing(doorbell.events()) as first,
            aclosing(doorbell.events()) as second,
        ):
            heard = []
            for follower in (first, second):
                await anext(follower)
            while not doorbell.running:
                await anext(first)
            scripted.tell({"event": "ring"})
            for follower in (first, second):
                while (document := await anext(follower))["event"] == "running":
                    pass
                heard.append(document)
            assert heard == [{"event": "ring"}] * 2
            assert [request["do"] for request in scripted.asked] == ["events"]

    with scripted:
        asyncio.run(run())


def test_a_doorbell_that_stops_and_comes_back_is_told_of(scripted: ScriptedDoorbell) -> None:
    async def run() -> None:
        async with linked(scripted.path) as doorbell, aclosing(doorbell.events()) as events:
            told = [(await anext(events))["running"]]
            for change in (scripted.start, scripted.stop, scripted.start):
                change()
                told.append((await asyncio.wait_for(anext(events), 5.0))["running"])
            scripted.stop()
            assert told == [False, True, False, True]

    asyncio.run(run())


def test_a_follower_that_is_too_slow_hears_the_newest(scripted: ScriptedDoorbell) -> None:
    async def run() -> None:
        async with linked(scripted.path) as doorbell, aclosing(doorbell.events()) as slow:
            await anext(slow)
            async with aclosing(doorbell.events()) as quick:
                while not doorbell.running:
                    await anext(quick)
                for number in range(3 * WAITING):
                    scripted.tell({"event": "changed", "number": number})
                while (await anext(quick)).get("number") != 3 * WAITING - 1:
                    pass
            numbers = [(await anext(slow))["number"] for _ in range(WAITING)]
            assert numbers == list(range(2 * WAITING, 3 * WAITING))

    with scripted:
        asyncio.run(run())


def test_frames_are_fetched_only_while_somebody_watches(scripted: ScriptedDoorbell) -> None:
    async def run() -> None:
        async with linked(scripted.path) as doorbell:
            await asyncio.sleep(0.1)
            assert scripted.watchers == 0
            async with doorbell.live.watching(), doorbell.live.watching():
                await until(lambda: scripted.watchers == 1)
            await until(lambda: scripted.watchers == 0, LINGER_SECONDS + 3.0)
            async with doorbell.live.watching():
                await until(lambda: scripted.watchers == 1)
            assert scripted.watched_times == 2

    with scripted:
        asyncio.run(run())


def test_a_viewer_that_reads_slowly_gets_the_newest_picture(scripted: ScriptedDoorbell) -> None:
    async def run() -> None:
        async with (
            linked(scripted.path) as doorbell,
            doorbell.live.watching() as slow,
            doorbell.live.watching() as quick,
        ):
            await until(lambda: scripted.watchers == 1)
            for value in range(0, 200, 20):
                number = scripted.show(picture(value), [{"box": [0.1, 0.2, 0.3, 0.4]}])
                seen = await quick.next(2.0)
                assert seen is not None
                assert seen.sequence == number
            late = await slow.next(2.0)
            assert late is not None
            assert late.sequence == number
            assert late.faces == ({"box": [0.1, 0.2, 0.3, 0.4]},)
            assert (late.width, late.height) == (128, 72)
            # Encoded once, for both.
            assert seen is not None
            assert late.jpeg is seen.jpeg
            decoded = cv2.imdecode(np.frombuffer(late.jpeg, np.uint8), cv2.IMREAD_COLOR)
            assert decoded is not None
            assert abs(int(decoded.mean()) - 180) <= 2
            assert await slow.next(0.05) is None

    with scripted:
        asyncio.run(run())


def test_red_stays_red(scripted: ScriptedDoorbell) -> None:
    async def run() -> None:
        async with linked(scripted.path) as doorbell, doorbell.live.watching() as viewer:
            await until(lambda: scripted.watchers == 1)
            pixels = picture(0)
            pixels[..., 0] = 255
            scripted.show(pixels)
            seen = await viewer.next(2.0)
            assert seen is not None
            decoded = cv2.imdecode(np.frombuffer(seen.jpeg, np.uint8), cv2.IMREAD_COLOR)
            blue, _, red = np.asarray(decoded).reshape(-1, 3).mean(axis=0)
            assert (red, blue) == (pytest.approx(255, abs=4), pytest.approx(0, abs=4))

    with scripted:
        asyncio.run(run())


def test_the_picture_comes_back_with_the_doorbell(scripted: ScriptedDoorbell) -> None:
    async def run() -> None:
        async with linked(scripted.path) as doorbell, doorbell.live.watching() as viewer:
            for value in (10, 200):
                with scripted:
                    await until(lambda: scripted.watchers == 1)
                    scripted.show(picture(value))
                    assert await viewer.next(3.0) is not None
                await until(lambda: scripted.watchers == 0)

    asyncio.run(run())
