"""The daemon's end of cameras that are read by processes of their own."""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import threading
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

from doorbell.camera.exposed import FaceMeter
from doorbell.camera.opencv_sources import MAX_FRAME_PIXELS
from doorbell.camera.patience import Patience
from doorbell.camera.process.messages import pair, receive, ring_shape, send, send_now
from doorbell.camera.process.starter import Starter, spawn_starter
from doorbell.config import CameraSection
from doorbell.domain import Frame
from doorbell.errors import CameraError, CameraSetupError, CameraStuckError, EndOfStreamError
from doorbell.imaging.frame_buffers import FrameBuffers
from doorbell.imaging.frame_ring import RingReader

log = logging.getLogger(__name__)

# The starter forks in milliseconds; one that is started by itself has to import everything first.
START_SECONDS = 60.0
# A process that was asked to close its camera is killed after this time.
CLOSE_SECONDS = 1.0
_ERRORS = {each.__name__: each for each in (CameraError, CameraSetupError, EndOfStreamError)}


class CameraProcesses:
    """Opens cameras, each in a process of its own; used by any thread.

    Args:
        starter: of the processes; ended with this.
    """

    def __init__(self, starter: Starter) -> None:
        self._starter: Starter | None = starter
        self._buffers = FrameBuffers()
        self._lock = threading.Lock()

    def open(
        self,
        section: CameraSection,
        faces_directory: Path | None,
        name: str,
        patience: Patience,
        meter: FaceMeter | None,
    ) -> ProcessCamera:
        """Open a camera.

        Args:
            section: where it is and how it is to be read.
            faces_directory: as ``open_camera`` takes it.
            name: what its process is called.
            patience: how long the camera may take.
            meter: what the faces in its frames got of the light; None where nobody asks.

        Raises:
            CameraError, CameraSetupError: as ``open_camera``.
            CameraStuckError: its driver did not answer, and its process was ended.
        """
        asked = {
            "name": name,
            "camera": section.model_dump(mode="json"),
            "faces": None if faces_directory is None else str(faces_directory),
            "exposed": meter is not None,
            "level": logging.getLogger().level,
        }
        with ExitStack() as stack:
            try:
                ours, theirs = pair()
                camera = stack.enter_context(
                    closing(ProcessCamera(ours, patience, meter, self._buffers))
                )
                with theirs:
                    starter = self._ask(asked, theirs)
            except OSError as exc:
                raise CameraError(
                    f"cannot start the camera's process ({exc.strerror}); is memory short?"
                ) from exc
            if not camera.wait_until_started():
                with self._lock:
                    starter.end()  # the next camera gets another one
            camera.wait_until_opened()
            stack.pop_all()
        return camera

    def close(self) -> None:
        """End all processes; idempotent."""
        with self._lock:
            if self._starter is not None:
                self._starter.end()
                self._starter = None

    def _ask(self, asked: dict[str, Any], link: socket.socket) -> Starter:
        with self._lock:
            if self._starter is None:
                raise CameraError("the doorbell stops; the camera is not opened any more")
            try:
                send(self._starter.control, asked, link.fileno())
            except OSError:
                log.warning("what starts the cameras' processes is gone; started anew")
                self._starter.end()
                self._starter = spawn_starter()
                send(self._starter.control, asked, link.fileno())
            return self._starter


