"""The other end of a v4l2loopback device: what shows pictures to whoever opens it as a camera."""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

# VIDIOC_S_FMT of <linux/videodev2.h>: struct v4l2_format, 208 bytes, of a video output.
SET_FORMAT = 0xC0D05605
OUTPUT = 2
ANY_FIELD = 1


class LoopbackCamera:
    """Writes pictures at a steady rate, in a thread, until it is closed.

    Args:
        device: of v4l2loopback.
        pictures: their width and height in pixels and their format, such as ``MJPG``.
        frames_per_second: how many are written.
        scene: the pictures as they are written, without an end.
    """

    def __init__(
        self,
        device: Path,
        pictures: tuple[int, int, str],
        frames_per_second: float,
        scene: Iterator[bytes],
    ) -> None:
        width, height, fourcc = pictures
        self._device = os.open(device, os.O_RDWR)
        code = int.from_bytes(fourcc.encode(), "little")
        asked = struct.pack("<I4x8I", OUTPUT, width, height, code, ANY_FIELD, 0, 0, 0, 0)
        fcntl.ioctl(self._device, SET_FORMAT, asked.ljust(208, b"\0"))
        self._period_seconds = 1 / frames_per_second
        self._scene = scene
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._write, name="camera", daemon=True)
        self._thread.start()

    def show(self, scene: Iterator[bytes]) -> None:
        """Show other pictures from now on."""
        self._scene = scene

    def _write(self) -> None:
        due = time.monotonic()
        while not self._closed.wait(max(0.0, due - time.monotonic())):
            os.write(self._device, next(self._scene))
            due = max(due + self._period_seconds, time.monotonic())

    def close(self) -> None:
        """The camera is gone for whoever has it open."""
        self._closed.set()
        self._thread.join()
        os.close(self._device)
