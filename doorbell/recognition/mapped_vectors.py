"""Vectors of a mapped file with what has changed since it was written, and the most alike of them.

The high bytes of all are looked at, those nearest by the sum of absolute differences compared by
their high bytes, and the best of these in full.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from doorbell.domain import Float32Array, UInt8Array
from doorbell.errors import GalleryError
from doorbell.recognition.fixed_point import (
    HIGH_ERROR,
    HIGH_ONE,
    decode,
    decode_roughly,
    encode,
    nearest,
    sums,
)
from doorbell.recognition.nearest import Ids, RecentVectors
from doorbell.recognition.vector_file import BLOCK_ROWS, Kind, Record, VectorFile

Places: TypeAlias = NDArray[np.int64]

# So many rows are looked at in one go; half of these blocks by a second thread.
SEARCHED_ROWS = 32_768

# So many rows are compared by their high bytes at least, and so many of each block.
CANDIDATES = 1_000
CANDIDATES_OF_BLOCK = 64

# Of two vectors the sum of absolute differences is at most so many times their distance, and a
# little more by rounding. Of 50,000 pairs of photographs (Labeled Faces in the Wild, 2026-11-29) it
# was 9.0 times the distance, at least 8.1 and at most 9.8; where every number differs by the same
# it is the square root of 128 times that, 11.3.
SUM_PER_DISTANCE = 10.3
SUM_ROUNDED = 0.3


class MappedVectors:
    """One file, and what its journal says; all vectors are turned.

    Args:
        file: to be searched.
        writes: whether this process alone changes it.

    Attributes:
        removed: (n,) bool, which of the vectors that were there at first are gone.
        recent: those that have come since.
    """

    def __init__(self, file: VectorFile, *, writes: bool) -> None:
        self.writes = writes
        self._file = file
        self.removed = np.zeros(len(file.ids), np.bool_)
        self.recent = RecentVectors(self.dimensions)
        self._alive = len(file.ids)
        self._record_of: dict[int, int] = {}  # where the journal holds a vector
        self._next = 0  # record
        self._threads = ThreadPoolExecutor(1, "nearest")
        self.follow()
        if writes:
            file.cut_off(self._next)
            for place in np.flatnonzero(self.removed).tolist():  # it may have been killed before
                file.erase(place)

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has."""
        return self._file.high.shape[1]

    @property
    def changes(self) -> int:
        """How many records there are."""
        return self._next

    def __len__(self) -> int:
        return self._alive + len(self.recent)

    def __contains__(self, vector_id: int) -> bool:
        return vector_id in self.recent or self._place(vector_id) is not None

    def is_at(self, path: Path) -> bool:
        """Whether it is still this file that is there."""
        try:
            return os.path.samestat(path.stat(), os.fstat(self._file.descriptor))
        except FileNotFoundError:  # whoever deletes it makes another
            return True

    def kept(self) -> tuple[Ids, Places, Ids, Float32Array]:
        """What the file holds, by identifiers and places, and what has changed since."""
        places = np.flatnonzero(~self.removed)
        return self._file.ids[places], places, *self.recent.copy()

    def rows(self, places: Places) -> tuple[UInt8Array, UInt8Array]:
        """Of vectors in the file, (m, d) uint8 each."""
        return self._file.high[places], self._file.low[places]

    def vector(self, vector_id: int) -> Float32Array:
        """The vector of an identifier, (d,) float32.

        Raises:
            KeyError: there is none.
        """
        if vector_id in self.recent:
            return self.recent.vector(vector_id)
        place = self._place(vector_id)
        if place is None:
            raise KeyError(vector_id)
        vector = decode(*self.rows(np.array([place])))[0]
        self.follow()
        if self.removed[place]:  # meanwhile
            return self.vector(vector_id)
        return np.asarray(vector)

    def follow(self) -> None:
        """Take over the records that have come."""
        for record in self._file.records_from(self._next):
            self._take(record)

    def change(self, kind: Kind, vector_id: int, high: UInt8Array, low: UInt8Array) -> None:
        """Write a record; whoever reads knows by it what is overwritten after it.

        Raises:
            OSError: the disk refuses; nothing has changed.
        """
        record = Record(self._next, kind, vector_id, high, low)
        try:
            self._file.write(record)
        except OSError:
            self._file.cut_off(self._next)
            raise
        self._take(record)

    def best(self, query: Float32Array, count: int) -> tuple[Ids, NDArray[np.float64]]:
        """The most alike, at least so many, and their products with the query, in no order."""
        while True:
            places = self._nearest(query, max(CANDIDATES, count * CANDIDATES_OF_BLOCK))
            if count < len(places):
                rough = self._roughly(places, query)
                least = np.partition(rough, -count)[-count] - 2 * self._doubt(query)
                places = places[rough >= least]
            products = self._exactly(places, query)
            if self._are_still(places):
                return self._with_recent(places, products, self.recent.best(query, count)[0], query)

    def reaching(self, query: Float32Array, least: float) -> tuple[Ids, NDArray[np.float64]]:
        """All whose product with the query is so high, in no order."""
        limit = SUM_PER_DISTANCE * math.sqrt(max(2 - 2 * least, 0)) + SUM_ROUNDED
        while True:
            high = self._high_of(query)
            places = np.concatenate(
                [
                    np.flatnonzero(sums(rows, high) <= HIGH_ONE * limit) + at
                    for at, rows in self._blocks()
                ]
            )
            places = places[~self.removed[places]]
            places = places[self._roughly(places, query) >= least - self._doubt(query)]
            products = self._exactly(places, query)
            places, products = places[products >= least], products[products >= least]
            if self._are_still(places):
                return self._with_recent(
                    places, products, self.recent.reaching(query, least)[0], query
                )

    def _nearest(self, query: Float32Array, count: int) -> Places:
        """Where those are that may be most alike."""
        high, blocks = self._high_of(query), self._blocks()
        each = max(count // max(len(blocks), 1), CANDIDATES_OF_BLOCK)

        def look(some: list[tuple[int, UInt8Array]]) -> list[Places]:
            return [nearest(rows, high, each) + at for at, rows in some]

        middle = len(blocks) // 2
        second = self._threads.submit(look, blocks[:middle]) if middle else None
        found = look(blocks[middle:])
        if second is not None:
            found += second.result()
        places = np.sort(np.concatenate(found))  # as they lie in memory
        return places[~self.removed[places]]

    def _blocks(self) -> list[tuple[int, UInt8Array]]:
        """All high bytes, in parts with the place where each begins; at least one."""
        rows = self._file.high
        return [
            (at, rows[at : at + SEARCHED_ROWS]) for at in range(0, max(len(rows), 1), SEARCHED_ROWS)
        ]

    def _high_of(self, query: Float32Array) -> UInt8Array:
        length = float(np.linalg.norm(query))
        if not 0 < length < math.inf:
            raise GalleryError(f"a query of length {length} has no direction; leave it out")
        high, _ = encode((query / np.float32(length))[np.newaxis])
        return np.asarray(high[0])

    def _doubt(self, query: Float32Array) -> float:
        """How far a product may be off by high bytes alone."""
        return HIGH_ERROR * math.sqrt(self.dimensions) * float(np.linalg.norm(query))

    def _roughly(self, places: Places, query: Float32Array) -> Float32Array:
        products = np.empty(len(places), np.float32)
        for at in range(0, len(places), BLOCK_ROWS):
            block = self._file.high[places[at : at + BLOCK_ROWS]]
            products[at : at + BLOCK_ROWS] = decode_roughly(block) @ query
        return products

    def _exactly(self, places: Places, query: Float32Array) -> NDArray[np.float64]:
        products = np.empty(len(places))
        for at in range(0, len(places), BLOCK_ROWS):
            block = decode(*self.rows(places[at : at + BLOCK_ROWS]))
            products[at : at + BLOCK_ROWS] = _product(block, query)
        return products

    def _are_still(self, places: Places) -> bool:
        """Whether none was overwritten while it was read; the journal says so before."""
        self.follow()
        return not self.removed[places].any()

    def _with_recent(
        self,
        places: Places,
        products: NDArray[np.float64],
        recent_ids: Ids,
        query: Float32Array,
    ) -> tuple[Ids, NDArray[np.float64]]:
        recent = [_product(self.recent.vector(each), query) for each in recent_ids.tolist()]
        return (
            np.concatenate([self._file.ids[places], recent_ids]),
            np.concatenate([products, np.array(recent, np.float64)]),
        )

    def _place(self, vector_id: int) -> int | None:
        place = self._file.place(vector_id)
        return None if place is None or self.removed[place] else place

    def _take(self, record: Record) -> None:
        """Take a record over, and overwrite what it leaves without use, if this process writes."""
        self._next = record.number + 1
        if record.kind is Kind.ERASED:
            return
        vector_id = record.vector_id
        place, earlier = self._place(vector_id), self._record_of.pop(vector_id, None)
        if place is not None:
            self.removed[place] = True
            self._alive -= 1
        self.recent.remove(vector_id)
        if record.kind is Kind.PUT:
            self.recent.put(vector_id, decode(record.high, record.low))
            self._record_of[vector_id] = record.number
        if not self.writes:
            return
        if place is not None:
            self._file.erase(place)
        if earlier is not None:
            nothing = np.zeros(self.dimensions, np.uint8)
            self._file.write(Record(earlier, Kind.ERASED, 0, nothing, nothing))


def _product(vectors: Float32Array, query: Float32Array) -> NDArray[np.float64]:
    """Each row summed up alone, so that equal ones are equal wherever they are."""
    return np.asarray((vectors.astype(np.float64) * query).sum(axis=-1))
