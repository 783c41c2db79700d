"""Annotated pictures of visits on the disk: one JPEG a visit, for a number of days.

Enters: events with a picture. Leaves: ``<visit id>.jpg`` in one folder, readable by the owner
alone. Knows nothing of how a picture was drawn.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from doorbell.domain import Event
from doorbell.outputs.worker import Worker

PICTURES_WAITING = 16
SECONDS_PER_DAY = 86400.0
CLOSE_SECONDS = 1.0

log = logging.getLogger(__name__)


def picture_path(directory: Path, visit_id: str) -> Path:
    """Where the picture of a visit lies, if there is one."""
    return directory / f"{visit_id}.jpg"


@dataclass(frozen=True, slots=True)
class _Picture:
    visit_id: str
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class _Sweep:
    now: float


_Job: TypeAlias = _Picture | _Sweep


class Pictures:
    """The output that keeps pictures; a later one of the same visit replaces the earlier.

    Args:
        directory: made if missing, for the owner alone.
        keep_days: pictures last written longer ago are deleted; 0 keeps them for ever.
        now: wall time, seconds since the epoch; old pictures are deleted at once.
    """

    def __init__(self, directory: Path, *, keep_days: int, now: float) -> None:
        self._directory = directory
        self._keep_days = keep_days
        self._failed = False
        self._swept_at = now
        self._worker = Worker[_Job]("pictures", self._work, capacity=PICTURES_WAITING)
        self._worker.submit(_Sweep(now))

    def handle(self, event: Event) -> None:
        """Keep the event's picture, where it has one."""
        if event.visit is not None and event.picture_jpeg is not None:
            self._worker.submit(_Picture(event.visit.visit_id, event.picture_jpeg))

    def tick(self, now: float) -> None:
        """Delete old pictures once a day; called now and then, and cheap."""
        if abs(now - self._swept_at) >= SECONDS_PER_DAY:
            self._swept_at = now
            self._worker.submit(_Sweep(now))

    def close(self) -> None:
        """Write what waits, for at most a second; idempotent."""
        self._worker.close(CLOSE_SECONDS)

    def _work(self, job: _Job) -> None:
        try:
            match job:
                case _Picture(visit_id, jpeg):
                    self._write(picture_path(self._directory, visit_id), jpeg)
                case _Sweep(now):
                    self._sweep(now)
        except OSError as exc:
            if not self._failed:
                log.warning(
                    "cannot keep pictures in %s: %s; check its owner and the free space",
                    self._directory,
                    exc.strerror,
                )
            self._failed = True
        else:
            if self._failed:
                log.info("pictures are kept again in %s", self._directory)
            self._failed = False

    def _write(self, path: Path, jpeg: bytes) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as f:
            f.write(jpeg)
        unfinished.replace(path)

    def _sweep(self, now: float) -> None:
        if not self._directory.is_dir():
            return
        for path in self._directory.glob("*.part"):  # this thread is the only writer
            path.unlink(missing_ok=True)
        if self._keep_days == 0:
            return
        for path in self._directory.glob("*.jpg"):
            if now - path.stat().st_mtime > self._keep_days * SECONDS_PER_DAY:
                path.unlink(missing_ok=True)
