"""Vectors in a mapped file: the most alike as in memory, whatever changes and whoever is killed."""

import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import index_writer
import numpy as np
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from index_writer import GONE, IDENTIFIERS, MODEL, face
from vector_galleries import brute_force, far_away, galleries, unit

from doorbell.domain import Float32Array
from doorbell.errors import GalleryError
from doorbell.recognition.fixed_point import encode, turned
from doorbell.recognition.mapped_index import MOST_CHANGES, MappedIndex
from doorbell.recognition.mapped_vectors import CANDIDATES, SEARCHED_ROWS

# What rounding to 16 bits may take of a product, or add to it: 2^-16 for each of 128 numbers.
EXACT = 2**-16 * 128**0.5


def index_of(vectors: Float32Array, path: Path | None = None) -> MappedIndex:
    return MappedIndex.create(path, MODEL, np.arange(len(vectors)), vectors)


def faces(count: int, seed: int) -> Float32Array:
    generator = np.random.default_rng(seed)
    return unit(generator.standard_normal((count, 128)).astype(np.float32))


@given(galleries(), st.integers(1, 6), st.booleans())
@settings(max_examples=examples(60))
def test_the_best_are_as_alike_as_a_full_scan_finds(
    gallery: tuple[Float32Array, Float32Array], count: int, many: bool
) -> None:
    vectors, query = gallery
    if many:  # so that candidates are chosen
        vectors = np.concatenate([vectors, far_away(2 * CANDIDATES, query)])
    ids, products = index_of(vectors).best(query, count)
    expected = brute_force(vectors, query)[:count]
    assert len(set(ids.tolist())) == len(ids) == len(expected)
    np.testing.assert_allclose(products, vectors[ids] @ query, atol=EXACT)
    np.testing.assert_allclose(products, vectors[expected] @ query, atol=EXACT)


@given(galleries(), st.sampled_from([-0.05, 0.1, 0.5, 0.9]))
@settings(max_examples=examples(40))
def test_all_that_are_alike_enough_are_found(
    gallery: tuple[Float32Array, Float32Array], least: float
) -> None:
    vectors, query = gallery
    ids, products = index_of(vectors).reaching(query, least)
    similarities = vectors @ query
    assert set(np.flatnonzero(similarities >= least + EXACT).tolist()) <= set(ids.tolist())
    assert (similarities[ids] >= least - EXACT).all()
    np.testing.assert_allclose(products, similarities[ids], atol=EXACT)


def test_many_blocks_are_searched_as_one() -> None:
    """Among very many the best of all are found, wherever they lie, and all that reach a bound."""
    vectors = faces(2 * SEARCHED_ROWS + 7, 14)
    index = index_of(vectors)
    for place in (0, SEARCHED_ROWS - 1, SEARCHED_ROWS, 2 * SEARCHED_ROWS, len(vectors) - 1):
        query = unit(vectors[place] + 0.1 * face(place, 14))
        for probe in (query, face(place, 15)):  # of somebody there, and of nobody
            assert index.best(probe, 3)[0].tolist() == np.argsort(-(vectors @ probe))[:3].tolist()
        similar = np.flatnonzero(vectors @ query >= 0.3)
        assert sorted(index.reaching(query, 0.3)[0].tolist()) == similar.tolist()


def test_of_equals_the_first_is_taken() -> None:
    vectors = np.zeros((30, 128), np.float32)
    vectors[:, 7] = 1
    vectors[[4, 9, 20]] = np.eye(128, dtype=np.float32)[3]
    index = index_of(vectors)
    index.put(4, vectors[4])  # which is then elsewhere
    assert index.best(vectors[9], 3)[0].tolist() == [4, 9, 20]


def test_nobody_is_nearest_to_nothing(tmp_path: Path) -> None:
    nothing = np.empty((0, 128), np.float32)
    index = index_of(nothing, tmp_path / "index")
    assert index.best(faces(1, 1)[0], 2)[0].size == 0
    assert index.reaching(faces(1, 1)[0], 0.2)[0].size == len(index) == 0
    index.put(3, faces(1, 1)[0])
    assert MappedIndex.open(tmp_path / "index", MODEL).best(faces(1, 1)[0])[0].tolist() == [3]


