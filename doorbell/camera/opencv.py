"""USB and network cameras, video files and GStreamer pipelines, through OpenCV.

The only place that knows ``cv2.VideoCapture``.
"""

from __future__ import annotations

import logging
import math
import os
import re
import time
from pathlib import Path

import cv2
import numpy as np
from cv2.typing import MatLike

from doorbell.camera.http import follow, is_http
from doorbell.camera.patience import KEY_FRAME_SECONDS
from doorbell.camera.simulated.clock import Pace
from doorbell.camera.uri import Kind, Source
from doorbell.config import CameraSection
from doorbell.domain import Frame, UInt8Array
from doorbell.errors import CameraError, CameraSetupError, EndOfStreamError

log = logging.getLogger(__name__)

# Used where a file does not say how fast it plays.
_FRAMES_PER_SECOND = 30.0
# Of the timeout: a read that fails before did not wait for it.
_SOONER = 0.8
# Before the first key frame OpenCV fails at each packet, of which FFmpeg has some seconds in store
# when a stream is opened. So often in a row it fails at once only where nothing more comes.
_ENDED_GRABS, _AT_ONCE_SECONDS = 1000, 0.005
# Where OpenCV reads FFmpeg's options when it opens a stream.
_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
# What the user asks for. It is looked up once: while a camera hangs in being opened, what is there
# is of that camera, and no wish of the user's.
_ASKED = os.environ.get(_OPTIONS)
# The versions of its avcodec.
_FFMPEG_5, _FFMPEG_8 = 59, 62
# What kind of picture FFmpeg decoded last, as a letter (OpenCV 4.9); 0 elsewhere.
_FRAME_TYPE = 69
_MOTION_JPEG = cv2.VideoWriter.fourcc(*"MJPG")
# The largest that a camera gives: 8K. A damaged file says anything, up to gigabytes a frame.
MAX_FRAME_PIXELS = 7680 * 4320
# How files of videos begin: MP4 and MOV, Matroska, AVI, MPEG and raw H.264, transport streams, FLV,
# Ogg, ASF, Motion JPEG, IVF, Y4M. FFmpeg reads playlists too, which make it open other files: one
# that names itself is opened 5,000 times.
_VIDEO = re.compile(
    rb"....(ftyp|moov|mdat|wide|free|skip)|\x1aE\xdf\xa3|RIFF|\0\0\0?\1|G|(?!ID3)....G|FLV|OggS"
    rb"|0&\xb2u|\xff\xd8\xff|DKIF|YUV4MPEG2 ",
    re.DOTALL,
)


class OpenCvCamera:
    """A camera or recording that OpenCV can open.

    ``camera.width``, ``height`` and ``frames_per_second`` are asked of a USB camera; network
    cameras, files and pipelines come as they are, and may change their size in mid-stream.

    Raises:
        CameraError: it is missing or may not be opened.
        CameraSetupError: no video file, no such size, or an OpenCV that cannot do it.
    """

    def __init__(self, section: CameraSection, source: Source) -> None:
        self._section = section
        self._source = source
        self._recorded = source.kind is Kind.FILE
        self._pace = Pace(realtime=section.realtime)
        self._index = 0
        self._round_start_seconds = 0.0
        self._last_seconds = -1.0
        self._capture: cv2.VideoCapture | None = _open(section, source)
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
            self._capture = _open(self._section, self._source, KEY_FRAME_SECONDS)

    def _is_intra(self) -> bool | None:
        """As ``Frame.intra``, of the last frame."""
        if self._source.kind in (Kind.NETWORK, Kind.PIPELINE) and self._capture is not None:
            return {0: None, ord("I"): True}.get(int(self._capture.get(_FRAME_TYPE)), False)
        return True

    def _decode(self, capture: cv2.VideoCapture) -> UInt8Array | None:
        """Return what was grabbed: (height, width, 3), RGB; None where it is garbled."""
        try:
            decoded, pixels = capture.retrieve()
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
                raise CameraError(_too_large(self._source, width, height))
            return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)
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


