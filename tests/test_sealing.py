import base64
import logging
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbell.errors import ConfigError, DoorbellError, SealError
from doorbell.storage.encryption import (
    KEY_BYTES,
    PLAIN,
    Sealed,
    is_sealed,
    open_seal,
    write_new_key,
)

KEY = bytes(range(KEY_BYTES))
JPEG = b"\xff\xd8\xff\xe0" + bytes(1000)


@given(data=st.binary(min_size=1, max_size=2000), about=st.text(min_size=1, max_size=50))
def test_what_is_sealed_opens_as_it_was(data: bytes, about: str) -> None:
    sealed = Sealed(KEY).seal(data, about)
    assert is_sealed(sealed)
    assert len(sealed) == len(data) + 24
    assert Sealed(KEY).open(sealed, about) == data


def test_without_a_key_bytes_stay_as_they_are() -> None:
    assert open_seal(None) is PLAIN
    assert PLAIN.seal(JPEG, "a picture") == JPEG
    assert PLAIN.open(JPEG, "a picture") == JPEG
    assert PLAIN.proof is None


def test_nothing_of_the_bytes_can_be_read() -> None:
    assert bytes(4) not in Sealed(KEY).seal(JPEG, "a picture")


def test_equal_bytes_of_one_kind_are_equal_when_sealed() -> None:
    assert Sealed(KEY).seal(JPEG, "a face") == Sealed(KEY).seal(JPEG, "a face")
    assert Sealed(KEY).seal(JPEG, "a face") != Sealed(KEY).seal(JPEG, "another kind")
    assert Sealed(KEY).proof != Sealed(bytes(KEY_BYTES)).proof


@given(place=st.integers(8, 1027), bit=st.integers(0, 7))
def test_a_single_altered_bit_is_noticed(place: int, bit: int) -> None:
    altered = bytearray(Sealed(KEY).seal(JPEG, "the picture of v1"))
    altered[place] ^= 1 << bit
    with pytest.raises(SealError, match="the picture of v1 cannot be decrypted"):
        Sealed(KEY).open(bytes(altered), "the picture of v1")


def test_bytes_of_something_else_or_of_another_key_are_refused() -> None:
    sealed = Sealed(KEY).seal(JPEG, "the picture of v1")
    with pytest.raises(SealError, match="belongs elsewhere"):
        Sealed(KEY).open(sealed, "the picture of v2")
    with pytest.raises(SealError, match="another key"):
        Sealed(bytes(KEY_BYTES)).open(sealed, "the picture of v1")
    with pytest.raises(SealError, match=r"storage\.key_file"):
        PLAIN.open(sealed, "the picture of v1")
    with pytest.raises(SealError, match="doorbell gallery encrypt"):
        Sealed(KEY).open(JPEG, "the picture of v1")


def test_a_new_key_is_its_owners_alone_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "gallery.key"
    write_new_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = path.read_bytes()
    assert len(base64.b64decode(kept)) == KEY_BYTES
    with pytest.raises(SealError, match="File exists"):
        write_new_key(path)
    assert path.read_bytes() == kept
    other = tmp_path / "other.key"
    write_new_key(other)
    sealed = open_seal(path).seal(JPEG, "a picture")
    assert open_seal(path).open(sealed, "a picture") == JPEG
    with pytest.raises(SealError, match="another key"):
        open_seal(other).open(sealed, "a picture")


def test_a_credential_of_systemd_is_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_new_key(tmp_path / "gallery-key")
    credential = Path("$CREDENTIALS_DIRECTORY/gallery-key")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert open_seal(credential).proof == open_seal(tmp_path / "gallery-key").proof
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(ConfigError, match=r"storage\.key_file"):
        open_seal(credential)


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
        open_seal(path)
    assert refused.value.exit_code == 3
    assert str(path) in str(refused.value)
    assert "sesame" not in str(refused.value)


def test_a_key_that_others_can_read_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "gallery.key"
    write_new_key(path)
    with caplog.at_level(logging.WARNING):
        open_seal(path)
        assert caplog.records == []
        path.chmod(0o644)
        open_seal(path)
    [record] = caplog.records
    assert "storage.key_file" in record.message
