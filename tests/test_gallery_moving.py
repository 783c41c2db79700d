"""A gallery moved to a server and back: every row the same, also after an interruption."""

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from command_line import sample
from galleries import dump, on_postgres, server

from doorbell.cli import main
from doorbell.config import GallerySection, StorageSection
from doorbell.domain import Visit
from doorbell.errors import GalleryError, UsageError
from doorbell.gallery.database import GalleryFile
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.gallery.moving import KEYS
from doorbell.household.moving import move_to_file, move_to_server
from doorbell.imaging.portrait import crop_portrait
from doorbell.storage.encryption import open_cipher, write_new_key

pytestmark = on_postgres


@pytest.fixture
def section(request: pytest.FixtureRequest) -> Iterator[GallerySection]:
    """A database of one's own, empty."""
    name = f"moved_{abs(hash(request.node.name))}"
    yield GallerySection(url=server().create(name))
    server().say(f"DROP DATABASE {name} WITH (FORCE)")


def fill(storage: StorageSection) -> None:
    """Something in every table, and numbers that are given no more."""
    portrait = crop_portrait(np.full((8, 8, 3), 90, np.uint8), (2, 2, 6, 6))
    with Gallery.of(storage) as gallery:
        variants = {"hood": sample(1)}
        anna = gallery.people.enroll(
            "Anna", [EnrolledSample(sample(0), "aa" * 32, variants)], 100.0
        ).person
        gallery.people.enroll("Ægir", [EnrolledSample(sample(2))])
        gallery.people.enroll("Gone", [EnrolledSample(sample(3))])
        gallery.people.note_consent("Anna", "in writing", 5.0)
        gallery.portraits.choose(anna.person_id, portrait, 6.0)
        for number in range(20):
            stranger = gallery.strangers.add([sample(10 + number)], 10.0 + number)
            visit = Visit(
                f"visit-{number}", 10.0 + number, 20.0 + number, None, stranger, 0.1, door_id="back"
            )
            gallery.visits.save(visit, [sample(10 + number)], rang_at=1.0)
        gallery.corrections.to_person("visit-1", "Anna", learn=True)
        gallery.corrections.to_stranger("visit-1", None)
        gallery.corrections.to_no_face("visit-2")
        gallery.strangers.name(5, "Cleo")
        gallery.strangers.merge(6, 7, undoable=True)
        gallery.people.forget("Gone")
        gallery.strangers.forget(20)
        assert all(gallery.file.rows(f"SELECT 1 FROM {table}") for table in KEYS)  # noqa: S608 - our own words


def rows_of(gallery: Gallery) -> list[str]:
    with closing(gallery):
        return dump(gallery)


def nothing(table: str, rows: int) -> None:
    del table, rows


@pytest.fixture
def storage(tmp_path: Path) -> StorageSection:
    storage = StorageSection(directory=tmp_path / "here")
    fill(storage)
    return storage


def test_all_is_the_same_on_a_server_and_back_again(
    storage: StorageSection, section: GallerySection, tmp_path: Path
) -> None:
    before = rows_of(Gallery.of(storage))
    there = move_to_server(storage, section, nothing)
    assert {each.table: each.rows for each in there}["strangers"] > 0
    assert rows_of(Gallery.of(storage, section)) == before == rows_of(Gallery.of(storage))
    back = StorageSection(directory=tmp_path / "back")
    assert move_to_file(back, section, back.gallery_path, nothing) == there
    assert rows_of(Gallery.of(back)) == before
    assert [each.name for each in back.directory.iterdir()] != []
    assert not list(back.directory.glob("*.moving*"))
    for moved in (Gallery.of(storage, section), Gallery.of(back)):
        with moved as gallery:
            new = gallery.people.enroll("New", [EnrolledSample(sample(60))]).person
            assert new.person_id == 5  # the number of who was forgotten is given no more
            assert gallery.strangers.add([sample(61)], 99.0).stranger_id == 22
            undone = gallery.namings.undo()
            assert undone.now.label == "stranger-7"
            gallery.corrections.undo()
            assert gallery.visits.get("visit-2").door_id == "back"


def test_a_move_that_was_interrupted_is_gone_on_with_and_used_by_nobody_before(
    storage: StorageSection, section: GallerySection
) -> None:
    class Interrupted(Exception):  # noqa: N818 - as by a kill
        pass

    def interrupt(table: str, rows: int) -> None:
        del rows
        if table == "samples":
            raise Interrupted

    with pytest.raises(Interrupted):
        move_to_server(storage, section, interrupt)
    with pytest.raises(GalleryError, match="not come to its end"):
        Gallery.of(storage, section)
    with Gallery.of(storage) as gallery:  # goes on here meanwhile
        gallery.people.rename("Anna", "Annabel")
        gallery.strangers.forget(9)
    move_to_server(storage, section, nothing)
    assert rows_of(Gallery.of(storage, section)) == rows_of(Gallery.of(storage))


