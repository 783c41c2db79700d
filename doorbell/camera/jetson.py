"""CSI, USB and RTSP cameras on a Jetson, through NVIDIA's jetson-utils.

The only place that knows ``jetson_utils``, which comes with JetPack's build and is imported here
only.
"""

from __future__ import annotations

import importlib
import logging
import time
import weakref
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol, cast

import numpy as np

from doorbell.camera.uri import Kind, Source
from doorbell.config import CameraSection
from doorbell.domain import Frame, UInt8Array
from doorbell.errors import CameraError, CameraSetupError

log = logging.getLogger(__name__)

# How late packets may come, in the buffer that puts them in order. jetson-utils takes 2000 or 10,
# depending on its version: a visitor seen two seconds late, or a picture torn by every hiccup of a
# wireless camera.
RTSP_LATENCY_MILLISECONDS = 100
# A CSI sensor has to start first, and an RTSP stream is dark until its next key frame.
FIRST_FRAME_SECONDS = 8.0
# One frame is captured, one waits to be taken, one is looked at, and one is to spare.
_FREE_SLOTS = 4


class CudaImage(Protocol):
    """What is used of ``jetson_utils.cudaImage``."""

    @property
    def width(self) -> int:
        """Pixels."""

    @property
    def height(self) -> int:
        """Pixels."""

    @property
    def ptr(self) -> int:
        """Address of the first pixel."""


class VideoSource(Protocol):
    """What is used of ``jetson_utils.videoSource``.

    Not ``Open``: in jetson-utils' binding it raises without holding the interpreter's lock, which
    ends the process; ``Capture`` opens as well, and raises as it should.
    """

    def Capture(self, *, format: str, timeout: int) -> CudaImage | None:  # noqa: A002, N802 - theirs
        """Return the next image in a buffer that is used again; None when none came in time."""

    def IsStreaming(self) -> bool:  # noqa: N802 - their name
        """Tell whether the device is open and streaming."""

    def Close(self) -> None:  # noqa: N802 - their name
        """Stop the device."""


class JetsonUtils(Protocol):
    """What is used of the module ``jetson_utils``."""

    def videoSource(self, uri: str, *, options: Mapping[str, object]) -> VideoSource:  # noqa: N802
        """Open a camera."""

    def cudaAllocMapped(self, *, width: int, height: int, format: str) -> CudaImage:  # noqa: A002, N802
        """Allocate an image that processor and GPU see at one address; freed with the object."""

    def cudaMemcpy(self, dst: CudaImage, src: CudaImage) -> None:  # noqa: N802 - their name
        """Let the GPU copy an image, after all it was asked before."""

    def cudaToNumpy(self, image: CudaImage) -> UInt8Array:  # noqa: N802 - their name
        """Show an image as an array without copying it."""

    def cudaDeviceSynchronize(self) -> None:  # noqa: N802 - their name
        """Wait until the GPU has done what it was asked."""


class JetsonCamera:
    """A camera that jetson-utils captures, decoded and converted by the Jetson's own hardware.

    Args:
        section: size, frame rate and timeout.
        source: a CSI, V4L2 or RTSP camera.
        utils: the module ``jetson_utils``, or what behaves like it.

    Raises:
        CameraError: the camera cannot be opened, or gives no picture.
    """

    def __init__(self, section: CameraSection, source: Source, utils: JetsonUtils) -> None:
        if not can_open(source):
            raise CameraSetupError(
                f"the jetson backend does not open {source.shown!r}; set camera.backend = 'opencv'"
            )
        self._shown = source.shown
        self._timeout_seconds = section.timeout_seconds
        self._slots = _Slots(utils)
        self._index = 0
        self._intra = None if source.kind is Kind.NETWORK else True
        uri = f"v4l2://{source.place}" if source.kind is Kind.DEVICE else source.place
        try:
            self._video: VideoSource | None = utils.videoSource(
                uri, options=_options(section, source)
            )
        except Exception as exc:
            raise CameraError(f"cannot open {self._shown!r}: {exc}; {_hint(source)}") from exc
        try:
            # Only a first picture shows that there is a camera.
            self._first: Frame | None = self._capture(
                max(FIRST_FRAME_SECONDS, section.timeout_seconds)
            )
        except CameraError as exc:
            self.close()
            raise CameraError(f"{exc}; {_hint(source)}") from exc

    def read(self) -> Frame:
        """Return the next frame, copied out of the ring of buffers that the camera uses again."""
        if self._first is not None:
            frame, self._first = self._first, None
            return frame
        return self._capture(self._timeout_seconds)

    def close(self) -> None:
        """Release the camera; idempotent."""
        video, self._video, self._first = self._video, None, None
        if video is not None:
            try:
                video.Close()
            except Exception as exc:  # noqa: BLE001 - whatever it is, the camera is opened anew
                log.warning("%s did not close: %s; left behind", self._shown, exc)

    def _capture(self, timeout_seconds: float) -> Frame:
        if self._video is None:
            raise CameraError(f"{self._shown} is closed; open it again")
        try:
            image = self._video.Capture(format="rgb8", timeout=round(timeout_seconds * 1000))
            time_seconds, captured_at = time.monotonic(), time.time()
            taken = None if image is None else self._slots.copy(image)
        except Exception as exc:
            raise CameraError(f"{self._shown} failed or came to its end: {exc}") from exc
        if taken is None:
            state = "still streaming" if self._video.IsStreaming() else "no longer streaming"
            raise CameraError(
                f"{self._shown} gave no frame within {timeout_seconds:g} s ({state}); check its "
                "cable, power and network"
            )
        frame = Frame(
            taken.pixels, time_seconds, captured_at, self._index, taken.address, self._intra
        )
        self._index += 1
        return frame


