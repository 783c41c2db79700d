"""Portraits: for who agreed, encrypted, and gone with their person; none is lost by an undo."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from zipfile import ZipFile

import cv2
import numpy as np
import pytest
from command_line import sample
from galleries import Place

from doorbell.config import StorageSection
from doorbell.domain import UInt8Array, Visit
from doorbell.errors import GalleryError, UnknownPersonError, UsageError
from doorbell.gallery.backup import back_up, restore
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.gallery.integrity import check_gallery
from doorbell.household.encryption import change_key
from doorbell.household.personal_data import export_personal_data
from doorbell.imaging.portrait import MAX_BYTES, SIDE_PIXELS, crop_portrait, smaller_portrait
from doorbell.imaging.visit_picture import decode_jpeg, jpeg_size
from doorbell.recognition.embedder import SFACE_ID
from doorbell.storage.encryption import NO_CIPHER, open_cipher, write_new_key


def portrait(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), np.uint8)
    return crop_portrait(pixels, (10, 10, 30, 30))


ANNAS, BERTAS, NEW = portrait(40), portrait(120), portrait(200)


def agreed(gallery: Gallery) -> Gallery:
    for axis, name in enumerate(("Anna", "Berta")):
        gallery.people.enroll(name, [EnrolledSample(sample(axis))])
        gallery.people.note_consent(name, "a portrait too", 1.0)
    return gallery


@pytest.fixture
def gallery(place: Place) -> Iterator[Gallery]:
    with place.open() as gallery:
        yield agreed(gallery)


@pytest.fixture
def in_file(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        yield agreed(gallery)


def number_of(gallery: Gallery, name: str) -> int:
    return gallery.people.get(name).person_id


def portrait_of(gallery: Gallery, name: str) -> bytes | None:
    return gallery.portraits.of(number_of(gallery, name))


def held_in(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


def test_it_takes_a_consent(gallery: Gallery) -> None:
    number = gallery.people.enroll("Carla", [EnrolledSample(sample(5))]).person.person_id
    with pytest.raises(UsageError, match="Carla has no portrait before it is noted"):
        gallery.portraits.choose(number, ANNAS, 2.0)
    assert gallery.portraits.of(number) is None
    gallery.people.note_consent("Carla", "yes", 3.0)
    gallery.portraits.choose(number, ANNAS, 4.0)
    assert gallery.portraits.of(number) == ANNAS
    assert gallery.portraits.owners() == {number}


def test_another_takes_its_place_and_the_bytes_of_the_first_are_gone(
    gallery: Gallery, place: Place
) -> None:
    number = number_of(gallery, "Anna")
    gallery.portraits.choose(number, ANNAS, 2.0)
    gallery.portraits.choose(number, NEW, 3.0)
    assert gallery.portraits.of(number) == NEW
    held = place.content()
    assert NEW[-400:] in held
    assert ANNAS[-400:] not in held
    assert gallery.portraits.delete(number)
    assert not gallery.portraits.delete(number)
    assert gallery.portraits.of(number) is None
    assert NEW[-400:] not in place.content()


@pytest.mark.parametrize("wrong", [b"", b"\xff\xd8 no picture", b"<svg/>", bytes(MAX_BYTES + 1)])
def test_what_is_no_portrait_is_refused(gallery: Gallery, wrong: bytes) -> None:
    with pytest.raises(GalleryError, match="that are no portrait"):
        gallery.portraits.choose(number_of(gallery, "Anna"), wrong, 1.0)


def test_nobody_has_the_portrait_of_who_was_forgotten(gallery: Gallery, place: Place) -> None:
    number = number_of(gallery, "Anna")
    gallery.portraits.choose(number, ANNAS, 2.0)
    gallery.people.forget("Anna")
    with pytest.raises(UnknownPersonError):
        gallery.portraits.of(number)
    assert ANNAS[-400:] not in place.content()


@pytest.mark.parametrize("has_own", [False, True])
def test_who_is_merged_keeps_that_of_the_other_and_undoing_gives_both_back(
    gallery: Gallery, *, has_own: bool
) -> None:
    gallery.portraits.choose(number_of(gallery, "Anna"), ANNAS, 2.0)
    if has_own:
        gallery.portraits.choose(number_of(gallery, "Berta"), BERTAS, 2.0)
    gallery.people.merge("Anna", "Berta")
    assert portrait_of(gallery, "Berta") == (BERTAS if has_own else ANNAS)
    gallery.namings.undo()
    assert portrait_of(gallery, "Anna") == ANNAS
    assert portrait_of(gallery, "Berta") == (BERTAS if has_own else None)


@pytest.mark.parametrize("has_own", [False, True])
def test_one_chosen_since_a_merging_stays_and_the_first_comes_back(
    gallery: Gallery, *, has_own: bool
) -> None:
    gallery.portraits.choose(number_of(gallery, "Anna"), ANNAS, 2.0)
    if has_own:
        gallery.portraits.choose(number_of(gallery, "Berta"), BERTAS, 2.0)
    gallery.people.merge("Anna", "Berta")
    gallery.portraits.choose(number_of(gallery, "Berta"), NEW, 3.0)
    assert portrait_of(gallery, "Berta") == NEW
    gallery.namings.undo()
    assert portrait_of(gallery, "Anna") == ANNAS
    assert portrait_of(gallery, "Berta") == NEW


def test_merging_twice_and_undoing_twice_gives_everybody_theirs(gallery: Gallery) -> None:
    gallery.people.enroll("Carla", [EnrolledSample(sample(5))])
    gallery.people.note_consent("Carla", "yes", 1.0)
    theirs = {"Anna": ANNAS, "Berta": BERTAS, "Carla": NEW}
    for name, jpeg in theirs.items():
        gallery.portraits.choose(number_of(gallery, name), jpeg, 2.0)
    gallery.people.merge("Anna", "Berta")
    gallery.people.merge("Berta", "Carla")
    assert portrait_of(gallery, "Carla") == NEW
    gallery.namings.undo()
    assert portrait_of(gallery, "Berta") == BERTAS
    gallery.namings.undo()
    assert {name: portrait_of(gallery, name) for name in theirs} == theirs


def test_deleting_one_after_a_merging_deletes_what_was_put_aside_too(
    gallery: Gallery, place: Place
) -> None:
    for name, jpeg in (("Anna", ANNAS), ("Berta", BERTAS)):
        gallery.portraits.choose(number_of(gallery, name), jpeg, 2.0)
    gallery.people.merge("Anna", "Berta")
    assert gallery.portraits.delete(number_of(gallery, "Berta"))
    gallery.namings.undo()
    assert portrait_of(gallery, "Anna") is portrait_of(gallery, "Berta") is None
    held = place.content()
    assert ANNAS[-400:] not in held
    assert BERTAS[-400:] not in held


def test_a_name_that_is_taken_back_leaves_the_portrait_and_its_person(gallery: Gallery) -> None:
    stranger = gallery.strangers.add([sample(7)], 1.0)
    gallery.visits.save(Visit("v1", 1.0, 2.0, 3.0, stranger), [sample(7)])
    person = gallery.strangers.name(stranger.stranger_id, "Carla")
    gallery.people.note_consent("Carla", "yes", 2.0)
    gallery.portraits.choose(person.person_id, NEW, 3.0)
    gallery.namings.undo()
    assert gallery.portraits.of(person.person_id) == NEW
    assert [each.stranger_id for each in gallery.strangers.all()] == [stranger.stranger_id]


def test_it_is_encrypted_with_the_rest_and_decrypted_again(
    in_file: Gallery, tmp_path: Path
) -> None:
    number = number_of(in_file, "Anna")
    in_file.portraits.choose(number, ANNAS, 2.0)
    in_file.close()
    section = StorageSection(directory=tmp_path, key_file=tmp_path / "key")
    write_new_key(tmp_path / "key")
    cipher = open_cipher(section.key_file)
    assert ANNAS[-400:] in held_in(tmp_path)
    change_key(section, NO_CIPHER, cipher)
    assert ANNAS[-400:] not in held_in(tmp_path)
    with Gallery.of(section) as encrypted:
        assert encrypted.portraits.of(number) == ANNAS
        encrypted.portraits.choose(number, NEW, 3.0)
    assert NEW[-400:] not in held_in(tmp_path)
    assert all(finding.ok for finding in check_gallery(section.gallery_path, cipher, SFACE_ID))
    change_key(section, cipher, NO_CIPHER)
    with Gallery.open(section.gallery_path) as plain:
        assert plain.portraits.of(number) == NEW


def test_it_is_in_the_personal_data_with_what_was_put_aside(
    gallery: Gallery, tmp_path: Path
) -> None:
    for name, jpeg in (("Anna", ANNAS), ("Berta", BERTAS)):
        gallery.portraits.choose(number_of(gallery, name), jpeg, 2.0)
    gallery.people.merge("Anna", "Berta")
    path = tmp_path / "berta.zip"
    export_personal_data(gallery, "Berta", path, StorageSection(directory=tmp_path))
    with ZipFile(path) as archive:
        held = {archive.read(f"portraits/{number}.jpg") for number in (1, 2)}
        document = json.loads(archive.read("person.json"))
    assert held == {ANNAS, BERTAS}
    assert [each["chosen_at"] for each in document["portraits"]] == [2.0, 2.0]
    assert "jpeg" not in document["portraits"][0]


def test_a_backup_brings_it_back(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "more" / "gallery.sqlite") as other:
        number = other.people.enroll("Anna", [EnrolledSample(sample(0))]).person.person_id
        other.people.note_consent("Anna", "yes", 1.0)
        other.portraits.choose(number, ANNAS, 2.0)
    path = tmp_path / "more" / "gallery.sqlite"
    copy = back_up(path, None, 1.0)
    with Gallery.open(path) as other:
        other.portraits.delete(number)
    restore(path, copy, 2.0)
    with Gallery.open(path) as other:
        assert other.portraits.of(number) == ANNAS


def test_of_a_foreign_file_what_cannot_be_a_portrait_is_left_out(
    in_file: Gallery, tmp_path: Path
) -> None:
    number = number_of(in_file, "Anna")
    in_file.portraits.choose(number, ANNAS, 2.0)
    in_file.close()
    path = tmp_path / "gallery.sqlite"
    copy = back_up(path, tmp_path / "copy.sqlite", 1.0)
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("UPDATE portraits SET jpeg = zeroblob(5000000)")
        connection.commit()
    restore(path, copy, 2.0)
    with Gallery.open(path) as restored:
        assert restored.portraits.of(number) is None
        assert restored.file.rows("SELECT id FROM portraits") == []


def test_a_damaged_one_is_not_shown_and_is_found(in_file: Gallery, tmp_path: Path) -> None:
    number = number_of(in_file, "Anna")
    in_file.portraits.choose(number, ANNAS, 2.0)
    with in_file.file.writing():
        in_file.file.execute("UPDATE portraits SET jpeg = ?", b"nothing")
    assert in_file.portraits.of(number) is None
    wrong = [
        finding
        for finding in check_gallery(tmp_path / "gallery.sqlite", NO_CIPHER, SFACE_ID)
        if not finding.ok
    ]
    assert [finding.part for finding in wrong] == ["portraits"]
    assert "the portrait of 'Anna' is damaged" in wrong[0].message


def scene() -> UInt8Array:
    pixels = np.full((400, 600, 3), 90, np.uint8)
    cv2.ellipse(pixels, (300, 200), (40, 55), 0, 0, 360, (220, 180, 160), -1)
    return pixels


def test_the_face_is_in_the_middle_with_room_above_the_head() -> None:
    jpeg = crop_portrait(scene(), (260, 155, 340, 245))
    assert jpeg_size(jpeg) == (SIDE_PIXELS, SIDE_PIXELS)
    pixels = decode_jpeg(jpeg)
    assert pixels is not None
    rows, columns = np.nonzero(pixels[:, :, 0] > 180)
    assert abs(columns.mean() - SIDE_PIXELS / 2) < 3
    above, below = rows.min(), SIDE_PIXELS - 1 - rows.max()
    assert above > below > 20


@pytest.mark.parametrize(
    "box", [(-50, -60, 60, 80), (560, 350, 700, 500), (0, 0, 600, 400), (300, 200, 300, 200)]
)
def test_a_face_at_the_border_is_cut_out_all_the_same(box: tuple[int, int, int, int]) -> None:
    assert jpeg_size(crop_portrait(scene(), box)) == (SIDE_PIXELS, SIDE_PIXELS)


def test_a_smaller_one_is_given_to_who_wants_it() -> None:
    assert jpeg_size(smaller_portrait(ANNAS, 64)) == (64, 64)
    assert smaller_portrait(ANNAS, 500) == ANNAS
