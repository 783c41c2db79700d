"""A gallery on each database that it can be on, for tests of what holds on all of them."""

from __future__ import annotations

import atexit
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from doorbell.config import GallerySection, StorageSection
from doorbell.domain import FaceSample
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.moving import KEYS
from doorbell.testbed.postgres import Postgres, find_postgres

if TYPE_CHECKING:
    import psycopg


class Place(ABC):
    """Where a gallery is, which several may open."""

    @abstractmethod
    def open(self) -> Gallery: ...

    @abstractmethod
    def content(self) -> bytes:
        """All that is kept, as bytes: names and faces can be looked for in it."""


class InFile(Place):
    def __init__(self, directory: Path) -> None:
        self.path = directory / "gallery.sqlite"

    def open(self) -> Gallery:
        return Gallery.open(self.path)

    def content(self) -> bytes:
        return b"".join(each.read_bytes() for each in self.path.parent.glob("gallery.sqlite*"))


class OnServer(Place):
    """A database of a server that is started once a run; empty at first.

    It is opened by an account that may do what the household may, and no more.
    """

    def __init__(self) -> None:
        self.section, connection = _database()
        connection.execute(_EMPTY)

    def account(self, name: str, *doors: str, is_household: bool = False) -> GallerySection:
        """The same for an account of less than everything: that of a machine with some doors."""
        return account_on(server(), "contract", name, doors, is_household=is_household)

    def open(self) -> Gallery:
        section = self.account("household", "kitchen", is_household=True)
        return Gallery.of(StorageSection(), section)

    def content(self) -> bytes:
        with self.open() as gallery:
            rows = [row for table in _KEPT for row in gallery.file.rows(f"SELECT * FROM {table}")]  # noqa: S608 - our own words
        values = [value for row in rows for value in row.values()]
        return b"\n".join(
            value if isinstance(value, bytes) else str(value).encode() for value in values
        )


_KEPT = ("templates", *KEYS)
_EMPTIED = (*_KEPT, "template_changes", "visit_changes", "machines")

# Quicker than TRUNCATE, for the few rows of a test; without triggers and references.
_EMPTY = ";".join(
    [f"DELETE FROM {table}" for table in _EMPTIED]  # noqa: S608 - our own words
    + [
        f"ALTER SEQUENCE {table}_{'rowid' if key == 'rowid' else 'id'}_seq RESTART"
        for table, key in KEYS.items()
        if table != "namings"
    ]
    + [
        "ALTER SEQUENCE template_revisions RESTART",
        "UPDATE gallery SET pruned_revision = 0, tidied_at = NULL",
    ]
)


def has_postgres() -> bool:
    """Whether psycopg is installed, and a server with pgvector."""
    return importlib.util.find_spec("psycopg") is not None and find_postgres() is not None


@cache
def server() -> Postgres:
    programs = find_postgres()
    assert programs is not None
    started = Postgres(programs)
    started.start()
    atexit.register(started.__exit__)
    return started


@cache
def account_on(
    server: Postgres,
    database: str,
    name: str,
    doors: tuple[str, ...],
    *,
    is_household: bool = False,
) -> GallerySection:
    """The gallery in a database for an account of less than everything, which is made for it."""
    from doorbell.gallery.postgres.roles import account_sql, roles_sql

    server.say(roles_sql() + account_sql(name, doors, is_household=is_household), database)
    return GallerySection(url=server.url(database).replace("doorbell@", f"{name}@"))


@cache
def _database() -> tuple[GallerySection, psycopg.Connection]:
    """A database, and a connection to it that may do everything."""
    import psycopg

    section = GallerySection(url=server().create("contract"))
    Gallery.of(StorageSection(), section).close()
    connection = psycopg.connect(str(section.url), autocommit=True)
    connection.execute("SET search_path = doorbell; SET session_replication_role = replica")
    atexit.register(connection.close)
    return section, connection


def make_earlier(section: GallerySection, version: int, faces: Mapping[str, FaceSample]) -> None:
    """Make a gallery as an earlier version did, in an empty database, with a face for each name."""
    import psycopg

    from doorbell.gallery.postgres.migrations import MIGRATIONS

    with psycopg.connect(str(section.url)) as connection:
        connection.execute("CREATE EXTENSION vector; SET search_path = doorbell, public")
        for statement in (statement for each in MIGRATIONS[:version] for statement in each):
            connection.execute(statement)
        connection.execute("UPDATE gallery SET version = %s", (version,))
        for name, face in faces.items():
            connection.execute(
                "WITH made AS (INSERT INTO people (name, name_key) VALUES (%s, %s) RETURNING id) "
                "INSERT INTO samples (person_id, model_id, embedding, quality) "
                "SELECT id, %s, %s::vector, %s FROM made",
                (name, name.lower(), face.model_id, str(face.embedding.tolist()), face.quality),
            )


on_postgres = pytest.mark.skipif(
    not has_postgres(), reason="psycopg, or a PostgreSQL with pgvector, is not installed"
)


@pytest.fixture(params=["file", pytest.param("server", marks=on_postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return InFile(tmp_path) if request.param == "file" else OnServer()


@pytest.fixture
def gallery(place: Place) -> Iterator[Gallery]:
    with place.open() as opened:
        yield opened


def dump(gallery: Gallery) -> list[str]:
    """Every row, but for what only goes forward: identifiers ever given, and changes."""
    return [
        f"{table} {[value for name, value in sorted(row.items()) if name != 'rowid']}"
        for table, key in KEYS.items()
        for row in gallery.file.rows(f"SELECT * FROM {table} ORDER BY {key}")  # noqa: S608 - our own words
    ]
