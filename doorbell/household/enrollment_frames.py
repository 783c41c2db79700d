"""Frames to enroll somebody from: all of a video, or the door's camera until enough was seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Protocol

from doorbell.camera import open_camera
from doorbell.config import CameraSection
from doorbell.domain import Frame
from doorbell.errors import CameraError, EndOfStreamError
from doorbell.household.enrollment_strength import Coverage


class LiveCamera(Protocol):
    """A camera that gives its newest frame."""

    def get(self, timeout_seconds: float) -> Frame:
        """Take it.

        Raises:
            CameraError: none came in time.
            EndOfStreamError: there are no more.
        """


def video_frames(path: Path) -> Generator[Frame, None, None]:
    """Every frame of a video file, as fast as they are taken.

    Raises:
        CameraError: it is no video that can be read.
    """
    with (
        closing(open_camera(CameraSection(uri=str(path), realtime=False))) as camera,
        suppress(EndOfStreamError),
    ):
        while True:
            yield camera.read()


def guided_frames(
    camera: LiveCamera,
    coverage: Coverage,
    on_missing: Callable[[Coverage], None],
    *,
    seconds: float,
) -> Iterator[Frame]:
    """Frames until every pose was seen, the time is up, or the camera gives no more.

    Args:
        camera: that the person stands before.
        coverage: what was seen; whoever takes the frames adds to it.
        on_missing: told at the beginning, and whenever something else is missing.
        seconds: how long at most.

    Raises:
        CameraError: it gives no frame at all.
    """
    end = time.monotonic() + seconds
    is_first, told = True, None
    while coverage.missing and (left := end - time.monotonic()) > 0:
        if told != (told := coverage.missing):
            on_missing(coverage)
        try:
            frame = camera.get(left)
        except EndOfStreamError:
            return
        except CameraError:
            if is_first:
                raise
            return
        is_first = False
        yield frame
