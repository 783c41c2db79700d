"""Encrypting a gallery that is there, decrypting it, and changing its key."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from doorbell.gallery.codec import ENCRYPTED_AS, PORTRAIT_ENCRYPTED_AS
from doorbell.gallery.database import GalleryFile
from doorbell.storage.encryption import Cipher


def seal_gallery(path: Path, before: Cipher, after: Cipher) -> bool:
    """Keep every embedding and portrait in another way: all of them or, on any error, none.

    Returns:
        False if another process had the gallery open: its write-ahead log keeps the earlier bytes.

    Raises:
        GalleryError: the file fails.
        EncryptionError: it is not kept in the way of ``before``.
    """
    with closing(GalleryFile(path, before)) as file:

        def change(table: str, kept: bytes) -> bytes:
            about = PORTRAIT_ENCRYPTED_AS if table == "portraits" else ENCRYPTED_AS
            return after.encrypt(before.decrypt(kept, about), about)

        return file.reencrypt(after, change)
