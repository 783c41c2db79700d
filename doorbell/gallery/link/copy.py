"""The copy of the gallery that a machine decides by: a gallery's file, with an outbox in it.

Whatever its stores write is noted in the outbox within the same transaction. People, and what the
household says, are changed on the server alone, and come back from there.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from typing import ClassVar

from doorbell.config import GallerySection, StorageSection
from doorbell.domain import FaceSample, Stranger, Visit
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.link.copy_file import CopyFile
from doorbell.gallery.link.writes import (
    DATES,
    AddStranger,
    Date,
    EndVisits,
    ForgetStranger,
    NoteVisit,
    SaveVisit,
    SeeVisits,
)
from doorbell.gallery.people import PeopleStore
from doorbell.gallery.queries import at_one_of
from doorbell.gallery.records import Forgotten
from doorbell.gallery.store import Changes
from doorbell.gallery.strangers import StrangerStore
from doorbell.gallery.vector_place import VectorPlace
from doorbell.gallery.visits import VisitStore
from doorbell.storage.encryption import open_cipher
from doorbell.storage.sqlite_copies import remove_logs

log = logging.getLogger(__name__)


class GalleryCopy(Gallery):
    """The open copy: a ``Gallery`` whose visits and strangers go to the server, too."""

    file: CopyFile
    file_class: ClassVar[type[CopyFile]] = CopyFile

    def __init__(self, file: CopyFile, place: VectorPlace | None = None) -> None:
        super().__init__(file, place)
        self.strangers = _Strangers(self._changes, file)
        self.visits = _Visits(self._changes, self.people, file)


def open_own(
    storage: StorageSection, section: GallerySection | None = None, *, look_through: bool = False
) -> Gallery:
    """Open what this machine decides by: its gallery, or its copy of one on a server.

    Args:
        storage: with the files of this machine.
        section: with a server, if it names one, and when templates are in mapped files.
        look_through: as ``Gallery.open``.

    Raises:
        GalleryError, EncryptionError, ConfigError: see ``Gallery.of``.
    """
    most = None if section is None else section.vectors_in_memory
    is_shared = section is not None and section.url is not None
    opened: type[Gallery] = GalleryCopy if is_shared else Gallery
    return opened.open(
        storage.copy_path if is_shared else storage.gallery_path,
        open_cipher(storage.key_file),
        look_through=look_through,
        vectors_in_memory=most,
    )


def delete_copy(storage: StorageSection) -> None:
    """Delete a copy that is followed no more: nobody would forget anyone in it.

    One that holds what never reached the server stays, and that is said.

    Raises:
        GalleryError, EncryptionError: it cannot be read.
    """
    path = storage.copy_path
    if not path.exists():
        return
    with closing(CopyFile(path, open_cipher(storage.key_file))) as copy:
        waiting = copy.count_waiting() + copy.count_aside()
    if waiting:
        log.error(
            "%s holds %d writes that never reached the server it is a copy of: set gallery.url "
            "again and start the doorbell to bring them there, or delete it",
            path,
            waiting,
        )
        return
    log.info("%s is deleted: gallery.url is not set any more", path)
    remove_logs(path)
    path.unlink()


class _Strangers(StrangerStore):
    def __init__(self, changes: Changes, file: CopyFile) -> None:
        super().__init__(changes)
        self._copy = file

    def add(self, samples: Sequence[FaceSample], seen_at: float) -> Stranger:
        with self._copy.writing():
            stranger = super().add(samples, seen_at)
            self._copy.note(AddStranger(stranger.stranger_id, seen_at, samples))
        return stranger

    def note_visit(
        self, stranger_id: int, seen_at: float, samples: Sequence[FaceSample]
    ) -> Stranger:
        with self._copy.writing():
            stranger = super().note_visit(stranger_id, seen_at, samples)
            self._copy.note(NoteVisit(stranger_id, seen_at, samples))
        return stranger

    def _forget(self, stranger_id: int) -> Forgotten:
        forgotten = super()._forget(stranger_id)
        self._copy.note(ForgetStranger(stranger_id))
        return forgotten


class _Visits(VisitStore):
    def __init__(self, changes: Changes, people: PeopleStore, file: CopyFile) -> None:
        super().__init__(changes, people)
        self._copy = file

    def save(
        self,
        visit: Visit,
        samples: Sequence[FaceSample] = (),
        *,
        rang_at: float | None = None,
        stopped_at: float | None = None,
    ) -> None:
        with self._copy.writing():
            super().save(visit, samples, rang_at=rang_at, stopped_at=stopped_at)
            self._copy.note(SaveVisit(visit, samples, rang_at, stopped_at))

    def touch(self, last_seen_at: Mapping[str, float]) -> None:
        with self._copy.writing():
            super().touch(last_seen_at)
            self._copy.note(SeeVisits(last_seen_at))

    def close_open(self, but: Collection[str] = (), doors: Collection[str] | None = None) -> int:
        at_doors, door_ids = at_one_of(doors)
        with self._copy.writing():
            rows = self._copy.rows(
                f"SELECT id FROM visits WHERE {at_doors} AND ended_at IS NULL "  # noqa: S608 - our own words
                f"AND NOT (id {self._copy.among})",
                *door_ids,
                self._copy.listed(list(but)),
            )
            if not rows:
                return 0
            self._copy.note(EndVisits([row["id"] for row in rows]))
            return super().close_open(but, doors)

    def follow_clock(self, since: float, until: float, seconds: float, after: int) -> None:
        with self._copy.writing():
            before = self._dates(after)
            super().follow_clock(since, until, seconds, after)
            changed = [
                [row for row in rows if row not in earlier]
                for rows, earlier in zip(self._dates(after), before, strict=True)
            ]
            if any(changed):
                self._copy.note(Date(*changed))

    def _dates(self, after: int) -> list[list[list[object]]]:
        """Times of the visits that were stored after this one, and of who came in them."""
        return [
            [
                list(row.values())
                for row in self._copy.rows(
                    f"SELECT id, {', '.join(DATES[table])} FROM {table} WHERE {where}",  # noqa: S608 - our own words
                    after,
                )
            ]
            for table, where in (
                ("visits", "rowid > ?"),
                ("strangers", "id IN (SELECT stranger_id FROM visits WHERE rowid > ?)"),
            )
        ]
