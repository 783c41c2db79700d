import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from doorbell.cli import main
from doorbell.domain import FaceSample, Visit
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.gallery.integrity import check_gallery
from doorbell.storage.encryption import NO_CIPHER, open_cipher, write_new_key

FACE = FaceSample(np.full(128, 1 / np.sqrt(128), np.float32), "sface-test", 0.5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "gallery.sqlite"
    with Gallery.open(path) as gallery:
        person = gallery.people.enroll("Anna", [EnrolledSample(FACE)]).person
        gallery.visits.save(Visit("a", 1.0, 2.0, visitor=person))
    return path


def bad(path: Path, model_id: str = "sface-test") -> dict[str, str]:
    return {f.part: f.message for f in check_gallery(path, NO_CIPHER, model_id) if not f.ok}


def change(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement, values)
        connection.commit()


def test_a_whole_gallery_is_well_while_it_is_in_use(path: Path) -> None:
    with Gallery.open(path) as gallery:
        gallery.people.enroll("Ben", [EnrolledSample(FACE)])
        assert bad(path) == {}


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("ALTER TABLE people DROP COLUMN consent", "1 columns .* consent TEXT of people"),
        ("ALTER TABLE samples RENAME COLUMN quality TO grade", "quality REAL of samples"),
        ("DROP TABLE non_faces", "5 columns .* added_by INTEGER of non_faces"),
    ],
)
def test_a_table_that_is_not_as_it_should_be_is_named(
    path: Path, statement: str, message: str
) -> None:
    change(path, statement)
    found = bad(path)
    assert list(found) == ["tables"]
    assert re.search(message, found["tables"])
    assert "gallery restore" in found["tables"]


@pytest.mark.parametrize(
    ("statement", "value", "part", "message"),
    [
        ("UPDATE samples SET embedding = ?", b"\0", "samples", "has 1 bytes"),
        ("UPDATE samples SET embedding = ?", bytes(512), "samples", "length 0.000"),
        ("UPDATE samples SET embedding = ?", b"\xff" * 512, "samples", "length nan"),
        ("UPDATE samples SET quality = ?", 7.0, "samples", "quality 7.0"),
        ("UPDATE samples SET person_id = ?", 99, "file", "belong to nothing"),
        ("UPDATE samples SET model_id = ?", "other", "models", "not recognized: Anna"),
        ("UPDATE people SET name_key = ?", "ben", "people", "cannot be found"),
        ("UPDATE people SET preferences = ?", "[", "people", "not a JSON object"),
        ("UPDATE visits SET last_seen_at = ?", -1.0, "visits", "end before they begin"),
        ("UPDATE visits SET door_id = ?", "../side", "visits", "at 1 doors that cannot be"),
    ],
)
def test_what_is_wrong_is_named(
    path: Path, statement: str, value: object, part: str, message: str
) -> None:
    change(path, statement, value)
    found = bad(path)
    assert list(found) == [part]
    assert message in found[part]


def test_a_damaged_file_is_told_with_what_to_do(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-6000])
    assert "doorbell gallery restore" in bad(path)["file"]


def doorbell(*words: str, folder: Path, code: int = 0) -> str:
    result = CliRunner().invoke(main, [*words, "--set", f"storage.directory={folder}"])
    assert result.exit_code == code, result.output
    return result.output


def test_the_commands_keep_and_give_back_a_gallery(path: Path) -> None:
    folder = path.parent
    assert "doorbell gallery backup" in doorbell("gallery", "backups", folder=folder)
    made = json.loads(doorbell("gallery", "backup", "--keep", "2", "--json", folder=folder))
    (listed,) = json.loads(doorbell("gallery", "backups", "--json", folder=folder))
    assert listed["path"] == made["path"]
    table = doorbell("gallery", "backups", folder=folder)
    assert Path(made["path"]).name in table
    assert f"in {Path(made['path']).parent}" in table
    doorbell("people", "forget", "Anna", "-y", folder=folder)
    doorbell("gallery", "restore", made["path"], "-y", folder=folder)
    doorbell("people", "show", "Anna", folder=folder)
    # Anna's sample is of a test's embedder.
    assert "BAD models" in doorbell("gallery", "check", folder=folder, code=1)
    findings = json.loads(doorbell("gallery", "check", "--json", folder=folder, code=1))
    assert [each["part"] for each in findings if not each["ok"]] == ["models"]
    path.write_bytes(b"?" * 8192)
    message = doorbell("people", "list", folder=folder, code=3)
    assert f"doorbell gallery restore {made['path']}" in message.replace("\n", "")


def test_the_commands_move_a_household(path: Path, tmp_path: Path) -> None:
    file, there = tmp_path / "household.jsonl", tmp_path / "there"
    assert "biometric" in doorbell("gallery", "export", str(file), folder=path.parent)
    imported = json.loads(doorbell("gallery", "import", str(file), "--json", folder=there))
    assert imported["people"] == ["Anna"]
    assert "1 were here" in doorbell("gallery", "import", str(file), folder=there)
    file.write_text("{}")
    assert "no export" in doorbell("gallery", "import", str(file), folder=there, code=2)


def test_a_key_for_a_gallery_that_is_not_encrypted_asks_to_encrypt_it_and_to_forget_nobody(
    path: Path, tmp_path: Path
) -> None:
    write_new_key(tmp_path / "key")
    cipher = open_cipher(tmp_path / "key")
    found = {f.part: f.message for f in check_gallery(path, cipher, "sface-test") if not f.ok}
    assert list(found) == ["key"]
    assert "doorbell gallery encrypt" in found["key"]
    with Gallery.open(tmp_path / "empty.sqlite"):
        pass
    assert all(f.ok for f in check_gallery(tmp_path / "empty.sqlite", cipher, "sface-test"))


def test_an_encrypted_gallery_asks_for_its_own_key(tmp_path: Path) -> None:
    for name in ("key", "other"):
        write_new_key(tmp_path / name)
    path = tmp_path / "gallery.sqlite"
    with Gallery.open(path, open_cipher(tmp_path / "key")) as gallery:
        gallery.people.enroll("Ben", [EnrolledSample(FACE)])
    assert "set storage.key_file to its key" in bad(path)["key"]
    other = {f.part: f for f in check_gallery(path, open_cipher(tmp_path / "other"), "sface-test")}
    assert "encrypted with another key" in other["key"].message
    assert "samples" not in other
    own = {f.part: f for f in check_gallery(path, open_cipher(tmp_path / "key"), "sface-test")}
    assert own["key"].ok
    assert own["samples"].ok
