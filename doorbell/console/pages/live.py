"""The picture of now and what happens: for the pages, and for other systems."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from doorbell.console.doorbell_client import Doorbell, doorbell_of
from doorbell.console.doors import door_in
from doorbell.console.live import LivePicture, Picture
from doorbell.console.streams import Stream, part_of

SILENCE_SECONDS = 1.0
# A picture that is older is not one of now.
STALE_SECONDS = 2.0
# Whoever shows nothing but a picture learns by the end of the stream that there is none.
GIVE_UP_SECONDS = 10.0
SSE_HEARTBEAT_SECONDS = 15.0
BOUNDARY = "frame"


async def live(request: Request) -> Response:
    """Pictures with the faces in them, each as ``[u32][JSON][u32][JPEG]``, big-endian.

    JSON: ``seq``, ``captured_at``, ``age_ms`` and ``sent_at`` (when this was sent, ms since the
    epoch), ``w``, ``h``, ``faces``. Every second without a picture brings ``{"running": false,
    "why": "stopped" | "no_picture"}`` without a JPEG.
    """
    doorbell = doorbell_of(request)
    watched = await doorbell.live_at(door_in(request))
    return Stream(_parts(doorbell, watched), "application/octet-stream")


async def _parts(doorbell: Doorbell, watched: LivePicture) -> AsyncGenerator[bytes, None]:
    # The daemon's sign of life tells a doorbell that has stopped from a camera that gives nothing.
    async with watched.watching() as viewer, aclosing(doorbell.events()) as events:
        await anext(events)
        while True:
            picture = await viewer.next(SILENCE_SECONDS)
            if picture is not None and picture.age_seconds() < STALE_SECONDS:
                yield part_of(_described(picture), picture.jpeg)
            else:
                why = "no_picture" if doorbell.running else "stopped"
                yield part_of({"running": False, "why": why})


def _described(picture: Picture) -> dict[str, Any]:
    return {
        "seq": picture.sequence,
        "captured_at": picture.captured_at,
        "age_ms": round(picture.age_seconds() * 1000),
        "sent_at": round(time.time() * 1000),
        "w": picture.width,
        "h": picture.height,
        "faces": picture.faces,
    }


async def frame(request: Request) -> Response:
    """The picture of now as a JPEG; 503 where there is none."""
    end = time.monotonic() + STALE_SECONDS
    watched = await doorbell_of(request).live_at(door_in(request))
    async with watched.watching() as viewer:
        while (left := end - time.monotonic()) > 0:
            picture = await viewer.next(left)
            if picture is not None and picture.age_seconds() < STALE_SECONDS:
                return Response(
                    picture.jpeg, media_type="image/jpeg", headers={"Cache-Control": "no-store"}
                )
    return Response(status_code=503, headers={"Retry-After": "5"})


async def mjpeg(request: Request) -> Response:
    """Pictures one after the other (multipart/x-mixed-replace); ends where there are none."""
    kind = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
    return Stream(_mjpeg_parts(await doorbell_of(request).live_at(door_in(request))), kind)


async def _mjpeg_parts(watched: LivePicture) -> AsyncGenerator[bytes, None]:
    async with watched.watching() as viewer:
        while (picture := await viewer.next(GIVE_UP_SECONDS)) is not None:
            if picture.age_seconds() < STALE_SECONDS:
                head = (
                    f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\n"
                    f"Content-Length: {len(picture.jpeg)}\r\n\r\n"
                )
                yield head.encode() + picture.jpeg + b"\r\n"
    yield f"--{BOUNDARY}--\r\n".encode()


async def events(request: Request) -> Response:
    """What happens, as server-sent events: ``data`` is JSON with ``event``.

    Only what a page needs to know that something has changed, and to say who it is.
    """
    return Stream(_sse(doorbell_of(request)), "text/event-stream")


async def _sse(doorbell: Doorbell) -> AsyncGenerator[bytes, None]:
    # A browser that comes back asks the page itself what has changed; nothing is repeated.
    yield b"retry: 1000\n\n"
    number = 0
    async with aclosing(doorbell.events()) as followed:
        waiting = asyncio.ensure_future(anext(followed))
        try:
            while True:
                done, _ = await asyncio.wait({waiting}, timeout=SSE_HEARTBEAT_SECONDS)
                if not done:
                    yield b": alive\n\n"
                    continue
                document = _told(waiting.result())
                waiting = asyncio.ensure_future(anext(followed))
                number += 1
                data = json.dumps(document, separators=(",", ":"))
                yield f"id: {number}\ndata: {data}\n\n".encode()
        finally:
            waiting.cancel()
            await asyncio.wait({waiting})


def _told(document: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        key: document[key] for key in ("event", "what", "running") if key in document
    }
    if document.get("door_id"):
        told["door"] = document["door_id"]
    visit = document.get("visit")
    if visit is not None:
        visitor = visit["visitor"]
        told["visit"] = visit["visit_id"]
        told["kind"] = visitor["kind"]
        told["label"] = visitor["label"] if visitor["kind"] == "person" else ""
    return told
