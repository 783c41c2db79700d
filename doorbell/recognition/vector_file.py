"""A file of many vectors that several processes map, and a journal of what has changed behind them.

The vectors are written once; whatever comes or goes later is a record at the end of the file. So
who reads sees each vector whole: a record counts once its checksum is right, and what is made anew
is another file, moved to the place of this one. One process writes.

    header | identifiers | high bytes | low bytes | journal, which grows

A vector that is gone is overwritten once the journal says that it is gone, wherever it lies.
"""

from __future__ import annotations

import mmap
import os
import struct
import weakref
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from doorbell.domain import UInt8Array
from doorbell.errors import GalleryError
from doorbell.recognition.fixed_point import ERASED

_MAGIC = b"DOORVEC\n"
_VERSION = 1
# Magic, version, dimensions, rows, the model's name; then the checksum of these.
_HEAD = struct.Struct("<8sIIQ64s")
_CHECKSUM = struct.Struct("<I")

# Where parts begin: on a page of memory, whichever size those have.
_ALIGNMENT = 65_536

# Vectors encoded, and records read, at a time.
BLOCK_ROWS = 4_096


class Kind(IntEnum):
    """What a record says."""

    ERASED = 0  # nothing any more
    PUT = 1
    REMOVED = 2


@dataclass(frozen=True, eq=False, slots=True)
class Record:
    """One change.

    Attributes:
        number: its place in the journal.
        kind: what it says.
        vector_id: of which vector.
        high, low: (d,) uint8, the vector; zeros where there is none.
    """

    number: int
    kind: Kind
    vector_id: int
    high: UInt8Array
    low: UInt8Array


