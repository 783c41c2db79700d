"""CSI, USB and network cameras on a Jetson, through NVIDIA's jetson-utils.

Enters: the camera's section and source. Leaves: RGB frames that own their memory. The only place
that knows ``jetson_utils``, which comes with JetPack's build and is imported here only.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping
from typing import Any, Protocol, cast

import numpy as np

from doorbell.camera.uri import Kind, Source
from doorbell.config import CameraSection
from doorbell.domain import Frame, UInt8Array
from doorbell.errors import CameraError


class VideoSource(Protocol):
    """What is used of ``jetson_utils.videoSource``."""

    def Capture(self, *, format: str, timeout: int) -> object | None:  # noqa: A002, N802 - theirs
        """Return the next image in a buffer that is used again; None when none came in time."""

    def IsStreaming(self) -> bool:  # noqa: N802 - their name
        """Tell whether the device is open and streaming."""

    def Close(self) -> None:  # noqa: N802 - their name
        """Stop the device."""


class JetsonUtils(Protocol):
    """What is used of the module ``jetson_utils``."""

    def videoSource(self, uri: str, *, options: Mapping[str, object]) -> VideoSource:  # noqa: N802
        """Open a camera."""

    def cudaToNumpy(self, image: object) -> UInt8Array:  # noqa: N802 - their name
        """Show an image as an array without copying it."""

    def cudaDeviceSynchronize(self) -> None:  # noqa: N802 - their name
        """Wait until the GPU has finished writing."""


class JetsonCamera:
    """A camera that jetson-utils captures, decoded and converted by the Jetson's own hardware.

    Args:
        section: size, frame rate and timeout.
        source: a CSI, V4L2 or network camera.
        utils: the module ``jetson_utils``, or what behaves like it.

    Raises:
        CameraError: the camera cannot be opened.
    """

    def __init__(self, section: CameraSection, source: Source, utils: JetsonUtils) -> None:
        if source.kind not in (Kind.CSI, Kind.DEVICE, Kind.NETWORK):
            raise CameraError(
                f"the jetson backend does not open {source.shown!r} ({source.kind.value}); "
                "set camera.backend = 'opencv'"
            )
        self._shown = source.shown
        self._timeout_milliseconds = round(section.timeout_seconds * 1000)
        self._utils = utils
        self._index = 0
        uri = f"v4l2://{source.place}" if source.kind is Kind.DEVICE else source.place
        asked = {
            "width": section.width,
            "height": section.height,
            "framerate": section.frames_per_second,
        }
        options = {name: value for name, value in asked.items() if value}
        try:
            self._video: VideoSource | None = utils.videoSource(uri, options=options)
        except Exception as exc:
            raise CameraError(
                f"cannot open {self._shown!r} through jetson-utils: {exc}; check the cable, and on "
                "a CSI camera `sudo systemctl restart nvargus-daemon`"
            ) from exc

    def read(self) -> Frame:
        """Return the next frame, copied out of the ring of buffers that the camera uses again."""
        if self._video is None:
            raise CameraError(f"{self._shown} is closed; open it again")
        try:
            image = self._video.Capture(format="rgb8", timeout=self._timeout_milliseconds)
        except Exception as exc:
            raise CameraError(f"{self._shown} failed: {exc}; open it again") from exc
        if image is None:
            state = "still streaming" if self._video.IsStreaming() else "no longer streaming"
            raise CameraError(
                f"{self._shown} gave no frame within {self._timeout_milliseconds / 1000:g} s "
                f"({state}); check its cable, power and network"
            )
        time_seconds, captured_at = time.monotonic(), time.time()
        self._utils.cudaDeviceSynchronize()
        pixels = np.array(self._utils.cudaToNumpy(image), np.uint8, copy=True)
        frame = Frame(pixels, time_seconds, captured_at, self._index)
        self._index += 1
        return frame

    def close(self) -> None:
        """Release the camera; idempotent."""
        if self._video is not None:
            self._video.Close()
            self._video = None


def open_jetson(section: CameraSection, source: Source) -> JetsonCamera:
    """Open a camera through jetson-utils.

    Raises:
        CameraError: jetson-utils is missing, or the camera cannot be opened.
    """
    try:
        utils: Any = importlib.import_module("jetson_utils")
    except ImportError as exc:
        raise CameraError(
            f"{source.shown!r} needs jetson-utils, which is not installed here; build it on the "
            "Jetson (github.com/dusty-nv/jetson-utils), or use a USB or RTSP camera"
        ) from exc
    return JetsonCamera(section, source, cast("JetsonUtils", utils))
