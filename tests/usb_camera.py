"""A USB camera that is calculated: the kernel's own driver of webcams (uvcvideo) takes it for one.

It speaks USB/IP to the kernel's virtual host controller (vhci_hcd) as if a webcam were plugged in
over a network, and USB Video Class 1.0 above it: an exposure that is automatic or by hand, gain and
brightness, and a picture of 320 by 240 that follows them. What a webcam refuses, as an exposure
time while its automatic is on, it refuses.

USB/IP: Documentation/usb/usbip_protocol.rst of the kernel. UVC: Universal Serial Bus Device Class
Definition for Video Devices 1.0.
"""

from __future__ import annotations

import errno
import socket
import struct
import threading
import time
from collections import deque
from pathlib import Path

import numpy as np

from doorbell.domain import UInt8Array

HOST_CONTROLLER = Path("/sys/devices/platform/vhci_hcd.0")
WIDTH, HEIGHT = 320, 240
FRAME_SECONDS = 0.1
# Where the dark face is, left to right and top to bottom.
FACE_XYXY = (120, 80, 200, 180)
FACE_LIGHT, AROUND_LIGHT = 0.008, 0.7

_HIGH_SPEED = 3
_FREE_PORT = 4
_HEADER = struct.Struct(">IIIII28s")
_SUBMIT = struct.Struct(">IiiiI8s")
_ANSWER = struct.Struct(">IIIIIiiiii8x")
_SETUP = struct.Struct("<BBHHH")
_CMD_SUBMIT, _CMD_UNLINK, _RET_SUBMIT, _RET_UNLINK = 1, 2, 3, 4

_CAMERA, _PROCESSING = 1, 2  # the units that have controls
_AE_MODE, _EXPOSURE, _BRIGHTNESS, _GAIN = (1, 2), (1, 4), (2, 2), (2, 4)
_MANUAL, _APERTURE_PRIORITY = 1, 8
_SET_CUR, _GET_CUR, _GET_MIN, _GET_MAX, _GET_RES = 0x01, 0x81, 0x82, 0x83, 0x84
_GET_LEN, _GET_INFO, _GET_DEF = 0x85, 0x86, 0x87
# Bytes; then minimum, maximum, resolution (of a mode: which there are) and default.
_CONTROLS = {
    _AE_MODE: (1, {_GET_RES: _MANUAL | _APERTURE_PRIORITY, _GET_DEF: _APERTURE_PRIORITY}),
    _EXPOSURE: (4, {_GET_MIN: 3, _GET_MAX: 2047, _GET_RES: 1, _GET_DEF: 100}),
    _BRIGHTNESS: (2, {_GET_MIN: 0, _GET_MAX: 255, _GET_RES: 1, _GET_DEF: 128}),
    _GAIN: (2, {_GET_MIN: 0, _GET_MAX: 255, _GET_RES: 1, _GET_DEF: 0}),
}
_PAYLOAD = 16384
_FRAME_BYTES = WIDTH * HEIGHT * 2
_INTERVAL = round(FRAME_SECONDS * 1e7)


