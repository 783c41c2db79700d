"""A folder of pictures as a camera."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import cv2
import numpy as np

from doorbell.camera.simulated.clock import Pace
from doorbell.config import CameraSection
from doorbell.domain import Frame, UInt8Array
from doorbell.errors import CameraError, CameraSetupError, EndOfStreamError

log = logging.getLogger(__name__)

_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
# Without a frame rate each picture is a still, shown long enough to be recognized.
_STILL_FRAMES = 10
_STILL_FRAMES_PER_SECOND = 10.0


class FolderCamera:
    """Shows the pictures of a folder one after the other.

    Without ``camera.frames_per_second`` each picture stays for one second, ten frames; with it the
    folder is a recording, one frame a picture. A file that cannot be read is left out with a
    warning.

    Raises:
        CameraSetupError: there is no picture in the folder.
    """

    def __init__(self, section: CameraSection, folder: Path) -> None:
        self._folder = folder
        self._paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
        if not self._paths:
            raise CameraSetupError(
                f"{folder} holds no picture; put JPEG or PNG files there or change camera.uri"
            )
        self._frames_per_second = section.frames_per_second or _STILL_FRAMES_PER_SECOND
        self._frames_per_picture = 1 if section.frames_per_second else _STILL_FRAMES
        self._loop = section.loop
        self._pace = Pace(realtime=section.realtime)
        self._index = 0
        self._position = 0
        self._picture: UInt8Array | None = None
        self._shown = 0
        self._closed = False

    def read(self) -> Frame:
        """Return the picture that is on, when the next frame is due."""
        if self._closed:
            raise CameraError(f"the folder {self._folder} is closed; open it again")
        if self._picture is None or self._shown == self._frames_per_picture:
            self._picture = self._next_picture()
            self._shown = 0
        time_seconds = self._index / self._frames_per_second
        self._pace.wait_for(time_seconds)
        frame = Frame(self._picture.copy(), time_seconds, time.time(), self._index)
        self._index += 1
        self._shown += 1
        return frame

    def close(self) -> None:
        """Show no more; idempotent."""
        self._closed = True

    def _next_picture(self) -> UInt8Array:
        while self._paths:
            if self._position == len(self._paths):
                if not self._loop:
                    break
                self._position = 0
            path = self._paths[self._position]
            picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if picture is not None:
                self._position += 1
                return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
            log.warning("%s cannot be read as a picture and is left out", path)
            del self._paths[self._position]
        if not self._index:
            raise CameraSetupError(
                f"no picture in {self._folder} can be read; put JPEG or PNG files there"
            )
        raise EndOfStreamError(
            f"all pictures of {self._folder} were shown; set camera.loop = true to repeat them"
        )
