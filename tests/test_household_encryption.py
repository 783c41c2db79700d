"""Everything on the disk from one key to another."""

import base64
import json
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from command_line import sample

from doorbell.clock import BootTime
from doorbell.config import MqttSection, StorageSection
from doorbell.errors import EncryptionError, GalleryError
from doorbell.gallery.backup import back_up
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.link.copy import GalleryCopy
from doorbell.gallery.link.writes import AddStranger
from doorbell.gallery.lock import only_daemon
from doorbell.household.encryption import change_key
from doorbell.outputs.mqtt.outbox import Outbox
from doorbell.outputs.notices.output import Notices
from doorbell.outputs.pictures import picture_path, read_picture
from doorbell.storage.encryption import NO_CIPHER, Cipher, open_cipher, write_new_key


@pytest.fixture
def cipher(storage: Path) -> Cipher:
    write_new_key(storage / "gallery.key")
    return open_cipher(storage / "gallery.key")


def test_all_of_it_is_encrypted_but_the_backups_which_it_names(
    storage: Path, cipher: Cipher
) -> None:
    section = StorageSection(directory=storage)
    with closing(Outbox(section.outbox_path, MqttSection())) as outbox:
        outbox.append(b'{"person": "Anna"}', None, BootTime.now())
    with closing(Notices(section.notices_path)) as notices:
        notices.try_target("anna")
    backup = back_up(section.gallery_path, None, 1000.0)
    done = change_key(section, NO_CIPHER, cipher)
    assert (done.pictures, done.is_clean) == (1, True)
    assert [each.path for each in done.backups] == [backup]
    picture = picture_path(section.pictures_directory, "v2")
    assert picture.read_bytes() != b"jpeg"
    assert read_picture(picture, cipher) == b"jpeg"
    with pytest.raises(EncryptionError):
        Gallery.open(section.gallery_path)
    with closing(Outbox(section.outbox_path, MqttSection(), cipher)) as outbox:
        event = outbox.read(1)
        assert event is not None
        assert json.loads(event.document) == {"person": "Anna"}
    with closing(Notices(section.notices_path)) as notices:  # without the key it waits elsewhere
        assert notices.take(None, 0, wait_seconds=0.0, limit=9)[1] == []
    with closing(Notices(section.notices_path, cipher)) as notices:
        assert len(notices.take(None, 0, wait_seconds=0.0, limit=9)[1]) == 1
    once = picture.read_bytes()
    assert (
        change_key(section, NO_CIPHER, cipher).pictures == 1
    )  # as after a run that was interrupted
    assert picture.read_bytes() == once
    assert change_key(section, cipher, NO_CIPHER).is_clean
    assert picture.read_bytes() == b"jpeg"


def test_what_another_process_keeps_of_before_is_told(storage: Path, cipher: Cipher) -> None:
    section = StorageSection(directory=storage)
    with closing(sqlite3.connect(section.gallery_path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM samples").fetchone()
        assert not change_key(section, NO_CIPHER, cipher).is_clean
    assert change_key(section, NO_CIPHER, cipher).is_clean


def test_nothing_is_changed_beside_a_daemon(storage: Path, cipher: Cipher) -> None:
    section = StorageSection(directory=storage)
    with only_daemon(storage), pytest.raises(GalleryError, match="is running"):
        change_key(section, NO_CIPHER, cipher)
    assert picture_path(section.pictures_directory, "v2").read_bytes() == b"jpeg"
    Gallery.open(section.gallery_path).close()


def test_so_is_the_copy_of_a_gallery_on_a_server_with_what_waits_for_it(tmp_path: Path) -> None:
    section = StorageSection(directory=tmp_path)
    write_new_key(tmp_path / "one.key")
    write_new_key(tmp_path / "other.key")
    keys = [NO_CIPHER, open_cipher(tmp_path / "one.key"), open_cipher(tmp_path / "other.key")]
    with GalleryCopy.open(section.copy_path) as copy:
        copy.file.add_numbers(1, 9)
        stranger = copy.strangers.add([sample(1)], 1.0)
        waiting = [each.sequence for each in copy.file.waiting(9)]
    as_base64 = base64.b64encode(sample(1).embedding.tobytes())
    for before, after in pairwise([*keys, NO_CIPHER]):
        assert change_key(section, before, after).is_clean
        with pytest.raises(EncryptionError):
            GalleryCopy.open(section.copy_path, before)
        with GalleryCopy.open(section.copy_path, after) as copy:
            assert copy.strangers.samples(stranger.stranger_id, sample(1).model_id)
            assert [each.sequence for each in copy.file.waiting(9)] == waiting
            [write] = [each.write for each in copy.file.waiting(9)]
            assert isinstance(write, AddStranger)
            assert np.array_equal(write.samples[0].embedding, sample(1).embedding)
        content = section.copy_path.read_bytes()
        assert (as_base64 in content) == (after is NO_CIPHER)
        assert not section.gallery_path.exists()
