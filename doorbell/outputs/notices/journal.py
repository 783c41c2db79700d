"""Notices that wait until the notifier has them, and which of their answers were used.

Bounded by age, count and size: the oldest pictures go before any notice. Survives a kill; what a
full disk refuses waits in memory until there is space, and a damaged file is set aside without
losing what it held. Raises nothing.
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from doorbell.clock import SECONDS_PER_DAY, BootTime
from doorbell.domain import AT_THE_DOOR, Notice
from doorbell.errors import EncryptionError
from doorbell.outputs.notices.journal_file import Changes, JournalFile, Told, Waiting
from doorbell.storage.encryption import NO_CIPHER, Cipher
from doorbell.storage.sqlite import is_passing, open_or_set_aside

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much waits at most.

    Attributes:
        notices: that wait.
        days: for which a notice waits; nobody wants to be told later.
        picture_bytes: of all pictures that wait.
        memory_picture_bytes: of those that the disk refuses.
        told: notices of which it is known that they were told.
        told_days: for which that is known.
    """

    notices: int = 500
    days: float = 1.0
    picture_bytes: int = 50_000_000
    memory_picture_bytes: int = 8_000_000
    told: int = 2000
    told_days: float = 30.0


class Journal:
    """What waits for the notifier. Under the caller's lock, but for ``sync``.

    Args:
        path: of the file, made if missing; its directory as well.
        cipher: how notices and pictures are kept in the file.
        limits: how much waits at most.
        now: the present.

    Attributes:
        journal_id: of the numbers that are given now; another where numbers begin anew.
        problem: why what waits would not outlive a kill, in words for people; None where it would.
    """

    def __init__(
        self,
        path: Path,
        cipher: Cipher = NO_CIPHER,
        *,
        limits: Limits | None = None,
        now: Callable[[], BootTime] = BootTime.now,
    ) -> None:
        self.journal_id = secrets.token_hex(8)  # until the file is open
        self.problem: str | None = None
        self._path = path
        self._cipher = cipher
        self._limits = limits or Limits()
        self._now = now
        self._file: JournalFile | None = None
        self._waiting: dict[int, Waiting] = {}  # in order
        self._told: dict[str, Told] = {}  # the oldest first
        self._last_number = 0
        self._changes = Changes()
        self._write()

    def append(self, notice: Notice, jpeg: bytes | None = None) -> int:
        """Keep a notice, behind all others; its number."""
        jpeg, now = jpeg or b"", self._now()
        self._last_number += 1
        number = self._last_number
        self._waiting[number] = self._changes.new[number] = Waiting(notice, now, len(jpeg))
        if jpeg:
            self._changes.pictures[number] = jpeg
        if notice.kind in AT_THE_DOOR:
            told = Told(notice.visit_id or "", notice.kind, now, door_id=notice.door_id)
            self._note(notice.notice_id, told)
        self._trim(now)
        self._write()
        return number

    def was_told(self, visit_id: str, kind: str) -> bool:
        """Whether that was told of a visit."""
        return any(told.visit_id == visit_id and told.kind == kind for told in self._told.values())

    def has_after(self, journal_id: str | None, after: int) -> bool:
        """Whether something waits that whoever has the notices up to ``after`` does not have."""
        if journal_id != self.journal_id:
            return bool(self._waiting)
        return next(reversed(self._waiting), 0) > after

    def take(self, journal_id: str | None, after: int, limit: int) -> list[tuple[int, Waiting]]:
        """Delete what is kept elsewhere; what waits after it, with its number, in order.

        Args:
            journal_id: whose numbers are meant; of another journal everything is given.
            after: up to which number notices are kept elsewhere.
            limit: how many are given.
        """
        if journal_id == self.journal_id:
            for number in [number for number in self._waiting if number <= after]:
                self._forget(number)
        self._trim(self._now())  # what is too old goes to nobody
        self._write()
        return list(self._waiting.items())[:limit]

    def picture(self, number: int) -> bytes | None:
        """The picture of a notice that waits; None where it has none."""
        waiting = self._waiting.get(number)
        if waiting is None or not waiting.picture_bytes:
            return None
        if number in self._changes.pictures:
            return self._changes.pictures[number]
        if self._file is not None:
            try:
                return self._file.picture(number)
            except EncryptionError as exc:
                log.error("the picture of a notification is dropped: %s", exc)
                self._drop_picture(number)
                self._write()
            except (sqlite3.Error, OSError) as exc:
                self._take_fault(exc)
        return None

    def forget_visits(self, visit_ids: Collection[str], beside: Collection[str]) -> bool:
        """Drop what waits about visits, and pictures of those beside; whether any was told."""
        gone = set(visit_ids)
        of_them = [n for n, each in self._waiting.items() if each.notice.visit_id in gone]
        told = [key for key, each in self._told.items() if each.visit_id in gone]
        shown = [n for n, each in self._waiting.items() if each.notice.visit_id in beside]
        # What was told without a visit may have a picture of anybody.
        shown += [n for n, each in self._waiting.items() if each.notice.visit_id is None]
        for number in of_them:
            self._forget(number)
        for number in shown:
            self._drop_picture(number)
        for notice_id in told:
            del self._told[notice_id]
            self._changes.told[notice_id] = None
        self._write()
        self._empty_log()
        return bool(of_them or told) or any(t.visit_id in beside for t in self._told.values())

    def drop_pictures(self) -> list[str]:
        """Drop the pictures of all that waits; the visits of which another may be elsewhere yet."""
        now = self._now()
        for number in list(self._waiting):
            self._drop_picture(number)
        self._write()
        self._empty_log()
        fresh = self._limits.days * SECONDS_PER_DAY
        return [
            each.visit_id for each in self._told.values() if now.seconds_since(each.kept) <= fresh
        ]

    def drop_all(self) -> None:
        """Drop what waits, but for what was forgotten: that the notifier is to hear some day."""
        for number, each in list(self._waiting.items()):
            if each.notice.kind != "forgotten":
                self._forget(number)
        self._write()
        self._empty_log()

    def told(self, notice_id: str) -> Told | None:
        """What is known of a notice that can be answered; None of any other."""
        return self._told.get(notice_id)

    def use(self, notice_id: str, code: str, *, used: bool = True) -> None:
        """Note that an answer was used; or that it was not after all."""
        told = self._told.get(notice_id)
        if told is not None:
            changed = told.used | {code} if used else told.used - {code}
            self._note(notice_id, replace(told, used=changed))
            self._write()

    def retry(self) -> None:
        """Write what the disk refused, and drop what is too old; called now and again."""
        self._trim(self._now())
        self._write()

    def sync(self) -> None:
        """Bring what waits beyond a power cut; without lock, and may take as long as the disk."""
        file = self._file
        if file is not None:
            file.sync()

    def close(self) -> None:
        """Release the file; what waits stays in it. Idempotent."""
        self._write()
        if self._changes.new:
            log.warning(
                "%d notifications are lost: %s cannot be written",
                len(self._changes.new),
                self._path,
            )
            self._changes = Changes()
        if self._file is not None:
            self._file.close()

    def _empty_log(self) -> None:
        if self._file is not None:
            try:
                self._file.empty_log()
            except sqlite3.Error as exc:
                self._take_fault(exc)

    def _note(self, notice_id: str, told: Told) -> None:
        self._told[notice_id] = self._changes.told[notice_id] = told

    def _forget(self, number: int) -> None:
        if self._waiting.pop(number, None) is None:
            return
        self._changes.pictures.pop(number, None)
        self._changes.without_picture.discard(number)
        if self._changes.new.pop(number, None) is None:
            self._changes.removed.add(number)

    def _drop_picture(self, number: int) -> None:
        waiting = self._waiting[number]
        if not waiting.picture_bytes:
            return
        self._waiting[number] = replace(waiting, picture_bytes=0)
        self._changes.pictures.pop(number, None)
        if number in self._changes.new:
            self._changes.new[number] = self._waiting[number]
        else:
            self._changes.without_picture.add(number)

    def _trim(self, now: BootTime) -> None:
        limits = self._limits
        while self._waiting:
            number, oldest = next(iter(self._waiting.items()))
            old = now.seconds_since(oldest.kept) > limits.days * SECONDS_PER_DAY
            if not old and len(self._waiting) <= limits.notices:
                break
            log.warning(
                "%d notifications wait for the notifier: the oldest is dropped", len(self._waiting)
            )
            self._forget(number)
        held = sum(each.picture_bytes for each in self._waiting.values())
        self._spare(held - limits.picture_bytes, list(self._waiting))
        while self._told:
            notice_id, first = next(iter(self._told.items()))
            old = now.seconds_since(first.kept) > limits.told_days * SECONDS_PER_DAY
            if not old and len(self._told) <= limits.told:
                break
            del self._told[notice_id]
            self._changes.told[notice_id] = None

    def _spare(self, excess_bytes: int, numbers: Collection[int]) -> None:
        """Drop the oldest pictures of these until so many bytes are free."""
        for number in numbers:
            if excess_bytes <= 0:
                return
            excess_bytes -= self._waiting[number].picture_bytes
            self._drop_picture(number)

    def _write(self) -> None:
        try:
            if self._file is None:
                self._open()
            if self._file is not None and self._changes:
                self._file.change(self._changes)
        except (sqlite3.Error, OSError, EncryptionError) as exc:
            self._take_fault(exc)
            held = sum(map(len, self._changes.pictures.values()))
            self._spare(held - self._limits.memory_picture_bytes, list(self._changes.pictures))
            return
        self._changes = Changes()
        if self.problem is not None:
            log.info("notifications wait on the disk again, in %s", self._path)
            self.problem = None

    def _open(self) -> None:
        """Open the file; what it holds comes before what waits in memory."""
        opened = partial(JournalFile, self._path, self._cipher)
        file = open_or_set_aside(self._path, opened, self._say_damage)
        try:
            kept, altered = file.waiting()
            told, last_number = file.told(), file.last_number
        except BaseException:
            file.close()
            raise
        if file.journal_id == self.journal_id:  # closed after a fault in this run
            self._changes.removed |= kept.keys() - self._waiting.keys()
        else:
            self._join(kept, told, last_number)
            self.journal_id = file.journal_id
        self._changes.removed |= altered
        self._file = file

    def _say_damage(self, exc: Exception, aside: Path) -> None:
        log.error(
            "the journal of notifications %s is damaged: %s; it was set aside as %s",
            self._path,
            exc,
            aside,
        )

    def _join(self, kept: dict[int, Waiting], told: dict[str, Told], last_number: int) -> None:
        """Put what waits in memory behind what a file holds that this run has not known."""
        have = self._changes.pictures
        changes = Changes(told={k: v for k, v in self._told.items() if k not in told})
        waiting, last_number = dict(kept), max(last_number, *kept, 0)
        for number, each in self._waiting.items():
            last_number += 1
            jpeg = have.get(number, b"")
            new = replace(each, picture_bytes=len(jpeg))
            waiting[last_number] = changes.new[last_number] = new
            if jpeg:
                changes.pictures[last_number] = jpeg
        self._waiting, self._told, self._last_number = waiting, told | self._told, last_number
        self._changes = changes

    def _take_fault(self, exc: Exception) -> None:
        if self._file is not None and not is_passing(exc):
            self._file.close()  # opened again at the next try
            self._file = None
        if self.problem is None:
            log.warning(
                "notifications wait in memory, and are lost when the doorbell stops: %s: %s; check "
                "the free space and who may write there",
                self._path,
                exc,
            )
        self.problem = f"notifications wait in memory only: {exc}"