def _open(section: CameraSection, source: Source, probe_seconds: float = 0.0) -> cv2.VideoCapture:
    """Open a source; a stream may be looked at for so long until its size is known."""
    _hush(section)
    milliseconds = round(section.timeout_seconds * 1000)
    timeouts = [
        *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds),
        *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds),
    ]
    match source.kind:
        case Kind.DEVICE:
            return _open_device(section, Path(source.place))
        case Kind.FILE:
            _check_file(Path(source.place))
            capture = cv2.VideoCapture(source.place, cv2.CAP_FFMPEG)
            hint = "it is not a video that OpenCV can read; convert it to H.264 in MKV or MP4"
        case Kind.PIPELINE:
            if not cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
                raise CameraSetupError(
                    "this OpenCV was built without GStreamer, so it cannot run the pipeline "
                    f"{source.shown!r}; use the system's OpenCV (as on a Jetson) or an rtsp:// URL"
                )
            capture = cv2.VideoCapture(source.place, cv2.CAP_GSTREAMER, timeouts)
            hint = "try it with gst-launch-1.0; it must end in appsink"
        case Kind.NETWORK:
            capture = _open_stream(section, source, probe_seconds)
            hint = (
                "it did not answer, or refused: check address, user and password (one with "
                "@ # / ? or % is best kept in camera.password_file, with camera.user), and that "
                f"it answers within camera.timeout_seconds = {section.timeout_seconds:g}"
            )
        case _:
            raise CameraSetupError(
                f"OpenCV does not open {source.shown!r} ({source.kind.value}); set "
                "camera.backend = 'jetson' for a CSI camera"
            )
    if not capture.isOpened():
        kind = CameraSetupError if source.kind is Kind.FILE else CameraError
        raise kind(f"cannot open {source.shown!r}: {hint}")
    width, height = (
        capture.get(each) for each in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
    )
    if width * height > MAX_FRAME_PIXELS:
        capture.release()
        raise CameraSetupError(_too_large(source, round(width), round(height)))
    return capture


def _open_stream(section: CameraSection, source: Source, probe_seconds: float) -> cv2.VideoCapture:
    """Open a network camera: silence ends it soon, what cannot be decoded yet does not."""
    opening = reading = round((section.timeout_seconds + KEY_FRAME_SECONDS) * 1000)
    if is_http(source) and _ffmpeg_version() < _FFMPEG_8:
        source = follow(source, section.timeout_seconds)
        # It heeds no timeout of its own while it reads. The first frame is grabbed for in turns.
        reading = round(section.timeout_seconds * 1000)
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, opening, cv2.CAP_PROP_READ_TIMEOUT_MSEC, reading]
    os.environ[_OPTIONS] = _stream_options(section, probe_seconds, _ASKED)
    try:
        capture = cv2.VideoCapture(source.place, cv2.CAP_FFMPEG, timeouts)
        if is_http(source) and not capture.isOpened():
            # Cameras that serve one reader only are asked no more than they must be.
            followed = follow(source, section.timeout_seconds)
            if followed != source:
                capture.open(followed.place, cv2.CAP_FFMPEG, timeouts)
        return capture
    finally:
        if _ASKED is None:
            os.environ.pop(_OPTIONS, None)
        else:
            os.environ[_OPTIONS] = _ASKED


def _stream_options(section: CameraSection, probe_seconds: float, asked: str | None) -> str:
    """FFmpeg's options, as OpenCV reads them; those that the user asks for have the last word.

    OpenCV gives its own timeouts to the whole of a read, in which a decoder that waits for a key
    frame cannot be told from a camera that is silent. FFmpeg's are of the connection.
    """
    microseconds = str(round(section.timeout_seconds * 1e6))
    # Before FFmpeg 5 "timeout" made an RTSP client wait to be called.
    timeout = "timeout" if _ffmpeg_version() >= _FFMPEG_5 else "stimeout"
    options = {"rtsp_transport": "tcp", timeout: microseconds, "rw_timeout": microseconds}
    options["max_redirects"] = "0"  # FFmpeg 8; see ``camera/http.py``
    if probe_seconds:
        options |= {"analyzeduration": str(round(probe_seconds * 1e6)), "probesize": "50000000"}
    if asked:
        del options["rtsp_transport"]  # OpenCV's own, where nobody asks for anything
        options |= dict(pair.split(";", 1) for pair in asked.split("|") if ";" in pair)
    return "|".join(f"{name};{value}" for name, value in options.items())