def test_a_gallery_with_something_in_it_is_left_alone(
    storage: StorageSection, section: GallerySection
) -> None:
    with Gallery.of(storage, section) as gallery:
        gallery.people.enroll("Zoe", [EnrolledSample(sample(1))])
    with pytest.raises(UsageError, match="something in the gallery"):
        move_to_server(storage, section, nothing)
    with pytest.raises(UsageError, match="is there already"):
        move_to_file(storage, section, storage.gallery_path, nothing)
    with Gallery.of(storage, section) as gallery:
        assert [each.name for each in gallery.people.all()] == ["Zoe"]


def test_what_is_encrypted_goes_to_a_server_only_by_consent(
    section: GallerySection, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    write_new_key(key)
    storage = StorageSection(directory=tmp_path / "here", key_file=key)
    fill(storage)
    with pytest.raises(UsageError, match="--plain"):
        move_to_server(storage, section, nothing)
    move_to_server(storage, section, nothing, plain=True)
    with Gallery.of(storage, section) as gallery, Gallery.of(storage) as here:
        theirs = gallery.people.samples("Anna", sample(0).model_id)
        ours = here.people.samples("Anna", sample(0).model_id)
        assert [each.embedding.tobytes() for each in theirs] == [
            each.embedding.tobytes() for each in ours
        ]
        assert gallery.portraits.of(1) == here.portraits.of(1) is not None
    back = StorageSection(directory=tmp_path / "back", key_file=key)
    move_to_file(back, section, back.gallery_path, nothing)
    assert sample(0).embedding.tobytes() not in back.gallery_path.read_bytes()
    with closing(GalleryFile(back.gallery_path, open_cipher(key))) as file:
        assert len(file.rows("SELECT 1 FROM samples")) > 20


def test_what_is_damaged_is_named_and_not_moved(
    storage: StorageSection, section: GallerySection
) -> None:
    with Gallery.of(storage) as gallery, gallery.file.writing():
        gallery.file.execute("UPDATE samples SET embedding = x'00' WHERE id = 2")
    with pytest.raises(GalleryError, match=r"row 2 of samples .* gallery check"):
        move_to_server(storage, section, nothing)


def test_the_command_line_moves_both_ways(
    storage: StorageSection, section: GallerySection, tmp_path: Path
) -> None:
    def call(*words: str) -> str:
        done = CliRunner().invoke(
            main, ["gallery", *words, "--set", f"storage.directory={storage.directory}"]
        )
        assert done.exception is None, done.output
        return done.output

    assert "the same on both sides" in call("move", "--to", str(section.url))
    here = ("--set", f"gallery.url={section.url}")
    assert CliRunner().invoke(main, ["gallery", "move"]).exit_code == 2  # where to
    call("move", "--to", f"sqlite:{tmp_path / 'copy.sqlite'}", *here)
    assert rows_of(Gallery.open(tmp_path / "copy.sqlite")) == rows_of(Gallery.of(storage))
    for verb in ("check", "decrypt"):
        refused = CliRunner().invoke(main, ["gallery", verb, *here])
        assert refused.exit_code == 2


MOVE = "from doorbell.cli import main; main()"


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_move_that_is_killed_at_any_moment_comes_to_its_end_when_it_is_run_again(
    storage: StorageSection, section: GallerySection
) -> None:
    with Gallery.of(storage) as gallery, gallery.file.writing():
        for number in range(20_000):
            gallery.file.insert(
                "visits",
                id=f"many-{number}",
                started_at=1.0,
                last_seen_at=2.0,
                similarity=0.0,
                frames_used=0,
            )
    words = ["gallery", "move", "--to", str(section.url)]
    words += ["--set", f"storage.directory={storage.directory}"]
    moments = random.Random(1)  # noqa: S311 - no secret
    kills = 0
    while kills < 12:
        with subprocess.Popen([sys.executable, "-c", MOVE, *words]) as moving:
            try:
                moving.wait(timeout=moments.uniform(0.8, 3.0))
            except subprocess.TimeoutExpired:
                moving.kill()
                kills += 1
            else:
                break  # it has come to its end
        with suppress(GalleryError), Gallery.of(storage, section) as there:
            assert not there.people.all()  # not begun yet, or not to be opened
    assert kills
    assert subprocess.run([sys.executable, "-c", MOVE, *words], check=False).returncode in (0, 2)
    assert rows_of(Gallery.of(storage, section)) == rows_of(Gallery.of(storage))
