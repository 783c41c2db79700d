"""Files that are whole or not there, for their owner alone.

A file is written beside its place and moved there when it is complete: whoever looks finds the
earlier file or the new one, also after a fault, a kill or a power cut in the middle.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import BinaryIO

OWNER_ONLY = 0o600
READABLE = 0o644  # for what holds nothing private, and may be written by another user than reads it
_SUFFIX = "part"
# Where no lock tells, what nobody has written to for so long is taken for left behind.
_LEFT_SECONDS = 3600.0


@contextmanager
def whole_file(
    path: Path, *, replace: bool = True, durable: bool = True, mode: int = OWNER_ONLY
) -> Iterator[Path]:
    """Write a file by way of one beside it, which the caller fills and which is moved at the end.

    What a process that was killed had left of the same file is removed first.

    Args:
        path: where the file is to be; its directory is there.
        replace: whether it may take the place of another.
        durable: whether it is on the disk at the end; without, a power cut may leave it empty.
        mode: its permissions.

    Yields:
        An empty file to write into, by its path.

    Raises:
        FileExistsError: there is such a file, and ``replace`` is False.
        OSError: the disk refuses. Nothing is left then but the earlier file.
    """
    remove_left_behind(path.parent, path.name)
    if not replace and os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    descriptor, partial = _begin(path)
    try:
        if mode != OWNER_ONLY:  # as it is; and a USB stick refuses what it cannot keep
            os.fchmod(descriptor, mode)
        yield partial
        if durable:
            os.fsync(descriptor)
        if replace:
            partial.replace(path)
        else:
            _move_to_new(partial, path)
        if durable:
            sync(path.parent)
    finally:
        os.close(descriptor)
        partial.unlink(missing_ok=True)


def remove_left_behind(directory: Path, name: str | None = None) -> None:
    """Delete halves of files that a process which was killed has left; not what is being written.

    Args:
        directory: where the files are.
        name: the one file; None for all of the directory.
    """
    halves = "*." if name is None else f".{escape(name)}.*"
    for left in directory.glob(f"{halves}{_SUFFIX}"):
        with suppress(OSError):  # another user's, or gone
            descriptor = os.open(left, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                if _is_left(descriptor):
                    left.unlink()
            finally:
                os.close(descriptor)


def write_whole(
    path: Path,
    content: bytes,
    *,
    replace: bool = True,
    durable: bool = True,
    mode: int = OWNER_ONLY,
) -> None:
    """Write bytes; see ``whole_file``."""
    with whole_file(path, replace=replace, durable=durable, mode=mode) as partial:
        partial.write_bytes(content)


def open_regular(path: Path, max_bytes: int) -> BinaryIO:
    """Open a file to read it, and wait for nobody: not for the writer of a pipe, nor for a device.

    Args:
        path: somebody's word, which may name anything.
        max_bytes: how large it may be.

    Raises:
        OSError: it is out of reach, larger, or not a regular file.
        ValueError: it is no path at all.
    """
    _require_regular(path.stat(), path, max_bytes)  # opening a device alone may do something
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _require_regular(os.fstat(descriptor), path, max_bytes)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _require_regular(about: os.stat_result, path: Path, max_bytes: int) -> None:
    if stat.S_ISDIR(about.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(about.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    if about.st_size > max_bytes:
        size = f"it has {about.st_size:,} bytes, and at most {max_bytes:,} are read"
        raise OSError(errno.EFBIG, size, str(path))


def make_private_directory(path: Path) -> None:
    """Make a directory that only its owner may look into (0700), unless it is there."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def give_to_owner_of(directory: Path, path: Path) -> None:
    """Let a file made by root belong to the user whose directory it is in: the daemon's."""
    if os.geteuid() == 0:
        about = directory.stat()
        os.chown(path, about.st_uid, about.st_gid)


def sync(path: Path) -> None:
    """Bring a file, or the names in a directory, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _move_to_new(partial: Path, path: Path) -> None:
    try:
        os.link(partial, path)
    except FileExistsError:
        raise
    except OSError:  # a disk without links, as many a USB stick is
        if os.path.lexists(path):
            raise
        partial.rename(path)


def _is_left(descriptor: int) -> bool:
    """Whether nobody writes to the half of a file any more."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a network's disk may know no locks
        return time.time() - os.fstat(descriptor).st_mtime > _LEFT_SECONDS
    return True


def _begin(path: Path) -> tuple[int, Path]:
    while True:
        descriptor, name = tempfile.mkstemp(
            suffix=f".{_SUFFIX}", prefix=f".{path.name}.", dir=path.parent
        )
        with suppress(OSError):  # a network's disk may know no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # tells that it is being written
        if os.path.lexists(name):
            return descriptor, Path(name)
        os.close(descriptor)  # taken for left behind before it was locked
