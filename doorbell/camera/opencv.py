"""USB and network cameras, video files and GStreamer pipelines, through OpenCV.

This and ``opencv_sources.py``, which opens them, are all that knows ``cv2.VideoCapture``.
"""

from __future__ import annotations

import logging
import math
import time

import cv2
import numpy as np
from cv2.typing import MatLike

from doorbell.camera.http import follow, is_http
from doorbell.camera.opencv_sources import MAX_FRAME_PIXELS, open_source, too_large
from doorbell.camera.patience import KEY_FRAME_SECONDS
from doorbell.camera.simulated.clock import Pace
from doorbell.camera.uri import Kind, Source
from doorbell.config import CameraSection
from doorbell.domain import Frame, UInt8Array
from doorbell.errors import CameraError, CameraSetupError, EndOfStreamError
from doorbell.imaging.frame_buffers import FrameBuffers

log = logging.getLogger(__name__)

# Used where a file does not say how fast it plays.
_FRAMES_PER_SECOND = 30.0
# Of the timeout: a read that fails before did not wait for it.
_SOONER = 0.8
# Before the first key frame OpenCV fails at each packet, of which FFmpeg has some seconds in store
# when a stream is opened. So often in a row it fails at once only where nothing more comes.
_ENDED_GRABS, _AT_ONCE_SECONDS = 1000, 0.005
# Of a picture whose colours are put into another order at a time.
_BAND_ROWS = 64
# What kind of picture FFmpeg decoded last, as a letter (OpenCV 4.9); 0 elsewhere.
_FRAME_TYPE = 69


