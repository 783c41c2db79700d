"""Annotated pictures of visits on the disk: one JPEG a visit, for some days and some megabytes.

A disk that refuses stops nobody: it is logged once, the newest pictures wait, and it is logged
again when they are written.

``write_picture`` is the one place where the bytes of a picture reach the disk, and
``read_picture`` the one where they come back.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from doorbell.clock import SECONDS_PER_DAY
from doorbell.config import StorageSection
from doorbell.domain import Event, is_visit_id
from doorbell.errors import EncryptionError, GalleryError
from doorbell.outputs import Publish, publish_nowhere
from doorbell.outputs.worker import Worker
from doorbell.status import ClockState, ClockStep, Message, StorageState, VisitsForgotten
from doorbell.storage.encryption import Cipher, is_encrypted, open_cipher
from doorbell.storage.files import make_private_directory, write_whole

PICTURES_WAITING = 16
SWEEP_SECONDS = 3600.0
CLOSE_SECONDS = 1.0
MEGABYTE = 1_000_000

log = logging.getLogger(__name__)


def picture_path(directory: Path, visit_id: str) -> Path:
    """Where the picture of a visit lies, if there is one.

    Raises:
        GalleryError: that is no identifier of a visit, and might lead anywhere.
    """
    if not is_visit_id(visit_id):
        raise GalleryError(f"{visit_id!r} is no identifier of a visit; no file is touched for it")
    return directory / f"{visit_id}.jpg"


def read_picture(path: Path, cipher: Cipher) -> bytes:
    """The JPEG of a visit; one that was kept before pictures were encrypted is read too.

    Raises:
        OSError: the file cannot be read.
        EncryptionError: it was encrypted with another key, or altered.
    """
    data = path.read_bytes()
    return cipher.decrypt(data, _about(path)) if is_encrypted(data) else data


def seal_pictures(directory: Path, before: Cipher, after: Cipher) -> int:
    """Keep every picture in another way, with the time when it was written; how many there are.

    Raises:
        OSError: one cannot be read or written; those before it are done.
        EncryptionError: one is kept in neither way.
    """
    paths = sorted(directory.glob("*.jpg"))
    for path in paths:
        data, status = path.read_bytes(), path.stat()
        try:
            jpeg = after.decrypt(data, _about(path))
        except EncryptionError:
            jpeg = read_picture(path, before)
        if (encrypted := after.encrypt(jpeg, _about(path))) != data:
            write_picture(path, encrypted)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return len(paths)


def delete_pictures(directory: Path, visit_ids: Iterable[str]) -> None:
    """Delete the pictures of visits that were forgotten; one that cannot be is logged."""
    for visit_id in visit_ids:
        try:
            path = picture_path(directory, visit_id)
        except GalleryError as exc:
            log.error("%s", exc)
            continue
        try:
            path.unlink(missing_ok=True)
        except OSError as exc:
            log.error("the picture %s stays: %s; delete it", path, exc.strerror)


def make_room(directory: Path, room_bytes: int) -> bool:
    """Delete the oldest pictures of a disk that is full, until so much is free; whether any was."""
    count = 0
    with suppress(OSError):  # what cannot be deleted makes no room
        for _, _, path in _oldest_first(directory):
            disk = os.statvfs(directory)
            if disk.f_bavail * disk.f_frsize >= room_bytes:
                break
            path.unlink()
            count += 1
    if count:
        log.warning("the disk is full: deleted the %d oldest pictures in %s", count, directory)
    return count > 0


def _about(path: Path) -> str:
    return f"the picture of visit {path.stem}"


def write_picture(path: Path, jpeg: bytes) -> None:
    """Put a picture in place, for the owner alone; a fault or a power cut leaves the earlier one.

    Raises:
        OSError: the disk refuses.
    """
    make_private_directory(path.parent)
    write_whole(path, jpeg)


@dataclass(frozen=True, slots=True)
class _Picture:
    visit_id: str
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class _Sweep:
    before: float | None  # wall time; None where nothing is old


class _Retry:
    """Write what waits."""


_Job: TypeAlias = _Picture | VisitsForgotten | _Sweep | _Retry | ClockStep


class Pictures:
    """The output that keeps pictures; a later one of the same visit replaces the earlier.

    Args:
        section: ``[storage]``; its folder of pictures is made if missing, for the owner alone.
        publish: told whether pictures can be kept, on any thread.
    """

    def __init__(self, section: StorageSection, *, publish: Publish = publish_nowhere) -> None:
        self._section = section
        self._publish = publish
        self._directory = section.pictures_directory
        self._cipher = open_cipher(section.key_file)
        self._unwritten: dict[str, bytes] = {}  # the newest, by visit
        self._kept_bytes = 0  # at least what is there: others only delete
        self._problem: str | None = None
        self._sweep_due_seconds = 0.0
        self._worker = Worker[_Job](
            "pictures",
            self._work,
            capacity=PICTURES_WAITING,
            must_be_done=(VisitsForgotten, ClockStep),
        )

    def handle(self, message: Message) -> None:
        """Keep the picture of an event, and delete those of visits that were forgotten.

        Pictures are dated anew where a clock was wrong. Now and again what a full disk has refused
        is written, and once an hour what is too old or too much is deleted.
        """
        match message:
            case VisitsForgotten() | ClockStep():
                self._worker.submit(message)
            case ClockState():
                self._look_after(message)
            case _ if isinstance(message, Event):
                if message.visit is not None and message.picture_jpeg is not None:
                    self._worker.submit(_Picture(message.visit.visit_id, message.picture_jpeg))
            case _:
                pass

    def close(self) -> None:
        """Write what waits, for at most a second; idempotent."""
        self._worker.close(CLOSE_SECONDS)

    def _look_after(self, clock: ClockState) -> None:
        if clock.time_seconds >= self._sweep_due_seconds:
            self._sweep_due_seconds = clock.time_seconds + SWEEP_SECONDS
            days, before = self._section.pictures_days, None
            if days and clock.wall_time is not None:
                before = clock.wall_time - days * SECONDS_PER_DAY
            self._worker.submit(_Sweep(before))
        if self._problem is not None:
            self._worker.submit(_Retry())

    def _work(self, job: _Job) -> None:
        try:
            match job:
                case _Picture(visit_id, jpeg):
                    self._unwritten.pop(visit_id, None)
                    self._unwritten[visit_id] = jpeg
                    if len(self._unwritten) > PICTURES_WAITING:
                        del self._unwritten[next(iter(self._unwritten))]
                    self._write_all()
                case VisitsForgotten(visit_ids):
                    for visit_id in visit_ids:
                        self._unwritten.pop(visit_id, None)
                    delete_pictures(self._directory, visit_ids)
                case _Retry():
                    self._write_all()
                case _Sweep(before):
                    self._sweep(before)
                case ClockStep():
                    self._date_anew(job)
        except OSError as exc:
            if self._problem is None:
                log.warning(
                    "cannot keep pictures in %s: %s; check its owner and the free space",
                    self._directory,
                    exc.strerror,
                )
            self._tell(f"pictures are not kept: {exc.strerror}")
        else:
            if self._problem is not None and not self._unwritten:
                log.info("pictures are kept again in %s", self._directory)
                self._tell(None)

    def _tell(self, problem: str | None) -> None:
        if problem != self._problem:
            self._problem = problem
            self._publish(StorageState("pictures", problem))

    def _write_all(self) -> None:
        """Write what waits, the newest last, so that what is dropped is the oldest."""
        while self._unwritten:
            visit_id, jpeg = next(iter(self._unwritten.items()))
            make_private_directory(self._directory)
            self._check_reserve()
            path = picture_path(self._directory, visit_id)
            encrypted = self._cipher.encrypt(jpeg, _about(path))
            write_picture(path, encrypted)
            del self._unwritten[visit_id]
            self._kept_bytes += len(encrypted)
            self._bound()

    def _check_reserve(self) -> None:
        """Refuse to take what the gallery and the system may need."""
        disk = os.statvfs(self._directory)
        free, reserve = disk.f_bavail * disk.f_frsize / MEGABYTE, self._section.free_megabytes
        if free < reserve:
            raise OSError(
                errno.ENOSPC,
                f"{free:.0f} MB are free, and storage.free_megabytes = {reserve} stay free",
            )

    def _date_anew(self, step: ClockStep) -> None:
        for written_at, _, path in _oldest_first(self._directory):
            if step.since <= written_at <= step.until:
                with suppress(FileNotFoundError):
                    os.utime(path, (written_at + step.seconds, written_at + step.seconds))

    def _sweep(self, before: float | None) -> None:
        if not self._directory.is_dir():
            return
        for path in self._directory.glob("*.part"):  # this thread is the only writer
            path.unlink(missing_ok=True)
        if before is not None:
            for written_at, _, path in _oldest_first(self._directory):
                if written_at < before:
                    path.unlink(missing_ok=True)
        self._kept_bytes = sum(size for _, size, _ in _oldest_first(self._directory))
        self._bound()

    def _bound(self) -> None:
        """Delete the oldest pictures where there are too many megabytes."""
        limit = self._section.pictures_megabytes * MEGABYTE
        if not 0 < limit < self._kept_bytes:
            return
        kept = _oldest_first(self._directory)
        self._kept_bytes = sum(size for _, size, _ in kept)
        for _, size, path in kept:
            if self._kept_bytes <= limit:
                return
            path.unlink(missing_ok=True)
            self._kept_bytes -= size


def _oldest_first(directory: Path) -> list[tuple[float, int, Path]]:
    """When each picture was last written, its bytes, and where it is."""
    kept = []
    for path in directory.glob("*.jpg"):
        with suppress(FileNotFoundError):  # forgotten by another process meanwhile
            status = path.stat()
            kept.append((status.st_mtime, status.st_size, path))
    return sorted(kept)
