"""Memory for frames, used again once nobody looks at the frame that was in it.

Large arrays that come and go leave holes in the heap that others do not fit into; and what the
system gives anew has to be cleared by it each time.
"""

from __future__ import annotations

import ctypes
import mmap
import weakref
from collections import deque
from contextlib import suppress

import numpy as np

from doorbell.domain import UInt8Array

# So many are kept that nobody uses. With four doors that many come and go.
SPARE = 6


class FrameBuffers:
    """Lends memory, to any thread.

    Args:
        spare: how much of what came back is kept, in frames; the rest goes to the system.
    """

    def __init__(self, spare: int = SPARE) -> None:
        self._free: deque[mmap.mmap] = deque(maxlen=spare)

    def take(self, width: int, height: int) -> UInt8Array:
        """Memory for a frame, (height, width, 3) uint8, with anything in it.

        It comes back by itself when this array is gone, and every other that shows a part of it.
        """
        size = width * height * 3
        memory = self._spare(size) or mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE)
        lent = (ctypes.c_uint8 * size).from_buffer(memory)
        weakref.finalize(lent, self._free.append, memory).atexit = False
        pixels: UInt8Array = np.frombuffer(lent, np.uint8)  # type: ignore[call-overload]
        return pixels.reshape(height, width, 3)

    def _spare(self, size: int) -> mmap.mmap | None:
        """One of that size that is free; cameras may differ."""
        for memory in tuple(self._free):
            if len(memory) == size:
                with suppress(ValueError):  # another thread was sooner
                    self._free.remove(memory)
                    return memory
        return None
