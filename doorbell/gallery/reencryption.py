"""Encrypting a gallery that is there, decrypting it, and changing its key."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from doorbell.gallery.codec import ENCRYPTED_AS, PORTRAIT_ENCRYPTED_AS, WRITE_ENCRYPTED_AS
from doorbell.gallery.database import GalleryFile
from doorbell.storage.encryption import Cipher

# What is in a table that has no embeddings, to the seal.
_ABOUT = {"portraits": PORTRAIT_ENCRYPTED_AS, "outbox": WRITE_ENCRYPTED_AS}


def seal_gallery(
    path: Path, before: Cipher, after: Cipher, kind: type[GalleryFile] = GalleryFile
) -> bool:
    """Keep every embedding and portrait in another way: all of them or, on any error, none.

    Args:
        path: the file.
        before: how it is kept.
        after: how it is to be kept.
        kind: of file, where it is a copy of what is on a server.

    Returns:
        False if another process had the gallery open: its write-ahead log keeps the earlier bytes.

    Raises:
        GalleryError: the file fails.
        EncryptionError: it is not kept in the way of ``before``.
    """
    with closing(kind(path, before)) as file:

        def change(table: str, kept: bytes) -> bytes:
            about = _ABOUT.get(table, ENCRYPTED_AS)
            return after.encrypt(before.decrypt(kept, about), about)

        return file.reencrypt(after, change)