class UsbCamera:
    """The webcam; plugged in while it is open.

    Raises:
        OSError: this kernel has no virtual host controller, or this user may not use it.
    """

    def __init__(self) -> None:
        self.values = {key: ranges[_GET_DEF] for key, (_, ranges) in _CONTROLS.items()}
        self.refusals = 0
        self._probe = struct.pack(
            "<HBBI5HII", 0, 1, 1, _INTERVAL, 0, 0, 0, 0, 0, _FRAME_BYTES, _PAYLOAD
        )
        self._error = 0
        self._waiting: deque[tuple[int, int]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._port = _free_port()
        with theirs:
            attached = f"{self._port} {theirs.fileno()} 65538 {_HIGH_SPEED}"
            (HOST_CONTROLLER / "attach").write_text(attached)
        self._threads = [
            threading.Thread(target=run, name="USB camera", daemon=True)
            for run in (self._answer, self._stream)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def is_automatic(self) -> bool:
        return self.values[_AE_MODE] != _MANUAL

    @property
    def exposure_time(self) -> int:
        return self.values[_EXPOSURE]

    @property
    def gain(self) -> int:
        return self.values[_GAIN]

    def close(self) -> None:
        """Pull it out; idempotent."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        (HOST_CONTROLLER / "detach").write_text(str(self._port))
        self._ours.close()

    def _answer(self) -> None:
        """Take what the host asks for, until it is pulled out."""
        while True:
            try:
                command, number, _, inwards, endpoint, rest = _HEADER.unpack(self._receive(48))
                if command == _CMD_UNLINK:
                    self._unlink(number, struct.unpack(">I", rest[:4])[0])
                    continue
                _, length, _, _, _, setup = _SUBMIT.unpack(rest)
                data = b"" if inwards else self._receive(length)
            except OSError:
                return
            if endpoint:
                with self._changed:
                    self._waiting.append((number, length))
                    self._changed.notify_all()
                continue
            answer = self._control(setup, data)
            if answer is None:
                self._return(number, -errno.EPIPE, b"")
            else:
                self._return(number, 0, answer[:length] if inwards else b"", len(data))

    def _receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self._ours.recv(count - len(data))
            if not piece:
                raise ConnectionResetError
            data += piece
        return data

    def _return(self, number: int, status: int, data: bytes, taken: int = 0) -> None:
        header = _ANSWER.pack(_RET_SUBMIT, number, 0, 0, 0, status, len(data) or taken, 0, 0, 0)
        self._ours.sendall(header + data)

    def _unlink(self, number: int, unlinked: int) -> None:
        with self._changed:
            left = [each for each in self._waiting if each[0] != unlinked]
            status = -errno.ECONNRESET if len(left) < len(self._waiting) else 0
            self._waiting = deque(left)
            self._ours.sendall(struct.pack(">IIIIIi24x", _RET_UNLINK, number, 0, 0, 0, status))

    def _control(self, setup: bytes, data: bytes) -> bytes | None:
        """Answer a request on endpoint 0; None refuses it."""
        kind, request, value, index, _ = _SETUP.unpack(setup)
        if kind == 0x80 and request == 6:
            return {1: DEVICE, 2: CONFIGURATION}.get(value >> 8)
        if kind & 0x60 == 0:  # configurations, interfaces and halts are all the same to it
            return bytes(2) if kind & 0x80 else b""
        unit, selector = index >> 8, value >> 8
        if index & 0xFF == 1:
            return self._negotiate(request)
        if unit == 0:
            return bytes([self._error])
        return self._unit(request, (unit, selector), data)

    def _negotiate(self, request: int) -> bytes:
        """Whatever is asked for, it has one picture of one size."""
        answers = {_SET_CUR: b"", _GET_LEN: _word(len(self._probe)), _GET_INFO: b"\3"}
        return answers.get(request, self._probe)

    def _unit(self, request: int, key: tuple[int, int], data: bytes) -> bytes | None:
        if key not in _CONTROLS:
            return None
        size, ranges = _CONTROLS[key]
        if request == _SET_CUR:
            if key == _EXPOSURE and self.is_automatic:
                self._error = 4  # wrong state
                self.refusals += 1
                return None
            self.values[key] = int.from_bytes(data, "little")
            return b""
        if request in (_GET_INFO, _GET_LEN):
            return {_GET_INFO: b"\3", _GET_LEN: _word(size)}[request]
        return (ranges | {_GET_CUR: self.values[key]}).get(request, 0).to_bytes(size, "little")

    def _stream(self) -> None:
        """Send pictures, as long as somebody asks for them."""
        index = 0
        while True:
            begin = time.monotonic()
            picture = self._picture()
            for start in range(0, len(picture), _PAYLOAD - 2):
                part = picture[start : start + _PAYLOAD - 2]
                last = start + len(part) == len(picture)
                with self._changed:
                    self._changed.wait_for(lambda: self._waiting or self._closed)
                    if self._closed:
                        return
                    number, _ = self._waiting.popleft()
                    try:
                        header = bytes([2, 0x80 | index % 2 | 2 * last])
                        self._return(number, 0, header + part)
                    except OSError:
                        return
            index += 1
            time.sleep(max(0.0, begin + FRAME_SECONDS - time.monotonic()))

    def _picture(self) -> bytes:
        """What its sensor makes of the light: YUYV, with noise, so that it is no frozen one."""
        exposure = 1.0 if self.is_automatic else self.exposure_time / 100
        light = np.full((HEIGHT, WIDTH), AROUND_LIGHT)
        left, top, right, bottom = FACE_XYXY
        light[top:bottom, left:right] = FACE_LIGHT
        light *= exposure * 2.0 ** (4 * self.gain / 255)
        grey = 255 * np.clip(light, 0, 1) ** (1 / 2.2) + self.values[_BRIGHTNESS] - 128
        grey += np.random.default_rng().normal(0, 1.0, grey.shape)
        pixels: UInt8Array = np.full((HEIGHT, WIDTH, 2), 128, np.uint8)
        pixels[..., 0] = 16 + np.clip(grey, 0, 255) * (219 / 255)
        return pixels.tobytes()


def _free_port() -> int:
    """A port of the virtual controller for a device of high speed that nothing is plugged into."""
    for line in (HOST_CONTROLLER / "status").read_text().splitlines()[1:]:
        hub, port, state = line.split()[:3]
        if hub == "hs" and int(state) == _FREE_PORT:
            return int(port)
    raise OSError(errno.EBUSY, "every port of the virtual host controller is taken")


def _descriptor(*fields: bytes | int) -> bytes:
    content = b"".join(bytes([each]) if isinstance(each, int) else each for each in fields)
    return bytes([len(content) + 1]) + content


def _word(value: int) -> bytes:
    return struct.pack("<H", value)


def _long(value: int) -> bytes:
    return struct.pack("<I", value)


DEVICE = _descriptor(
    *(1, _word(0x0200), 0xEF, 2, 1, 64),
    *(_word(0x1D6B), _word(0x0102), _word(0x0100), 0, 0, 0, 1),
)
_UNITS = b"".join(
    (
        _descriptor(0x24, 2, _CAMERA, _word(0x0201), 0, 0, bytes(6), 3, bytes([0x0A, 0, 0])),
        _descriptor(0x24, 5, _PROCESSING, _CAMERA, _word(0), 2, bytes([0x01, 0x02]), 0),
        _descriptor(0x24, 3, 3, _word(0x0101), 0, _PROCESSING, 0),
    )
)
_YUYV = bytes.fromhex("5955593200001000800000aa00389b71")
_FORMATS = b"".join(
    (
        _descriptor(0x24, 4, 1, 1, _YUYV, 16, 1, 0, 0, 0, 0),
        _descriptor(
            *(0x24, 5, 1, 0, _word(WIDTH), _word(HEIGHT)),
            *(_long(8 * _FRAME_BYTES), _long(80 * _FRAME_BYTES), _long(_FRAME_BYTES)),
            *(_long(_INTERVAL), 1, _long(_INTERVAL)),
        ),
    )
)
_INTERFACES = b"".join(
    (
        _descriptor(0x0B, 0, 2, 0x0E, 3, 0, 0),
        _descriptor(4, 0, 0, 0, 0x0E, 1, 0, 0),
        _descriptor(0x24, 1, _word(0x0100), _word(13 + len(_UNITS)), _long(48000000), 1, 1),
        _UNITS,
        _descriptor(4, 1, 0, 1, 0x0E, 2, 0, 0),
        _descriptor(0x24, 1, 1, _word(14 + len(_FORMATS)), 0x81, 0, 3, 0, 0, 0, 1, 0),
        _FORMATS,
        _descriptor(5, 0x81, 2, _word(512), 0),
    )
)
CONFIGURATION = _descriptor(2, _word(9 + len(_INTERFACES)), 2, 1, 0, 0x80, 50) + _INTERFACES