class ProcessCamera:
    """A camera that another process reads.

    Args:
        link: to that process.
        patience: how long the camera may take.
        meter: as ``CameraProcesses.open`` takes it.
        buffers: its frames are in.
    """

    def __init__(
        self,
        link: socket.socket,
        patience: Patience,
        meter: FaceMeter | None,
        buffers: FrameBuffers,
    ) -> None:
        self._link = link
        self._patience = patience
        self._meter = meter
        self._buffers = buffers
        self._poll = select.poll()
        self._poll.register(link, select.POLLIN)
        self._started = self._opened = self._has_given = False
        self._ring: RingReader | None = None
        self._placed: tuple[int, int, float, float, bool | None] | None = None
        self._ending: CameraError | None = None

    def wait_until_started(self) -> bool:
        """Whether there is a process, soon.

        Raises:
            CameraError: there is none, or it has come to its end.
        """
        end = time.monotonic() + START_SECONDS
        while not self._started:
            if not self._receive(end):
                return False
        return True

    def wait_until_opened(self) -> None:
        """Wait for the camera.

        Raises:
            CameraError, CameraSetupError, CameraStuckError: as ``CameraProcesses.open``.
        """
        patience = self._patience
        seconds = patience.opening_seconds + patience.first_frame_seconds
        end = time.monotonic() + seconds
        while not self._opened:
            if not self._receive(end):
                raise self._stuck(seconds)

    def read(self) -> Frame:
        """Return the next frame; those that others have taken the place of are left out."""
        self._tell_light()
        seconds = self._patience.stuck_seconds
        if not self._has_given:
            seconds += self._patience.first_frame_seconds
        end = time.monotonic() + seconds
        while True:
            if not self._receive(end):
                raise self._stuck(seconds)
            frame = self._take()
            if frame is not None:
                self._has_given = True
                return frame

    def close(self) -> None:
        """Have the camera closed, or its process ended; idempotent."""
        if self._link.fileno() < 0:
            return
        with suppress(OSError, CameraError):
            self._link.shutdown(socket.SHUT_WR)
            end = time.monotonic() + CLOSE_SECONDS
            while self._receive(end):
                pass
        self._ending = CameraError("the camera is closed; open it again")
        self._link.close()  # upon which the starter kills what is still there
        if self._ring is not None:
            self._ring.close()
            self._ring = None

    def _receive(self, until_seconds: float) -> bool:
        """Wait for a message and note what it says; False where none comes in time.

        Raises:
            CameraError: there will be no more.
        """
        if self._ending is not None:
            raise self._ending
        milliseconds = max(until_seconds - time.monotonic(), 0.0) * 1000
        if not self._poll.poll(milliseconds):
            return False
        try:
            message = receive(self._link)
            if message is None:
                raise self._end(CameraError("the camera's process is gone"))
            self._note(*message)
        except (ValueError, TypeError) as exc:
            raise self._end(CameraError(f"the camera's process said {exc}")) from exc
        return True

    def _note(self, document: dict[str, Any], descriptor: int | None) -> None:
        if descriptor is not None and "ring" not in document:
            os.close(descriptor)
        match document:
            case {"started": _}:
                self._started = True
            case {"opened": True}:
                self._opened = True
            case {"ring": [int(width), int(height)]} if descriptor is not None:
                self._take_ring(descriptor, width, height)
            case {
                "frame": [int(slot), int(index), float(seconds), float(at), bool() | None as intra]
            }:
                self._placed = (slot, index, seconds, at, intra)
            case {"say_once": str(message)} if self._meter is not None:
                self._meter.say_once(message)
            case {"log": str(name), "level": int(level), "message": str(message)}:
                logging.getLogger(name).log(level, "%s", message)
            case {"error": str(kind), "message": str(message)}:
                raise self._end(_ERRORS.get(kind, CameraError)(message))
            case {"ended": int(code)}:
                raise self._end(CameraError(f"the camera's process ended {_how(code)}"))

    def _take_ring(self, descriptor: int, width: int, height: int) -> None:
        if min(width, height) < 1 or width * height > MAX_FRAME_PIXELS:
            os.close(descriptor)
            raise ValueError(f"that its frames have {width} x {height} pixels")
        ring = RingReader(descriptor, ring_shape(width, height), self._buffers)
        if self._ring is not None:
            self._ring.close()
        self._ring, self._placed = ring, None

    def _take(self) -> Frame | None:
        """The frame that was told last; None where none was, or another has taken its place."""
        placed, self._placed = self._placed, None
        if placed is None or self._ring is None:
            return None
        slot, index, seconds, captured_at, intra = placed
        pixels = self._ring.read(slot, index)
        return None if pixels is None else Frame(pixels, seconds, captured_at, index, intra=intra)

    def _tell_light(self) -> None:
        looked, light = (False, None) if self._meter is None else self._meter.take()
        if looked and self._ending is None:
            told = None if light is None else [float(light.level), float(light.clipped)]
            with suppress(OSError):
                send_now(self._link, {"light": told})

    def _stuck(self, seconds: float) -> CameraError:
        return self._end(CameraStuckError(f"its driver has not answered for {seconds:g} s"))

    def _end(self, error: CameraError) -> CameraError:
        """Note that nothing more comes."""
        self._ending = error
        return error


def _how(code: int) -> str:
    """How a process ended, by its exit code as Python tells it."""
    if code >= 0:
        return f"by itself ({code})"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"by {name}: its driver or a decoder crashed, or somebody killed it"
