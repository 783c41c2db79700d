"""The process of a ``NetworkCamera``, with the words PORT STAGE_FILE KEY_FRAMES_APART [FACES].

It sends over HTTP, fifteen pictures a second, a porch with a sensor's noise, and whoever comes to
it, drawn as the simulated camera draws them from the portraits in ``FACES``: as motion JPEG, or
where ``KEY_FRAMES_APART`` is more than zero as H.264, which readers join between two key frames.
The stage file, read anew for each picture, is a JSON object:

fault
    what is wrong with the camera: ``live`` (nothing), ``dark``, ``frozen``, ``garbled``, ``sizes``;
    of H.264 live or frozen, before the encoder.
numbered
    whether the time is drawn into each picture, in milliseconds, as
    ``camera.simulated.frame_number`` draws a number.
visitor, came, left
    ``known`` or ``stranger``, or null; by the monotonic clock when they came, and when they turned
    to go, or null.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from collections.abc import Generator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from doorbell.camera.simulated.camera import SceneRenderer
from doorbell.camera.simulated.frame_number import draw_frame_number
from doorbell.camera.simulated.script import Appearance, SceneScript
from doorbell.domain import UInt8Array
from doorbell.testbed.encoder import Encoder
from doorbell.testbed.scenes import KNOWN, STRANGER, Visitor

FRAMES_PER_SECOND = 15.0
PERIOD_SECONDS = 1 / FRAMES_PER_SECOND
# Some squeeze the picture, as cameras do in their smaller streams.
SIZES = ((640, 360), (320, 240), (1280, 720), (704, 576), (642, 362))
STAYS_SECONDS = 600.0
LEAVES_SECONDS = 1.2


class Porch:
    """What stands before the camera.

    Args:
        faces: the folder of portraits; None for a porch that stays empty.
    """

    def __init__(self, faces: Path | None) -> None:
        self._visitors: dict[str, Appearance] = {}
        if faces is not None:
            for who, enters, from_x in ((KNOWN, 1.0, 0.45), (STRANGER, 1000.0, 0.55)):
                visitor = Visitor(enters, 1.5, STAYS_SECONDS, LEAVES_SECONDS, who, from_x)
                self._visitors[who] = visitor.appearance(faces)
        script = SceneScript(tuple(self._visitors.values()), duration_seconds=2000.0)
        self._renderer = SceneRenderer(script, *SIZES[0], FRAMES_PER_SECOND)

    def draw(self, stage: dict[str, Any], index: int) -> UInt8Array:
        """Draw it now: (360, 640, 3) uint8, BGR."""
        visitor, now = self._visitors.get(stage["visitor"]), time.monotonic()
        seconds = 0.0
        if visitor is not None and stage["left"] is None:
            seconds = visitor.enters_seconds + now - stage["came"]
        elif visitor is not None:
            seconds = visitor.gone_seconds - visitor.leave_seconds + now - stage["left"]
        pixels = self._renderer.render(seconds, index)
        if stage["numbered"]:
            draw_frame_number(pixels, round(time.time() * 1000))
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), np.uint8)


def jpeg(pixels: UInt8Array) -> bytes:
    """Compress a picture."""
    return cv2.imencode(".jpg", pixels)[1].tobytes()


class Pictures:
    """What the camera sends, to one reader after the other."""

    def __init__(self, porch: Porch) -> None:
        self._porch = porch
        self._rng = np.random.default_rng(1)
        self._index = 0
        self._last = b""
        self._last_drawn: UInt8Array | None = None

    def draw(self, stage: dict[str, Any]) -> UInt8Array:
        """Draw the next one for an encoder, as it is on the stage: (height, width, 3), RGB."""
        self._index += 1
        if self._last_drawn is None or stage["fault"] != "frozen":
            drawn = cv2.cvtColor(self._porch.draw(stage, self._index), cv2.COLOR_BGR2RGB)
            self._last_drawn = np.asarray(drawn, np.uint8)
        return self._last_drawn

    def take(self, stage: dict[str, Any]) -> bytes:
        """Take the next one, as it is on the stage."""
        self._index += 1
        match stage["fault"]:
            case "dark":
                return jpeg(np.zeros((*SIZES[0][::-1], 3), np.uint8))
            case "garbled":
                return self._rng.bytes(5000)
            case "frozen" if self._last:
                return self._last
            case "sizes":
                size = SIZES[self._index % len(SIZES)]
                return jpeg(
                    np.asarray(cv2.resize(self._porch.draw(stage, self._index), size), np.uint8)
                )
            case _:
                self._last = jpeg(self._porch.draw(stage, self._index))
                return self._last


class Broadcast:
    """One H.264 stream that goes on whoever reads it."""

    def __init__(self, pictures: Pictures, stage_file: Path, key_frames_apart: int) -> None:
        self._pictures = pictures
        self._stage_file = stage_file
        self._encoder = Encoder(
            *SIZES[0],
            frames_per_second=round(FRAMES_PER_SECOND),
            key_frames_apart=key_frames_apart,
            options={"tune": "zerolatency", "crf": "23"},
        )
        self._readers: list[queue.SimpleQueue[bytes]] = []
        threading.Thread(target=self._run, name="encoder", daemon=True).start()

    def parts(self) -> Generator[bytes, None, None]:
        """What is sent from now on."""
        reader: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._readers.append(reader)
        try:
            while True:
                yield reader.get()
        finally:
            self._readers.remove(reader)

    def _run(self) -> None:
        due = time.monotonic()
        while True:
            stage = json.loads(self._stage_file.read_text())
            part = self._encoder.add(self._pictures.draw(stage))
            for reader in tuple(self._readers):
                reader.put(part)
            due = max(due + PERIOD_SECONDS, time.monotonic())
            time.sleep(max(due - time.monotonic(), 0.0))


class Handler(BaseHTTPRequestHandler):
    """Answers each reader with pictures, for as long as they read."""

    pictures: Pictures
    stage_file: Path
    broadcast: Broadcast | None = None

    def do_GET(self) -> None:
        """Send pictures."""
        self.send_response(200)
        if self.broadcast is not None:
            self.send_header("Content-Type", "video/mp2t")
            self.end_headers()
            with suppress(OSError), closing(self.broadcast.parts()) as parts:
                for part in parts:
                    self.wfile.write(part)
            return
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        due = time.monotonic()
        try:
            while True:
                data = self.pictures.take(json.loads(self.stage_file.read_text()))
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                self.wfile.write(head.encode() + data + b"\r\n")
                due = max(due + PERIOD_SECONDS, time.monotonic())
                time.sleep(max(due - time.monotonic(), 0.0))
        except OSError:
            pass  # the reader has gone

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""
        del format, args


if __name__ == "__main__":
    Handler.pictures = Pictures(Porch(Path(sys.argv[4]) if len(sys.argv) > 4 else None))
    Handler.stage_file = Path(sys.argv[2])
    if int(sys.argv[3]):
        Handler.broadcast = Broadcast(Handler.pictures, Handler.stage_file, int(sys.argv[3]))
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
