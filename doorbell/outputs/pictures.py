"""The output that keeps pictures of visits: for some days and some megabytes.

A disk that refuses stops nobody: it is logged once, the newest pictures wait, and it is logged
again when they are written.
"""

from __future__ import annotations

import errno
import logging
import math
import os
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from doorbell.clock import SECONDS_PER_DAY
from doorbell.config import StorageSection
from doorbell.domain import Event, VisitPicture, picture_of
from doorbell.imaging.visit_picture import cover_faces
from doorbell.outputs import Publish, publish_nowhere
from doorbell.outputs.picture_files import (
    forget_in_pictures,
    is_shown,
    make_room,
    oldest_first,
    picture_path,
    read_picture,
    remove_picture,
    remove_unfinished,
    seal_pictures,
    write_picture,
    write_visit_picture,
)
from doorbell.outputs.worker import Worker
from doorbell.status import (
    ClockState,
    ClockStep,
    Message,
    SettingsState,
    StorageState,
    VisitsForgotten,
)
from doorbell.storage.encryption import open_cipher
from doorbell.storage.files import make_private_directory

__all__ = [
    "Pictures",
    "make_room",
    "picture_path",
    "read_picture",
    "seal_pictures",
    "write_picture",
]

PICTURES_WAITING = 16
SWEEP_SECONDS = 3600.0
CLOSE_SECONDS = 1.0
MEGABYTE = 1_000_000

log = logging.getLogger(__name__)


# Tells at which door visits were; None where that cannot be told now.
DoorsByVisit: TypeAlias = Callable[[Collection[str]], Mapping[str, str] | None]


@dataclass(frozen=True, slots=True)
class _Picture:
    visit_id: str
    picture: VisitPicture


@dataclass(frozen=True, slots=True)
class _Sweep:
    wall_time: float | None  # None where nothing is old
    days: int  # that a picture is kept, where its door has no number of its own; 0 for ever


class _Retry:
    """Write what waits."""


_Job: TypeAlias = _Picture | VisitsForgotten | _Sweep | _Retry | ClockStep


class Pictures:
    """The output that keeps pictures; a later one of the same visit replaces the earlier.

    Args:
        section: ``[storage]``; its folder of pictures is made if missing, for the owner alone.
        publish: told whether pictures can be kept, on any thread.
        days_by_door: instead of ``pictures_days``, for visits at these doors; 0 for ever.
        doors_by_visit: asked on the output's thread where one of these has a number of its own.
    """

    def __init__(
        self,
        section: StorageSection,
        *,
        publish: Publish = publish_nowhere,
        days_by_door: Mapping[str, int] | None = None,
        doors_by_visit: DoorsByVisit = lambda _visit_ids: {},
    ) -> None:
        self._section = section
        self._days = section.pictures_days
        self._days_by_door = days_by_door or {}
        self._doors_by_visit = doors_by_visit
        self._publish = publish
        self._directory = section.pictures_directory
        self._cipher = open_cipher(section.key_file)
        self._unwritten: dict[str, VisitPicture] = {}  # the newest, by visit
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
            case SettingsState(pictures_days=int(days), door_id=door_id):
                self._keep_for(days, door_id)
                self._sweep_due_seconds = 0.0
            case _ if isinstance(message, Event):
                picture = picture_of(message)
                if message.visit is not None and picture is not None:
                    self._worker.submit(_Picture(message.visit.visit_id, picture))
            case _:
                pass

    def close(self) -> None:
        """Write what waits, for at most a second; idempotent."""
        self._worker.close(CLOSE_SECONDS)

    def _keep_for(self, days: int, door_id: str) -> None:
        """Keep pictures of a door for so many days from now on; of every door where it is one."""
        if self._days_by_door:
            if self._days_by_door.get(door_id) == days:
                return
            self._days_by_door = {**self._days_by_door, door_id: days}
        elif days == self._days:
            return
        else:
            self._days = days
        self._sweep_due_seconds = 0.0

    def _look_after(self, clock: ClockState) -> None:
        if clock.time_seconds >= self._sweep_due_seconds:
            self._sweep_due_seconds = clock.time_seconds + SWEEP_SECONDS
            self._worker.submit(_Sweep(clock.wall_time, self._days))
        if self._problem is not None:
            self._worker.submit(_Retry())

    def _work(self, job: _Job) -> None:
        try:
            match job:
                case _Picture(visit_id, picture):
                    self._unwritten.pop(visit_id, None)
                    self._unwritten[visit_id] = picture
                    if len(self._unwritten) > PICTURES_WAITING:
                        del self._unwritten[next(iter(self._unwritten))]
                    self._write_all()
                case VisitsForgotten():
                    self._forget(job)
                case _Retry():
                    self._write_all()
                case _Sweep():
                    self._sweep(job)
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

    def _forget(self, forgotten: VisitsForgotten) -> None:
        for visit_id in forgotten.visit_ids:
            self._unwritten.pop(visit_id, None)
        for visit_id in self._unwritten.keys() & set(forgotten.beside):
            covered = cover_faces(
                self._unwritten[visit_id], lambda face: is_shown(face, forgotten.visit_ids)
            )
            if covered is None:
                del self._unwritten[visit_id]
            else:
                self._unwritten[visit_id] = covered
        forget_in_pictures(self._directory, forgotten, self._cipher)

    def _write_all(self) -> None:
        """Write what waits, the newest last, so that what is dropped is the oldest."""
        while self._unwritten:
            visit_id, picture = next(iter(self._unwritten.items()))
            make_private_directory(self._directory)
            self._check_reserve()
            path = picture_path(self._directory, visit_id)
            self._kept_bytes += write_visit_picture(path, picture, self._cipher)
            del self._unwritten[visit_id]
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
        for written_at, _, path in oldest_first(self._directory):
            if step.since <= written_at <= step.until:
                with suppress(FileNotFoundError):
                    os.utime(path, (written_at + step.seconds, written_at + step.seconds))

    def _sweep(self, sweep: _Sweep) -> None:
        if not self._directory.is_dir():
            return
        remove_unfinished(self._directory)
        if sweep.wall_time is not None:
            self._remove_old(sweep.wall_time, sweep.days)
        self._kept_bytes = sum(size for _, size, _ in oldest_first(self._directory))
        self._bound()

    def _remove_old(self, wall_time: float, days: int) -> None:
        """Delete what is older than it is kept at its door."""
        since = {
            each: wall_time - each * SECONDS_PER_DAY
            for each in {days, *self._days_by_door.values()} - {0}
        }
        old = [
            (written_at, path)
            for written_at, _, path in oldest_first(self._directory)
            if written_at < max(since.values(), default=-math.inf)
        ]
        doors: Mapping[str, str] | None = {}
        if old and self._days_by_door:
            doors = self._doors_by_visit([path.stem for _, path in old])
        if doors is None:
            return  # in an hour
        for written_at, path in old:
            kept = self._days_by_door.get(doors.get(path.stem, ""), days)
            if kept and written_at < since[kept]:
                remove_picture(path)

    def _bound(self) -> None:
        """Delete the oldest pictures where there are too many megabytes."""
        limit = self._section.pictures_megabytes * MEGABYTE
        if not 0 < limit < self._kept_bytes:
            return
        kept = oldest_first(self._directory)
        self._kept_bytes = sum(size for _, size, _ in kept)
        for _, size, path in kept:
            if self._kept_bytes <= limit:
                return
            remove_picture(path)
            self._kept_bytes -= size
