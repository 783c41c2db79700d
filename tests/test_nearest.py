"""The most alike of many vectors: the same however they are kept, and whatever has changed."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vector_galleries import brute_force, far_away, galleries, unit

from doorbell.domain import Float32Array
from doorbell.recognition.nearest import MANY, VectorIndex


def index_of(vectors: Float32Array, query: Float32Array, *, many: bool) -> VectorIndex:
    """Vectors by their place, with so many behind them that they are rounded."""
    if many:
        vectors = np.concatenate([vectors, far_away(MANY, query)])
    return VectorIndex(np.arange(len(vectors)), vectors)


@given(galleries(), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_rounded_vectors_give_what_brute_force_gives(
    gallery: tuple[Float32Array, Float32Array], count: int
) -> None:
    vectors, query = gallery
    places, products = index_of(vectors, query, many=True).best(query, count)
    everything = np.concatenate([vectors, far_away(MANY, query)])
    expected = brute_force(everything, query)[:count]
    assert places.tolist() == expected
    np.testing.assert_allclose(products, everything[expected] @ query, atol=1e-6)


@given(galleries(), st.integers(1, 6))
def test_the_plain_product_gives_the_best_too(
    gallery: tuple[Float32Array, Float32Array], count: int
) -> None:
    vectors, query = gallery
    places, products = index_of(vectors, query, many=False).best(query, count)
    assert len(set(places.tolist())) == len(places) == min(count, len(vectors))
    assert (np.diff(products) <= 0).all()
    expected = brute_force(vectors, query)[:count]  # float32 may order equals otherwise
    np.testing.assert_allclose(products, vectors[expected] @ query, atol=1e-6)


@pytest.mark.parametrize("many", [False, True])
def test_of_equals_the_first_is_taken(many: bool) -> None:
    vectors = np.zeros((30, 128), np.float32)
    vectors[[4, 9, 20], 3] = 1
    query = np.eye(128, dtype=np.float32)[3]
    index = index_of(vectors, query, many=many)
    assert index.best(query)[0].tolist() == [4]
    assert index.best(query, 2)[0].tolist() == [4, 9]
    assert index.best(query, 3)[0].tolist() == [4, 9, 20]


@pytest.mark.parametrize("many", [False, True])
def test_all_that_are_alike_enough_are_found(many: bool) -> None:
    generator = np.random.default_rng(7)
    vectors = unit(generator.standard_normal((500, 128)).astype(np.float32))
    query = unit(generator.standard_normal(128).astype(np.float32))
    index = index_of(vectors, query, many=many)
    for least in (-0.05, 0.0, 0.1, 0.9):
        ids, products = index.reaching(query, least)
        assert sorted(ids.tolist()) == np.flatnonzero(vectors @ query >= least).tolist()
        np.testing.assert_allclose(products, vectors[ids] @ query, atol=1e-6)


def test_nobody_is_nearest_to_nothing() -> None:
    nothing = VectorIndex(np.empty(0, np.int64), np.empty((0, 128), np.float32))
    ids, products = nothing.best(np.ones(128, np.float32), 2)
    assert ids.size == products.size == 0


def test_a_candidate_that_rounding_put_second_is_found() -> None:
    """The rows nearest to a query when rounded are not those nearest in full."""
    generator = np.random.default_rng(5)
    centre = unit(generator.standard_normal(128).astype(np.float32))
    noise = generator.standard_normal((5000, 128)).astype(np.float32)
    vectors = unit(centre + 2e-3 * noise)
    rounded = np.rint(vectors / np.abs(vectors).max(axis=1, keepdims=True) * 127)
    rounded *= np.abs(vectors).max(axis=1, keepdims=True) / 127
    misled = 0
    index = VectorIndex(np.arange(5000), vectors)
    for query in unit(centre + 1e-2 * generator.standard_normal((20, 128)).astype(np.float32)):
        best = brute_force(vectors, query)[0]
        misled += int(np.argmax(rounded @ query)) != best
        assert index.best(query)[0].tolist() == [best]
    assert misled > 10


@pytest.mark.parametrize("size", [0, 100, 3 * MANY])
def test_what_comes_changes_and_goes_is_found_as_it_is_now(size: int) -> None:
    """While those that have changed are taken in, too: there are enough of them for that."""
    generator = np.random.default_rng(size)

    def face() -> Float32Array:
        return unit(generator.standard_normal(128).astype(np.float32))

    vectors = unit(generator.standard_normal((size, 128)).astype(np.float32))
    index = VectorIndex(np.arange(size), vectors)
    known = dict(enumerate(vectors))
    newest = size
    for step in range(2 * MANY + 500):
        match generator.integers(0, 10):
            case 0 if known:
                gone = int(generator.choice(list(known)[:50]))
                del known[gone]
                index.remove(gone)
            case 1 | 2 if known:
                changed = int(generator.choice(list(known)[-50:]))
                known[changed] = face()
                index.put(changed, known[changed])
            case _:
                newest += 1
                known[newest] = face()
                index.put(newest, known[newest])
        if step % 100 == 0:
            ids, everything = list(known), np.array(list(known.values()))
            query = unit(everything[generator.integers(len(ids))] + 0.3 * face())
            expected = [ids[place] for place in brute_force(everything, query)[:3]]
            assert index.best(query, 3)[0].tolist() == expected
    index.settle()
    assert len(index) == len(known)
    for vector_id in list(known)[::97]:
        assert vector_id in index
        np.testing.assert_array_equal(index.vector(vector_id), known[vector_id])
        assert index.best(known[vector_id])[0].tolist() == [vector_id]
    assert newest + 1 not in index
    with pytest.raises(KeyError):
        index.vector(newest + 1)


def test_a_household_does_not_load_openvino_to_compare() -> None:
    program = (
        "import sys, numpy as np\n"
        "from doorbell.recognition.nearest import VectorIndex\n"
        "vectors = np.eye(128, dtype=np.float32)\n"
        "VectorIndex(np.arange(128), vectors).best(vectors[5])\n"
        "sys.exit('openvino' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
