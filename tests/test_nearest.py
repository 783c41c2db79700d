"""The most alike of many vectors: the same whichever way they are kept."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbell.domain import Float32Array
from doorbell.recognition.nearest import BLOCK_ROWS, MANY, Exact, Nearest, Quantized, nearest_of


def unit(vectors: Float32Array) -> Float32Array:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)


def quantized(vectors: Float32Array) -> Quantized:
    blocks = [vectors[at : at + 7] for at in range(0, len(vectors), 7)]
    return Quantized(len(vectors), blocks, vectors.__getitem__)


def brute_force(vectors: Float32Array, query: Float32Array) -> list[int]:
    products = vectors.astype(np.float64) @ query.astype(np.float64)
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


@given(galleries(), st.integers(1, 6))
def test_rounded_vectors_give_what_brute_force_gives(
    gallery: tuple[Float32Array, Float32Array], count: int
) -> None:
    vectors, query = gallery
    places, products = quantized(vectors).best(query, count)
    expected = brute_force(vectors, query)[:count]
    assert places.tolist() == expected
    np.testing.assert_allclose(products, vectors[expected] @ query, atol=1e-6)


@given(galleries(), st.integers(1, 6))
def test_the_plain_product_gives_the_best_too(
    gallery: tuple[Float32Array, Float32Array], count: int
) -> None:
    vectors, query = gallery
    places, products = Exact(vectors).best(query, count)
    assert len(set(places.tolist())) == len(places) == min(count, len(vectors))
    assert (np.diff(products) <= 0).all()
    expected = brute_force(vectors, query)[:count]  # float32 may order equals otherwise
    np.testing.assert_allclose(products, vectors[expected] @ query, atol=1e-6)


@pytest.mark.parametrize("keep", [Exact, quantized])
def test_of_equals_the_first_is_taken(keep: type[Exact]) -> None:
    vectors = np.zeros((30, 128), np.float32)
    vectors[[4, 9, 20], 3] = 1
    query = np.eye(128, dtype=np.float32)[3]
    assert keep(vectors).best(query)[0].tolist() == [4]
    assert keep(vectors).best(query, 2)[0].tolist() == [4, 9]
    assert keep(vectors).best(query, 4)[0].tolist() == [4, 9, 20, 0]


def test_nobody_is_nearest_to_nothing() -> None:
    places, products = nearest_of(np.empty((0, 128), np.float32)).best(np.ones(128, np.float32), 2)
    assert places.size == products.size == 0


def test_a_candidate_that_rounding_put_second_is_found() -> None:
    """The rows nearest to a query when rounded are not those nearest in full."""
    generator = np.random.default_rng(5)
    centre = unit(generator.standard_normal(128).astype(np.float32))
    noise = generator.standard_normal((5000, 128)).astype(np.float32)
    vectors = unit(centre + 2e-3 * noise)
    rounded = np.rint(vectors / np.abs(vectors).max(axis=1, keepdims=True) * 127)
    rounded *= np.abs(vectors).max(axis=1, keepdims=True) / 127
    misled = 0
    index = quantized(vectors)
    for query in unit(centre + 1e-2 * generator.standard_normal((20, 128)).astype(np.float32)):
        best = brute_force(vectors, query)[0]
        misled += int(np.argmax(rounded @ query)) != best
        assert index.best(query)[0].tolist() == [best]
    assert misled > 10


def test_few_are_compared_in_full() -> None:
    generator = np.random.default_rng(6)
    vectors = unit(generator.standard_normal((MANY, 128)).astype(np.float32))
    compared: list[int] = []

    def exact(places: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Float32Array:
        compared.append(len(places))
        return vectors[places]

    blocks = (vectors[at : at + BLOCK_ROWS] for at in range(0, MANY, BLOCK_ROWS))
    index = Quantized(MANY, blocks, exact)
    for query in unit(generator.standard_normal((10, 128)).astype(np.float32)):
        assert index.best(query)[0].tolist() == brute_force(vectors, query)[:1]
    assert max(compared) < MANY / 100


def test_many_are_rounded_and_few_are_not() -> None:
    def kept(size: int) -> type[Nearest]:
        return type(nearest_of(np.full((size, 128), 128**-0.5, np.float32)))

    assert kept(MANY - 1) is Exact
    assert kept(MANY) is Quantized


def test_a_household_does_not_load_openvino_to_compare() -> None:
    program = (
        "import sys, numpy as np\n"
        "from doorbell.recognition.nearest import nearest_of\n"
        "nearest_of(np.eye(128, dtype=np.float32)).best(np.ones(128, np.float32))\n"
        "sys.exit('openvino' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
