"""Moving the household's gallery between its file and a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from doorbell.config import GallerySection, StorageSection
from doorbell.errors import UsageError
from doorbell.gallery.database import GalleryFile
from doorbell.gallery.gallery import open_server
from doorbell.gallery.link.copy import delete_copy
from doorbell.gallery.link.copy_file import CopyFile
from doorbell.gallery.lock import only_daemon
from doorbell.gallery.moving import Moved, is_empty, move
from doorbell.storage.encryption import open_cipher
from doorbell.storage.files import sync
from doorbell.storage.sqlite_copies import remove_logs

Progress = Callable[[str, int], None]


def move_to_server(
    storage: StorageSection, section: GallerySection, progress: Progress, *, plain: bool = False
) -> list[Moved]:
    """Fill a gallery on a server with what is in the file, which stays as it is.

    Args:
        storage: where the file is, and its key.
        section: the server. A gallery that is there already has to be empty, or as a move has left
            it that was interrupted.
        progress: told the table, and how many of its rows are there.
        plain: whether what is encrypted in the file may be kept without our encryption, as the
            server has to read it.

    Returns:
        What is there in the end, as it was compared on both sides.

    Raises:
        UsageError: there is no file, it is encrypted and ``plain`` is not said, or there is
            something in the gallery on the server.
        ConfigError: the server cannot be spoken to as it is named.
        GalleryError: a doorbell is running here, or a gallery fails; run it again.
    """
    if storage.key_file is not None and not plain:
        raise UsageError(
            "the gallery is encrypted with storage.key_file, and PostgreSQL has to read what it "
            "compares: whoever reads the server's disk, its backups or its memory would have "
            "everybody's faces as vectors; see docs/postgresql.md, then say --plain"
        )
    if not storage.gallery_path.exists():
        raise UsageError(f"there is no gallery {storage.gallery_path} to move")
    with (
        only_daemon(storage.directory),
        closing(GalleryFile(storage.gallery_path, open_cipher(storage.key_file))) as source,
        closing(open_server(section, moving=True)) as target,
    ):
        with target.writing():
            if not target.note_move(going_on=True) and not is_empty(target):
                raise UsageError(
                    f"there is something in the gallery {target.name} already; name another "
                    "database, or empty that one"
                )
        moved = move(source, target, progress)
        with target.writing():
            target.note_move(going_on=False)
    return moved


def move_to_file(
    storage: StorageSection, section: GallerySection, path: Path, progress: Progress
) -> list[Moved]:
    """Make a file of what is in a gallery on a server, which stays as it is; our copy goes.

    Args:
        storage: with the key that the file is to be encrypted with, if there is one.
        section: the server.
        path: of the file, which is not there yet. While it is being filled it has another name.
        progress: told the table, and how many of its rows are there.

    Returns:
        What is there in the end, as it was compared on both sides.

    Raises:
        UsageError: there is such a file, or something that the server does not have yet.
        ConfigError: the server cannot be spoken to as it is named.
        GalleryError: a doorbell is running here, or a gallery fails; run it again.
    """
    if path.exists():
        raise UsageError(f"{path} is there already; move it away, or give another name")
    unfinished = path.with_name(path.name + ".moving")
    with only_daemon(storage.directory):
        has_copy = storage.copy_path.exists()
        if has_copy:
            _require_sent(storage)
        with (
            closing(open_server(section, moving=True)) as source,
            closing(GalleryFile(unfinished, open_cipher(storage.key_file))) as target,
        ):
            target.keep_change_log()
            moved = move(source, target, progress)
            target.empty_log()
        remove_logs(path)
        unfinished.replace(path)
        if has_copy:
            delete_copy(storage)
        sync(path.parent)
    return moved


def _require_sent(storage: StorageSection) -> None:
    """Go on only where this machine's copy has nothing that the server has not."""
    with closing(CopyFile(storage.copy_path, open_cipher(storage.key_file))) as copy:
        waiting = copy.count_waiting() + copy.count_aside()
    if waiting:
        raise UsageError(
            f"{waiting} visits or strangers of this machine are not on the server yet; start the "
            "doorbell, and stop it once `doorbell status` says that none waits"
        )
