"""Opens what OpenCV can read: devices, files, streams and pipelines; says why one cannot be had."""

from __future__ import annotations

import os
import re
from pathlib import Path

import cv2

from doorbell.camera.http import follow, is_http
from doorbell.camera.patience import KEY_FRAME_SECONDS
from doorbell.camera.uri import Kind, Source
from doorbell.config import CameraSection
from doorbell.errors import CameraError, CameraSetupError

# Where OpenCV reads FFmpeg's options when it opens a stream.
_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
# What the user asks for. It is looked up once: while a camera hangs in being opened, what is there
# is of that camera, and no wish of the user's.
_ASKED = os.environ.get(_OPTIONS)
# The versions of its avcodec.
_FFMPEG_5, _FFMPEG_8 = 59, 62
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


def open_source(
    section: CameraSection, source: Source, probe_seconds: float = 0.0
) -> cv2.VideoCapture:
    """Open a source.

    Args:
        section: what is asked of it.
        source: which.
        probe_seconds: for so long a stream may be looked at until its size is known.

    Raises:
        CameraError: it is missing or may not be opened.
        CameraSetupError: no video file, no such size, or an OpenCV that cannot do it.
    """
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
        raise CameraSetupError(too_large(source, round(width), round(height)))
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


def too_large(source: Source, width: int, height: int) -> str:
    """What to say of a source whose frames have more than ``MAX_FRAME_PIXELS``."""
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