@pytest.mark.parametrize("in_file", [True, False])
def test_what_comes_changes_and_goes_is_found_as_it_is_now(tmp_path: Path, in_file: bool) -> None:
    """While the file is made anew, too; and by who only reads it."""
    generator = np.random.default_rng(3)
    known = dict(enumerate(faces(500, 3)))
    path = tmp_path / "index" if in_file else None
    index = index_of(np.array(list(known.values())), path)
    reader = index if path is None else MappedIndex.open(path, MODEL)
    newest = len(known)
    for step in range(2 * MOST_CHANGES + 500):
        match generator.integers(0, 4):
            case 0:
                gone = int(generator.choice(list(known)[:50]))
                del known[gone]
                index.remove(gone)
            case 1:
                changed = int(generator.choice(list(known)[-50:]))
                known[changed] = face(changed, step)
                index.put(changed, known[changed])
            case _:
                newest += 1
                known[newest] = face(newest, step)
                index.put(newest, known[newest])
        if step % 100 == 0:
            ids, everything = list(known), np.array(list(known.values()))
            query = unit(everything[generator.integers(len(ids))] + 0.3 * face(step, -step % 7))
            expected = [ids[place] for place in brute_force(everything, query)[:3]]
            assert index.best(query, 3)[0].tolist() == expected
            assert reader.best(query, 3)[0].tolist() == expected
    index.settle()
    for each in (index, reader):
        assert len(each) == len(known)
        for vector_id in list(known)[::97]:
            assert vector_id in each
            np.testing.assert_allclose(each.vector(vector_id), known[vector_id], atol=EXACT)
        assert newest + 1 not in each
        with pytest.raises(KeyError):
            each.vector(newest + 1)


def test_answers_are_the_same_once_the_file_is_made_anew(tmp_path: Path) -> None:
    known, queries = faces(MOST_CHANGES, 4), faces(20, 5)
    index = index_of(known[:1], tmp_path / "index")
    for vector_id, vector in enumerate(known[:-1]):
        index.put(vector_id, vector)
    before = [index.best(query, 5) for query in queries]
    inode = (tmp_path / "index").stat().st_ino
    index.put(0, known[0])
    index.settle()
    assert (tmp_path / "index").stat().st_ino != inode
    for query, (ids, products) in zip(queries, before, strict=True):
        now, exactly = index.best(query, 5)
        assert now.tolist() == ids.tolist()
        np.testing.assert_allclose(exactly, products, atol=1e-6)


def test_nothing_stays_of_what_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "index"
    vectors = faces(100, 6)
    index = index_of(vectors, path)
    index.put(7, vectors[50])
    index.put(200, vectors[51])
    high = encode(turned(vectors[50:51]))[0].tobytes()
    assert path.read_bytes().count(high) == 2
    index.put(7, vectors[7])
    index.remove(50)
    assert path.read_bytes().count(high) == 0
    index.remove(200)
    assert len(index) == 99
    assert len(MappedIndex.open(path, MODEL)) == 99


def test_only_its_owner_reads_the_file_and_one_process_writes(tmp_path: Path) -> None:
    path = tmp_path / "index"
    index = index_of(faces(10, 7), path)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(GalleryError, match="another process keeps"):
        MappedIndex.open(path, MODEL, writes=True)
    reader = MappedIndex.open(path, MODEL)
    with pytest.raises(GalleryError, match="only reads"):
        reader.put(3, faces(1, 8)[0])
    index.close()
    MappedIndex.open(path, MODEL, writes=True).put(3, faces(1, 8)[0])
    assert reader.best(faces(1, 8)[0])[0].tolist() == [3]


def test_what_may_not_lie_on_a_disk_has_no_name(tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    index = index_of(faces(10, 9))
    for vector_id in range(MOST_CHANGES):
        index.put(vector_id, face(vector_id, 1))
    index.settle()
    assert index.best(face(1_234, 1))[0].tolist() == [1_234]
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "wrong", [np.zeros(128), np.full(128, np.nan), np.full(128, np.inf), np.ones(128)]
)
def test_what_has_no_direction_is_refused(wrong: Float32Array) -> None:
    wrong = wrong.astype(np.float32)
    index = index_of(faces(10, 10))
    with pytest.raises(GalleryError, match="was refused"):
        index.put(3, wrong)
    with pytest.raises(GalleryError, match="was refused"):
        index_of(np.stack([faces(1, 10)[0], wrong]))
    assert len(index) == 10


