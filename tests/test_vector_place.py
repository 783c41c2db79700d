"""A gallery of more than is held in memory decides from mapped files, as one in memory would."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from doorbell.config import StorageSection
from doorbell.domain import FaceSample, Float32Array
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.gallery.vector_place import delete_left_behind
from doorbell.household.forgetting import forget_stranger
from doorbell.recognition.candidates import Candidates
from doorbell.storage.encryption import NO_CIPHER, AesSivCipher, Cipher

MODEL = "test"
STRANGERS = 60
IN_MEMORY = 20


def face(number: int, picture: int = 0) -> Float32Array:
    """A picture of somebody, (128,) float32."""
    own = np.random.default_rng(number).standard_normal(128)
    other = np.random.default_rng([number, picture]).standard_normal(128)
    vector = own + 0.5 * other
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def fill(gallery: Gallery) -> None:
    for number in range(STRANGERS):
        gallery.strangers.add(
            [FaceSample(face(number, picture), MODEL, 0.8) for picture in range(2)], time.time()
        )
    for number in range(100, 103):
        gallery.people.enroll(
            f"person {number}", [EnrolledSample(FaceSample(face(number), MODEL, 0.8))]
        )


def alike(found: Candidates, expected: Candidates) -> bool:
    return (
        [each.person for each in found.people] == [each.person for each in expected.people]
        and found.stranger == expected.stranger
        and abs(found.stranger_similarity - expected.stranger_similarity) < 2e-4
        and found.nearest_similarity == expected.nearest_similarity  # people are few
    )


@pytest.mark.parametrize("cipher", [NO_CIPHER, AesSivCipher(bytes(range(64)))])
def test_candidates_are_those_of_a_gallery_in_memory(tmp_path: Path, cipher: Cipher) -> None:
    """Also after strangers came, were forgotten and became people, by another process's hand."""
    path = tmp_path / "gallery.sqlite"
    with (
        Gallery.open(path, cipher, vectors_in_memory=IN_MEMORY) as mapped,
        Gallery.open(path, cipher) as in_memory,
    ):
        fill(in_memory)

        def compare() -> None:
            found, expected = mapped.templates(MODEL), in_memory.templates(MODEL)
            assert found.enrolled == expected.enrolled
            for number in (*range(STRANGERS + 5), 100, 101, 102):
                probe = face(number, 7)
                assert alike(found.candidates(probe), expected.candidates(probe))
            for stranger in expected.strangers:
                like, as_like = (
                    {
                        (each.stranger_id, round(cosine, 3))
                        for each, cosine in of.strangers_like(stranger.stranger_id, 0.2)
                    }
                    for of in (found, expected)
                )
                assert {each for each, _ in like} == {each for each, _ in as_like}

        compare()
        files = sorted(each.name for each in tmp_path.glob("*.vectors"))
        assert files == (["strangers.test.vectors"] if cipher is NO_CIPHER else [])
        first, second, *_ = sorted(in_memory.templates(MODEL).stranger_ids)
        in_memory.strangers.forget(first)
        in_memory.strangers.name(second, "Clara")
        in_memory.strangers.add([FaceSample(face(STRANGERS), MODEL, 0.8)], time.time())
        compare()
    assert list(tmp_path.glob("*.vectors")) == []


def test_what_a_killed_process_left_is_deleted_when_somebody_is_forgotten(tmp_path: Path) -> None:
    storage = StorageSection(directory=tmp_path)
    with Gallery.of(storage) as gallery:
        fill(gallery)
    program = (
        "import sys, time; from pathlib import Path; from doorbell.gallery.gallery import Gallery\n"
        f"gallery = Gallery.open(Path(sys.argv[1]), vectors_in_memory={IN_MEMORY})\n"
        f"gallery.templates({MODEL!r}); print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(storage.gallery_path)], stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        delete_left_behind(tmp_path)
        assert len(list(tmp_path.glob("*.vectors"))) == 1  # in use
        other.kill()
    assert len(list(tmp_path.glob("*.vectors"))) == 1
    with Gallery.of(storage) as gallery:
        stranger = gallery.strangers.all()[0]
        forget_stranger(gallery, stranger.stranger_id, storage, lambda _: None)
    assert list(tmp_path.glob("*.vectors")) == []


def test_templates_stay_in_memory_where_the_file_cannot_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "gallery.sqlite"
    (tmp_path / "strangers.test.vectors").mkdir()
    with Gallery.open(path, vectors_in_memory=IN_MEMORY) as gallery:
        fill(gallery)
        assert gallery.templates(MODEL).candidates(face(3)).stranger is not None
    assert "templates stay in memory" in caplog.text
