"""What happens to the disk and to the gallery on it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path

from doorbell.testbed.daemon_process import DOORBELL
from doorbell.testbed.scenes import KNOWN, STRANGER
from faulting.door import Door

DISK_MEGABYTES = 4
LOCKED_SECONDS = 10.0


def no_disks() -> str | None:
    """Why no small disk can be mounted here."""
    if os.geteuid() != 0:
        return "takes root"
    return None


def prepare_small_disk(door: Door) -> None:
    """Put everything that is kept on a small disk."""
    _mount(door, door.storage)


def prepare_small_disk_for_pictures(door: Door) -> None:
    """Put the pictures on a small disk of their own."""
    pictures = door.storage / "pictures"
    pictures.mkdir(mode=0o700)
    _mount(door, pictures)


def disk_full(door: Door) -> float:
    """Nothing can be written: no visit, no picture, and no event that waits."""
    return _fill_up(door, door.storage)


def pictures_full(door: Door) -> float:
    """No picture can be written."""
    return _fill_up(door, door.storage / "pictures")


def disk_full_without_broker(door: Door) -> float:
    """Nothing can be written while the broker is down, so that events wait in memory."""
    door.broker.stop()
    filler = _fill(door.storage)
    door.visit(KNOWN)
    door.visit(STRANGER)
    filler.unlink()
    began = time.monotonic()
    door.broker.start()
    seconds = door.seconds_until_told(began)
    door.await_condition("storage", "working")
    return seconds


def gallery_locked(door: Door) -> float:
    """Another process holds the gallery for ten seconds."""
    with closing(sqlite3.connect(door.storage / "gallery.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        locked = time.monotonic()
        door.visit(STRANGER)
        door.visit(KNOWN)
        time.sleep(max(0.0, locked + LOCKED_SECONDS - time.monotonic()))
        other.execute("ROLLBACK")
    return door.await_condition("storage", "working")


def gallery_deleted(door: Door) -> float:
    """The gallery is deleted in use; a backup is restored, and the daemon restarted."""
    storage = f"storage.directory={door.storage}"
    subprocess.run(
        [*DOORBELL, "gallery", "backup", "--set", storage], check=True, capture_output=True
    )
    for path in door.storage.glob("gallery.sqlite*"):
        path.unlink()
    door.visit(KNOWN)
    door.visit(STRANGER)
    door.await_condition("storage", "failed")
    door.terminate()
    began = time.monotonic()
    backup = max((door.storage / "backups").iterdir(), key=lambda path: path.stat().st_mtime)
    words = [*DOORBELL, "gallery", "restore", str(backup), "--set", storage]
    subprocess.run(words, check=True, capture_output=True)
    door.start()
    seconds = time.monotonic() - began
    door.visit(KNOWN)
    return seconds


def _fill_up(door: Door, disk: Path) -> float:
    filler = _fill(disk)
    door.visit(STRANGER)
    door.visit(KNOWN)
    door.await_condition("storage", "failed")
    began = time.monotonic()
    filler.unlink()
    seconds = door.await_condition("storage", "working", began)
    door.visit(KNOWN)
    return seconds


def _fill(disk: Path) -> Path:
    """Write until nothing more goes in."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
    return filler


def _mount(door: Door, folder: Path) -> None:
    options = f"size={DISK_MEGABYTES}m,mode=700"
    words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    subprocess.run(words, check=True)
    door.stack.callback(subprocess.run, ["umount", "--lazy", str(folder)], check=True)
    door.settings["storage.free_megabytes"] = 0
