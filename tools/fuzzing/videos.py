"""Video files: what OpenCV and its FFmpeg read of them, as ``enroll --video`` does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from doorbell.camera.opencv import OpenCvCamera
from doorbell.camera.uri import Kind, Source
from doorbell.config import CameraSection
from doorbell.errors import CameraError
from fuzzing import scratch

MAX_BYTES = 8192
MAX_SECONDS = 5.0
# A clip that goes on for longer is one that works.
FRAMES = 4
# Of larger frames one is enough: time goes into filling memory then.
LARGE = 1_000_000

CODECS = (
    *(("avi", "MJPG"), ("avi", "mp4v"), ("avi", "FFV1"), ("avi", "I420"), ("avi", "DIVX")),
    *(("mp4", "mp4v"), ("mkv", "mp4v"), ("mkv", "MJPG"), ("mov", "MJPG"), ("webm", "VP80")),
    *(("webm", "VP90"), ("mkv", "H264"), ("ts", "mp4v"), ("mpg", "MPG1"), ("flv", "FLV1")),
)
NAME = "clip.mkv"
SECTION = CameraSection(realtime=False)


def seeds() -> Iterator[bytes]:
    """Encode three tiny frames in every container and codec that this OpenCV writes."""
    yield b"ffconcat version 1.0\nfile " + NAME.encode() + b"\n"
    yield b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n" + NAME.encode() + b"\n#EXT-X-ENDLIST\n"
    os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"  # as the camera sets it, before the first use
    with TemporaryDirectory() as directory:
        for suffix, codec in CODECS:
            path = Path(directory) / f"{codec}.{suffix}"
            writer = cv2.VideoWriter(
                str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), 25.0, (32, 16)
            )
            for brightness in (40, 120, 200):
                writer.write(np.full((16, 32, 3), brightness, np.uint8))
            writer.release()
            if path.is_file() and 0 < path.stat().st_size <= MAX_BYTES:
                yield path.read_bytes()


def check(content: bytes) -> None:
    """Open it and read its first frames."""
    path = scratch() / NAME
    path.write_bytes(content)
    try:
        with closing(OpenCvCamera(SECTION, Source(Kind.FILE, str(path)))) as camera:
            for _ in range(FRAMES):
                frame = camera.read()
                if frame.pixels.size > LARGE:
                    break
                if frame.pixels.ndim != 3 or not np.isfinite(frame.time_seconds):
                    raise AssertionError(f"{frame.pixels.shape} at {frame.time_seconds} s")
    except CameraError:
        pass
