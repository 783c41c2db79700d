import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from doorbell.domain import FaceSample
from doorbell.errors import GalleryError
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.gallery.migrations import APPLICATION_ID, MIGRATIONS

FACE = FaceSample(np.full(128, 1 / np.sqrt(128), np.float32), "sface-test", 0.5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A gallery with somebody in it."""
    path = tmp_path / "state" / "gallery.sqlite"
    with Gallery.open(path) as gallery:
        gallery.people.enroll("Anna", [EnrolledSample(FACE)])
        for _ in range(20):
            gallery.strangers.add([FACE], 1.0)
    return path


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_the_file_is_the_owners_and_marked_as_ours(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with Gallery.open(path) as gallery:
        gallery.people.set_chime("Anna", "bird")
        for beside in path.parent.iterdir():
            assert stat.S_IMODE(beside.stat().st_mode) == 0o600
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_that_others_could_read_is_closed_to_them(path: Path) -> None:
    path.chmod(0o644)
    Gallery.open(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def no_database(path: Path) -> None:
    path.write_bytes(b"name,embedding\n" * 1000)


def damaged_page(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[2 * 4096 : 2 * 4096 + 200] = b"\xff" * 200
    path.write_bytes(data)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-6000])


def of_the_future(path: Path) -> None:
    change(path, "ALTER TABLE people ADD COLUMN birthday TEXT", "PRAGMA user_version = 999")


def of_another_program(path: Path) -> None:
    path.unlink()
    change(path, "CREATE TABLE bookmarks (url TEXT)")


def marked_by_another_program(path: Path) -> None:
    path.unlink()
    change(path, "PRAGMA application_id = 7")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_database, "damaged: file is not a database"),
        (damaged_page, "damaged"),
        (truncated, "damaged"),
        (of_the_future, "version 999, written by a later doorbell"),
        (of_another_program, "another program"),
        (marked_by_another_program, "another program"),
    ],
)
def test_what_is_not_ours_to_touch_is_left_as_it_is(
    path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(path)
    before = path.read_bytes(), path.stat().st_mtime_ns
    with pytest.raises(GalleryError, match=message) as caught:
        Gallery.open(path)
    assert str(path) in str(caught.value)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_a_later_version_that_is_still_in_the_log_of_a_killed_daemon_is_left_there(
    path: Path, tmp_path: Path
) -> None:
    killed = tmp_path / "killed"
    with Gallery.open(path):
        change(path, "PRAGMA user_version = 999")
        shutil.copytree(path.parent, killed, ignore=shutil.ignore_patterns("*-shm"))
    files = [killed / path.name, killed / (path.name + "-wal")]
    before = [each.read_bytes() for each in files]
    assert all(before)
    with pytest.raises(GalleryError, match="version 999"):
        Gallery.open(files[0])
    assert [each.read_bytes() for each in files] == before


def test_an_empty_file_becomes_a_gallery(tmp_path: Path) -> None:
    path = tmp_path / "gallery.sqlite"
    path.touch()
    with Gallery.open(path) as gallery:
        assert gallery.people.all() == []


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "gallery.sqlite"
    # The view takes the name of a table of the first migration; the mark makes it pass as ours.
    change(path, "CREATE VIEW visits AS SELECT 1", f"PRAGMA application_id = {APPLICATION_ID}")
    with pytest.raises(GalleryError, match="visits"):
        Gallery.open(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("visits",)]
        assert connection.execute("PRAGMA user_version").fetchone() == (0,)


def test_a_place_that_cannot_be_a_gallery_is_named(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="is not a file"):
        Gallery.open(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(GalleryError, match="file"):
        Gallery.open(tmp_path / "file" / "gallery.sqlite")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE people SET preferences = '[]'", "preferences of 'Anna'"),
        ("UPDATE people SET preferences = '{'", "preferences of 'Anna'"),
    ],
)
def test_a_row_that_makes_no_sense_is_named(path: Path, statement: str, message: str) -> None:
    change(path, statement)
    with Gallery.open(path) as gallery, pytest.raises(GalleryError, match=message):
        gallery.templates("sface-test")


def test_several_processes_open_and_write_a_new_gallery_at_once(tmp_path: Path) -> None:
    path = tmp_path / "state" / "gallery.sqlite"
    program = """
import sys
from pathlib import Path
from doorbell.domain import Visit
from doorbell.gallery.gallery import Gallery
with Gallery.open(Path(sys.argv[1])) as gallery:
    for i in range(20):
        gallery.visits.save(Visit(f"{sys.argv[2]}-{i}", 1.0, 2.0))
"""
    children = [
        subprocess.Popen([sys.executable, "-c", program, str(path), str(number)])
        for number in range(4)
    ]
    assert [child.wait(timeout=60) for child in children] == [0] * 4
    with Gallery.open(path) as gallery:
        assert len(gallery.visits.newest(1000)) == 80


def test_a_large_file_is_looked_through_by_the_daemon_and_not_before_each_command(
    tmp_path: Path,
) -> None:
    path = tmp_path / "gallery.sqlite"
    Gallery.open(path).close()
    change(
        path,
        "INSERT INTO strangers (id, first_seen_at, last_seen_at, visits) VALUES (1, 1, 1, 1)",
        "INSERT INTO samples (stranger_id, model_id, embedding, quality) "
        "VALUES (1, 'another', zeroblob(60000000), 0.5)",
    )
    with closing(sqlite3.connect(path)) as connection:
        [page] = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'non_faces'"
        ).fetchone()
        [size] = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    with Gallery.open(path) as gallery:
        assert gallery.people.all() == []
    with pytest.raises(GalleryError, match="damaged"):
        Gallery.open(path, look_through=True)
