"""Who lives in the building and who comes: their faces, and the galleries that know them.

The galleries are written past the stores, a million samples at a time; the rows are those that
enrolling would leave.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from vector_index import QUALITY, Faces

from doorbell.config import GallerySection
from doorbell.domain import Float32Array
from doorbell.gallery.codec import STORED_FLOAT, StoredEmbedding
from doorbell.gallery.gallery import Gallery, open_server
from doorbell.recognition.embedder import SFACE_ID
from doorbell.recognition.templates import EMBEDDING_SIZE, directions

BLOCK_PEOPLE = 500


@dataclass(frozen=True, eq=False, slots=True)
class Residents:
    """Everybody.

    Attributes:
        faces: (n + m, 128) float32, of the residents, then of strangers.
        count: how many are residents; the one at place ``k`` has the number ``k + 1``.
        samples: of each resident.
        templates: (n, 128) float32, the directions of the sums of their samples.
        seed: by which their samples are drawn.
    """

    faces: Float32Array
    count: int
    samples: int
    templates: Float32Array
    seed: int

    def blocks(self) -> Iterator[tuple[int, Float32Array]]:
        """The samples, (people, samples, 128) float32, and the place of the first of the people."""
        yield from _drawn(self.faces[: self.count], self.samples, self.seed)


def invite(count: int, strangers: int, samples: int, seed: int) -> Residents:
    """Draw everybody.

    Args:
        count: residents.
        strangers: who come besides.
        samples: of each resident.
        seed: of chance.
    """
    faces = Faces(seed).people(count + strangers)
    sums = [block.sum(axis=1) for _, block in _drawn(faces[:count], samples, seed)]
    return Residents(faces, count, samples, directions(np.concatenate(sums)), seed)


def name_of(number: int) -> str:
    """What a resident is called."""
    return f"resident {number}"


def write_file(path: Path, residents: Residents) -> None:
    """Let a gallery's file know the residents."""
    Gallery.open(path).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")  # it is thrown away
        connection.executemany(
            "INSERT INTO people (id, name, name_key) VALUES (?1, ?2, ?2)", _people(residents)
        )
        connection.executemany(
            "INSERT INTO samples (person_id, model_id, embedding, quality, source_sha256) "
            "VALUES (?, ?, ?, ?, ?)",
            _samples(residents),
        )


def write_server(section: GallerySection, residents: Residents) -> None:
    """Let the gallery on a server know the residents."""
    import psycopg
    from psycopg.types import TypeInfo

    from doorbell.gallery.postgres.values import adapt

    with closing(open_server(section)) as server:
        with psycopg.connect(str(section.url)) as connection:
            adapt(connection)
            vector = TypeInfo.fetch(connection, "vector")
            if vector is not None:  # or ``adapt`` would have refused
                vector.register(connection)
            with connection.cursor() as cursor:
                with cursor.copy(
                    "COPY doorbell.people (id, name, name_key) FROM STDIN (FORMAT BINARY)"
                ) as copy:
                    copy.set_types(["int8", "text", "text"])
                    for number, name in _people(residents):
                        copy.write_row((number, name, name))
                with cursor.copy(
                    "COPY doorbell.samples "
                    "(person_id, model_id, embedding, quality, source_sha256) "
                    "FROM STDIN (FORMAT BINARY)"
                ) as copy:
                    copy.set_types(["int8", "text", "vector", "float8", "text"])
                    for row in _samples(residents):
                        copy.write_row(row)
        with server.writing():
            server.give_after("people", residents.count)
        server.rows("SELECT 1 FROM people LIMIT 1")


def _people(residents: Residents) -> Iterator[tuple[int, str]]:
    for number in range(1, residents.count + 1):
        yield number, name_of(number)


def _samples(residents: Residents) -> Iterator[tuple[int, str, StoredEmbedding, float, str]]:
    """Of photographs, as the digest of each says; without one they were a camera's frames."""
    for first, block in residents.blocks():
        for place, samples in enumerate(block):
            for taken, sample in enumerate(samples.astype(STORED_FLOAT)):
                embedding = StoredEmbedding(sample.tobytes())
                digest = f"{first + place:032x}{taken:032x}"
                yield first + place + 1, SFACE_ID, embedding, QUALITY, digest


def _drawn(faces: Float32Array, samples: int, seed: int) -> Iterator[tuple[int, Float32Array]]:
    """The same each time."""
    drawing = Faces(seed)
    places: NDArray[np.int64] = np.arange(len(faces))
    for first in range(0, len(faces), BLOCK_PEOPLE):
        some = faces[places[first : first + BLOCK_PEOPLE]].repeat(samples, axis=0)
        yield first, drawing.pictures(some).reshape(-1, samples, EMBEDDING_SIZE)