def test_a_query_without_direction_is_refused() -> None:
    index = index_of(faces(10, 10))
    for wrong in (np.zeros(128, np.float32), np.full(128, np.nan, np.float32)):
        with pytest.raises(GalleryError, match="no direction"):
            index.best(wrong)


def test_another_or_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "index"
    index_of(faces(10, 11), path)
    whole = path.read_bytes()
    with pytest.raises(GalleryError, match="of 'test', not of 'other'"):
        MappedIndex.open(path, "other")
    for content, reason in (
        (b"", "no index of vectors"),
        (b"SQLite format 3\0" * 99, "no index of vectors"),
        (whole[:20] + b"\xff" + whole[21:], "damaged"),
        (whole[:-1], "cut off"),
    ):
        path.write_bytes(content)
        with pytest.raises(GalleryError, match=reason):
            MappedIndex.open(path, MODEL)
    with pytest.raises(GalleryError, match="cannot open"):
        MappedIndex.open(tmp_path / "none", MODEL)


@pytest.mark.parametrize("kept", [-1, -100, -272, -273])
def test_half_a_record_is_passed_over_and_cut_off(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "index"
    index = index_of(faces(10, 12), path)
    index.put(20, face(20, 1))
    index.put(21, face(21, 1))
    index.close()
    path.write_bytes(path.read_bytes()[:kept])
    assert len(MappedIndex.open(path, MODEL)) == 11 if kept > -273 else 10
    index = MappedIndex.open(path, MODEL, writes=True)
    index.put(22, face(22, 1))
    reader = MappedIndex.open(path, MODEL)
    assert reader.best(face(22, 1))[0].tolist() == [22]
    assert 21 not in reader


def test_kill_9_leaves_every_vector_whole_and_every_change_made(tmp_path: Path) -> None:
    """Two processes' readers look on: what they find is always what was once put there whole."""
    path = tmp_path / "index"
    version = dict.fromkeys(range(IDENTIFIERS), 0)
    MappedIndex.create(
        path, MODEL, np.arange(IDENTIFIERS), np.stack([face(each, 0) for each in version])
    )
    generator = np.random.default_rng(13)
    for seed in range(1, examples(5) + 1):
        writer = subprocess.Popen(
            [sys.executable, index_writer.__file__, str(path), str(seed)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout is not None
        done = [writer.stdout.readline()]  # it has begun
        reading = threading.Thread(target=done.extend, args=[writer.stdout])
        reading.start()
        reader = MappedIndex.open(path, MODEL)
        seen: list[tuple[int, Float32Array]] = []
        end = time.monotonic() + generator.uniform(0, 0.6)
        while time.monotonic() < end:
            vector_id = int(generator.integers(IDENTIFIERS))
            if vector_id in reader and len(seen) < 200:
                ids, _ = reader.best(face(vector_id, 0))
                for each in {vector_id, int(ids[0])}:
                    with suppress(KeyError):  # removed since
                        seen.append((each, reader.vector(each)))
        writer.kill()
        writer.wait()
        reading.join()
        writer.stdout.close()
        put: dict[int, set[int]] = {each: {now} for each, now in version.items()}
        for line in done:
            vector_id, now = map(int, line.split())
            version[vector_id] = now
            put[vector_id].add(now)
        last_id, last = next_change(seed, len(done))
        put[last_id].add(last)  # perhaps made and not said
        for vector_id, vector in seen:
            assert version_of(vector, vector_id, put[vector_id]) is not None
        index = MappedIndex.open(path, MODEL, writes=True)
        for vector_id, now in version.items():
            may_be = {now, last} if vector_id == last_id else {now}
            if vector_id in index:
                found = version_of(index.vector(vector_id), vector_id, may_be)
                assert found is not None
                version[vector_id] = found
            else:
                assert GONE in may_be
                version[vector_id] = GONE
        index.close()


def next_change(seed: int, made: int) -> tuple[int, int]:
    """What the writer does after so many changes."""
    generator = np.random.default_rng(seed)
    for _ in range(made + 1):
        vector_id, gone = int(generator.integers(IDENTIFIERS)), generator.random() < 0.2
    return vector_id, GONE if gone else 1_000 * seed + made + 1


def version_of(vector: Float32Array, vector_id: int, versions: set[int]) -> int | None:
    """Which of these a vector is."""
    for version in versions - {GONE}:
        if np.allclose(vector, face(vector_id, version), atol=EXACT):
            return version
    return None
