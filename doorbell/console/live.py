"""The picture of now: fetched while somebody watches, encoded once, the newest for each viewer.

A viewer holds one picture at most. Who reads slowly misses some, and sees none late.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2

from doorbell.control.client import Client, LiveFrame
from doorbell.errors import ControlError

log = logging.getLogger(__name__)

# A frame of 1920 comes at its half. 720p as JPEG of quality 75 takes some 100 kB and 2 ms.
MAX_WIDTH = 1280
JPEG_QUALITY = 75
PER_SECOND = 10.0
RECONNECT_SECONDS = 0.5
# How long the daemon may take to answer, and how often it is looked whether somebody still watches.
PATIENCE_SECONDS = 2.0
LOOK_SECONDS = 0.5
# A page that is opened anew, and whoever fetches single pictures, find the daemon still sending.
LINGER_SECONDS = 1.0


@dataclass(frozen=True, eq=False, slots=True)
class Picture:
    """A frame, encoded.

    Attributes:
        sequence: its number; one that is larger is newer.
        captured_at: wall time of this machine, seconds since the epoch.
        width, height: pixels.
        faces: where in it whose face is, as the daemon tells it.
        jpeg: the picture, clean.
    """

    sequence: int
    captured_at: float
    width: int
    height: int
    faces: tuple[Mapping[str, Any], ...]
    jpeg: bytes = field(repr=False)

    def age_seconds(self) -> float:
        """How long ago it was taken."""
        return max(0.0, time.time() - self.captured_at)


class Viewer:
    """Who watches: one slot, for the newest picture."""

    def __init__(self) -> None:
        self._picture: Picture | None = None
        self._filled = asyncio.Event()

    def put(self, picture: Picture) -> None:
        """Take the place of the picture that waits."""
        self._picture = picture
        self._filled.set()

    async def next(self, timeout_seconds: float) -> Picture | None:
        """Wait for a picture that was not seen yet; None where there is none in time."""
        try:
            await asyncio.wait_for(self._filled.wait(), timeout_seconds)
        except (TimeoutError, asyncio.TimeoutError):  # two classes in Python 3.10
            return None
        self._filled.clear()
        picture, self._picture = self._picture, None
        return picture


class LivePicture:
    """The picture of now, for any number of viewers; without one, nothing is asked of the daemon.

    Args:
        path: of the control socket.
        door_id: of which door; None for the first.
    """

    def __init__(self, path: Path, door_id: str | None = None) -> None:
        self._path = path
        self._door_id = door_id
        self._viewers: set[Viewer] = set()
        self._thread: threading.Thread | None = None
        self._watched = threading.Event()
        self._ended = threading.Event()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[Viewer]:
        """Watch, as long as the context lasts."""
        viewer = Viewer()
        self._viewers.add(viewer)
        self._watched.set()
        self._start()
        try:
            yield viewer
        finally:
            self._viewers.discard(viewer)

    async def close(self) -> None:
        """End the connection."""
        self._ended.set()
        self._watched.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, PATIENCE_SECONDS + 1.0)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._receive,
                args=(asyncio.get_running_loop(),),
                name="live",
                daemon=True,
            )
            self._thread.start()

    def _receive(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._ended.is_set():
            self._watched.wait()
            try:
                self._stream(loop)
            except ControlError as exc:
                log.debug("no picture from the doorbell: %s", exc)
                self._ended.wait(RECONNECT_SECONDS)
            except RuntimeError:  # the loop has been closed
                return
            if not self._viewers:
                self._watched.clear()
                if self._viewers:  # somebody came in between
                    self._watched.set()

    def _stream(self, loop: asyncio.AbstractEventLoop) -> None:
        """Fetch and encode until nobody has watched for a moment."""
        watched_at = time.monotonic()
        with (
            Client.connect(self._path, PATIENCE_SECONDS) as client,
            client.frames(
                door_id=self._door_id, max_width=MAX_WIDTH, per_second=PER_SECOND
            ) as frames,
        ):
            while not self._ended.is_set():
                if self._viewers:
                    watched_at = time.monotonic()
                elif time.monotonic() - watched_at > LINGER_SECONDS:
                    return
                frame = frames.next(LOOK_SECONDS)
                if frame is not None and self._viewers:
                    loop.call_soon_threadsafe(self._publish, encoded(frame))

    def _publish(self, picture: Picture) -> None:
        for viewer in self._viewers:
            viewer.put(picture)


def encoded(frame: LiveFrame) -> Picture:
    """Make the picture of a frame."""
    height, width = frame.pixels.shape[:2]
    # imencode takes what it is given for BGR.
    turned = cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", turned, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return Picture(
        frame.sequence, frame.captured_at, width, height, tuple(frame.faces), jpeg.tobytes()
    )
