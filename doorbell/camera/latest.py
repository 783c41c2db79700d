"""The newest frame of a camera, captured by a thread of its own.

Enters: a way to open a camera. Leaves: its newest frame, whenever the reader comes; what the reader
was too slow for is dropped and counted, never queued. A lost camera is opened again, for as long as
it takes. Knows nothing of what happens to a frame.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from doorbell.camera import Camera, open_camera
from doorbell.camera.uri import loses_no_frame
from doorbell.config import CameraSection
from doorbell.domain import Frame
from doorbell.errors import CameraError, EndOfStreamError

log = logging.getLogger(__name__)

_REOPEN_FIRST_SECONDS = 0.5
# A read that hangs in a driver may outlive the camera; the process does not wait for it longer.
_CLOSE_SECONDS = 2.0


class LatestFrame:
    """A one-slot mailbox between the capture thread and one reader.

    The first opening happens in the constructor: a doorbell without its camera fails at start.

    Args:
        open_again: opens the camera; called for the first time here.
        reopen_max_seconds: the longest wait between two attempts to reopen a lost camera.
        lossless: the capture thread waits until the slot was taken, so that no frame is dropped:
            for recordings read as fast as possible, never for a camera that goes on without us.

    Raises:
        CameraError: the camera cannot be opened.
    """

    def __init__(
        self,
        open_again: Callable[[], Camera],
        *,
        reopen_max_seconds: float,
        lossless: bool,
    ) -> None:
        self._open_again = open_again
        self._reopen_max_seconds = reopen_max_seconds
        self._lossless = lossless
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._dropped = 0
        self._online = True
        self._closed = False
        self._ending: Exception | None = None
        self._reopen_seconds = _REOPEN_FIRST_SECONDS
        camera = open_again()
        self._thread = threading.Thread(
            target=self._run, args=(camera,), name="capture", daemon=True
        )
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Frames overwritten before they were taken, since the start."""
        with self._changed:
            return self._dropped

    @property
    def online(self) -> bool:
        """Whether the last read gave a frame."""
        with self._changed:
            return self._online

    def get(self, timeout_seconds: float) -> Frame:
        """Take the newest frame that was not taken yet.

        Raises:
            CameraError: none came in time, or this is closed; call again, the camera is being
                reopened.
            EndOfStreamError: the last frame of a file, folder or scene was taken.
        """
        with self._changed:
            ready = self._changed.wait_for(self._has_news, timeout_seconds)
            frame, self._frame = self._frame, None
            self._changed.notify_all()
            if frame is not None:
                return frame
            if self._closed:
                raise CameraError("the camera is closed; open it again")
            if ready and self._ending is not None:
                raise self._ending
            raise CameraError(
                f"no frame within {timeout_seconds:g} s"
                + ("" if self._online else "; the camera is lost and being reopened")
            )

    def close(self) -> None:
        """Stop capturing and release the camera, within two seconds; idempotent."""
        with self._changed:
            self._closed = True
            self._frame = None
            self._changed.notify_all()
        self._thread.join(_CLOSE_SECONDS)
        if self._thread.is_alive():
            log.warning("the camera did not answer within %g s; left behind", _CLOSE_SECONDS)

    def _has_news(self) -> bool:
        return self._frame is not None or self._closed or self._ending is not None

    def _run(self, first: Camera) -> None:
        try:
            self._pass_frames(lambda: first)
            while self._wait_to_reopen():
                self._pass_frames(self._open_again)
        except Exception as exc:  # noqa: BLE001 - the top of a thread: the reader raises it
            with self._changed:
                self._ending = exc
                self._changed.notify_all()

    def _pass_frames(self, open_one: Callable[[], Camera]) -> None:
        """Read until the camera is lost or nobody reads any more."""
        try:
            with closing(open_one()) as camera:
                while self._put(camera.read()):
                    pass
        except EndOfStreamError:
            raise
        except CameraError as exc:
            with self._changed:
                if self._online and not self._closed:
                    log.warning("camera lost: %s; reopening it until it answers", exc)
                self._online = False

    def _wait_to_reopen(self) -> bool:
        """Wait longer each time, by chance a little more or less; False once closed."""
        with self._changed:
            delay = min(self._reopen_seconds, self._reopen_max_seconds)
            self._reopen_seconds = 2 * delay
            jittered = delay * random.uniform(0.5, 1.0)  # noqa: S311 - no secret depends on it
            return not self._changed.wait_for(lambda: self._closed, jittered)

    def _put(self, frame: Frame) -> bool:
        """Leave a frame for the reader; False once closed."""
        with self._changed:
            if not self._online:
                log.info("camera is back")
            self._online = True
            self._reopen_seconds = _REOPEN_FIRST_SECONDS
            if self._lossless:
                self._changed.wait_for(lambda: self._frame is None or self._closed)
            elif self._frame is not None:
                self._dropped += 1
            if not self._closed:
                self._frame = frame
                self._changed.notify_all()
            return not self._closed


def open_latest(section: CameraSection, faces_directory: Path | None = None) -> LatestFrame:
    """Open the configured camera behind a ``LatestFrame``.

    Args:
        section: where the camera is and how it is to be read.
        faces_directory: portraits for the built-in simulated scene, where the URI names none.

    Raises:
        CameraError: the camera cannot be opened.
    """
    return LatestFrame(
        lambda: open_camera(section, faces_directory),
        reopen_max_seconds=section.reopen_max_seconds,
        lossless=loses_no_frame(section),
    )
