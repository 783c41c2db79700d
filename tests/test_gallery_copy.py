"""What is left on a machine's disk once its gallery is on a server, or is no more."""

import json
import logging
import time
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from command_line import sample
from galleries import OnServer, on_postgres

from doorbell.cli import main
from doorbell.config import GallerySection, StorageSection, load_config
from doorbell.daemon.control.gallery_executor import GalleryExecutor
from doorbell.daemon.shared_gallery import FIRST_COPY_SECONDS, open_shared
from doorbell.domain import Visit
from doorbell.errors import GalleryError, UnknownPersonError
from doorbell.gallery.gallery import EnrolledSample, open_server
from doorbell.gallery.link.copy import GalleryCopy, delete_copy, open_own
from doorbell.gallery.link.exchange import Exchange
from doorbell.household.forgetting import forget_person
from doorbell.stopping import Stop

NOON = 1.8e9


@pytest.mark.parametrize("waits", [False, True])
def test_a_copy_that_is_followed_no_more_is_deleted_unless_something_waits_in_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, waits: bool
) -> None:
    storage = StorageSection(directory=tmp_path)
    with GalleryCopy.open(storage.copy_path) as copy:
        if waits:
            copy.visits.save(Visit("v", NOON, NOON, NOON, None, 0.0, 0, 0.0, "front"))
    with caplog.at_level(logging.INFO):
        delete_copy(storage)
    assert bool([*tmp_path.glob("copy.sqlite*")]) is waits
    assert ("1 writes that never reached the server" in caplog.text) is waits
    delete_copy(StorageSection(directory=tmp_path / "another"))


@on_postgres
def test_the_file_that_was_moved_to_a_server_is_named_as_one_that_still_holds_them(
    tmp_path: Path,
) -> None:
    storage = StorageSection(directory=tmp_path)
    storage.gallery_path.touch()
    with OnServer().open() as gallery:
        gallery.people.enroll("Anna", [EnrolledSample(sample(0))])
        outcome = forget_person(gallery, "Anna", storage, lambda _gone: None)
    assert [each.path for each in outcome.backups] == [storage.gallery_path]


def test_without_the_server_is_read_what_the_copy_has_and_nothing_is_changed(
    tmp_path: Path,
) -> None:
    storage = StorageSection(directory=tmp_path)
    nowhere = GallerySection(url=f"postgresql:///house?host={tmp_path}")
    with GalleryCopy.open(storage.copy_path) as copy:
        copy.people.enroll("Anna", [EnrolledSample(sample(0))])
    with closing(GalleryExecutor(storage, nowhere)) as executor:
        for _ in range(2):
            assert executor.read(lambda gallery: [each.name for each in gallery.people.all()]) == [
                "Anna"
            ]
        with pytest.raises(GalleryError, match="does not answer"):
            executor.run(lambda gallery: gallery.people.rename("Anna", "Bela"))
        with pytest.raises(UnknownPersonError):
            executor.read(lambda gallery: gallery.people.get("Bela"))


def listed(verb: str, storage: StorageSection, section: GallerySection) -> Result:
    here = (
        "--set",
        f"storage.directory={storage.directory}",
        "--set",
        f"gallery.url={section.url}",
    )
    return CliRunner().invoke(main, [verb, "list", "--json", *here])


def test_without_the_server_commands_list_what_the_copy_has(tmp_path: Path) -> None:
    storage = StorageSection(directory=tmp_path)
    nowhere = GallerySection(url=f"postgresql:///house?host={tmp_path}")
    assert listed("people", storage, nowhere).exit_code == 3
    with GalleryCopy.open(storage.copy_path) as copy:
        copy.people.enroll("Anna", [EnrolledSample(sample(0))])
        copy.visits.save(Visit("v1", NOON, NOON, door_id="front"))
    for verb, count in (("people", 1), ("strangers", 0), ("visits", 1)):
        found = listed(verb, storage, nowhere)
        assert (found.exit_code, len(json.loads(found.stdout))) == (0, count)
        assert found.stderr.startswith("this machine's copy lacks")
        assert "does not answer" in found.stderr


@on_postgres
def test_what_a_door_s_account_may_not_list_comes_from_the_copy(tmp_path: Path) -> None:
    place, storage = OnServer(), StorageSection(directory=tmp_path)
    section = place.account("front_door", "front")
    with place.open() as gallery:
        gallery.people.enroll("Anna", [EnrolledSample(sample(0))])
        gallery.people.note_consent("Anna", "in writing", 1.0)
    refused = listed("people", storage, section)
    assert refused.exit_code == 3
    assert "permission denied" in refused.stderr
    with GalleryCopy.open(storage.copy_path) as copy, closing(open_server(section)) as server:
        exchange = Exchange(copy.file, server, ("front",))
        exchange.begin()
        exchange.follow()
    found = listed("people", storage, section)
    assert [each["name"] for each in json.loads(found.stdout)] == ["Anna"]
    assert "permission denied" in found.stderr
    visits = listed("visits", storage, section)
    assert (visits.stdout.strip(), visits.stderr) == ("[]", "")


@on_postgres
def test_a_copy_that_was_never_whole_is_waited_for_and_one_without_a_server_is_not(
    tmp_path: Path,
) -> None:
    place = OnServer()
    with place.open() as gallery:
        for number in range(40):
            gallery.people.enroll(f"Person {number}", [EnrolledSample(sample(number))])
    config = load_config(
        None, [f"storage.directory={tmp_path}", f"gallery.url={place.section.url}"]
    )
    for is_first in (True, False):
        with (
            open_own(config.storage, config.gallery) as copy,
            open_shared(config, lambda _state: None) as shared,
        ):
            assert shared.is_first is is_first
            shared.catch_up(Stop())
            assert len(copy.people.all()) == 40
    nowhere = load_config(
        None,
        [f"storage.directory={tmp_path / 'new'}", f"gallery.url=postgresql:///x?host={tmp_path}"],
    )
    with (
        open_own(nowhere.storage, nowhere.gallery),
        open_shared(nowhere, lambda _state: None) as shared,
    ):
        began = time.monotonic()
        shared.catch_up(Stop())
        assert time.monotonic() - began < FIRST_COPY_SECONDS / 4
