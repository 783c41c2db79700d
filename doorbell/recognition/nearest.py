"""The most alike of many unit vectors, exactly.

Enters: vectors and a query. Leaves: places and cosines. Knows neither people nor files.

A few thousand are multiplied as they are. Many are limited by how fast memory is read, so each
number is kept in one byte, and whatever the rounding may have hidden is compared anew in full.
The cosine with a rounded row is off by at most the length of what was rounded away
(Cauchy-Schwarz), so nothing can be missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from doorbell.domain import Float32Array

Places: TypeAlias = NDArray[np.int64]

# From so many on the quantized product is the faster one (two busy cores, 2026-11-22: 0.4 ms
# against 0.5 ms with 20,000, 1.1 ms against 0.9 ms with 50,000).
MANY = 50_000

# Rounded at a time: small beside what is kept.
BLOCK_ROWS = 2_000

# More than 128 float32 products can be off by when they are summed up (128 * 2^-24 of the length).
SUM_ERROR = 2e-5

# The rows are looked at in so many parts for each one wanted: the best of the best parts are
# reached by as many rows, and next to no others.
PARTS = 64


class Nearest(Protocol):
    """Vectors to find the most alike of."""

    def best(self, query: Float32Array, count: int = 1) -> tuple[Places, Float32Array]:
        """The most alike, those first.

        Args:
            query: (d,) float32.
            count: how many; fewer come where there are fewer.

        Returns:
            Places (k,) int64 and products with the query (k,) float32; of equal ones the earlier
            comes first.
        """


def nearest_of(vectors: Float32Array) -> Nearest:
    """Whatever is fastest for so many (n, d) float32 of at most unit length."""
    if len(vectors) < MANY:
        return Exact(vectors)
    blocks = (vectors[at : at + BLOCK_ROWS] for at in range(0, len(vectors), BLOCK_ROWS))
    return Quantized(len(vectors), blocks, vectors.__getitem__)


class Exact:
    """A product with all of them; see ``Nearest``."""

    def __init__(self, vectors: Float32Array) -> None:
        self._vectors = vectors

    def best(self, query: Float32Array, count: int = 1) -> tuple[Places, Float32Array]:
        """See ``Nearest``."""
        if not len(self._vectors):
            return np.empty(0, np.int64), np.empty(0, np.float32)
        products = self._vectors @ query  # (n,)
        if count == 1:
            places = np.array([products.argmax()])
        else:
            places = np.flatnonzero(products >= _reached(products, count))
            places = places[np.argsort(-products[places], kind="stable")[:count]]
        return places, products[places]


class Quantized:
    """A product with rounded ones, then with those that may be among the best; see ``Nearest``.

    Keeps two bytes and a little a number: OpenVINO arranges the bytes anew, and holds both.
    """

    def __init__(
        self,
        size: int,
        blocks: Iterable[Float32Array],
        exact: Callable[[Places], Float32Array],
    ) -> None:
        """Round the vectors.

        Args:
            size: n, how many there are; at least one.
            blocks: all of them in order, (m, d) float32 each; none is kept.
            exact: gives the vectors at ascending places, (k, d) float32.

        Raises:
            InferenceError: OpenVINO cannot take them.
        """
        from doorbell.inference.products import QuantizedRows

        self._exact = exact
        self._error = 0.0  # no row is further from its rounded one
        rows, at = np.empty((0, 0), np.int8), 0
        scales = np.empty((size, 1), np.float32)
        for block in blocks:
            if not rows.size:
                rows = np.empty((size, block.shape[1]), np.int8)
            of_block = slice(at, at + len(block))
            scale = np.maximum(np.abs(block).max(axis=1, keepdims=True) / 127, 1e-30)  # (m, 1)
            rounded = np.rint(block / scale)  # (m, d), -127 to 127
            rows[of_block], scales[of_block] = rounded, scale
            rounded *= scale
            rounded -= block
            self._error = max(self._error, float(np.linalg.norm(rounded, axis=1).max()))
            at += len(block)
        self._rows = QuantizedRows(rows, scales)

    def best(self, query: Float32Array, count: int = 1) -> tuple[Places, Float32Array]:
        """See ``Nearest``; ordered by products in float64."""
        products = self._rows.times(query)  # (n,)
        doubt = (self._error + SUM_ERROR) * float(np.linalg.norm(query))
        candidates = np.flatnonzero(products >= _reached(products, count) - 2 * doubt)
        found = self._exact(candidates).astype(np.float64) @ query.astype(np.float64)
        order = np.argsort(-found, kind="stable")[:count]
        return candidates[order], found[order].astype(np.float32)


def _reached(products: Float32Array, count: int) -> float:
    """What at least so many of them reach, or all if they are fewer; found in one pass."""
    count = min(count, len(products))
    parts = np.linspace(0, len(products), min(len(products), PARTS * count), endpoint=False)
    highest = np.maximum.reduceat(products, parts.astype(np.int64))
    return float(np.partition(highest, -count)[-count])
