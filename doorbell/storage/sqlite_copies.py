"""Copies of the gallery, each whole in one file: made, and found again."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from doorbell.errors import GalleryError
from doorbell.storage.files import give_to_owner_of, make_private_directory, sync, whole_file

# How the names of galleries begin that a restored one replaced.
REPLACED = "replaced-"

# How the names of those begin that were made before a migration.
_BEFORE = "before-version-"

# What SQLite keeps beside a file of it: logs of what is not in it yet, and an index of one.
LOGS = ("-wal", "-journal")
_BESIDE = (*LOGS, "-shm")


# Of copies of a file, and of what PostgreSQL's programs make of a gallery on a server.
SUFFIXES = (".sqlite", ".dump")


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy of the gallery in the directory for them.

    Attributes:
        path: the file.
        made_at: when, in seconds since the epoch.
        size_bytes: how large it is.
    """

    path: Path
    made_at: float
    size_bytes: int


def backups_directory(gallery_path: Path) -> Path:
    """Where the copies of a gallery are kept that were not given another place."""
    return gallery_path.parent / "backups"


def backups(gallery_path: Path) -> list[Backup]:
    """Every copy in the directory for them, newest first.

    Among them are those made before a migration, and galleries that a restored one replaced.
    Copies that were put elsewhere cannot be known.
    """
    directory = backups_directory(gallery_path)
    paths = (path for suffix in SUFFIXES for path in directory.glob(f"*{suffix}"))
    return sorted(found(*paths), key=lambda each: (-each.made_at, each.path.name))


def found(*paths: Path) -> list[Backup]:
    """Those of these files that are there."""
    there = []
    for path in paths:
        with suppress(FileNotFoundError):  # deleted since
            about = path.stat()
            there.append(Backup(path, about.st_mtime, about.st_size))
    return there


def advice_to_restore(gallery_path: Path) -> str:
    """Which copy to put in place of a gallery that is lost."""
    paths = [backup.path for backup in backups(gallery_path)]
    # What was replaced once may have been the damaged one.
    name = next((str(path) for path in paths if not path.name.startswith(REPLACED)), "FILE")
    return f"stop the doorbell and put a backup in its place with: doorbell gallery restore {name}"


def before_migration(gallery_path: Path, version: int) -> Path:
    """Where a gallery is kept as it was before it was brought to a version."""
    return backups_directory(gallery_path) / f"{_BEFORE}{version}.sqlite"


def advice_to_go_back(gallery_path: Path, version: int) -> str:
    """Which copy a doorbell can read that knows versions up to this one only."""
    later = []
    for backup in backups(gallery_path):
        number = backup.path.stem.removeprefix(_BEFORE)
        if number.isdecimal() and int(number) > version:
            later.append((int(number), backup.path))
    if not later:
        return "update it"
    return (
        "update it, or put back what was kept before, without what happened since, with: "
        f"doorbell gallery restore {min(later)[1]}"
    )


def make_backups_directory(gallery_path: Path) -> Path:
    """The directory for copies, made for the gallery's owner alone where it is not there."""
    directory = backups_directory(gallery_path)
    make_private_directory(directory)
    give_to_owner_of(gallery_path.parent, directory)
    return directory


def copy_database(source: sqlite3.Connection, target: Path) -> None:
    """Copy a database as it is at one moment, while others write to it.

    The copy is 0600, checked, on the disk, and appears under its name at once or not at all.

    Raises:
        GalleryError: what was copied is damaged.
        sqlite3.Error: it cannot be read.
        OSError: the copy cannot be written.
    """
    with whole_file(target) as partial:
        with closing(sqlite3.connect(partial, isolation_level=None)) as copy:
            source.backup(copy)
            # One file, which can also be read where nothing may be written.
            copy.execute("PRAGMA journal_mode = DELETE").fetchone()
            verdicts = [row[0] for row in copy.execute("PRAGMA integrity_check(1)")]
        if verdicts != ["ok"]:
            raise GalleryError(
                f"what was to become {target} is damaged: {verdicts[0]}; keep the older backups; "
                "see what is wrong with: doorbell gallery check"
            )
        give_to_owner_of(target.parent, partial)


def remove_logs(path: Path) -> None:
    """Leave nothing beside a file that is about to be put in place.

    SQLite would write a log of the file that was there before into the new one.
    """
    for suffix in _BESIDE:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    sync(path.parent)  # they are not to come back after a power cut
