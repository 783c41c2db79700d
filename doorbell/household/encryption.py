"""Everything on the disk from one key to another, or to none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from doorbell.config import StorageSection
from doorbell.errors import EncryptionError
from doorbell.gallery.database import GalleryFile
from doorbell.gallery.link.copy_file import CopyFile
from doorbell.gallery.lock import only_daemon
from doorbell.gallery.reencryption import seal_gallery
from doorbell.gallery.vector_place import delete_left_behind
from doorbell.outputs.mqtt.image_record import ImageRecord
from doorbell.outputs.mqtt.outbox_store import OutboxFile
from doorbell.outputs.notices.journal_file import JournalFile
from doorbell.outputs.pictures import seal_pictures
from doorbell.storage.encryption import Cipher
from doorbell.storage.sqlite_copies import Backup, backups


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What a change of the key did, and what it did not.

    Attributes:
        pictures: how many there are, all of them kept in the new way.
        is_clean: whether nothing of before is left in the gallery's log; another process that has
            it open keeps that there.
        backups: left as they were made; the newest first.
    """

    pictures: int
    is_clean: bool
    backups: tuple[Backup, ...]


def change_key(storage: StorageSection, before: Cipher, after: Cipher) -> KeyChange:
    """Keep embeddings, pictures, events, notices and writes that wait in another way.

    Of a gallery on a server it is the copy that this machine has.

    A run that was interrupted is finished by running it again.

    Args:
        storage: where everything is.
        before: how it is kept.
        after: how it is to be kept.

    Raises:
        GalleryError: a daemon is running, or the gallery cannot be written.
        EncryptionError: something is kept in neither way.
    """
    files: dict[Path, type[GalleryFile]] = {
        storage.gallery_path: GalleryFile,
        storage.copy_path: CopyFile,
    }
    there = [path for path in files if path.exists()] or [storage.gallery_path]
    is_clean = True
    with only_daemon(storage.directory):
        delete_left_behind(storage.directory)
        for path in there:
            kind = files[path]
            try:
                kind(path, after).close()
            except EncryptionError:
                is_clean &= seal_gallery(path, before, after, kind)
            else:  # done by a run that was interrupted afterwards
                is_clean &= seal_gallery(path, after, after, kind)
        pictures = seal_pictures(storage.pictures_directory, before, after)
        for outbox in storage.outbox_paths:
            OutboxFile.reencrypt(outbox, before, after)
            ImageRecord.beside(outbox, before).reseal(after)
        JournalFile.reencrypt(storage.notices_path, before, after)
    return KeyChange(pictures, is_clean, tuple(backups(storage.gallery_path)))
