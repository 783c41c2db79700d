"""One daemon a gallery.

The system takes it back from a process that was killed. Other commands work beside the daemon
without it; only what may not, takes it as well.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from doorbell.errors import GalleryError
from doorbell.storage.files import give_to_owner_of, make_private_directory

LOCK_FILE = "daemon.lock"
_DIGITS = 20


@contextmanager
def only_daemon(directory: Path) -> Iterator[None]:
    """Hold a gallery's directory, as the daemon does.

    Raises:
        GalleryError: a daemon holds it, or it cannot be written.
    """
    path = directory / LOCK_FILE
    try:
        make_private_directory(directory)
        # Not inherited: the process that plays sounds must not hold it after us.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        give_to_owner_of(directory, path)
    except OSError as exc:
        raise GalleryError(
            f"cannot write {path}: {exc.strerror}; check who may write there, or give another "
            "storage.directory"
        ) from exc
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            holder = os.pread(descriptor, _DIGITS, 0).decode("ascii", "replace").strip()
            raise GalleryError(
                f"a doorbell{f' (process {holder})' if holder else ''} is running with the gallery "
                f"in {directory}; stop it first (systemctl stop doorbell), or give another "
                "storage.directory"
            ) from exc
        with suppress(OSError):  # only for the message: a full disk must not stop the start
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        try:
            yield
        finally:
            # Closing alone would leave it to a program that is just being started, until its exec.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)