class OpenCvCamera:
    """A camera or recording that OpenCV can open.

    ``camera.width``, ``height`` and ``frames_per_second`` are asked of a USB camera; network
    cameras, files and pipelines come as they are, and may change their size in mid-stream.

    Attributes:
        memory: where the next frame is to be, (height, width, 3) uint8, if it has that size; None
            for memory of its own.

    Raises:
        CameraError: it is missing or may not be opened.
        CameraSetupError: no video file, no such size, or an OpenCV that cannot do it.
    """

    def __init__(self, section: CameraSection, source: Source) -> None:
        self.memory: UInt8Array | None = None
        self._buffers = FrameBuffers()
        self._size: tuple[int, int] | None = None  # of the last frame
        self._section = section
        self._source = source
        self._recorded = source.kind is Kind.FILE
        self._pace = Pace(realtime=section.realtime)
        self._index = 0
        self._round_start_seconds = 0.0
        self._last_seconds = -1.0
        self._capture: cv2.VideoCapture | None = open_source(section, source)
        reported = self._capture.get(cv2.CAP_PROP_FPS)
        self._period_seconds = 1 / (reported if 1 <= reported <= 1000 else _FRAMES_PER_SECOND)

    def read(self) -> Frame:
        """Return the next frame: of a camera when it comes, of a file when it is due."""
        if self._capture is None:
            raise CameraError(f"{self._source.shown} is closed; open it again")
        if not self._index:
            self._wait_for_size(self._capture)
        give_up_seconds = math.inf
        while True:
            if self._recorded:
                time_seconds = self._grab_recorded(self._capture)
            else:
                time_seconds = self._grab_live(self._capture)
            captured_at = time.time()
            pixels = self._decode(self._capture)
            if pixels is not None:
                break
            # A cable or radio garbles a picture now and then; the next one is worth the wait.
            log.debug("a picture of %s cannot be decoded", self._source.shown)
            if math.isinf(give_up_seconds):
                give_up_seconds = time.monotonic() + self._section.timeout_seconds
            if time.monotonic() > give_up_seconds:
                raise CameraError(
                    f"{self._source.shown} has given only pictures that cannot be decoded for "
                    f"{self._section.timeout_seconds:g} s; check its cable and its settings"
                )
        if self._recorded:
            self._pace.wait_for(time_seconds)
            captured_at = time.time()
        frame = Frame(pixels, time_seconds, captured_at, self._index, intra=self._is_intra())
        self._index += 1
        return frame

    def close(self) -> None:
        """Release the camera; idempotent."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _wait_for_size(self, capture: cv2.VideoCapture) -> None:
        """Open a stream anew that OpenCV opened without its size: it never shows a frame of it.

        Some say it with their key frames only, and it was looked at for some seconds.
        """
        if self._source.kind is Kind.NETWORK and not capture.get(cv2.CAP_PROP_FRAME_WIDTH):
            capture.release()
            self._capture = open_source(self._section, self._source, KEY_FRAME_SECONDS)

    def _is_intra(self) -> bool | None:
        """As ``Frame.intra``, of the last frame."""
        if self._source.kind in (Kind.NETWORK, Kind.PIPELINE) and self._capture is not None:
            return {0: None, ord("I"): True}.get(int(self._capture.get(_FRAME_TYPE)), False)
        return True

    def _decode(self, capture: cv2.VideoCapture) -> UInt8Array | None:
        """Return what was grabbed: (height, width, 3), RGB; None where it is garbled."""
        try:
            memory = self.memory
            if memory is None and self._size is not None:
                memory = self._buffers.take(*self._size)
            decoded, pixels = capture.retrieve(memory)
            if not decoded:
                return None
            if len(pixels) == 1:
                pixels = in_rows(
                    pixels,
                    int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
                    int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
                )
            height, width = pixels.shape[:2]
            if height * width > MAX_FRAME_PIXELS:
                raise CameraError(too_large(self._source, width, height))
            self._size = width, height
            return _as_rgb(pixels)
        except cv2.error as exc:  # a pipeline of another format, or an empty picture
            log.debug("OpenCV: %s", exc)
            return None

    def _grab_live(self, capture: cv2.VideoCapture) -> float:
        """Grab the next frame of a camera; return the time."""
        asked_seconds = time.monotonic()
        grabbed = capture.grab()
        if not grabbed and not self._index and self._source.kind is Kind.NETWORK:
            grabbed = self._grab_first(capture, asked_seconds + KEY_FRAME_SECONDS)
        now = time.monotonic()
        if not grabbed:
            if is_http(self._source) and self._index <= 1:
                follow(self._source, self._section.timeout_seconds)  # says what it is instead
            raise CameraError(f"{self._source.shown} {self._describe(now - asked_seconds)}")
        return now

    def _grab_first(self, capture: cv2.VideoCapture, until_seconds: float) -> bool:
        """Go on after packets that cannot be decoded, until the stream has ended."""
        at_once = 0
        while at_once < _ENDED_GRABS and (asked := time.monotonic()) < until_seconds:
            if capture.grab():
                return True
            at_once = at_once + 1 if time.monotonic() - asked < _AT_ONCE_SECONDS else 0
        return False

    def _describe(self, seconds: float) -> str:
        """Say why there is no frame after so many seconds."""
        timeout = self._section.timeout_seconds
        if self._source.kind is Kind.NETWORK and seconds > _SOONER * KEY_FRAME_SECONDS:
            return (
                f"has sent no key frame for {seconds:.0f} s, without which nothing can be decoded; "
                "set them (I-frames, GOP) 1 or 2 s apart in the camera's own settings"
            )
        what = f"gave no frame within {timeout:g} s"
        if seconds < _SOONER * timeout:
            what = "ended its stream, or sent what is no picture"
        return f"{what}; check its cable, power and network"

    def _grab_recorded(self, capture: cv2.VideoCapture) -> float:
        """Grab the next frame of a file, or the first again; return its stream time."""
        if not capture.grab():
            if not self._index:
                raise CameraSetupError(
                    f"{self._source.shown} holds no frame; is it a whole video file?"
                )
            if not self._section.loop:
                raise EndOfStreamError(
                    f"{self._source.shown} is over; set camera.loop = true to repeat it"
                )
            # Seeking to the start fails for some containers; opening again never does.
            capture.open(self._source.place, cv2.CAP_FFMPEG)
            self._round_start_seconds = self._last_seconds + self._period_seconds
            if not capture.grab():
                raise CameraError(
                    f"{self._source.shown} could not be started over; is it still there?"
                )
        position = self._round_start_seconds + capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if position <= self._last_seconds:  # a file without time stamps
            position = self._last_seconds + self._period_seconds
        self._last_seconds = max(0.0, position)
        return self._last_seconds


def _as_rgb(pixels: MatLike) -> UInt8Array:
    """Change blue and red, (height, width, 3) uint8, where they are.

    By bands, since OpenCV copies first what it is to change in place.
    """
    if pixels.shape[2:] != (3,):
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)
    for top in range(0, len(pixels), _BAND_ROWS):
        band = pixels[top : top + _BAND_ROWS]
        cv2.cvtColor(band, cv2.COLOR_BGR2RGB, dst=band)
    return np.asarray(pixels, np.uint8)


def in_rows(pixels: MatLike, width: int, height: int) -> MatLike:
    """Put a picture into rows that OpenCV 4.11 gives as one: what a device itself has as BGR.

    Args:
        pixels: uint8, of any shape.
        width: of the picture, as the device says.
        height: of it.

    Returns:
        (height, width, 3) where that was one row of as many bytes, and ``pixels`` elsewhere.
    """
    if height > 1 and pixels.shape == (1, 3 * width * height):
        return pixels.reshape(height, width, 3)
    return pixels
