"""Backing up the gallery, and putting a backup in its place.

Both appear at once or not at all. Reads no embedding: what is encrypted stays so, and needs its key
again.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import gmtime, strftime

from doorbell.config import GallerySection
from doorbell.errors import GalleryError, UsageError
from doorbell.gallery.database import alone_in
from doorbell.gallery.inspection import inspect
from doorbell.gallery.lock import only_daemon
from doorbell.gallery.migrations import SCHEMA
from doorbell.gallery.rebuilding import rebuild
from doorbell.storage.files import give_to_owner_of, sync, whole_file
from doorbell.storage.sqlite import reading
from doorbell.storage.sqlite_copies import (
    LOGS,
    REPLACED,
    SUFFIXES,
    backups,
    copy_database,
    make_backups_directory,
    remove_logs,
)

_LOG = logging.getLogger(__name__)

_ASKED_FOR = "gallery-"
# Of the gallery's file, and of one on a server.
_FILE, _DUMP = SUFFIXES


def back_up(gallery_path: Path, target: Path | None, now: float) -> Path:
    """Copy the gallery into one file while it is in use.

    Args:
        gallery_path: the gallery.
        target: a file that is not there yet; None for one in the directory for backups.
        now: wall time, by which that one is named.

    Returns:
        The file.

    Raises:
        UsageError: there is such a file already.
        GalleryError: there is no gallery, it is damaged, or the copy cannot be written.
    """
    with _translated(f"cannot back up {gallery_path}"):
        inspect(gallery_path, "nothing was backed up; keep the older backups, or restore one")
        if target is None:
            target = make_backups_directory(gallery_path) / _name(_ASKED_FOR, now)
        if target.exists():
            raise UsageError(f"{target} is there already; give another name")
        with reading(gallery_path, SCHEMA.busy_seconds) as connection:
            copy_database(connection, target)
    return target


def back_up_server(
    section: GallerySection, gallery_path: Path, target: Path | None, now: float
) -> Path:
    """Copy a gallery on a server into one file of PostgreSQL's while it is in use.

    Args:
        section: the server.
        gallery_path: where this machine's gallery would be, beside which backups are.
        target: as ``back_up`` takes it.
        now: likewise.

    Returns:
        The file.

    Raises:
        UsageError, GalleryError, ConfigError: see ``postgres.dump.dump``.
    """
    from doorbell.gallery.postgres.dump import dump

    with _translated(f"cannot back up the gallery of {gallery_path.parent}"):
        if target is None:
            target = make_backups_directory(gallery_path) / _name(_ASKED_FOR, now, _DUMP)
        dump(section, target)
    return target


def keep_newest(gallery_path: Path, count: int, but: Path) -> list[Path]:
    """Delete all but so many of the backups that were asked for; which.

    Those made before a migration, and galleries that a restored one replaced, are left.

    Args:
        gallery_path: the gallery.
        count: how many to keep, at least one.
        but: the one just made. It is kept, though others have later names where the clock is wrong.
    """
    # Their names are in the order of time, even where the clock of the files is lost.
    made = sorted(
        (
            each.path
            for each in backups(gallery_path)
            if each.path.name.startswith(_ASKED_FOR) and each.path.suffix == but.suffix
        ),
        reverse=True,
    )
    deleted = [path for path in made if path != but][count - 1 :]
    for path in deleted:
        with _translated(f"cannot delete {path}"):
            path.unlink(missing_ok=True)
    return deleted


def require_restorable(gallery_path: Path, source: Path) -> None:
    """Find out whether ``restore`` would be refused, before anybody is asked; changes nothing.

    Raises:
        GalleryError: it would.
    """
    with only_daemon(gallery_path.parent), _translated(f"cannot restore {source}"):
        _require_gallery(source)


def _require_gallery(source: Path) -> int:
    return inspect(source, "give another backup; the gallery was left as it was", exactly=False)


def restore(gallery_path: Path, source: Path, now: float) -> Path | None:
    """Put a backup in the place of the gallery, which is kept among the backups.

    It may come from anywhere, so a new gallery is made of its rows; what cannot be is left out, and
    named in the log.

    Args:
        gallery_path: the gallery, there or not, whole or damaged.
        source: a copy of a gallery of this or an earlier version; or the gallery itself.
        now: wall time, by which the replaced one is named.

    Returns:
        Where the replaced gallery lies, or what was left of it; None if there was nothing.

    Raises:
        GalleryError: a daemon or another command is at work, or ``source`` is damaged, not a
            gallery, or of a later version. The gallery is then left as it was.
    """
    new = gallery_path.with_name(gallery_path.name + ".restored")
    directory = gallery_path.parent
    with (
        only_daemon(directory),
        _translated(f"cannot restore {source}"),
        alone_in(directory),
        _removing(new),
    ):
        version = _require_gallery(source)
        with reading(source, SCHEMA.busy_seconds) as connection:
            for sentence in rebuild(connection, version, new):
                _LOG.warning("%s: %s", source, sentence)
        kept = _set_aside(gallery_path, now)
        remove_logs(gallery_path)
        new.replace(gallery_path)
        sync(directory)
    return kept


@contextmanager
def _removing(path: Path) -> Iterator[None]:
    """Leave no file behind that did not find its place."""
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _set_aside(gallery_path: Path, now: float) -> Path | None:
    """Keep what is about to be replaced, with its log; where the first of it is."""
    try:
        inspect(gallery_path, exactly=False)
    except GalleryError:
        pass  # damaged, foreign or deleted: kept as it is
    else:
        _empty_log_alone(gallery_path)
    kept = []
    for suffix in ("", *LOGS):
        path = gallery_path.with_name(gallery_path.name + suffix)
        if path.exists():
            copy = make_backups_directory(gallery_path) / (_name(REPLACED, now) + suffix)
            with whole_file(copy) as partial:
                shutil.copyfile(path, partial)
                give_to_owner_of(gallery_path.parent, partial)
            kept.append(copy)
    return kept[0] if kept else None


def _empty_log_alone(gallery_path: Path) -> None:
    try:
        with closing(sqlite3.connect(gallery_path, timeout=0.5, isolation_level=None)) as file:
            # Brings the log into the file, which nobody else may have open then.
            file.execute("PRAGMA journal_mode = DELETE").fetchone()
    except sqlite3.OperationalError as exc:
        if "locked" not in str(exc):
            raise
        raise GalleryError(
            f"another command is using the gallery {gallery_path}; wait until it has ended"
        ) from exc


def _name(prefix: str, now: float, suffix: str = _FILE) -> str:
    return f"{prefix}{strftime('%Y%m%dT%H%M%SZ', gmtime(now))}{suffix}"


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, UnicodeDecodeError) as exc:
        raise GalleryError(
            f"{what}: {exc}; check the disk and who may read and write there"
        ) from exc