def _ffmpeg_version() -> int:
    """The major version of FFmpeg's avcodec that OpenCV was built with; 0 if it does not say."""
    built = re.search(r"avcodec: +YES \((\d+)", cv2.getBuildInformation())
    return int(built[1]) if built else 0


def _too_large(source: Source, width: int, height: int) -> str:
    return (
        f"{source.shown} has frames of {width}x{height}, at most {MAX_FRAME_PIXELS / 1e6:.0f} "
        "megapixels are read; make it smaller"
    )


def _hush(section: CameraSection) -> None:
    """Keep OpenCV and FFmpeg from writing to stderr: what they would say is in our errors.

    Their variables are read when the first camera is opened; whoever set them has the last word.
    V4L2 takes its timeout, in whole seconds, from a variable only.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    os.environ.setdefault(
        "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(max(1, round(section.timeout_seconds)))
    )
    if "OPENCV_LOG_LEVEL" in os.environ:
        return
    if hasattr(cv2, "setLogLevel"):  # OpenCV 4
        cv2.setLogLevel(0)
    else:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def _open_device(section: CameraSection, device: Path) -> cv2.VideoCapture:
    if not device.exists():
        present = ", ".join(sorted(str(path) for path in Path("/dev").glob("video*")))
        raise CameraError(
            f"there is no camera {device} (present: {present or 'none'}); plug it in or correct "
            "camera.uri"
        )
    if not os.access(device, os.R_OK | os.W_OK):
        raise CameraError(
            f"no permission for the camera {device}; add the user to the group video with "
            "`sudo usermod -aG video $USER`, then log in again"
        )
    capture = cv2.VideoCapture(str(device), cv2.CAP_V4L2)
    if not capture.isOpened():
        raise CameraError(
            f"cannot open the camera {device}: another program uses it, or it takes no pictures; "
            "see `v4l2-ctl --list-devices`"
        )
    # Uncompressed frames of more than VGA do not fit through USB 2 at full rate.
    capture.set(cv2.CAP_PROP_FOURCC, _MOTION_JPEG)
    for property_id, wanted in (
        (cv2.CAP_PROP_FRAME_WIDTH, section.width),
        (cv2.CAP_PROP_FRAME_HEIGHT, section.height),
        (cv2.CAP_PROP_FPS, section.frames_per_second),
        (cv2.CAP_PROP_BUFFERSIZE, 1),
    ):
        if wanted:
            capture.set(property_id, wanted)
    width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
    height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    if (section.width or width, section.height or height) != (width, height):
        capture.release()
        raise CameraSetupError(
            f"the camera {device} has no {section.width}x{section.height}, it offers "
            f"{width}x{height}; set camera.width and camera.height to a size that "
            f"`v4l2-ctl -d {device} --list-formats-ext` lists, or to 0"
        )
    return capture


def _check_file(path: Path) -> None:
    try:
        if path.exists() and not path.is_file():
            raise CameraSetupError(f"{path} is no file; correct camera.uri")
        with path.open("rb") as file:
            beginning = file.read(16)
    except OSError as exc:
        raise CameraSetupError(
            f"cannot read the video {path}: {exc.strerror}; correct camera.uri"
        ) from exc
    if not _VIDEO.match(beginning):
        raise CameraSetupError(
            f"cannot open '{path}': it is not a video that OpenCV can read; convert it to H.264 in "
            "MKV or MP4"
        )
