"""Encryption at rest: bytes that only the holder of a key can read, or change unnoticed.

AES-SIV (RFC 5297) of the cryptography package. It needs no random number that must never come
twice, and equal bytes of the same kind are equal when encrypted, so that the gallery's own
statements still find and copy a face. The package is imported only where there is a key.
"""

from __future__ import annotations

import base64
import binascii
import codecs
from pathlib import Path
from typing import Final, Protocol

from doorbell.config.secrets import secret_path, warn_of_readers
from doorbell.errors import EncryptionError
from doorbell.storage.files import write_whole

KEY_BYTES = 64  # two keys of AES-256: one authenticates, one encrypts (RFC 5297, 2.1)
_KEY = "storage.key_file"

# Before whatever is encrypted. No embedding begins so (its first number would be 5.7e22), and no
# JPEG.
_MARK: Final = b"DoBeSIV1"


class Cipher(Protocol):
    """How bytes are kept."""

    @property
    def proof(self) -> bytes | None:
        """By which a key is known again; None where nothing is encrypted."""
        ...

    def encrypt(self, data: bytes, about: str) -> bytes:
        """Bytes to keep; ``about`` is what they are, and is needed again to open them."""
        ...

    def decrypt(self, data: bytes, about: str) -> bytes:
        """What was encrypted.

        Raises:
            EncryptionError: they are kept in another way, by another key, of something else, or
                altered.
        """
        ...


class NoCipher:
    """Nothing is encrypted."""

    proof: bytes | None = None

    def encrypt(self, data: bytes, about: str) -> bytes:
        """Give the bytes as they are."""
        del about
        return data

    def decrypt(self, data: bytes, about: str) -> bytes:
        """Give the bytes as they are."""
        if is_encrypted(data):
            raise EncryptionError(
                f"{about} is encrypted; set {_KEY} to the key it was encrypted with"
            )
        return data


class AesSivCipher:
    """Encrypted with a key.

    Args:
        key: 64 bytes.
    """

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        self._cipher = AESSIV(key)
        self.proof: bytes | None = self.encrypt(b"this key", "the proof of the key")

    def encrypt(self, data: bytes, about: str) -> bytes:
        """Encrypt bytes; they grow by 24."""
        return _MARK + self._cipher.encrypt(data, [about.encode()])

    def decrypt(self, data: bytes, about: str) -> bytes:
        """Decrypt bytes."""
        from cryptography.exceptions import InvalidTag

        if not is_encrypted(data):
            raise EncryptionError(
                f"{about} is not encrypted; encrypt it with: doorbell gallery encrypt"
            )
        try:
            return self._cipher.decrypt(data[len(_MARK) :], [about.encode()])
        except InvalidTag as exc:
            raise EncryptionError(
                f"{about} cannot be decrypted: it was encrypted with another key than that of "
                f"{_KEY}, belongs elsewhere or was altered; give its own key, or restore a backup"
            ) from exc


NO_CIPHER: Final = NoCipher()


def is_encrypted(data: bytes) -> bool:
    """Whether bytes were encrypted with some key."""
    return data.startswith(_MARK)


def open_cipher(key_file: Path | None) -> Cipher:
    """What the configuration asks for.

    Args:
        key_file: 64 bytes in Base64; a path below ``$CREDENTIALS_DIRECTORY`` is a credential of
            systemd; None encrypts nothing.

    Raises:
        EncryptionError: it cannot be read, or is no key.
        ConfigError: it is a credential of systemd, and none were passed to this process.
    """
    if key_file is None:
        return NO_CIPHER
    path = secret_path(_KEY, key_file)
    try:
        key = base64.b64decode(
            path.read_bytes().removeprefix(codecs.BOM_UTF8).strip(), validate=True
        )
    except OSError as exc:
        raise EncryptionError(
            f"{_KEY}: cannot read the key {path}: {exc.strerror}; check its path and owner; "
            "without it nothing that was encrypted can be read"
        ) from exc
    except binascii.Error:
        key = b""  # without the cause: it would show what the file holds
    if len(key) != KEY_BYTES:
        raise EncryptionError(
            f"{_KEY}: {path} holds no key of {KEY_BYTES} bytes in Base64; "
            "make one with: doorbell gallery key PATH"
        )
    if path == key_file:  # systemd looks after its own
        warn_of_readers(_KEY, path)
    return AesSivCipher(key)


def write_new_key(path: Path) -> None:
    """Make a key, in a new file for its owner alone.

    Raises:
        EncryptionError: there is such a file, or it cannot be written.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

    try:
        key = AESSIV.generate_key(8 * KEY_BYTES)
        write_whole(path, base64.b64encode(key) + b"\n", replace=False)
    except OSError as exc:
        raise EncryptionError(
            f"cannot write a key to {path}: {exc.strerror}; give the path of a new file"
        ) from exc
