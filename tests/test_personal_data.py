"""What is held on a person, written to a file: everything, for its owner alone, or nothing."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from command_line import sample
from galleries import Place

from doorbell.config import StorageSection
from doorbell.domain import Visit
from doorbell.errors import EncryptionError, UnknownPersonError, UsageError
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.household.encryption import change_key
from doorbell.household.personal_data import export_personal_data
from doorbell.imaging.portrait import crop_portrait
from doorbell.outputs.pictures import picture_path
from doorbell.storage.encryption import NO_CIPHER, open_cipher, write_new_key


@pytest.fixture
def gallery(storage: Path) -> Iterator[Gallery]:
    with Gallery.open(storage / "gallery.sqlite") as gallery:
        gallery.visits.save(
            Visit("v4", 4000.0, 4001.0, visitor=gallery.people.get("Anna"), door_id="side-door"),
            [sample(9)],
        )
        yield gallery


def test_it_has_the_person_and_the_pictures_that_are_kept(gallery: Gallery, storage: Path) -> None:
    path = storage / "anna.zip"
    section = StorageSection(directory=storage)
    done = export_personal_data(gallery, "anna", path, section)
    assert (done.person, done.path) == (gallery.people.get("Anna"), path)
    assert (done.samples, done.visits, done.pictures) == (2, 2, 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with ZipFile(path) as archive:
        assert archive.namelist() == ["person.json", "pictures/v2.jpg"]
        document = json.loads(archive.read("person.json"))
    doors = [(visit["id"], visit["door_id"]) for visit in document["visits"]]
    assert doors == [("v2", ""), ("v4", "side-door")]
    [face] = document["faces_of_visits"]
    assert face["embedding"] == sample(9).embedding.tolist()


def test_it_has_what_was_drawn_over_the_samples(gallery: Gallery, storage: Path) -> None:
    gallery.people.enroll("Anna", [EnrolledSample(sample(7), None, {"hood": sample(8)})])
    path = storage / "anna.zip"
    done = export_personal_data(gallery, "anna", path, StorageSection(directory=storage))
    assert done.samples == 3
    with ZipFile(path) as archive:
        document = json.loads(archive.read("person.json"))
    (variant,) = document["variants"]
    assert variant["drawing"] == "hood"
    assert variant["embedding"] == sample(8).embedding.tolist()


def test_it_is_the_same_wherever_the_gallery_is(place: Place, tmp_path: Path) -> None:
    section = StorageSection(directory=tmp_path)
    with place.open() as gallery:
        anna = gallery.people.enroll(
            "Anna", [EnrolledSample(sample(1), None, {"hood": sample(8)})]
        ).person
        gallery.people.note_consent("Anna", "a portrait too", 1.0)
        portrait = crop_portrait(np.full((8, 8, 3), 90, np.uint8), (2, 2, 6, 6))
        gallery.portraits.choose(anna.person_id, portrait, 2.0)
        gallery.visits.save(Visit("v1", 10.0, 11.0, visitor=anna, door_id="side"), [sample(2)])
        done = export_personal_data(gallery, "Anna", tmp_path / "anna.zip", section)
    assert (done.samples, done.visits) == (1, 1)
    with ZipFile(tmp_path / "anna.zip") as archive:
        document = json.loads(archive.read("person.json"))
        assert archive.read("portraits/1.jpg") == portrait
    assert document["samples"][0]["embedding"] == sample(1).embedding.tolist()
    assert document["variants"][0]["embedding"] == sample(8).embedding.tolist()
    assert document["faces_of_visits"][0]["embedding"] == sample(2).embedding.tolist()
    assert document["visits"][0]["door_id"] == "side"


def test_what_is_there_is_not_overwritten(gallery: Gallery, storage: Path) -> None:
    path, section = storage / "anna.zip", StorageSection(directory=storage)
    path.write_text("mine")
    with pytest.raises(UsageError, match=r"anna\.zip: File exists; give the path of a new file"):
        export_personal_data(gallery, "Anna", path, section)
    assert path.read_text() == "mine"
    with pytest.raises(UsageError, match="No such file or directory"):
        export_personal_data(gallery, "Anna", storage / "gone" / "anna.zip", section)
    with pytest.raises(UnknownPersonError, match="did you mean Anna"):
        export_personal_data(gallery, "Ana", storage / "new.zip", section)
    assert not (storage / "new.zip").exists()


def test_a_picture_that_cannot_be_read_leaves_no_half_of_a_file(storage: Path) -> None:
    section = StorageSection(directory=storage, key_file=storage / "gallery.key")
    write_new_key(storage / "gallery.key")
    cipher, path = open_cipher(section.key_file), storage / "anna.zip"
    change_key(section, NO_CIPHER, cipher)
    picture = picture_path(section.pictures_directory, "v2")
    encrypted = picture.read_bytes()
    picture.write_bytes(encrypted[:-1] + bytes([encrypted[-1] ^ 1]))
    with Gallery.of(section) as gallery:
        with pytest.raises(EncryptionError, match="the picture of visit v2"):
            export_personal_data(gallery, "Anna", path, section)
        assert not path.exists()
        picture.write_bytes(encrypted)
        assert export_personal_data(gallery, "Anna", path, section).pictures == 1


def test_a_picture_out_of_reach_is_named(gallery: Gallery, storage: Path) -> None:
    path, section = storage / "anna.zip", StorageSection(directory=storage)
    picture = picture_path(section.pictures_directory, "v4")
    picture.symlink_to(picture)
    with pytest.raises(UsageError, match=r"cannot read .*v4\.jpg: Too many levels"):
        export_personal_data(gallery, "Anna", path, section)
    assert not path.exists()
