import os
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from doorbell.config import Config, StorageSection
from doorbell.domain import FaceSample, Visit
from doorbell.errors import GalleryError, GalleryLostError, UsageError
from doorbell.gallery.backup import back_up, keep_newest, restore
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.gallery.integrity import check_gallery
from doorbell.gallery.lock import only_daemon
from doorbell.gallery.migrations import MIGRATIONS
from doorbell.household.forgetting import forget_person
from doorbell.household.personal_data import export_personal_data
from doorbell.household.visit_files import forget_in_files
from doorbell.outputs.pictures import picture_path
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


def of_version_1(path: Path) -> None:
    """Put a gallery of the first version in its place."""
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        for statement in MIGRATIONS[0]:
            connection.execute(statement)
        connection.execute("INSERT INTO people (name, name_key) VALUES ('Old', 'old')")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()


def test_a_gallery_of_an_earlier_version_is_kept_before_it_is_migrated(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    of_version_1(path)
    assert names(path) == ["Old"]
    (kept,) = backups(path)
    assert str(kept.path) in caplog.text
    with closing(sqlite3.connect(kept.path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    restore(path, kept.path, NOW)
    assert names(path) == ["Old"]


def test_a_gallery_that_cannot_be_kept_is_not_migrated(path: Path) -> None:
    of_version_1(path)
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


def alter(path: Path, *statements: str) -> None:
    """Change a file with another program, which is no doorbell."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


KEEPS_FACES = (
    "CREATE TABLE kept (embedding BLOB)",
    "CREATE TRIGGER keeps AFTER DELETE ON samples BEGIN "
    "INSERT INTO kept VALUES (OLD.embedding); END",
)


@pytest.mark.parametrize(
    "statements",
    [
        KEEPS_FACES,
        ("CREATE VIEW everybody AS SELECT name FROM people",),
        ("CREATE TABLE notes (text)",),
        ("CREATE INDEX by_name ON people (name)",),
        ("ALTER TABLE visits ADD COLUMN picture TEXT",),
        ("ALTER TABLE people ADD COLUMN shout TEXT GENERATED ALWAYS AS (upper(name)) VIRTUAL",),
        ("CREATE VIRTUAL TABLE words USING fts5(text)",),
    ],
)
def test_what_another_program_put_into_a_gallery_is_refused_and_does_not_come_back(
    path: Path, statements: tuple[str, ...]
) -> None:
    alter(path, *statements)
    before = path.read_bytes()
    with pytest.raises(GalleryError, match=rf"no doorbell.*doorbell gallery restore {path}"):
        Gallery.open(path)
    assert path.read_bytes() == before
    found = {each.part: each for each in check_gallery(path, NO_CIPHER, "sface-test")}
    assert not found["tables"].ok
    assert f"doorbell gallery restore {path}" in found["tables"].message
    restore(path, path, NOW)
    with Gallery.open(path) as gallery:
        assert [person.name for person in gallery.people.all()] == ["Anna"]
        gallery.people.forget("Anna")
    assert FACE.embedding.tobytes() not in path.read_bytes()
    assert [each for each in check_gallery(path, NO_CIPHER, "sface-test") if not each.ok] == []


def test_a_trigger_in_the_name_of_ours_is_made_anew(path: Path) -> None:
    with Gallery.open(path) as gallery:
        ours = gallery.file.rows("SELECT * FROM sqlite_schema WHERE type = 'trigger' ORDER BY name")
    alter(
        path,
        "DROP TRIGGER people_delete_changes_templates",
        "CREATE TRIGGER people_delete_changes_templates BEFORE DELETE ON people BEGIN "
        "INSERT INTO strangers (first_seen_at, last_seen_at, visits) VALUES (1, 1, 1); END",
    )
    with Gallery.open(path) as gallery:
        gallery.people.forget("Anna")
        assert gallery.strangers.all() == []
        made = gallery.file.rows("SELECT * FROM sqlite_schema WHERE type = 'trigger' ORDER BY name")
    assert [each["sql"] for each in made] == [each["sql"] for each in ours]


def test_a_backup_that_lacks_a_table_or_holds_what_cannot_be_is_refused(path: Path) -> None:
    for statements, message in (
        (("DROP TABLE visit_samples",), "table visit_samples is not there"),
        (("ALTER TABLE samples DROP COLUMN quality",), "column quality of samples"),
        (("UPDATE people SET id = 9223372036854775807",), "numbers from"),
        (
            (
                "CREATE TABLE other AS SELECT * FROM visits",
                "DROP TABLE visits",
                "CREATE VIEW visits AS SELECT * FROM other",
            ),
            "table visits is not there",
        ),
    ):
        made = back_up(path, path.with_name("backup"), NOW)
        alter(made, "PRAGMA foreign_keys = OFF", *statements)
        with pytest.raises(GalleryError, match=message):
            restore(path, made, NOW)
        made.unlink()
    assert names(path) == ["Anna"]


def test_numbers_are_given_once_also_after_restoring_and_whatever_the_file_says(
    path: Path,
) -> None:
    with Gallery.open(path) as gallery:
        gallery.people.enroll("Ben", [EnrolledSample(FACE)])
        gallery.people.forget("Ben")
    made = back_up(path, None, NOW)
    restore(path, made, NOW)
    with Gallery.open(path) as gallery:
        assert gallery.people.enroll("Cleo", [EnrolledSample(FACE)]).person.person_id == 3
    alter(made, "UPDATE sqlite_sequence SET seq = 9223372036854775807")  # none would be left
    restore(path, made, NOW)
    assert names(path) == ["Anna"]
    with Gallery.open(path) as gallery:
        gallery.people.enroll("Cleo", [EnrolledSample(FACE)])


@pytest.mark.parametrize(
    "visit_id",
    ["../../precious", "{root}/precious", "..", "a/b", "a\0b", "", "a\nb", "é", "x" * 65],
)
def test_no_visit_s_name_leads_out_of_the_folder_of_pictures(
    path: Path, tmp_path: Path, visit_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    visit_id = visit_id.format(root=tmp_path)
    precious = tmp_path / "precious.jpg"
    precious.write_bytes(b"a picture of mine")
    storage = StorageSection(directory=path.parent)
    storage.pictures_directory.mkdir()
    with Gallery.open(path) as gallery:
        anna = gallery.people.get("Anna")
        gallery.visits.save(Visit("good", 1.0, 2.0, 2.0, visitor=anna))
    picture_path(storage.pictures_directory, "good").write_bytes(b"of Anna")
    made = back_up(path, None, NOW)
    alter(
        made,
        "INSERT INTO visits "
        "(id, started_at, last_seen_at, ended_at, person_id, similarity, frames_used) "
        "SELECT 'bad', 1, 2, 2, person_id, 0, 0 FROM visits",
    )
    with closing(sqlite3.connect(made)) as connection:
        connection.execute("UPDATE visits SET id = ? WHERE id = 'bad'", (visit_id,))
        connection.commit()

    def of_the_gallery() -> list[str]:
        """Forget and export as the commands do; what was exported."""
        config = Config(storage=storage)
        with Gallery.open(path) as gallery:
            assert [visit.visit_id for visit in gallery.visits.newest(9)] == ["good"]
            export = export_personal_data(gallery, "Anna", tmp_path / "anna.zip", storage)
            with ZipFile(export.path) as archive:
                exported = archive.namelist()
            forget_person(gallery, "Anna", storage, partial(forget_in_files, gallery, config))
        export.path.unlink()
        return exported

    shutil.copyfile(made, path)  # as it is
    assert of_the_gallery() == ["person.json", "pictures/good.jpg"]
    assert not picture_path(storage.pictures_directory, "good").exists()
    shutil.copyfile(made, path)
    bad = {f.part: f.message for f in check_gallery(path, NO_CIPHER, "sface-test") if not f.ok}
    assert f"doorbell gallery restore {path}" in bad["visits"]
    restore(path, made, NOW)
    assert "1 visits were left out" in caplog.text
    assert all(each.ok for each in check_gallery(path, NO_CIPHER, "sface-test"))
    assert of_the_gallery() == ["person.json"]
    assert precious.read_bytes() == b"a picture of mine"


def test_what_a_restored_gallery_cannot_show_is_left_out_and_said(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Gallery.open(path) as gallery:
        gallery.strangers.add([FACE], 5.0)
        gallery.strangers.add([FACE], 6.0)
        gallery.visits.save(Visit("late", 1.0, 2.0, 2.0))
        for number, door_id in enumerate(("side", "other", "")):
            gallery.visits.save(Visit(f"v{number}", 1.0, 2.0, 2.0, door_id=door_id))
    made = back_up(path, None, NOW)
    alter(
        made,
        "UPDATE visits SET started_at = 1e300 WHERE id = 'late'",
        "UPDATE visits SET door_id = 'a door/../' WHERE door_id = 'other'",
        "UPDATE strangers SET last_seen_at = 9e999 WHERE id = 1",
        "UPDATE people SET preferences = '" + '{"a":' * 20_000 + "0" + "}" * 20_000 + "'",
        "UPDATE people SET chime = char(0) || '.wav'",
    )
    restore(path, made, NOW)
    with Gallery.open(path) as gallery:
        doors = {visit.visit_id: visit.door_id for visit in gallery.visits.newest(9)}
        assert doors == {"v0": "side", "v1": "", "v2": ""}
        assert [stranger.label for stranger in gallery.strangers.all()] == ["stranger-2"]
        (anna,) = gallery.people.all()
        assert (anna.chime, anna.preferences) == (None, {})
    for left_out in (
        "1 visits were left out",
        "1 visits were parted from a door",
        "1 strangers",
        "preferences of 'Anna'",
        "chime of 'Anna'",
    ):
        assert left_out in caplog.text


def test_a_file_whose_tables_have_names_that_are_no_text_is_refused(path: Path) -> None:
    made = back_up(path, None, NOW)
    for each in (path, made):
        each.write_bytes(each.read_bytes().replace(b"drawing", b"dr\x96wing"))
    with pytest.raises(GalleryError, match="the table 'variants' is another than ours"):
        Gallery.open(path)
    with pytest.raises(GalleryError, match=r"is not there|damaged|decode"):
        restore(path, made, NOW)
