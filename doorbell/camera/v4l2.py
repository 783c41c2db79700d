"""The exposure controls of a Video4Linux device, asked and set while another reads its pictures.

A device can be opened more than once, and its controls belong to all who have it open, so this
works beside OpenCV and jetson-utils alike. The only place that knows V4L2's ioctls.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path

from doorbell.camera.controls import Control, Name

# linux/videodev2.h and linux/v4l2-controls.h; the tests compare it all with the headers.
QUERYCTRL = struct.Struct("=II32siiiiI2I")  # id, type, name, min, max, step, default, flags
QUERYMENU = struct.Struct("=II32sI")  # id, index, name, reserved
CONTROL = struct.Struct("=Ii")  # id, value


def _request(number: int, layout: struct.Struct) -> int:
    """_IOWR('V', number, layout), as most architectures have it (asm-generic/ioctl.h)."""
    return 3 << 30 | layout.size << 16 | ord("V") << 8 | number


VIDIOC_G_CTRL = _request(27, CONTROL)
VIDIOC_S_CTRL = _request(28, CONTROL)
VIDIOC_QUERYCTRL = _request(36, QUERYCTRL)
VIDIOC_QUERYMENU = _request(37, QUERYMENU)

IDS = {
    Name.EXPOSURE_AUTO: 0x009A0901,
    Name.EXPOSURE_TIME: 0x009A0902,
    Name.GAIN_AUTO: 0x00980912,
    Name.GAIN: 0x00980913,
    Name.BACKLIGHT: 0x0098091C,
    Name.BRIGHTNESS: 0x00980900,
}
TYPE_MENU = 3
FLAG_DISABLED, FLAG_READ_ONLY, FLAG_WRITE_ONLY = 0x01, 0x04, 0x40

# A control or menu item that is not there. UVC cameras that stumble over one answer with EIO.
_ABSENT = frozenset({errno.EINVAL, errno.ENOTTY, errno.EIO, errno.EACCES})


class V4l2Controls:
    """The controls of one device.

    Args:
        device: as in /dev/video0.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, device: Path) -> None:
        self._descriptor: int | None = os.open(device, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def read(self) -> dict[Name, Control]:
        """Tell the controls that are there and may be set."""
        found = ((name, self._read(id_)) for name, id_ in IDS.items())
        return {name: control for name, control in found if control is not None}

    def set(self, name: Name, value: int) -> None:
        """Set one; the driver takes the nearest value that it has."""
        self._ask(VIDIOC_S_CTRL, CONTROL.pack(IDS[name], value))

    def close(self) -> None:
        """Close the device; idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _read(self, id_: int) -> Control | None:
        asked = QUERYCTRL.pack(id_, 0, b"", 0, 0, 0, 0, 0, 0, 0)
        try:
            answer = QUERYCTRL.unpack(self._ask(VIDIOC_QUERYCTRL, asked))
            _, kind, _, minimum, maximum, step, default, flags, *_ = answer
            if flags & (FLAG_DISABLED | FLAG_READ_ONLY | FLAG_WRITE_ONLY):
                return None
            _, value = CONTROL.unpack(self._ask(VIDIOC_G_CTRL, CONTROL.pack(id_, 0)))
        except OSError as exc:
            if exc.errno in _ABSENT:
                return None
            raise
        items = range(minimum, maximum + 1) if kind == TYPE_MENU else ()
        choices = tuple(index for index in items if self._offers(id_, index))
        return Control(minimum, maximum, step, default, value, choices)

    def _offers(self, id_: int, index: int) -> bool:
        try:
            self._ask(VIDIOC_QUERYMENU, QUERYMENU.pack(id_, index, b"", 0))
        except OSError as exc:
            if exc.errno in _ABSENT:
                return False
            raise
        return True

    def _ask(self, request: int, asked: bytes) -> bytes:
        if self._descriptor is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return fcntl.ioctl(self._descriptor, request, asked)
