"""What a camera's process does: open the camera, and pass its frames on until nobody wants them.

It says over its socket ``started``, ``opened``, ``ring`` (the memory of the frames that follow),
``frame`` (where in it), ``error``, and what it logs (``log``, ``say_once``); it is told the light
of faces (``light``), and is to close the camera where nothing more can come.
"""

from __future__ import annotations

import logging
import socket
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from doorbell.camera import Camera, open_camera
from doorbell.camera.exposed import FaceMeter, open_exposed
from doorbell.camera.frame_health import refuse_malformed
from doorbell.camera.opencv import OpenCvCamera
from doorbell.camera.process.messages import receive, ring_shape, send, send_now
from doorbell.config import CameraSection
from doorbell.errors import CameraError
from doorbell.imaging.frame_ring import RingWriter
from doorbell.imaging.light import FaceLight


def read_camera(link: socket.socket, asked: dict[str, Any]) -> None:
    """Open a camera and pass its frames on.

    Args:
        link: to the daemon.
        asked: what it has asked for: ``camera``, ``faces``, ``exposed`` and ``level``.

    Raises:
        OSError: the daemon is gone.
    """
    logging.basicConfig(level=asked["level"], handlers=[_Told(link)], force=True)
    section = CameraSection.model_validate(asked["camera"])
    faces = None if asked["faces"] is None else Path(asked["faces"])
    meter = _Meter(link) if asked["exposed"] else None
    cv2.setNumThreads(1)
    try:
        if meter is None:
            camera = open_camera(section, faces)
        else:
            camera = open_exposed(section, faces, meter)
        with closing(camera):
            send(link, {"opened": True})
            _pass_on(camera, link, meter)
    except CameraError as exc:
        send(link, {"error": type(exc).__name__, "message": str(exc)})


def _pass_on(camera: Camera, link: socket.socket, meter: FaceMeter | None) -> None:
    ring: RingWriter | None = None
    while _is_wanted(link, meter):
        ring = _pass_frame(camera, link, ring)


def _pass_frame(camera: Camera, link: socket.socket, ring: RingWriter | None) -> RingWriter:
    """Read a frame into memory, which is another where its size is; that memory."""
    place = None if ring is None else ring.begin()
    if isinstance(camera, OpenCvCamera):
        camera.memory = None if place is None else place[1]
    frame = camera.read()
    refuse_malformed(frame)
    shape = ring_shape(frame.width, frame.height)
    if ring is None or place is None or ring.shape != shape:
        ring = RingWriter(shape)
        send(link, {"ring": [shape.width, shape.height]}, ring.descriptor)
        place = ring.begin()
    slot, pixels = place
    if frame.pixels is not pixels:
        np.copyto(pixels, frame.pixels)
    ring.end(slot, frame.index)
    times = (float(frame.time_seconds), float(frame.captured_at))
    send_now(link, {"frame": (slot, frame.index, *times, frame.intra)})
    return ring


def _is_wanted(link: socket.socket, meter: FaceMeter | None) -> bool:
    """Take in what the daemon tells; whether it wants more frames."""
    while True:
        try:
            told = receive(link)
        except BlockingIOError:
            return True
        if told is None:
            return False
        if meter is not None:
            match told[0]:
                case {"light": None}:
                    meter.note(None)
                case {"light": [level, clipped]}:
                    meter.note(FaceLight(level, clipped))


class _Meter(FaceMeter):
    """What the daemon's meter tells, and is told."""

    def __init__(self, link: socket.socket) -> None:
        super().__init__()
        self._link = link

    def say_once(self, message: str) -> None:
        """Let the daemon log it, which outlives a camera that is opened again."""
        send(self._link, {"say_once": message})


class _Told(logging.Handler):
    """Lets the daemon log what is logged here."""

    def __init__(self, link: socket.socket) -> None:
        super().__init__()
        self._link = link

    def emit(self, record: logging.LogRecord) -> None:
        """Send it, if there is room for it."""
        with suppress(OSError):
            told = {"log": record.name, "level": record.levelno, "message": self.format(record)}
            send_now(self._link, told)
