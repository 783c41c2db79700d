"""Memory that the process holds and no longer needs, given back to the system.

Starting touches much that running does not: the symbol tables and initializers of large libraries,
and the weights of compiled networks, which OpenVINO maps from its cache and then copies into the
order that the processor likes. Knows nothing of what the memory held.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from pathlib import Path

# linux/mman.h, since Linux 5.4: the system may take these pages; they come back when touched.
_MADV_PAGEOUT = 21


def give_back_memory() -> None:
    """Give back what the allocator keeps free, and pages of files until they are touched again.

    Nothing is lost, whatever a page is used for; where the system knows no such thing, nothing
    happens. What there is by now is taken as lasting: Python's garbage collector does not look
    through it any more, which with 100,000 people would hold a frame up for 60 ms now and then.
    Call it once, after starting.
    """
    gc.collect()
    gc.freeze()
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):  # glibc's own
        library.malloc_trim(0)
    for start, end in _mapped_files():
        library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_PAGEOUT)


def _mapped_files() -> Iterator[tuple[int, int]]:
    """Address ranges of mapped files that are only read."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, permissions, _, device, inode, *_ = line.split()
        if permissions[1] == "-" and inode != "0" and device != "00:00":
            start, end = addresses.split("-")
            yield int(start, 16), int(end, 16)
