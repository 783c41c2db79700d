"""Encrypting a gallery that is there, decrypting it, and changing its key."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from doorbell.gallery.codec import ENCRYPTED_AS
from doorbell.gallery.database import GalleryFile
from doorbell.storage.encryption import Cipher


def seal_gallery(path: Path, before: Cipher, after: Cipher) -> bool:
    """Keep every embedding in another way: all of them or, on any error, none.

    Returns:
        False if another process had the gallery open: its write-ahead log keeps the earlier bytes.

    Raises:
        GalleryError: the file fails.
        EncryptionError: it is not kept in the way of ``before``.
    """
    with closing(GalleryFile(path, before)) as file:
        return file.reencrypt(
            after,
            lambda embedding: after.encrypt(before.decrypt(embedding, ENCRYPTED_AS), ENCRYPTED_AS),
        )
