import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from doorbell.domain import FaceSample, Float32Array
from doorbell.errors import GalleryError
from doorbell.recognition.gallery import EnrolledSample, Gallery
from doorbell.recognition.nearest import MANY

MODEL = "sface-test"


def axis(place: int) -> Float32Array:
    return np.asarray(np.eye(128, dtype=np.float32)[place])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gallery.sqlite"


@pytest.fixture
def gallery(path: Path) -> Iterator[Gallery]:
    with Gallery.open(path) as opened:
        yield opened


def fill(path: Path, size: int) -> Float32Array:
    """Give one stranger more samples than a gallery would ever keep of one."""
    vectors = np.random.default_rng(2).standard_normal((size, 128)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO strangers VALUES (1, 0, 0, 1, NULL, NULL)")
        connection.executemany(
            "INSERT INTO samples (id, stranger_id, model_id, embedding, quality) "
            "VALUES (?, 1, ?, ?, 1)",
            ((3 * place, MODEL, vector.tobytes()) for place, vector in enumerate(vectors)),
        )
    return vectors


def test_samples_of_people_and_strangers_are_found(gallery: Gallery) -> None:
    gallery.people.enroll("Anna", [EnrolledSample(FaceSample(axis(i), MODEL, 0.5)) for i in (0, 1)])
    gallery.people.enroll("Anna", [EnrolledSample(FaceSample(axis(2), "another", 0.5))])
    gallery.strangers.add([FaceSample(axis(3), MODEL, 0.5)], 1.0)
    index = gallery.index(MODEL)
    assert len(index) == 3
    found = [index.best(axis(place))[0].tolist() for place in (0, 1, 3)]
    assert len(set(map(tuple, found))) == 3
    _, similarities = index.best(axis(2), 5)
    assert similarities.tolist() == [0, 0, 0]


def test_an_empty_gallery_has_nobody_to_find(gallery: Gallery) -> None:
    ids, similarities = gallery.index(MODEL).best(axis(0), 2)
    assert ids.size == similarities.size == 0


def test_many_are_found_as_exactly_as_few(gallery: Gallery, path: Path) -> None:
    vectors = fill(path, MANY)
    index = gallery.index(MODEL)
    for query in (vectors[4321], -vectors[1234], axis(0)):
        expected = np.argsort(-(vectors @ query), kind="stable")[:3]
        ids, similarities = index.best(query, 3)
        assert ids.tolist() == (3 * expected).tolist()
        np.testing.assert_allclose(similarities, vectors[expected] @ query, atol=1e-6)


def test_a_sample_deleted_since_is_said(gallery: Gallery, path: Path) -> None:
    vectors = fill(path, MANY)
    index = gallery.index(MODEL)
    gallery.strangers.forget(1)
    with pytest.raises(GalleryError, match="1 of 1 samples were deleted"):
        index.best(vectors[5])


def test_a_damaged_sample_is_named(gallery: Gallery, path: Path) -> None:
    fill(path, 10)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE samples SET embedding = x'00' WHERE id = 9")
    with pytest.raises(GalleryError, match="sample 9 of the gallery has 1 bytes"):
        gallery.index(MODEL)
