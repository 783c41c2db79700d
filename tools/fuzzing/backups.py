"""Restoring a backup: a file of SQLite that may come from anywhere, then forgetting everybody."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np

from doorbell.config import Config, StorageSection
from doorbell.domain import FaceSample, Visit
from doorbell.errors import DoorbellError
from doorbell.gallery.backup import restore
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.gallery.integrity import check_gallery
from doorbell.household.documents import person_document, stranger_document, visit_document
from doorbell.household.forgetting import forget_person, forget_stranger
from doorbell.household.listing import known_people
from doorbell.household.visit_files import forget_in_files
from doorbell.storage.encryption import NO_CIPHER
from fuzzing import scratch

MAX_BYTES = 200_000
MAX_SECONDS = 2.0

MODEL = "sface"
NOW = 1795370000.0


def seeds() -> Iterator[bytes]:
    """Make a gallery, and change it as somebody might who means harm."""
    path = scratch() / "seed" / "gallery.sqlite"
    with Gallery.open(path) as gallery:
        face = FaceSample(np.eye(128, dtype=np.float32)[0], MODEL, 0.5)
        anna = gallery.people.enroll("Anna", [EnrolledSample(face)]).person
        stranger = gallery.strangers.add([face], 5.0)
        gallery.visits.save(Visit("annas", 1.0, 2.0, 2.0, anna), [face])
        gallery.visits.save(Visit("other", 3.0, 4.0, 4.0, stranger), [face])
        gallery.corrections.to_person("other", "Anna", learn=True)
    for statement in (
        "SELECT 1",
        "UPDATE visits SET id = '../../precious' WHERE id = 'annas'",
        "UPDATE visits SET started_at = 1e300, last_seen_at = -9e999",
        "UPDATE strangers SET visits = 9223372036854775807, first_seen_at = 1e200",
        "UPDATE people SET id = 9223372036854775807",
        "UPDATE people SET name = char(27) || '[2J', preferences = '[', chime = char(0)",
        "UPDATE sqlite_sequence SET seq = 9223372036854775807",
        "CREATE TABLE kept (embedding BLOB)",
        "CREATE VIEW everybody AS SELECT * FROM people",
        "CREATE TRIGGER keeps AFTER DELETE ON samples BEGIN DELETE FROM people; END",
        "ALTER TABLE visits ADD COLUMN picture TEXT",
        "ALTER TABLE samples DROP COLUMN quality",
    ):
        changed = scratch() / "changed.sqlite"
        shutil.copyfile(path, changed)
        with closing(sqlite3.connect(changed, isolation_level=None)) as connection:
            connection.execute(statement)
            connection.execute("PRAGMA journal_mode = DELETE").fetchall()
        yield changed.read_bytes()


def check(content: bytes) -> None:
    """List and forget everybody, of the file as it is, and restored; nothing else may change."""
    root = scratch() / "house"
    shutil.rmtree(root, ignore_errors=True)
    storage = StorageSection(directory=root / "state")
    storage.pictures_directory.mkdir(parents=True)
    precious = root / "precious.jpg"
    precious.write_bytes(b"a picture of mine")
    source = root / "backup.sqlite"
    source.write_bytes(content)
    storage.gallery_path.write_bytes(content)
    _use(storage, None)
    _use(storage, source)
    # SQLite makes a log beside a file that says it has one.
    others = {each.name for each in root.iterdir() if not each.name.startswith(source.name)}
    if precious.read_bytes() != b"a picture of mine" or others != {"state", precious.name}:
        raise AssertionError("something outside the storage directory changed")


def _use(storage: StorageSection, source: Path | None) -> None:
    """Restore what is given, then use the gallery; or be refused in our own words."""
    try:
        if source is not None:
            restore(storage.gallery_path, source, NOW)
        with Gallery.of(storage) as gallery:
            _list_and_forget(gallery, storage)
            if source is None:
                return
        found = {each.part: each for each in check_gallery(storage.gallery_path, NO_CIPHER, MODEL)}
        if not (found["file"].ok and found["tables"].ok):
            raise AssertionError("what was restored is no whole gallery")
    except DoorbellError as exc:
        str(exc).encode()


def _list_and_forget(gallery: Gallery, storage: StorageSection) -> None:
    forget_visits = partial(forget_in_files, gallery, Config(storage=storage))
    for visit in gallery.visits.newest(1000):
        visit_document(visit, storage.pictures_directory)
    for known in known_people(gallery):
        person_document(known)
        forget_person(gallery, known.summary.person.name, storage, forget_visits)
    for stranger in gallery.strangers.all():
        stranger_document(stranger, None)
        forget_stranger(gallery, stranger.stranger_id, storage, forget_visits)
