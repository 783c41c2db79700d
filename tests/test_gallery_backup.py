import os
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from doorbell.domain import FaceSample, Visit
from doorbell.errors import GalleryError, GalleryLostError, UsageError
from doorbell.gallery.backup import back_up, keep_newest, restore
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.gallery.integrity import check_gallery
from doorbell.gallery.lock import only_daemon
from doorbell.gallery.migrations import MIGRATIONS
from doorbell.storage.encryption import NO_CIPHER
from doorbell.storage.sqlite_copies import backups

FACE = FaceSample(np.full(128, 1 / np.sqrt(128), np.float32), "sface-test", 0.5)
NOW = 1795370000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A gallery with Anna in it."""
    path = tmp_path / "state" / "gallery.sqlite"
    with Gallery.open(path) as gallery:
        gallery.people.enroll("Anna", [EnrolledSample(FACE)])
    return path


def names(path: Path) -> list[str]:
    with Gallery.open(path) as gallery:
        return [person.name for person in gallery.people.all()]


def test_a_backup_has_all_that_was_acknowledged_while_the_gallery_is_in_use(path: Path) -> None:
    with Gallery.open(path) as gallery:
        gallery.people.enroll("Ben", [EnrolledSample(FACE)])  # in the log, not yet in the file
        made = back_up(path, None, NOW)
        gallery.people.enroll("Cleo", [EnrolledSample(FACE)])
    assert [each.path for each in backups(path)] == [made]
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.parent.stat().st_mode) == 0o700
    assert [each.name for each in made.parent.iterdir()] == [made.name]
    assert restore(path, made, NOW) is not None
    assert names(path) == ["Anna", "Ben"]


def test_a_backup_replaces_no_file(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("letters")
    with pytest.raises(UsageError, match="is there already"):
        back_up(path, target, NOW)
    assert target.read_text() == "letters"


def test_nothing_and_a_damaged_gallery_are_not_backed_up(path: Path, tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="is not a file; nothing was backed up"):
        back_up(tmp_path / "none" / "gallery.sqlite", tmp_path / "copy", NOW)
    data = bytearray(path.read_bytes())
    data[2 * 4096 : 2 * 4096 + 200] = b"\xff" * 200
    path.write_bytes(data)
    with pytest.raises(GalleryError, match="damaged"):
        back_up(path, None, NOW)
    assert backups(path) == []


def test_the_newest_backups_are_kept(path: Path) -> None:
    made = [back_up(path, None, NOW + 60 * i) for i in range(5)]
    replaced = restore(path, made[4], NOW)
    assert keep_newest(path, 2, made[4]) == [made[2], made[1], made[0]]
    assert {each.path for each in backups(path)} == {made[3], made[4], replaced}


def test_the_backup_just_made_is_kept_where_the_clock_is_behind(path: Path) -> None:
    earlier = [back_up(path, None, NOW + 60 * i) for i in range(2)]
    made = back_up(path, None, 100.0)
    assert keep_newest(path, 2, made) == [earlier[0]]
    assert {each.path for each in backups(path)} == {earlier[1], made}


def no_database(path: Path) -> None:
    path.write_bytes(b"name,embedding\n" * 1000)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def damaged_page(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-4096:-3900] = b"\xff" * 196
    path.write_bytes(data)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-6000])


def of_the_future(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 999")


def of_another_program(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")


def missing(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_database, "damaged"),
        (empty, "another program"),
        (damaged_page, "damaged"),
        (truncated, "damaged"),
        (of_the_future, "version 999, written by a later doorbell"),
        (of_another_program, "another program"),
        (missing, "is not a file"),
    ],
)
def test_what_is_no_whole_gallery_is_not_restored(
    path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    made = back_up(path, None, NOW)
    spoil(made)
    before = path.read_bytes()
    with pytest.raises(GalleryError, match=message) as caught:
        restore(path, made, NOW)
    assert "give another backup" in str(caught.value) or "older backups" in str(caught.value)
    assert path.read_bytes() == before
    assert not path.with_name(path.name + ".restored").exists()


def test_nothing_is_restored_while_the_gallery_is_in_use(path: Path) -> None:
    made = back_up(path, None, NOW)
    with only_daemon(path.parent), pytest.raises(GalleryError, match="stop it first"):
        restore(path, made, NOW)
    with Gallery.open(path) as gallery:
        with pytest.raises(GalleryError, match="another command is using"):
            restore(path, made, NOW)
        gallery.people.enroll("Ben", [EnrolledSample(FACE)])
    assert names(path) == ["Anna", "Ben"]


def test_a_damaged_gallery_is_replaced_and_kept_with_its_log(path: Path, tmp_path: Path) -> None:
    made = back_up(path, None, NOW)
    killed = tmp_path / "killed"
    with Gallery.open(path) as gallery:
        gallery.people.enroll("Ben", [EnrolledSample(FACE)])
        shutil.copytree(path.parent, killed)
    broken = killed / path.name
    broken.write_bytes(b"\xff" * 4096)
    log = broken.with_name(broken.name + "-wal").read_bytes()
    with pytest.raises(GalleryError, match=rf"doorbell gallery restore .*{made.name}"):
        Gallery.open(broken)
    kept = restore(broken, made, NOW)
    assert names(broken) == ["Anna"]
    assert kept is not None
    assert kept.read_bytes() == b"\xff" * 4096
    assert kept.with_name(kept.name + "-wal").read_bytes() == log


def test_a_gallery_of_an_earlier_version_is_kept_before_it_is_migrated(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        for statement in MIGRATIONS[0]:
            connection.execute(statement)
        connection.execute("INSERT INTO people (name, name_key) VALUES ('Old', 'old')")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
    assert names(path) == ["Old"]
    (kept,) = backups(path)
    assert str(kept.path) in caplog.text
    with closing(sqlite3.connect(kept.path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    restore(path, kept.path, NOW)
    assert names(path) == ["Old"]


def test_a_gallery_that_cannot_be_kept_is_not_migrated(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 1")
    (path.parent / "backups").touch()  # where a directory is needed
    with pytest.raises(GalleryError, match="backups"):
        Gallery.open(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)


def deleted(path: Path) -> None:
    path.unlink()


def replaced(path: Path) -> None:
    other = path.with_name("other")
    with Gallery.open(other):
        pass
    other.replace(path)


@pytest.mark.parametrize("lose", [deleted, replaced])
def test_no_write_into_a_lost_file_is_acknowledged(
    path: Path, lose: Callable[[Path], None]
) -> None:
    made = back_up(path, None, NOW)
    with Gallery.open(path) as gallery:
        gallery.templates("sface-test")
        lose(path)
        with pytest.raises(GalleryLostError, match=rf"restore .*{made.name}") as caught:
            gallery.visits.save(Visit("a", 1.0, 2.0))
        assert caught.value.exit_code == 3
        with pytest.raises(GalleryLostError):
            gallery.templates("sface-test")


def test_damage_to_a_gallery_in_use_is_told_with_what_to_do(path: Path) -> None:
    with Gallery.open(path) as gallery:
        for i in range(200):
            gallery.people.enroll(f"Person {i}", [EnrolledSample(FACE)])
    with Gallery.open(path) as gallery:
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(os.urandom(path.stat().st_size - 4096))
        with pytest.raises(GalleryLostError, match=r"is damaged.*doorbell gallery restore FILE"):
            gallery.templates("sface-test")


def test_an_empty_gallery_beside_backups_is_told_of(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = back_up(path, None, NOW)
    path.unlink()
    assert names(path) == []
    assert f"doorbell gallery restore {made}" in caplog.text


def leave_a_log(path: Path) -> bytes:
    """Delete a gallery in use, whose log then stays; what is in it."""
    with Gallery.open(path) as gallery:
        for i in range(12):
            gallery.people.enroll(f"Person {i}", [EnrolledSample(FACE)])
        path.unlink()
    return path.with_name(path.name + "-wal").read_bytes()


def test_the_log_of_a_deleted_gallery_is_not_written_into_the_restored_one(path: Path) -> None:
    made = back_up(path, None, NOW)
    log = leave_a_log(path)
    kept = restore(path, made, NOW)
    assert names(path) == ["Anna"]
    assert kept is not None
    assert kept.read_bytes() == log


def test_the_log_of_a_deleted_gallery_is_not_written_into_a_new_one(path: Path) -> None:
    assert leave_a_log(path)
    assert names(path) == []
    assert [
        finding for finding in check_gallery(path, NO_CIPHER, "sface-test") if not finding.ok
    ] == []


def test_the_journal_of_a_gallery_that_was_replaced_is_not_rolled_back(path: Path) -> None:
    made = back_up(path, None, NOW)
    journal = path.with_name(path.name + "-journal")
    killed = path.with_name("killed")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN IMMEDIATE")
        for i in range(500):
            sql = "INSERT INTO people (name, name_key) VALUES (?, ?)"
            connection.execute(sql, (f"Person {i}", f"person {i}"))
        shutil.copyfile(journal, killed)
    path.unlink()
    killed.replace(journal)
    restore(path, made, NOW)
    assert not journal.exists()
    assert names(path) == ["Anna"]