class _Taken:
    """A picture in a slot; ends with the last array that shows it."""

    def __init__(self, slot: CudaImage, view: UInt8Array) -> None:
        self.address = slot.ptr
        # Makes an array whose memory belongs to this object, so that it and whatever is cut out of
        # it keep this object alive.
        self.__array_interface__ = view.__array_interface__

    @property
    def pixels(self) -> UInt8Array:
        """(height, width, 3), where ``address`` is."""
        return np.asarray(self)


class _Slots:
    """Memory of our own that processor and GPU share, for one picture each.

    Allocating it for every frame would pin pages, and freeing it would wait for all that the GPU
    does. So a slot is used again, but not before the last array that shows it is gone: arrays hold
    the ``_Taken`` they were made of, and the slot comes back when that is collected. Who gives the
    address to the GPU holds the frame until the GPU is done, as ``DeviceArray`` demands.
    """

    def __init__(self, utils: JetsonUtils) -> None:
        self._utils = utils
        self._free: deque[CudaImage] = deque(maxlen=_FREE_SLOTS)

    def copy(self, image: CudaImage) -> _Taken:
        """Copy a picture on the GPU, before its buffer is used again."""
        slot = self._take(image)
        self._utils.cudaMemcpy(slot, image)
        # The conversion and the copy were only asked for so far.
        self._utils.cudaDeviceSynchronize()
        taken = _Taken(slot, self._utils.cudaToNumpy(slot))
        weakref.finalize(taken, self._free.append, slot).atexit = False
        return taken

    def _take(self, image: CudaImage) -> CudaImage:
        while self._free:
            slot = self._free.pop()
            if (slot.width, slot.height) == (image.width, image.height):
                return slot
        return self._utils.cudaAllocMapped(width=image.width, height=image.height, format="rgb8")


def can_open(source: Source) -> bool:
    """Whether jetson-utils takes such a source; of network cameras it knows only RTSP."""
    if source.kind is Kind.NETWORK:
        return source.place.startswith("rtsp://")
    return source.kind in (Kind.CSI, Kind.DEVICE)


def open_jetson(section: CameraSection, source: Source) -> JetsonCamera:
    """Open a camera through jetson-utils.

    Raises:
        CameraError: the camera cannot be opened.
        CameraSetupError: jetson-utils is missing.
    """
    try:
        utils: Any = importlib.import_module("jetson_utils")
    except ImportError as exc:
        raise CameraSetupError(
            f"{source.shown!r} needs jetson-utils, which is not installed here; build it on the "
            "Jetson (github.com/dusty-nv/jetson-utils), or use a USB or RTSP camera"
        ) from exc
    return JetsonCamera(section, source, cast("JetsonUtils", utils))


def _options(section: CameraSection, source: Source) -> dict[str, object]:
    """What videoSource is asked for; its codec and decoder it finds out itself, in hardware."""
    asked: dict[str, object] = {
        "width": section.width,
        "height": section.height,
        "framerate": section.frames_per_second,
    }
    options = {name: value for name, value in asked.items() if value}
    if source.kind is Kind.NETWORK:
        options["latency"] = RTSP_LATENCY_MILLISECONDS
    return options


def _hint(source: Source) -> str:
    match source.kind:
        case Kind.CSI:
            return "check the ribbon cable, then `sudo systemctl restart nvargus-daemon`"
        case Kind.DEVICE:
            return "check the cable, and that no other program uses the camera"
        case _:
            return "check the address, user and password, and that it sends H.264, H.265 or MJPEG"
