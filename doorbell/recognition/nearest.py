"""The most alike of many unit vectors that come, change and go, exactly.

A few thousand are multiplied as they are. Many are limited by how fast memory is read, so each
number is kept in one byte, and whatever the rounding may have hidden is compared anew in full.
The cosine with a rounded row is off by at most the length of what was rounded away
(Cauchy-Schwarz), so nothing can be missed.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from doorbell.domain import Float32Array
from doorbell.errors import InferenceError

_LOG = logging.getLogger(__name__)

Ids: TypeAlias = NDArray[np.int64]
Products: TypeAlias = NDArray[np.floating[Any]]

# Up to so many are multiplied in float32; OpenBLAS shares more than these among all cores, where
# it waits for nothing if another program is at work (two cores, 2026-11-28: 5,000 take 0.02 ms, or
# 22 ms beside another program; in one byte a number 0.06 ms, or 0.11 ms).
MANY = 2_000

# Changes are gathered to this part of what is kept in one byte before that is made anew.
CHANGED_PART = 1 / 20

# What is made anew in the background leaves the processor to frames.
LOWEST_PRIORITY = 19

# Rounded at a time: small beside what is kept.
BLOCK_ROWS = 2_000

# More than 128 float32 products can be off by when they are summed up (128 * 2^-24 of the length).
SUM_ERROR = 2e-5

# The rows are looked at in so many parts for each one wanted: the best of the best parts are
# reached by as many rows, and next to no others.
PARTS = 64


class VectorIndex:
    """Vectors by identifier, of at most unit length; used by one thread.

    Changing one costs the same however many there are. What is kept in one byte a number is made
    anew in a thread of its own, and until then searched as it was, without what has changed.
    """

    def __init__(self, ids: Ids, vectors: Float32Array) -> None:
        """Take over vectors.

        Args:
            ids: (n,) int64, ascending.
            vectors: (n, d) float32; not copied, and not to be changed from now on.

        Raises:
            InferenceError: OpenVINO cannot take them.
        """
        self._base: _Base | None = None
        self._recent = RecentVectors(vectors.shape[1])
        self._rebuilding: _Rebuilding | None = None
        self._rebuilds = True
        if len(ids) >= MANY:
            self._base = _Base(ids, vectors)
        else:
            for vector_id, vector in zip(ids.tolist(), vectors, strict=True):
                self._recent.put(vector_id, vector)

    def __len__(self) -> int:
        return len(self._recent) + (0 if self._base is None else self._base.alive)

    def __contains__(self, vector_id: int) -> bool:
        return vector_id in self._recent or (self._base is not None and vector_id in self._base)

    def vector(self, vector_id: int) -> Float32Array:
        """The vector of an identifier, (d,) float32.

        Raises:
            KeyError: there is none.
        """
        if vector_id in self._recent or self._base is None:
            return self._recent.vector(vector_id)
        return self._base.vector(vector_id)

    def put(self, vector_id: int, vector: Float32Array) -> None:
        """Add a vector, or replace the one of this identifier."""
        self._forget(vector_id)
        self._recent.put(vector_id, vector)
        self._take_over()
        enough = max(MANY, 0 if self._base is None else len(self._base.ids) * CHANGED_PART)
        if self._rebuilds and self._rebuilding is None and len(self._recent) >= enough:
            self._rebuilding = _Rebuilding(self._base, *self._recent.copy())

    def remove(self, vector_id: int) -> None:
        """Remove the vector of an identifier, if there is one."""
        self._forget(vector_id)
        self._take_over()

    def best(self, query: Float32Array, count: int = 1) -> tuple[Ids, Float32Array]:
        """The most alike, those first.

        Args:
            query: (d,) float32.
            count: how many; fewer come where there are fewer.

        Returns:
            Identifiers (k,) int64 and products with the query (k,) float32; of equal ones the
            smaller identifier comes first.

        Raises:
            InferenceError: the device failed.
        """
        ids, products = self._all_parts(lambda part: part.best(query, count))
        order = np.lexsort((ids, -products))[:count]
        return ids[order], np.asarray(products[order], np.float32)

    def reaching(self, query: Float32Array, least: float) -> tuple[Ids, Float32Array]:
        """All whose product with the query, (d,) float32, is so high, in no order."""
        ids, products = self._all_parts(lambda part: part.reaching(query, least))
        return ids, np.asarray(products, np.float32)

    def settle(self) -> None:
        """Wait until nothing is made anew in the background any more."""
        if self._rebuilding is not None:
            self._rebuilding.join()
            self._take_over()

    def _all_parts(
        self, search: Callable[[RecentVectors | _Base], tuple[Ids, Products]]
    ) -> tuple[Ids, Products]:
        self._take_over()
        found = [search(part) for part in (self._recent, self._base) if part is not None]
        return (
            np.concatenate([ids for ids, _ in found]),
            np.concatenate([products for _, products in found]),
        )

    def _forget(self, vector_id: int) -> None:
        self._recent.remove(vector_id)
        if self._base is not None:
            self._base.remove(vector_id)
        if self._rebuilding is not None:
            self._rebuilding.changed.add(vector_id)

    def _take_over(self) -> None:
        """Search what was made anew from now on, if it is done."""
        done = self._rebuilding
        if done is None or done.is_alive():
            return
        done.join()
        self._rebuilding = None
        if done.base is None:
            self._rebuilds = False  # it would fail again
            return
        self._base = done.base
        # What changed meanwhile is newer than what was made.
        for vector_id in done.ids:
            if vector_id not in done.changed:
                self._recent.remove(vector_id)
        for vector_id in done.changed:
            self._base.remove(vector_id)


class RecentVectors:
    """A few vectors by identifier, as they are.

    Its methods do what those of ``VectorIndex`` do, but in no order.
    """

    def __init__(self, dimensions: int) -> None:
        self._count = 0
        self._ids = np.empty(16, np.int64)
        self._vectors = np.empty((16, dimensions), np.float32)
        self._places: dict[int, int] = {}

    def __len__(self) -> int:
        return self._count

    def __contains__(self, vector_id: int) -> bool:
        return vector_id in self._places

    def vector(self, vector_id: int) -> Float32Array:
        """The vector of an identifier, (d,) float32."""
        return np.asarray(self._vectors[self._places[vector_id]])

    def copy(self) -> tuple[Ids, Float32Array]:
        """All identifiers, (n,) int64, and vectors, (n, d) float32."""
        return self._ids[: self._count].copy(), self._vectors[: self._count].copy()

    def put(self, vector_id: int, vector: Float32Array) -> None:
        """Add a vector of an identifier that is not there."""
        if self._count == len(self._ids):
            self._ids = np.concatenate([self._ids, self._ids])
            self._vectors = np.concatenate([self._vectors, self._vectors])
        self._ids[self._count], self._vectors[self._count] = vector_id, vector
        self._places[vector_id] = self._count
        self._count += 1

    def remove(self, vector_id: int) -> None:
        """Remove a vector, if there is one."""
        place = self._places.pop(vector_id, None)
        if place is None:
            return
        self._count -= 1
        if place != self._count:  # the last one takes its place
            last = int(self._ids[self._count])
            self._ids[place], self._vectors[place] = last, self._vectors[self._count]
            self._places[last] = place

    def best(self, query: Float32Array, count: int) -> tuple[Ids, Float32Array]:
        """The most alike, and those that are as alike as the last of them."""
        products = self._products(query)
        if count < len(products):
            places = np.flatnonzero(products >= np.partition(products, -count)[-count])
            return self._ids[places], products[places]
        return self._ids[: self._count], products

    def reaching(self, query: Float32Array, least: float) -> tuple[Ids, Float32Array]:
        """All whose product with the query is so high."""
        products = self._products(query)
        places = np.flatnonzero(products >= least)
        return self._ids[places], products[places]

    def _products(self, query: Float32Array) -> Float32Array:
        return np.asarray(self._vectors[: self._count] @ query)  # (n,)


class _Base:
    """Many vectors of which some were removed, rounded beside what they are.

    Keeps two bytes and a little a number beside the four of float32: OpenVINO arranges the rounded
    ones anew, and holds both.
    """

    def __init__(self, ids: Ids, vectors: Float32Array) -> None:
        from doorbell.inference.products import QuantizedRows

        self.ids = ids  # ascending
        self.vectors = vectors
        self.removed = np.zeros(len(ids), np.bool_)
        self.alive = len(ids)
        rows = np.empty(vectors.shape, np.int8)
        scales = np.empty((len(ids), 1), np.float32)
        self._error = 0.0  # no row is further from its rounded one
        for at in range(0, len(ids), BLOCK_ROWS):
            block = vectors[at : at + BLOCK_ROWS]
            of_block = slice(at, at + len(block))
            scale = np.maximum(np.abs(block).max(axis=1, keepdims=True) / 127, 1e-30)  # (m, 1)
            rounded = np.rint(block / scale)  # (m, d), -127 to 127
            rows[of_block], scales[of_block] = rounded, scale
            rounded *= scale
            rounded -= block
            self._error = max(self._error, float(np.linalg.norm(rounded, axis=1).max()))
        self._rows = QuantizedRows(rows, scales)

    def __contains__(self, vector_id: int) -> bool:
        place = self._place(vector_id)
        return place is not None and not self.removed[place]

    def vector(self, vector_id: int) -> Float32Array:
        place = self._place(vector_id)
        if place is None or self.removed[place]:
            raise KeyError(vector_id)
        return np.asarray(self.vectors[place])

    def remove(self, vector_id: int) -> None:
        place = self._place(vector_id)
        if place is not None and not self.removed[place]:
            self.removed[place] = True
            self.alive -= 1

    def best(self, query: Float32Array, count: int) -> tuple[Ids, NDArray[np.float64]]:
        products = self._products(query)
        return self._exactly(query, products, _reached(products, count) - 2 * self._doubt(query))

    def reaching(self, query: Float32Array, least: float) -> tuple[Ids, NDArray[np.float64]]:
        found, exact = self._exactly(query, self._products(query), least - self._doubt(query))
        return found[exact >= least], exact[exact >= least]

    def _products(self, query: Float32Array) -> Float32Array:
        products = self._rows.times(query)  # (n,)
        np.copyto(products, -np.inf, where=self.removed)
        return products

    def _doubt(self, query: Float32Array) -> float:
        """How far a product may be off."""
        return (self._error + SUM_ERROR) * float(np.linalg.norm(query))

    def _exactly(
        self, query: Float32Array, products: Float32Array, least: float
    ) -> tuple[Ids, NDArray[np.float64]]:
        places = np.flatnonzero(products >= max(least, -1e30))
        # Each row summed up alone, so that equal ones are equal wherever they are.
        exact = (self.vectors[places].astype(np.float64) * query).sum(axis=1)
        return self.ids[places], exact

    def _place(self, vector_id: int) -> int | None:
        place = int(np.searchsorted(self.ids, vector_id))
        return place if place < len(self.ids) and self.ids[place] == vector_id else None


class _Rebuilding(threading.Thread):
    """Makes one of many vectors and of those that have changed, while both are in use."""

    def __init__(self, base: _Base | None, ids: Ids, vectors: Float32Array) -> None:
        super().__init__(name="nearest")
        self.ids: list[int] = ids.tolist()
        self.changed: set[int] = set()  # since this began
        self.base: _Base | None = None  # once it is done
        self._parts = [(ids, vectors)]
        if base is not None:
            # What is removed from now on is among ``changed``.
            kept = ~base.removed
            self._parts.append((base.ids, base.vectors))
            self._kept = np.concatenate([np.ones(len(ids), np.bool_), kept])
        else:
            self._kept = np.ones(len(ids), np.bool_)
        self.start()

    def run(self) -> None:
        if sys.platform == "linux":  # where each thread has a priority of its own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
        (recent_ids, recent), *others = self._parts
        ids = np.concatenate([ids for ids, _ in self._parts])[self._kept]
        order = np.argsort(ids)
        places = np.flatnonzero(self._kept)[order]
        vectors = np.empty((len(ids), recent.shape[1]), np.float32)
        for at in range(0, len(ids), BLOCK_ROWS):  # so that frames get their turn in between
            block, of_block = vectors[at : at + BLOCK_ROWS], places[at : at + BLOCK_ROWS]
            is_recent = of_block < len(recent_ids)
            block[is_recent] = recent[of_block[is_recent]]
            for _, base in others:
                block[~is_recent] = base[of_block[~is_recent] - len(recent_ids)]
        try:
            self.base = _Base(ids[order], vectors)
        except InferenceError as exc:  # what there is goes on to be searched
            _LOG.error("the gallery is searched more slowly: %s", exc)


def _reached(products: Float32Array, count: int) -> float:
    """What at least so many of them reach, or all if they are fewer; found in one pass."""
    count = min(count, len(products))
    parts = np.linspace(0, len(products), min(len(products), PARTS * count), endpoint=False)
    highest = np.maximum.reduceat(products, parts.astype(np.int64))
    return float(np.partition(highest, -count)[-count])
