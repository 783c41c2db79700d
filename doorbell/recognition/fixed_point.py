"""Vectors of unit length in 16-bit fixed point, their high bytes apart from their low ones.

Whoever looks for the nearest of many reads the high bytes of all: one byte a number, on one scale
for every row, so that the sum of absolute differences tells how far two are apart. OpenCV takes
that sum with the instructions that videos are compressed with, on x86-64 and arm64, straight from
memory that several processes map. The low bytes are read of the few that are left.

That sum ranks as the distance does where no number stands out. So vectors are turned first, all by
the same orthogonal matrix, which leaves their products as they are.
"""

from __future__ import annotations

import hashlib
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from doorbell.domain import Float32Array, UInt8Array
from doorbell.errors import GalleryError

# No number of a unit vector is larger than 1, which is 127 in the high byte.
HIGH_ONE = 127
ONE = 256 * HIGH_ONE
_HIGH_ZERO = _LOW_ZERO = 128  # bytes are stored without a sign

# A number is off by so much at most when its low byte is left out.
HIGH_ERROR = 0.5 / HIGH_ONE

# What is far away from every vector: where one was, nothing of it is left.
ERASED = 0xFF

# How far from 1 a length may be; float32 normalization stays within 1e-6.
UNIT_TOLERANCE = 1e-3


def require_units(vectors: Float32Array) -> None:
    """Refuse vectors, (n, d) float32, that have no direction.

    Raises:
        GalleryError: one is not of unit length: zero, infinite or no number.
    """
    with np.errstate(all="ignore"):  # the square of what a flipped bit made large
        lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    wrong = ~(np.abs(lengths - 1.0) <= UNIT_TOLERANCE)  # NaN too
    if wrong.any():
        raise GalleryError(
            f"a vector of length {lengths[wrong][0]:.4f} was refused; 1 is expected: bring it to "
            "unit length, and leave out what has none"
        )


@cache
def _matrix(dimensions: int) -> Float32Array:
    """Hadamard's matrix in Sylvester's order, with columns negated at random, the same everywhere.

    A vector that is nothing but one number becomes one of numbers that are all as large.
    """
    matrix = np.ones((1, 1))
    while len(matrix) < dimensions:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    noise = hashlib.shake_256(b"signs").digest(-(-dimensions // 8))
    signs = 1.0 - 2.0 * np.unpackbits(np.frombuffer(noise, np.uint8))[:dimensions]
    return np.asarray(matrix * signs / np.sqrt(dimensions), np.float32)


def turned(vectors: Float32Array) -> Float32Array:
    """Vectors, (n, d) or (d,) float32, as they are kept; d is a power of two."""
    return np.asarray(vectors @ _matrix(vectors.shape[-1]).T)


def turned_back(vectors: Float32Array) -> Float32Array:
    """What ``turned`` was given."""
    return np.asarray(vectors @ _matrix(vectors.shape[-1]))


def encode(vectors: Float32Array) -> tuple[UInt8Array, UInt8Array]:
    """Round turned vectors of unit length, (n, d) float32, to high and low bytes, (n, d) uint8."""
    rounded = np.rint(vectors * np.float32(ONE)).astype(np.int32).clip(-ONE, ONE)
    high = (rounded + _LOW_ZERO) >> 8  # rounded to the nearest
    low = rounded - (high << 8)
    return (high + _HIGH_ZERO).astype(np.uint8), (low + _LOW_ZERO).astype(np.uint8)


def decode(high: UInt8Array, low: UInt8Array) -> Float32Array:
    """The turned vectors of high and low bytes, (n, d) float32; off by 2^-16 a number at most."""
    values = high.astype(np.float32)
    values -= _HIGH_ZERO
    values *= 256
    values += low
    values -= _LOW_ZERO
    values /= ONE
    return values


def decode_roughly(high: UInt8Array) -> Float32Array:
    """The same of high bytes alone; each number off by ``HIGH_ERROR`` at most."""
    values = high.astype(np.float32)
    values -= _HIGH_ZERO
    values /= HIGH_ONE
    return values


def nearest(high: UInt8Array, query: UInt8Array, count: int) -> NDArray[np.int64]:
    """Where the least sums of absolute differences from a query are, those first.

    Args:
        high: (n, d) uint8, which may lie in a mapped file.
        query: (d,) uint8, the high bytes of a unit vector.
        count: how many; fewer come where there are fewer.

    Returns:
        Places of rows (k,) int64; of equal ones the first.
    """
    if not len(high):
        return np.empty(0, np.int64)
    _, places = cv2.batchDistance(
        query[np.newaxis], high, cv2.CV_32S, normType=cv2.NORM_L1, K=min(count, len(high))
    )
    return np.asarray(places[0], np.int64)


def sums(high: UInt8Array, query: UInt8Array) -> NDArray[np.int32]:
    """The sum of absolute differences of every row from a query, (n,) int32; see ``nearest``."""
    if not len(high):
        return np.empty(0, np.int32)
    found, _ = cv2.batchDistance(high, query[np.newaxis], cv2.CV_32S, normType=cv2.NORM_L1, K=1)
    return np.asarray(found[:, 0], np.int32)
