"""Network cameras that play one recording, as a process with the words PORT FOLDER BEGAN PERIOD.

Over HTTP each sends, as motion JPEG, the files of ``FOLDER`` in order, again and again, by one
clock: at wall time ``BEGAN + (n + PHASE) * PERIOD`` the camera ``/START/PHASE.mjpg`` sends picture
``START + n``. Whoever measures a daemon by them counts no drawing of pictures, and knows when each
was sent.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from doorbell.testbed.broker import free_port


@dataclass(frozen=True, slots=True)
class RecordedCameras:
    """Cameras that send.

    Attributes:
        port: of the process.
        began: wall time of the first picture of a camera without a phase.
        period_seconds: from each picture to the next.
    """

    port: int
    began: float
    period_seconds: float

    def uri(self, start: int, phase: float) -> str:
        """Where a camera is read.

        Args:
            start: the picture of the recording that it begins with.
            phase: how much later than others it sends each, in periods.
        """
        return f"http://127.0.0.1:{self.port}/{start}/{phase}.mjpg"

    def sent_at(self, number: int, phase: float) -> float:
        """Wall time at which a camera sends a picture, counted from its first."""
        return self.began + (number + phase) * self.period_seconds


@contextmanager
def recorded_cameras(folder: Path, frames_per_second: float) -> Iterator[RecordedCameras]:
    """Let cameras play the pictures of a folder, in the order of their names.

    Args:
        folder: of JPEG files.
        frames_per_second: of each camera.
    """
    cameras = RecordedCameras(free_port(), time.time(), 1 / frames_per_second)
    words = (cameras.port, folder, cameras.began, cameras.period_seconds)
    command = [sys.executable, "-m", "doorbell.testbed.recorded_cameras", *map(str, words)]
    with subprocess.Popen(command) as process:
        try:
            yield cameras
        finally:
            process.terminate()


class Handler(BaseHTTPRequestHandler):
    """Answers each reader with pictures, for as long as they read."""

    pictures: Sequence[bytes]
    cameras: RecordedCameras

    def do_GET(self) -> None:
        """Send pictures."""
        _, start, name = self.path.split("/")
        phase = float(name.removesuffix(".mjpg"))
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        cameras = self.cameras
        first = int((time.time() - cameras.began) / cameras.period_seconds) + 1
        try:
            for number in itertools.count(first):
                time.sleep(max(cameras.sent_at(number, phase) - time.time(), 0.0))
                data = self.pictures[(int(start) + number) % len(self.pictures)]
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                self.wfile.write(head.encode() + data + b"\r\n")
        except OSError:
            pass  # the reader has gone

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""
        del format, args


if __name__ == "__main__":
    Handler.pictures = [path.read_bytes() for path in sorted(Path(sys.argv[2]).iterdir())]
    Handler.cameras = RecordedCameras(int(sys.argv[1]), float(sys.argv[3]), float(sys.argv[4]))
    ThreadingHTTPServer(("127.0.0.1", Handler.cameras.port), Handler).serve_forever()
