"""A household of many years: its gallery, as large as one gets, for a daemon to work with.

Faces are random, as in ``measure.speed.gallery``: who is one person has pictures as alike as
photographs of one person are. Some strangers came under two identifiers each, as people do who were
seen badly at first: the daemon finds and merges them while it runs.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from doorbell.domain import Float32Array
from doorbell.errors import GalleryError
from doorbell.gallery.gallery import Gallery
from doorbell.recognition.embedder import SFACE_ID
from doorbell.recognition.templates import EMBEDDING_SIZE, directions

# Cosine of two photographs of one person (``recognition/calibration.py``).
ALIKE = 0.65
SEED = 1
BLOCK_VISITORS = 1_000
SAMPLES_OF_VISIT = 5
DAY_SECONDS = 86400.0


@dataclass(frozen=True, slots=True)
class Household:
    """How many of each.

    Attributes:
        people: enrolled.
        samples: of each.
        strangers: remembered.
        pairs: strangers who came under two identifiers, of all.
        visits: kept, over the last days, the later ones of strangers.
        days: how many.
    """

    people: int = 300
    samples: int = 20
    strangers: int = 10_000
    pairs: int = 300
    visits: int = 100_000
    days: float = 80.0


def write_household(path: Path, household: Household, *, now: float | None = None) -> None:
    """Fill a gallery, made where there is none; who is in it already stays.

    Args:
        path: of the gallery.
        household: whom it is to have.
        now: wall time when the last visit was; None for now.

    Raises:
        GalleryError: the disk is full, or the like.
    """
    Gallery.open(path).close()
    generator = np.random.default_rng(SEED)
    now = time.time() if now is None else now
    began = now - household.days * DAY_SECONDS
    moments = np.linspace(began, now - 3600.0, household.visits)
    visitors = generator.integers(0, household.people + household.strangers, household.visits)
    try:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("PRAGMA synchronous = OFF")  # it is thrown away
            (person,) = connection.execute("SELECT coalesce(max(id), 0) FROM people").fetchone()
            (stranger,) = connection.execute(
                "SELECT coalesce(max(id), 0) FROM strangers"
            ).fetchone()
            connection.executemany(
                "INSERT INTO people (id, name, name_key) VALUES (?1, ?2, ?2)",
                (
                    (person + number, f"person number {person + number}")
                    for number in range(1, household.people + 1)
                ),
            )
            last_seen = np.full(household.people + household.strangers, now - DAY_SECONDS)
            last_seen[visitors] = moments
            connection.executemany(
                "INSERT INTO strangers (id, first_seen_at, last_seen_at, visits) "
                "VALUES (?, ?, ?, ?)",
                (
                    (stranger + number, began, last_seen[household.people + number - 1], 5)
                    for number in range(1, household.strangers + 1)
                ),
            )
            connection.executemany(
                "INSERT INTO samples (person_id, model_id, embedding, quality) "
                "VALUES (?, ?, ?, 0.8)",
                (
                    (person + 1 + number, SFACE_ID, stored)
                    for number, samples in enumerate(_people(generator, household))
                    for stored in samples
                ),
            )
            faces = list(_strangers(generator, household))
            connection.executemany(
                "INSERT INTO samples (stranger_id, model_id, embedding, quality) "
                "VALUES (?, ?, ?, 0.8)",
                (
                    (stranger + 1 + number, SFACE_ID, stored)
                    for number, samples in enumerate(faces)
                    for stored in samples
                ),
            )
            rows = [
                (
                    uuid.UUID(int=int(number), version=4).hex,
                    moment,
                    None if who >= household.people else person + 1 + int(who),
                    None if who < household.people else stranger + 1 + int(who) - household.people,
                )
                for number, (moment, who) in enumerate(
                    zip(moments.tolist(), visitors.tolist(), strict=True), start=1
                )
            ]
            connection.executemany(
                "INSERT INTO visits (id, started_at, last_seen_at, ended_at, person_id, "
                "stranger_id, similarity, frames_used, seconds_to_decision) "
                "VALUES (?1, ?2, ?2 + 20, ?2 + 20, ?3, ?4, 0.7, 9, 0.4)",
                rows,
            )
            connection.executemany(
                "INSERT INTO visit_samples (visit_id, model_id, embedding, quality) "
                "VALUES (?, ?, ?, 0.8)",
                (
                    (visit_id, SFACE_ID, stored)
                    for visit_id, _, _, stranger_id in rows
                    if stranger_id is not None
                    for stored in faces[stranger_id - stranger - 1]
                ),
            )
    except sqlite3.Error as exc:
        raise GalleryError(
            f"cannot write a household to {path}: {exc}; set TMPDIR to a place with "
            f"{household.visits * SAMPLES_OF_VISIT * 700 / 1e6:.0f} MB"
        ) from exc


def _people(generator: np.random.Generator, household: Household) -> Iterator[list[bytes]]:
    faces = random_faces(generator, household.people)
    yield from _stored(pictures_of(generator, faces, household.samples))


def _strangers(generator: np.random.Generator, household: Household) -> Iterator[list[bytes]]:
    """The last of them are the first ones once more."""
    twice = household.pairs
    faces = random_faces(generator, household.strangers - twice)
    faces = np.concatenate([faces, faces[:twice]])
    for start in range(0, len(faces), BLOCK_VISITORS):
        block = faces[start : start + BLOCK_VISITORS]
        yield from _stored(pictures_of(generator, block, SAMPLES_OF_VISIT))


def _stored(pictures: Float32Array) -> Iterator[list[bytes]]:
    for samples in pictures:
        yield [sample.astype("<f4").tobytes() for sample in samples]


def random_faces(generator: np.random.Generator, count: int) -> Float32Array:
    """So many faces of nobody, (count, 128) float32 of unit length."""
    return directions(generator.standard_normal((count, EMBEDDING_SIZE), np.float32))


def pictures_of(generator: np.random.Generator, faces: Float32Array, count: int) -> Float32Array:
    """So many pictures of each face, (n, count, 128) float32."""
    others = random_faces(generator, len(faces) * count).reshape(len(faces), count, EMBEDDING_SIZE)
    return directions(
        np.asarray(ALIKE**0.5 * faces[:, np.newaxis] + (1 - ALIKE) ** 0.5 * others, np.float32)
    )