class VectorFile:
    """One open file. Whoever maps it may read it while another process writes.

    Args:
        descriptor: of the file; it is closed with this.
        model_id: whose vectors are expected.

    Attributes:
        ids: (n,) int64, ascending: of the vectors that were there at first.
        high, low: (n, d) uint8, those vectors in fixed point; mapped, and not to be written.
        damaged: how many records were found spoilt and passed over.

    Raises:
        GalleryError: it is damaged, cut off, of a later version or of another model.
    """

    def __init__(self, descriptor: int, model_id: str) -> None:
        self.descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)
        rows, dimensions = _read_head(descriptor, model_id)
        at = _places(rows, dimensions)
        if os.fstat(descriptor).st_size < at.journal:
            raise GalleryError("the index of vectors is cut off; delete it, it is made anew")
        self._at = at
        self._record = _record_type(dimensions)
        self._memory = mmap.mmap(descriptor, at.journal, prot=mmap.PROT_READ)
        if rows:  # of the low bytes a page is wanted here and there
            self._memory.madvise(mmap.MADV_RANDOM, at.low, at.journal - at.low)
        self.ids: NDArray[np.int64] = np.frombuffer(self._memory, "<i8", rows, at.ids)
        self.high, self.low = (
            np.frombuffer(self._memory, np.uint8, rows * dimensions, start).reshape(
                rows, dimensions
            )
            for start in (at.high, at.low)
        )
        self.damaged = 0

    @property
    def records(self) -> int:
        """How many records there are, whole or not."""
        return (os.fstat(self.descriptor).st_size - self._at.journal) // self._record.itemsize

    def place(self, vector_id: int) -> int | None:
        """Which of ``ids`` it is."""
        place = int(np.searchsorted(self.ids, vector_id))
        return place if place < len(self.ids) and self.ids[place] == vector_id else None

    def records_from(self, number: int) -> Iterator[Record]:
        """The records from one on, as far as they are whole.

        One that is not whole and the last is being written, or its writer was killed. One with
        others behind it was spoilt, or is just being overwritten because it is of no use any more.
        """
        size = self._record.itemsize
        last = self.records - 1
        while number <= last:
            wanted = min(last + 1 - number, BLOCK_ROWS)
            stored = os.pread(self.descriptor, wanted * size, self._at.journal + number * size)
            block = np.frombuffer(stored, self._record, len(stored) // size)
            if not len(block):
                return
            for place, row in enumerate(block):
                if zlib.crc32(stored[place * size + 4 : (place + 1) * size]) == row["checksum"]:
                    kind = Kind(int(row["kind"]))
                    yield Record(number, kind, int(row["id"]), row["high"], row["low"])
                elif number == last:
                    return
                else:
                    self.damaged += 1
                number += 1

    def cut_off(self, records: int) -> None:
        """Drop what follows so many records: half a record, of a writer that was killed."""
        os.ftruncate(self.descriptor, self._at.journal + records * self._record.itemsize)

    def write(self, record: Record) -> None:
        """Write a record at its place: behind the last one, or over one of no use any more."""
        row = np.zeros((), self._record)
        row["kind"], row["id"] = record.kind, record.vector_id
        row["high"], row["low"] = record.high, record.low
        row["checksum"] = zlib.crc32(row.tobytes()[4:])
        at = self._at.journal + record.number * self._record.itemsize
        _write(self.descriptor, row.tobytes(), at)

    def erase(self, place: int) -> None:
        """Overwrite one of the vectors that were there at first."""
        nothing = bytes([ERASED]) * self.high.shape[1]
        for start in (self._at.high, self._at.low):
            _write(self.descriptor, nothing, start + place * len(nothing))


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the parts of a file begin, bytes."""

    ids: int
    high: int
    low: int
    journal: int


def write_vectors(
    descriptor: int,
    model_id: str,
    ids: NDArray[np.int64],
    blocks: Iterable[tuple[UInt8Array, UInt8Array]],
    dimensions: int,
) -> None:
    """Fill an empty file.

    Args:
        descriptor: of the file.
        model_id: whose vectors they are, at most 64 bytes.
        ids: (n,) int64, ascending.
        blocks: the vectors in this order, encoded, (m, d) uint8 each.
        dimensions: d.

    Raises:
        OSError: the disk is full, or the like.
    """
    at = _places(len(ids), dimensions)
    head = _HEAD.pack(_MAGIC, _VERSION, dimensions, len(ids), model_id.encode())
    os.ftruncate(descriptor, at.journal)
    _write(descriptor, ids.astype("<i8").tobytes(), at.ids)
    row = 0
    for high, low in blocks:
        _write(descriptor, high.tobytes(), at.high + row * dimensions)
        _write(descriptor, low.tobytes(), at.low + row * dimensions)
        row += len(high)
    _write(descriptor, head + _CHECKSUM.pack(zlib.crc32(head)), 0)


def _read_head(descriptor: int, model_id: str) -> tuple[int, int]:
    """How many rows of how many numbers."""
    stored = os.pread(descriptor, _HEAD.size + _CHECKSUM.size, 0)
    head = stored[: _HEAD.size]
    if len(stored) < _HEAD.size + _CHECKSUM.size or not head.startswith(_MAGIC):
        raise GalleryError("this is no index of vectors; delete it, it is made anew")
    if _CHECKSUM.unpack(stored[_HEAD.size :])[0] != zlib.crc32(head):
        raise GalleryError("the head of the index of vectors is damaged; delete it")
    _, version, dimensions, rows, name = _HEAD.unpack(head)
    if version != _VERSION:
        raise GalleryError(f"the index of vectors is of version {version}, not {_VERSION}")
    found = name.rstrip(b"\0").decode("utf-8", "replace")
    if found != model_id:
        raise GalleryError(f"the index of vectors is of {found!r}, not of {model_id!r}")
    return rows, dimensions


def _places(rows: int, dimensions: int) -> _Places:
    ids = _ALIGNMENT
    high = _aligned(ids + 8 * rows)
    low = _aligned(high + dimensions * rows)
    return _Places(ids, high, low, _aligned(low + dimensions * rows))


def _aligned(at: int) -> int:
    return -(-at // _ALIGNMENT) * _ALIGNMENT


def _record_type(dimensions: int) -> np.dtype[np.void]:
    return np.dtype(
        [
            ("checksum", "<u4"),
            ("kind", "<u4"),
            ("id", "<i8"),
            ("high", np.uint8, (dimensions,)),
            ("low", np.uint8, (dimensions,)),
        ]
    )


def _write(descriptor: int, content: bytes, at: int) -> None:
    while content:
        written = os.pwrite(descriptor, content, at)
        content, at = content[written:], at + written
