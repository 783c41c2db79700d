"""Frames in shared memory: one process writes and never waits, others read what is newest.

A ring of slots in a file that has no name (``memfd_create``) and is gone with the last who
holds it. Its writer alone may write: the kernel refuses others a writable mapping. A slot begins
with a number that is odd while it is being written; a reader copies, looks whether the number is
still the same, and else has missed that frame.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import weakref
from dataclasses import dataclass

import numpy as np

from doorbell.domain import UInt8Array
from doorbell.imaging.frame_buffers import FrameBuffers

SLOTS = 3
_SLOT_HEAD = struct.Struct("<QQ")  # the number of the writing, and of the frame
_HEAD_BYTES = 64
# Linux 5.1: whoever maps it from now on cannot write to it. Python 3.10 does not name it.
_F_SEAL_FUTURE_WRITE = 0x0010


@dataclass(frozen=True, slots=True)
class RingShape:
    """The size of what is in a ring.

    Attributes:
        width, height: of each frame, pixels; three bytes each, RGB.
        slots: how many frames are kept; two or more.
    """

    width: int
    height: int
    slots: int = SLOTS

    @property
    def slot_bytes(self) -> int:
        """Of a slot with its head."""
        return _HEAD_BYTES + self.width * self.height * 3

    @property
    def file_bytes(self) -> int:
        """Of the whole ring."""
        return self.slots * self.slot_bytes


class RingWriter:
    """The one who writes.

    Args:
        shape: of the frames.

    Attributes:
        descriptor: of the file, to be sent to readers; open as long as the writer is there.
    """

    def __init__(self, shape: RingShape) -> None:
        self.shape = shape
        self.descriptor = os.memfd_create("frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.descriptor, shape.file_bytes)
        self._memory = mmap.mmap(self.descriptor, shape.file_bytes)
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | _F_SEAL_FUTURE_WRITE
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, seals)
        weakref.finalize(self, os.close, self.descriptor)  # readers have descriptors of their own
        self._slots = [_pixels(self._memory, shape, slot) for slot in range(shape.slots)]
        self._writing = [0] * shape.slots
        self._next = 0

    def begin(self) -> tuple[int, UInt8Array]:
        """Open the next slot; its place, and (height, width, 3) uint8 to be filled."""
        slot = self._next
        self._next = (slot + 1) % self.shape.slots
        self._writing[slot] += 1
        _SLOT_HEAD.pack_into(self._memory, slot * self.shape.slot_bytes, self._writing[slot], 0)
        return slot, self._slots[slot]

    def end(self, slot: int, sequence: int) -> None:
        """Close a slot that was filled with the frame of that number."""
        self._writing[slot] += 1
        _SLOT_HEAD.pack_into(
            self._memory, slot * self.shape.slot_bytes, self._writing[slot], sequence
        )


class RingReader:
    """One who reads.

    Args:
        descriptor: of the file; it is closed with the reader.
        shape: of the frames.
        buffers: frames are copied into; its own without.

    Raises:
        ValueError: the file is no ring of that shape.
    """

    def __init__(
        self, descriptor: int, shape: RingShape, buffers: FrameBuffers | None = None
    ) -> None:
        self.shape = shape
        self._buffers = buffers or FrameBuffers()
        try:
            # Of a file that its writer can cut short, reading would end this process.
            if not fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK:
                raise ValueError("the frames in memory can be cut short")
            if os.fstat(descriptor).st_size != shape.file_bytes:
                raise ValueError("the frames in memory are not as large as was said")
            self._memory = mmap.mmap(descriptor, shape.file_bytes, prot=mmap.PROT_READ)
        except OSError as exc:
            raise ValueError(f"cannot read the frames in memory: {exc.strerror}") from exc
        finally:
            os.close(descriptor)

    def read(self, slot: int, sequence: int) -> UInt8Array | None:
        """Copy a frame, (height, width, 3) uint8; None where another has taken its place.

        Raises:
            ValueError: there is no such slot.
        """
        if not 0 <= slot < self.shape.slots:
            raise ValueError(f"there is no slot {slot}")
        before = self._head(slot)
        if before[0] % 2 or before[1] != sequence:
            return None
        copied = self._buffers.take(self.shape.width, self.shape.height)
        np.copyto(copied, _pixels(self._memory, self.shape, slot))
        return copied if self._head(slot) == before else None

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()

    def _head(self, slot: int) -> tuple[int, int]:
        writing, sequence = _SLOT_HEAD.unpack_from(self._memory, slot * self.shape.slot_bytes)
        return writing, sequence


def _pixels(memory: mmap.mmap, shape: RingShape, slot: int) -> UInt8Array:
    pixels = np.frombuffer(
        memory,
        np.uint8,
        count=shape.width * shape.height * 3,
        offset=slot * shape.slot_bytes + _HEAD_BYTES,
    )
    return pixels.reshape(shape.height, shape.width, 3)
