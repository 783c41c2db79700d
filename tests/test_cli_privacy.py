"""What the household can do about what is held on whom: note, export, forget, encrypt."""

import json
import logging
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from click.testing import CliRunner, Result

from doorbell.cli import main
from doorbell.clock import BootTime
from doorbell.config import MqttSection, StorageSection
from doorbell.domain import FaceSample, Recognized, Visit
from doorbell.errors import EncryptionError
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.gallery.lock import only_daemon
from doorbell.outputs.mqtt.outbox import Outbox
from doorbell.outputs.pictures import Pictures, picture_path, read_picture
from doorbell.recognition.embedder import SFACE_ID
from doorbell.storage.encryption import open_cipher, write_new_key

Cli = Callable[..., Result]
JPEG = b"\xff\xd8\xff\xe0 a picture of Anna \xff\xd9"


def face(seed: int) -> FaceSample:
    embedding = np.random.default_rng(seed).normal(size=128).astype(np.float32)
    return FaceSample(embedding / np.linalg.norm(embedding), SFACE_ID, 0.9)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Anna, with a visit that has a picture; Ben, without."""
    directory = tmp_path / "state"
    with Gallery.open(directory / "gallery.sqlite") as gallery:
        anna = gallery.people.enroll("Anna", [EnrolledSample(face(1))]).person
        ben = gallery.people.enroll("Ben", [EnrolledSample(face(2))]).person
        gallery.visits.save(Visit("v1", 1000.0, 1010.0, 1015.0, anna, 0.75, 4, 0.5), [face(3)])
        gallery.visits.save(Visit("v2", 2000.0, 2010.0, 2015.0, ben, 0.75, 4, 0.5), [face(4)])
    picture = picture_path(directory / "pictures", "v1")
    picture.parent.mkdir(mode=0o700)
    picture.write_bytes(JPEG)
    os.utime(picture, (1015.0, 1015.0))
    return directory


@pytest.fixture
def cli(state: Path, tmp_path: Path) -> Iterator[Cli]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def call(*words: str, key: str | None = None) -> Result:
        settings = ["--set", f"storage.directory={state}"]
        if key is not None:
            settings += ["--set", f"storage.key_file={tmp_path / key}"]
        result = CliRunner().invoke(main, [*settings, *words])
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    yield call
    root.handlers[:] = handlers
    root.setLevel(level)


def held(directory: Path) -> bytes:
    return b"".join(each.read_bytes() for each in directory.rglob("*") if each.is_file())


def test_consent_is_noted_shown_and_replaced(cli: Cli) -> None:
    assert json.loads(cli("people", "show", "Anna", "--json").stdout)["consent"] is None
    assert "doorbell people consent Anna" in cli("people", "show", "Anna").stdout
    assert cli("people", "consent", "anna", "  by\nphone ").exit_code == 0
    assert cli("people", "consent", "anna", "in writing, 1 March").exit_code == 0
    consent = json.loads(cli("people", "show", "Anna", "--json").stdout)["consent"]
    assert consent["words"] == "in writing, 1 March"
    assert consent["noted_at"].endswith(("Z", "+00:00"))
    anna, ben = cli("people", "list").stdout.splitlines()[2:]
    assert (anna.split()[-1], ben.split()[-1]) == ("noted", "no")
    assert "in writing, 1 March (noted " in cli("people", "show", "Anna").stdout
    assert cli("people", "merge", "Anna", "Ben", "--force").exit_code == 0
    assert "in writing, 1 March" in cli("people", "show", "Ben").stdout


@pytest.mark.parametrize("words", ["", " \n ", "a" * 501, "yes\x1b[2J"])
def test_consent_without_words_is_refused(cli: Cli, words: str) -> None:
    assert cli("people", "consent", "Anna", words).exit_code == 2
    assert json.loads(cli("people", "show", "Anna", "--json").stdout)["consent"] is None


@pytest.mark.parametrize("key", [None, "gallery.key"])
def test_a_person_gets_everything_that_is_held_on_them(
    cli: Cli, tmp_path: Path, key: str | None
) -> None:
    if key is not None:
        assert cli("gallery", "key", str(tmp_path / key)).exit_code == 0
        assert cli("gallery", "encrypt", key=key).exit_code == 0
    cli("people", "consent", "Anna", "in writing", key=key)
    output = tmp_path / "anna.zip"
    told = cli("people", "export", "Anna", "--output", str(output), key=key)
    assert told.stdout == (f"{output} has everything on Anna: 1 sample, 1 visit and 1 picture\n"), (
        told.stderr
    )
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    with ZipFile(output) as archive:
        assert archive.namelist() == ["person.json", "pictures/v1.jpg"]
        assert archive.read("pictures/v1.jpg") == JPEG
        document = json.loads(archive.read("person.json"))
    assert document["person"]["name"] == "Anna"
    assert document["person"]["consent"] == "in writing"
    for part, seed in (("samples", 1), ("faces_of_visits", 3)):
        (sample,) = document[part]
        assert np.array_equal(np.array(sample["embedding"], np.float32), face(seed).embedding)
    assert [(each["id"], each["started_at"]) for each in document["visits"]] == [("v1", 1000.0)]
    assert "Ben" not in json.dumps(document)
    again = cli("people", "export", "Anna", "--output", str(output), key=key)
    assert (again.exit_code, "File exists" in again.stderr) == (2, True)


def test_forgetting_leaves_nothing_but_the_backups_which_it_names(cli: Cli, state: Path) -> None:
    waiting = [{"visit_id": "v1", "person": "Anna"}, {"visit_id": "v2", "person": "Ben"}]
    with closing(Outbox(state / "outbox.sqlite", MqttSection())) as outbox:
        for event in waiting:
            outbox.append(
                json.dumps(event).encode(), JPEG if event == waiting[0] else None, BootTime.now()
            )
    traces = [b"Anna", b"anna", face(1).embedding.tobytes(), face(3).embedding.tobytes(), JPEG]
    cli("people", "consent", "Anna", "so says Anna")
    assert all(trace in held(state) for trace in traces)
    assert cli("gallery", "backup").exit_code == 0
    (backup,) = (state / "backups").iterdir()
    told = cli("people", "forget", "Anna", "--yes").stdout
    assert str(backup) in told
    backup.unlink()
    assert not [trace for trace in traces if trace in held(state)]
    assert b"Ben" in held(state)
    with closing(Outbox(state / "outbox.sqlite", MqttSection())) as outbox:
        assert len(outbox) == 1


def test_encrypting_changing_the_key_and_decrypting(cli: Cli, state: Path, tmp_path: Path) -> None:
    with closing(Outbox(state / "outbox.sqlite", MqttSection())) as outbox:
        outbox.append(b'{"person": "Anna, who waits"}', JPEG, BootTime.now())
    traces = [face(seed).embedding.tobytes() for seed in (1, 2, 3, 4)]
    traces += [JPEG, b"Anna, who waits"]
    picture = picture_path(state / "pictures", "v1")
    refused = cli("gallery", "encrypt")
    assert (refused.exit_code, "doorbell gallery key" in refused.stderr) == (2, True)
    for name in ("one.key", "other.key"):
        assert cli("gallery", "key", str(tmp_path / name)).exit_code == 0
    assert cli("people", "list", key="one.key").exit_code == 3
    assert cli("gallery", "encrypt", key="one.key").stdout.startswith(
        "the gallery and 1 picture are encrypted"
    )
    assert not [trace for trace in traces if trace in held(state)]
    assert picture.stat().st_mtime == 1015.0
    assert stat.S_IMODE(picture.stat().st_mode) == 0o600
    once = picture.read_bytes()
    assert cli("gallery", "encrypt", key="one.key").exit_code == 0  # nothing left to do
    assert picture.read_bytes() == once
    for wrong in (None, "other.key", "missing.key"):
        told = cli("people", "list", key=wrong)
        assert (told.exit_code, "storage.key_file" in told.stderr) == (3, True)
    assert "Anna" in cli("people", "list", key="one.key").stdout
    old = str(tmp_path / "one.key")
    assert cli("gallery", "encrypt", "--old-key", old, key="other.key").exit_code == 0
    assert cli("people", "list", key="one.key").exit_code == 3
    assert cli("gallery", "decrypt", key="other.key").exit_code == 0
    assert picture.read_bytes() == JPEG
    assert all(trace in held(state) for trace in traces)
    assert "Anna" in cli("people", "list").stdout


def test_the_daemons_pictures_are_encrypted_from_the_first(tmp_path: Path) -> None:
    write_new_key(tmp_path / "gallery.key")
    storage = StorageSection(
        directory=tmp_path / "state", key_file=tmp_path / "gallery.key", free_megabytes=0
    )
    with closing(Pictures(storage)) as pictures:
        pictures.handle(Recognized("e", 1000.0, Visit("v1", 1000.0, 1000.0), JPEG))
    kept = picture_path(storage.pictures_directory, "v1")
    assert b"Anna" not in kept.read_bytes()
    cipher = open_cipher(storage.key_file)
    assert read_picture(kept, cipher) == JPEG
    with pytest.raises(EncryptionError, match="the picture of visit v2"):  # one is no other's
        read_picture(kept.rename(picture_path(storage.pictures_directory, "v2")), cipher)


def test_nothing_is_encrypted_while_a_daemon_runs(cli: Cli, state: Path, tmp_path: Path) -> None:
    assert cli("gallery", "key", str(tmp_path / "gallery.key")).exit_code == 0
    before = held(state / "pictures")
    with only_daemon(state):
        told = cli("gallery", "encrypt", key="gallery.key")
    assert (told.exit_code, "running" in told.stderr) == (3, True)
    assert held(state / "pictures") == before
    assert cli("people", "list").exit_code == 0
