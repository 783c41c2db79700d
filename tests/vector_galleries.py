"""Vectors to look for the most alike among, and the plain way to do that."""

import numpy as np
from hypothesis import strategies as st

from doorbell.domain import Float32Array


def unit(vectors: Float32Array) -> Float32Array:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)


def far_away(count: int, query: Float32Array) -> Float32Array:
    """(count, 128) float32 that nothing looks for: opposite to a query."""
    return np.broadcast_to(-query, (count, 128)).astype(np.float32)


def brute_force(vectors: Float32Array, query: Float32Array) -> list[int]:
    products = (vectors.astype(np.float64) * query).sum(axis=1)
    return sorted(range(len(vectors)), key=lambda place: (-products[place], place))


@st.composite
def galleries(draw: st.DrawFn) -> tuple[Float32Array, Float32Array]:
    """Vectors and a query: scattered, in clusters, repeated, or differing in the last bits."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.integers(1, 400))
    centres = unit(generator.standard_normal((draw(st.integers(1, 5)), 128)).astype(np.float32))
    spread = draw(st.sampled_from([0.0, 1e-7, 1e-5, 1e-3, 0.05, 1.0]))
    noise = generator.standard_normal((size, 128)) * spread
    vectors = unit((centres[generator.integers(0, len(centres), size)] + noise).astype(np.float32))
    kind = draw(st.sampled_from(["one of them", "near one", "anything", "axis"]))
    if kind == "one of them":
        query = vectors[generator.integers(0, size)]
    elif kind == "near one":
        query = unit(vectors[0] + generator.standard_normal(128).astype(np.float32) * 0.05)
    elif kind == "axis":  # with sparse rows among the others, which round differently
        vectors[:: 1 + size // 3] = np.eye(128, dtype=np.float32)[0]
        query = np.eye(128, dtype=np.float32)[draw(st.integers(0, 1))]
    else:
        query = unit(generator.standard_normal(128).astype(np.float32))
    return vectors, query
