"""A gallery that is encrypted: no face can be read, and everything else works as before."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from all_samples import read_samples

from doorbell.config import StorageSection
from doorbell.domain import FaceSample, Visit
from doorbell.errors import EncryptionError
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.gallery.integrity import check_gallery
from doorbell.gallery.migrations import EMBEDDING_TABLES
from doorbell.gallery.reencryption import seal_gallery
from doorbell.recognition.candidates import NOBODY
from doorbell.storage.encryption import (
    KEY_BYTES,
    NO_CIPHER,
    AesSivCipher,
    Cipher,
    open_cipher,
    write_new_key,
)

MODEL = "sface-test"
KEY = AesSivCipher(bytes(range(KEY_BYTES)))
OTHER_KEY = AesSivCipher(bytes(KEY_BYTES))


def face(seed: int) -> FaceSample:
    embedding = np.random.default_rng(seed).normal(size=128).astype(np.float32)
    return FaceSample(embedding / np.linalg.norm(embedding), MODEL, 0.9)


ANNAS, STRANGERS, VISITS, HOODED = face(1), face(2), face(3), face(4)


def live(path: Path, cipher: Cipher) -> None:
    """Write an embedding into each table that holds some."""
    with Gallery.open(path, cipher) as gallery:
        anna = gallery.people.enroll("Anna", [EnrolledSample(ANNAS, None, {"hood": HOODED})]).person
        gallery.strangers.add([STRANGERS], 1.0)
        for name in ("visit1", "visit2"):
            gallery.visits.save(Visit(name, 1.0, 2.0, 2.0, anna), [VISITS])
        gallery.corrections.to_stranger("visit1", None)
        gallery.corrections.to_no_face("visit2")


def counts(path: Path) -> list[int]:
    tables = ("samples", "variants", "visit_samples", "negatives", "non_faces")
    with closing(sqlite3.connect(path)) as connection:
        return [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - our own words
            for table in tables
        ]


def readable(path: Path) -> list[bool]:
    """Which of the faces stand in some file of the gallery's folder; the variant as Anna's."""
    held = b"".join(each.read_bytes() for each in path.parent.iterdir() if each.is_file())
    assert (HOODED.embedding.tobytes() in held) == (ANNAS.embedding.tobytes() in held)
    return [each.embedding.tobytes() in held for each in (ANNAS, STRANGERS, VISITS)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gallery.sqlite"


def test_everything_works_with_a_key_as_without(tmp_path: Path) -> None:
    plain, encrypted = tmp_path / "plain" / "g.sqlite", tmp_path / "encrypted" / "g.sqlite"
    live(plain, NO_CIPHER)
    live(encrypted, KEY)
    assert readable(plain) == [True, True, True]
    assert readable(encrypted) == [False, False, False]
    assert counts(encrypted) == counts(plain)
    assert min(counts(encrypted)) > 0
    with Gallery.open(plain) as one, Gallery.open(encrypted, KEY) as other:
        templates = read_samples(one.file, MODEL), read_samples(other.file, MODEL)
        for name in ("person", "stranger", "negative", "non_face"):
            embeddings = [getattr(each, f"{name}_embeddings") for each in templates]
            assert len(embeddings[0]) > 0
            assert np.array_equal(*embeddings)
        for gallery in (one, other):
            [(person, cosine)] = gallery.templates(MODEL).people_like(ANNAS.embedding, 1)
            assert person.name == "Anna"
            assert cosine == pytest.approx(1.0, abs=1e-6)
            assert len(gallery.visits.samples("visit1")) == 1
            gallery.corrections.undo()
            gallery.corrections.undo()
            assert gallery.corrections.to_person("visit1", "Anna", learn=True).learned == 1


def test_encrypting_leaves_no_plain_face_in_any_file(path: Path) -> None:
    live(path, NO_CIPHER)
    with Gallery.open(path) as gallery:
        before = read_samples(gallery.file, MODEL)
    assert seal_gallery(path, NO_CIPHER, KEY)
    assert readable(path) == [False, False, False]
    with Gallery.open(path, KEY) as gallery:
        after = read_samples(gallery.file, MODEL)
        assert np.array_equal(after.person_embeddings, before.person_embeddings)
    assert seal_gallery(path, KEY, OTHER_KEY)
    with Gallery.open(path, OTHER_KEY) as gallery:
        assert len(gallery.people.samples("Anna", MODEL)) == 1
    assert seal_gallery(path, OTHER_KEY, NO_CIPHER)
    assert readable(path) == [True, True, True]
    with Gallery.open(path) as gallery:
        after = read_samples(gallery.file, MODEL)
        assert np.array_equal(after.person_embeddings, before.person_embeddings)


@pytest.mark.parametrize("wrong", [NO_CIPHER, OTHER_KEY])
def test_without_its_key_a_gallery_is_refused_and_left_as_it_was(path: Path, wrong: Cipher) -> None:
    live(path, KEY)
    kept = path.read_bytes()
    with pytest.raises(EncryptionError, match=r"storage\.key_file"):
        Gallery.open(path, wrong)
    with pytest.raises(EncryptionError, match=r"storage\.key_file"):
        seal_gallery(path, wrong, NO_CIPHER)
    assert path.read_bytes() == kept
    with Gallery.open(path, KEY) as gallery:
        assert len(gallery.people.samples("Anna", MODEL)) == 1


def test_a_plain_gallery_is_not_taken_for_an_encrypted_one(path: Path) -> None:
    live(path, NO_CIPHER)
    with pytest.raises(EncryptionError, match="doorbell gallery encrypt"):
        Gallery.open(path, KEY)
    Gallery.open(path).close()


def test_a_process_that_had_it_open_writes_no_plain_face_into_an_encrypted_gallery(
    path: Path,
) -> None:
    live(path, NO_CIPHER)
    with Gallery.open(path) as enrolling:
        seal_gallery(path, NO_CIPHER, KEY)
        with pytest.raises(EncryptionError, match="start this again"):
            enrolling.people.enroll("Ben", [EnrolledSample(face(4))])
        with pytest.raises(EncryptionError, match="encrypted"):
            enrolling.people.samples("Anna", MODEL)
    with Gallery.open(path, KEY) as gallery:
        assert [each.name for each in gallery.people.all()] == ["Anna"]


def test_while_another_process_reads_the_log_keeps_what_was(path: Path) -> None:
    live(path, NO_CIPHER)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM samples").fetchall()
        with Gallery.open(path) as gallery:
            gallery.people.set_chime("Anna", "gong")
        assert not seal_gallery(path, NO_CIPHER, KEY)
        reader.execute("ROLLBACK")
    assert seal_gallery(path, KEY, KEY)
    assert readable(path) == [False, False, False]


def flip_a_bit_in_each(path: Path, table: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for row, stored in connection.execute(f"SELECT id, embedding FROM {table}").fetchall():  # noqa: S608 - our own words
            altered = stored[:-1] + bytes([stored[-1] ^ 64])  # plain: the exponent of a number
            connection.execute(
                f"UPDATE {table} SET embedding = ? WHERE id = ?",  # noqa: S608 - our own words
                (altered, row),
            )
        connection.commit()


@pytest.mark.parametrize("cipher", [NO_CIPHER, KEY], ids=["plain", "encrypted"])
def test_an_altered_face_is_left_out_and_its_person_named_once(
    path: Path, cipher: Cipher, caplog: pytest.LogCaptureFixture
) -> None:
    with Gallery.open(path, cipher) as gallery:
        gallery.people.enroll("Anna", [EnrolledSample(ANNAS)])
        flip_a_bit_in_each(path, "samples")  # while it is in use
        gallery.people.enroll("Ben", [EnrolledSample(VISITS)])
        gallery.people.enroll("Anna", [EnrolledSample(STRANGERS)])
        for _ in range(2):
            gallery.people.set_chime("Ben", None)
            templates = gallery.templates(MODEL)
        assert [each.name for each in templates.people] == ["Anna", "Ben"]
        for face, name in ((VISITS, "Ben"), (STRANGERS, "Anna")):
            [(person, cosine)] = templates.people_like(face.embedding, 1)
            assert person.name == name
            assert cosine == pytest.approx(1.0, abs=1e-6)
        assert len(gallery.people.samples("Anna", MODEL)) == 1
    (said,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert "1 samples of Anna" in said.message
    assert "enroll again, or stop the doorbell and put a backup" in said.message


def test_whatever_is_altered_the_gallery_is_read_and_the_check_tells_whose_it_is(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    live(path, KEY)
    for table in EMBEDDING_TABLES:
        flip_a_bit_in_each(path, table)
    with Gallery.open(path, KEY) as gallery:
        templates = gallery.templates(MODEL)
        assert templates.candidates(ANNAS.embedding) == NOBODY
    (samples,) = (each for each in check_gallery(path, KEY, MODEL) if each.part == "samples")
    assert not samples.ok
    for whose in ("Anna", "stranger-1"):
        assert f"samples of {whose}" in caplog.text
        assert f"of {whose}: an embedding cannot be decrypted" in samples.message


def test_a_daemon_does_not_go_on_with_a_key_that_was_changed(path: Path) -> None:
    live(path, KEY)
    with Gallery.open(path, KEY) as gallery:
        gallery.templates(MODEL)
        seal_gallery(path, KEY, OTHER_KEY)
        with pytest.raises(EncryptionError, match="start this again"):
            gallery.templates(MODEL)


def test_the_configuration_names_the_key(tmp_path: Path) -> None:
    write_new_key(tmp_path / "gallery.key")
    storage = StorageSection(directory=tmp_path / "state", key_file=tmp_path / "gallery.key")
    with Gallery.of(storage) as gallery:
        gallery.people.enroll("Anna", [EnrolledSample(ANNAS)])
    assert readable(storage.gallery_path)[0] is False
    with Gallery.open(storage.gallery_path, open_cipher(storage.key_file)) as gallery:
        assert len(gallery.people.samples("Anna", MODEL)) == 1
