"""Backing up a gallery on a real server by its own programs, and putting a backup back."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from command_line import sample
from galleries import make_earlier, on_postgres, server

from doorbell.cli import main
from doorbell.config import GallerySection, StorageSection
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.testbed.postgres import find_postgres

pytestmark = on_postgres


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's programs are installed."""
    monkeypatch.setenv("PATH", f"{find_postgres()}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def section(request: pytest.FixtureRequest) -> GallerySection:
    return GallerySection(url=server().create(f"backup_{abs(hash(request.node.name))}"))


def opened(section: GallerySection) -> Gallery:
    return Gallery.of(StorageSection(), section)


def called(storage: Path, section: GallerySection, verb: str, *words: str) -> Result:
    here = ("--set", f"storage.directory={storage}", "--set", f"gallery.url={section.url}")
    return CliRunner().invoke(main, ["gallery", verb, *here, *words])


def names(section: GallerySection) -> list[str]:
    with opened(section) as gallery:
        return [person.name for person in gallery.people.all()]


@pytest.mark.usefixtures("programs")
def test_a_backup_brings_back_who_was_forgotten(tmp_path: Path, section: GallerySection) -> None:
    with opened(section) as gallery:
        gallery.people.enroll("Anna", [EnrolledSample(sample(0))])
        assert "backed up to" in called(tmp_path, section, "backup").stdout
        gallery.people.forget("Anna")
        gallery.people.enroll("Bela", [EnrolledSample(sample(1))])
    [made] = (tmp_path / "backups").glob("gallery-*.dump")
    assert made.stat().st_mode & 0o077 == 0
    assert made.name in called(tmp_path, section, "backups").stdout
    assert called(tmp_path, section, "restore", "--yes", str(made)).exit_code == 0
    assert names(section) == ["Anna"]
    with opened(section) as gallery:  # which is one that can be written
        gallery.people.enroll("Cleo", [EnrolledSample(sample(2))])
        templates = gallery.templates(sample(0).model_id)
        assert [person.name for person, _ in templates.people_like(sample(0).embedding, 1)] == [
            "Anna"
        ]


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("damage", ["no archive", "cut off"])
def test_what_is_no_whole_backup_is_refused_and_changes_nothing(
    tmp_path: Path, section: GallerySection, damage: str
) -> None:
    with opened(section) as gallery:
        gallery.people.enroll("Anna", [EnrolledSample(sample(0))])
    file = tmp_path / "file"
    if damage == "no archive":
        file.write_text("no archive")
    else:
        called(tmp_path, section, "backup", str(file))
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    refused = called(tmp_path, section, "restore", "--yes", str(file))
    assert refused.exit_code == 3
    assert "the gallery was left as it was" in refused.stderr
    assert names(section) == ["Anna"]


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("version", [1, 3])
def test_a_backup_of_an_earlier_version_takes_the_place_of_a_later_one_s_tables(
    tmp_path: Path, section: GallerySection, version: int
) -> None:
    from doorbell.gallery.postgres.migrations import MIGRATIONS

    make_earlier(section, version, {"Anna": sample(0)})
    file = str(tmp_path / "earlier")
    assert called(tmp_path, section, "backup", file).exit_code == 0
    with opened(section) as gallery:
        gallery.people.forget("Anna")
        gallery.people.enroll("Bela", [EnrolledSample(sample(1))])
    restored = called(tmp_path, section, "restore", "--yes", file)
    assert restored.exit_code == 0, restored.stderr
    with opened(section) as gallery:
        [row] = gallery.file.rows("SELECT version FROM gallery")
        assert row["version"] == len(MIGRATIONS)
        alike = gallery.templates_like(sample(0).model_id, sample(0).embedding, people=1)
        assert [each.name for each in alike.people] == ["Anna"]


@pytest.mark.usefixtures("programs")
def test_a_backup_of_a_later_version_is_refused(tmp_path: Path, section: GallerySection) -> None:
    database = str(section.url).partition("?")[0].rpartition("/")[2]
    with opened(section) as gallery:
        gallery.people.enroll("Anna", [EnrolledSample(sample(0))])
    server().say("UPDATE doorbell.gallery SET version = version + 1", database)
    file = str(tmp_path / "later")
    assert called(tmp_path, section, "backup", file).exit_code == 0
    server().say("UPDATE doorbell.gallery SET version = version - 1", database)
    refused = called(tmp_path, section, "restore", "--yes", file)
    assert refused.exit_code == 3
    assert "written by a later doorbell" in refused.stderr
    assert names(section) == ["Anna"]


def test_without_the_programs_it_is_said_what_to_install(
    tmp_path: Path,
    section: GallerySection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    refused = called(tmp_path, section, "backup")
    assert refused.exit_code == 3
    assert "pg_dump is not installed" in refused.stderr
    assert "postgresql-client" in refused.stderr
    assert not [*tmp_path.rglob("*.dump*")]
