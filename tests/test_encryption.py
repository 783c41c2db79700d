import base64
import logging
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbell.errors import ConfigError, DoorbellError, EncryptionError
from doorbell.storage.encryption import (
    KEY_BYTES,
    NO_CIPHER,
    AesSivCipher,
    is_encrypted,
    open_cipher,
    write_new_key,
)

KEY = bytes(range(KEY_BYTES))
JPEG = b"\xff\xd8\xff\xe0" + bytes(1000)


@given(data=st.binary(min_size=1, max_size=2000), about=st.text(min_size=1, max_size=50))
def test_what_is_sealed_opens_as_it_was(data: bytes, about: str) -> None:
    encrypted = AesSivCipher(KEY).encrypt(data, about)
    assert is_encrypted(encrypted)
    assert len(encrypted) == len(data) + 24
    assert AesSivCipher(KEY).decrypt(encrypted, about) == data


def test_without_a_key_bytes_stay_as_they_are() -> None:
    assert open_cipher(None) is NO_CIPHER
    assert NO_CIPHER.encrypt(JPEG, "a picture") == JPEG
    assert NO_CIPHER.decrypt(JPEG, "a picture") == JPEG
    assert NO_CIPHER.proof is None


def test_nothing_of_the_bytes_can_be_read() -> None:
    assert bytes(4) not in AesSivCipher(KEY).encrypt(JPEG, "a picture")


def test_equal_bytes_of_one_kind_are_equal_when_sealed() -> None:
    assert AesSivCipher(KEY).encrypt(JPEG, "a face") == AesSivCipher(KEY).encrypt(JPEG, "a face")
    assert AesSivCipher(KEY).encrypt(JPEG, "a face") != AesSivCipher(KEY).encrypt(
        JPEG, "another kind"
    )
    assert AesSivCipher(KEY).proof != AesSivCipher(bytes(KEY_BYTES)).proof


@given(place=st.integers(8, 1027), bit=st.integers(0, 7))
def test_a_single_altered_bit_is_noticed(place: int, bit: int) -> None:
    altered = bytearray(AesSivCipher(KEY).encrypt(JPEG, "the picture of v1"))
    altered[place] ^= 1 << bit
    with pytest.raises(EncryptionError, match="the picture of v1 cannot be decrypted"):
        AesSivCipher(KEY).decrypt(bytes(altered), "the picture of v1")


def test_bytes_of_something_else_or_of_another_key_are_refused() -> None:
    encrypted = AesSivCipher(KEY).encrypt(JPEG, "the picture of v1")
    with pytest.raises(EncryptionError, match="belongs elsewhere"):
        AesSivCipher(KEY).decrypt(encrypted, "the picture of v2")
    with pytest.raises(EncryptionError, match="another key"):
        AesSivCipher(bytes(KEY_BYTES)).decrypt(encrypted, "the picture of v1")
    with pytest.raises(EncryptionError, match=r"storage\.key_file"):
        NO_CIPHER.decrypt(encrypted, "the picture of v1")
    with pytest.raises(EncryptionError, match="doorbell gallery encrypt"):
        AesSivCipher(KEY).decrypt(JPEG, "the picture of v1")


def test_a_new_key_is_its_owners_alone_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "gallery.key"
    write_new_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = path.read_bytes()
    assert len(base64.b64decode(kept)) == KEY_BYTES
    with pytest.raises(EncryptionError, match="File exists"):
        write_new_key(path)
    assert path.read_bytes() == kept
    other = tmp_path / "other.key"
    write_new_key(other)
    encrypted = open_cipher(path).encrypt(JPEG, "a picture")
    assert open_cipher(path).decrypt(encrypted, "a picture") == JPEG
    with pytest.raises(EncryptionError, match="another key"):
        open_cipher(other).decrypt(encrypted, "a picture")


def test_a_credential_of_systemd_is_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_new_key(tmp_path / "gallery-key")
    credential = Path("$CREDENTIALS_DIRECTORY/gallery-key")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert open_cipher(credential).proof == open_cipher(tmp_path / "gallery-key").proof
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(ConfigError, match=r"storage\.key_file"):
        open_cipher(credential)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def words(path: Path) -> None:
    path.write_bytes(b"open sesame")


def short(path: Path) -> None:
    path.write_bytes(base64.b64encode(KEY[:32]))


def folder(path: Path) -> None:
    path.mkdir()


def missing(path: Path) -> None:
    path.unlink(missing_ok=True)


@pytest.mark.parametrize("spoil", [empty, words, short, folder, missing])
def test_what_is_no_key_is_refused_and_not_shown(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    path = tmp_path / "gallery.key"
    spoil(path)
    with pytest.raises(DoorbellError) as refused:
        open_cipher(path)
    assert refused.value.exit_code == 3
    assert str(path) in str(refused.value)
    assert "sesame" not in str(refused.value)


def test_a_key_that_others_can_read_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "gallery.key"
    write_new_key(path)
    with caplog.at_level(logging.WARNING):
        open_cipher(path)
        assert caplog.records == []
        path.chmod(0o644)
        open_cipher(path)
    [record] = caplog.records
    assert "storage.key_file" in record.message
