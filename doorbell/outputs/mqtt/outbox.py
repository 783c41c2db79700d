"""Events that wait until the broker has acknowledged them.

Bounded by age, count and size: the oldest pictures go before any event. Survives a kill; what a
full disk refuses waits in memory until there is space, and a damaged file is set aside. Raises
nothing but for another key than that of what waits, at the start; knows nothing of brokers.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Collection, Container, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from doorbell.clock import SECONDS_PER_DAY, BootTime
from doorbell.config import MqttSection
from doorbell.errors import EncryptionError
from doorbell.outputs.mqtt.messages import EventSubject, subject_of
from doorbell.outputs.mqtt.outbox_store import (
    OutboxFile,
    QueuedEvent,
    QueuedInfo,
)
from doorbell.storage.encryption import NO_CIPHER, Cipher
from doorbell.storage.sqlite import is_damage, is_passing, open_or_set_aside, set_aside

BYTES_PER_MEGABYTE = 1_000_000
# Pictures that wait in memory while the disk refuses them; events are bounded by their count.
MEMORY_PICTURE_BYTES = 8_000_000

Read = TypeVar("Read")

log = logging.getLogger(__name__)


class Outbox:
    """What waits for the broker. Under the caller's lock, but for ``sync``.

    Args:
        path: of the file, made if missing; its directory as well.
        section: ``[mqtt]``: the limits.
        cipher: how documents and pictures are kept in the file.

    Attributes:
        events_dropped, pictures_dropped: since this run began: too old, too many, forgotten or
            altered.

    Raises:
        EncryptionError: what waits was encrypted with another key, or is and there is none; it
            stays.
    """

    def __init__(self, path: Path, section: MqttSection, cipher: Cipher = NO_CIPHER) -> None:
        self.events_dropped = self.pictures_dropped = 0
        self._path = path
        self._section = section
        self._cipher = cipher
        self._file: OutboxFile | None = None
        self._waiting: dict[int, QueuedInfo] = {}  # in order
        self._subjects: dict[int, EventSubject] = {}  # as far as somebody asked
        self._bytes = 0
        self._last_number = 0
        # What the file does not know yet.
        self._unwritten: dict[int, QueuedEvent] = {}  # without their pictures
        self._unwritten_pictures: dict[int, bytes] = {}
        self._removed: set[int] = set()
        self._without_picture: set[int] = set()
        self._failing = False
        self._drop_said = False
        try:
            self._open()
        except (sqlite3.Error, OSError) as exc:
            self._take_fault(exc)

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def on_disk(self) -> bool:
        """Whether everything that waits would outlive a kill."""
        return self._file is not None and not self._unwritten

    def append(self, document: bytes, picture: bytes | None, now: BootTime) -> QueuedEvent:
        """Keep an event; behind all others."""
        self._last_number += 1
        event = QueuedEvent(self._last_number, document, None, now)
        self._unwritten[event.number] = event
        if picture is not None:
            self._unwritten_pictures[event.number] = picture
        self._count(event)
        self._trim(now)
        self._write()
        return event

    def attach(self, pictures: Mapping[int, bytes]) -> None:
        """Keep pictures of events that still wait, by number."""
        for number, picture in pictures.items():
            if number in self._waiting:
                self._unwritten_pictures[number] = picture
                self._without_picture.discard(number)
                self._bytes += len(picture) - self._waiting[number].picture_bytes
                self._waiting[number] = replace(self._waiting[number], picture_bytes=len(picture))
        self._write()

    def next_unsent(self, numbers: Container[int]) -> int | None:
        """Number of the first that waits and is none of these; None if there is none."""
        return next((number for number in self._waiting if number not in numbers), None)

    def read(self, number: int) -> QueuedEvent | None:
        """An event that waits; None where the disk will not give it now."""
        event = self._unwritten.get(number) or self._from_file(number, OutboxFile.read)
        if event is None:
            return None
        written = None if number in self._without_picture else event.picture
        return replace(event, picture=self._unwritten_pictures.get(number, written))

    def subjects(self) -> dict[int, EventSubject]:
        """Whom each event is about, by number, in order; without those that cannot be read."""
        for number in self._waiting.keys() - self._subjects.keys():
            unwritten = self._unwritten.get(number)
            if unwritten is not None:
                document: bytes | None = unwritten.document
            else:
                document = self._from_file(number, OutboxFile.document)
            if document is not None:
                self._subjects[number] = subject_of(document)
        return {
            number: self._subjects[number] for number in self._waiting if number in self._subjects
        }

    def remove(self, *numbers: int) -> None:
        """Forget events: the broker has them."""
        for number in numbers:
            self._forget(number)
        self._write()
        if not self._waiting and self._drop_said:
            log.info(
                "the broker has what waited; dropped since the start: %d events, %d pictures",
                self.events_dropped,
                self.pictures_dropped,
            )
            self._drop_said = False

    def give_up(self, number: int) -> None:
        """Drop an event that the broker does not take."""
        self.events_dropped += 1
        self.remove(number)

    def with_pictures(self) -> set[int]:
        """Numbers of the events that have one."""
        return {number for number, summary in self._waiting.items() if summary.picture_bytes}

    def drop_pictures(self, numbers: Collection[int] | None = None) -> None:
        """Keep events, all or these, without their pictures, and nothing of these on the disk."""
        for number in self.with_pictures():
            if numbers is None or number in numbers:
                self._drop_picture(number)
        self._write()
        self._empty_log()

    def forget_visits(self, visit_ids: Collection[str]) -> None:
        """Drop what waits about visits that were forgotten, and what is left of it on the disk."""
        self.forget([n for n, subject in self.subjects().items() if subject.visit_id in visit_ids])

    def forget(self, numbers: Collection[int]) -> None:
        """Drop events about whoever was forgotten, and what is left on the disk of sent ones."""
        dropped = self._waiting.keys() & set(numbers)
        for number in dropped:
            self._forget(number)
        if dropped:
            self.events_dropped += len(dropped)
            log.info("dropped %d waiting events about visits that were forgotten", len(dropped))
        self._write()
        self._empty_log()

    def retry(self, now: BootTime) -> None:
        """Write what the disk refused, and drop what is too old; called now and again."""
        self._trim(now)
        self._write()

    def sync(self) -> None:
        """Bring what waits beyond a power cut; without lock, and may take as long as the disk."""
        file = self._file
        if self._waiting and file is not None:
            file.sync()

    def close(self) -> None:
        """Release the file; what waits stays in it. Idempotent."""
        self._write()
        if self._unwritten:
            log.warning(
                "%d events that the broker does not have are lost: %s cannot be written",
                len(self._unwritten),
                self._path,
            )
            self._unwritten.clear()
            self._unwritten_pictures.clear()
        if self._file is not None:
            self._file.close()

    def _from_file(self, number: int, read: Callable[[OutboxFile, int], Read]) -> Read | None:
        """Read one event; None where it was altered, and is dropped, or the disk refuses."""
        if self._file is None:
            return None
        try:
            return read(self._file, number)
        except EncryptionError as exc:
            log.error("an event that waited for the broker is dropped: %s", exc)
            self.events_dropped += 1
            self._forget(number)
        except (sqlite3.Error, OSError) as exc:
            self._take_fault(exc)
        return None

    def _empty_log(self) -> None:
        if self._file is not None:
            try:
                self._file.empty_log()
            except sqlite3.Error as exc:
                self._take_fault(exc)

    def _count(self, event: QueuedEvent) -> None:
        picture_bytes = len(self._unwritten_pictures.get(event.number, b""))
        self._waiting[event.number] = QueuedInfo(event.kept, len(event.document), picture_bytes)
        self._bytes += len(event.document) + picture_bytes

    def _forget(self, number: int) -> None:
        summary = self._waiting.pop(number, None)
        if summary is None:
            return
        self._subjects.pop(number, None)
        self._bytes -= summary.document_bytes + summary.picture_bytes
        if self._unwritten.pop(number, None) is None:
            self._removed.add(number)
        self._unwritten_pictures.pop(number, None)
        self._without_picture.discard(number)

    def _drop_picture(self, number: int) -> None:
        summary = self._waiting[number]
        self._waiting[number] = replace(summary, picture_bytes=0)
        self._bytes -= summary.picture_bytes
        self.pictures_dropped += 1
        if self._unwritten_pictures.pop(number, None) is None:
            self._without_picture.add(number)

    def _trim(self, now: BootTime) -> None:
        section = self._section
        oldest_seconds = section.outbox_days * SECONDS_PER_DAY
        while self._waiting:
            number, oldest = next(iter(self._waiting.items()))
            old = now.seconds_since(oldest.kept) > oldest_seconds
            if not old and len(self._waiting) <= section.outbox_events:
                break
            self._drop(number)
        most_bytes = section.outbox_megabytes * BYTES_PER_MEGABYTE
        pictures = (n for n, summary in self._waiting.items() if summary.picture_bytes)
        while self._bytes > most_bytes:
            with_picture = next(pictures, None)
            if with_picture is None:
                self._drop(next(iter(self._waiting)))
            else:
                self._say_drop("the oldest pictures")
                self._drop_picture(with_picture)

    def _drop(self, number: int) -> None:
        self._say_drop("the oldest events")
        self.events_dropped += 1
        self.pictures_dropped += self._waiting[number].picture_bytes > 0
        self._forget(number)

    def _say_drop(self, what: str) -> None:
        if not self._drop_said:
            log.warning(
                "%d events (%.1f MB) wait for the broker: %s are dropped; the limits are "
                "mqtt.outbox_days, mqtt.outbox_events and mqtt.outbox_megabytes",
                len(self._waiting),
                self._bytes / BYTES_PER_MEGABYTE,
                what,
            )
        self._drop_said = True

    def _write(self) -> None:
        wrote = False
        try:
            if self._file is None:
                self._open()
                wrote = True
            if self._file is not None and self._has_changed:
                wrote = True
                self._file.change(
                    self._unwritten.values(),
                    self._unwritten_pictures,
                    removed=self._removed,
                    without_picture=self._without_picture,
                )
        except (sqlite3.Error, OSError, EncryptionError) as exc:
            self._take_fault(exc)
            self._spare_memory()
            return
        self._unwritten.clear()
        self._unwritten_pictures.clear()
        self._removed.clear()
        self._without_picture.clear()
        # What the broker took while the disk was full needed no writing, and proves nothing.
        if self._failing and wrote:
            log.info("events wait on the disk again, in %s", self._path)
            self._failing = False

    def _open(self) -> None:
        """Open the file; what waits in it comes before what waits in memory."""
        opened = partial(OutboxFile, self._path, self._cipher)
        file = open_or_set_aside(self._path, opened, self._say_damage)
        try:
            if self._last_number:  # this run began without the file
                file.renumber_below(next(iter(self._unwritten), self._last_number + 1))
            earlier = file.summaries()
        except BaseException:
            file.close()
            raise
        self._waiting = {n: summary for n, summary in earlier.items() if n not in self._removed}
        for event in self._unwritten.values():
            self._count(event)
        # Of events that went with a file that was set aside nothing is left to say.
        self._without_picture &= self._waiting.keys()
        pictures = {n: jpeg for n, jpeg in self._unwritten_pictures.items() if n in self._waiting}
        self._unwritten_pictures = pictures
        sizes = dict.fromkeys(self._without_picture, 0) | {n: len(p) for n, p in pictures.items()}
        for number, size in sizes.items():
            self._waiting[number] = replace(self._waiting[number], picture_bytes=size)
        self._bytes = sum(s.document_bytes + s.picture_bytes for s in self._waiting.values())
        self._last_number = max((self._last_number, *self._waiting))
        self._file = file

    def _take_fault(self, exc: Exception) -> None:
        if self._file is not None and not is_passing(exc):
            self._file.close()  # opened again at the next try
            self._file = None
        if is_damage(exc):
            for number in [n for n in self._waiting if n not in self._unwritten]:
                self._forget(number)
            self._removed.clear()
            self._without_picture.clear()
            try:
                self._say_damage(exc, set_aside(self._path))
            except OSError as refusal:
                exc = refusal
            else:
                return
        if not self._failing:
            log.warning(
                "events that wait for the broker wait in memory, and are lost when the doorbell "
                "stops: %s: %s; check the free space and who may write there",
                self._path,
                exc,
            )
        self._failing = True

    def _say_damage(self, exc: Exception, aside: Path) -> None:
        log.error(
            "the outbox %s is damaged: %s; it was set aside as %s, and the events that waited in "
            "it are not published",
            self._path,
            exc,
            aside,
        )

    def _spare_memory(self) -> None:
        held_bytes = sum(map(len, self._unwritten_pictures.values()))
        for number, picture in list(self._unwritten_pictures.items()):
            if held_bytes > MEMORY_PICTURE_BYTES:
                held_bytes -= len(picture)
                self._drop_picture(number)

    @property
    def _has_changed(self) -> bool:
        return bool(
            self._unwritten or self._unwritten_pictures or self._removed or self._without_picture
        )
