"""The templates of an open gallery, kept as the file has them.

Each change costs what it changes, whoever makes it and however many people and strangers there are.
"""

from __future__ import annotations

from doorbell.gallery.change_log import (
    Change,
    ChangeKind,
    changes_since,
    latest_revision,
)
from doorbell.gallery.store import Changes
from doorbell.gallery.templates import TemplateReader
from doorbell.gallery.vector_place import VectorPlace
from doorbell.recognition.templates import Templates

# Read at a time where all that has changed is wanted.
BATCH = 1_000


class GalleryIndex:
    """Follows one gallery; used by the thread that opened it."""

    def __init__(self, changes: Changes, model_id: str, place: VectorPlace) -> None:
        """Read everybody.

        Raises:
            GalleryError: the gallery fails.
            EncryptionError: another process encrypted the gallery, decrypted it or changed its key.
        """
        self._changes = changes
        self._file = changes.file
        self._reader = TemplateReader(self._file, model_id, place)
        self._version = self._latest_version()
        with self._file.reading():
            self._file.require_seal()
            self._revision = latest_revision(self._file)
            self._deleted = self._file.last_deleted_change()
            self._templates = self._reader.everybody()

    def follow(self, at_most: int | None = None) -> Templates:
        """The templates, with what has changed.

        Args:
            at_most: take over changes of so many visitors, and the others in the calls that follow;
                None for all.

        Returns:
            The same object each time.

        Raises:
            GalleryError, EncryptionError: see the construction.
        """
        version = self._latest_version()
        while version != self._version:
            with self._file.reading():
                self._file.require_seal()
                self._remove_gone()
                due = changes_since(self._file, self._revision, at_most or BATCH)
                for change in due:
                    self._take_over(change)
            self._templates.revision += 1
            if len(due) < (at_most or BATCH):
                self._version = version
            elif at_most is not None:
                break
        return self._templates

    def _latest_version(self) -> tuple[int, int]:
        return self._file.foreign_version(), self._changes.count

    def _remove_gone(self) -> None:
        """Remove whoever went in a change that the log may have no more."""
        deleted = self._file.last_deleted_change()
        if deleted == self._deleted:
            return
        self._deleted = deleted
        templates = self._templates
        people = {each.person_id for each in templates.people}
        for person_id in people - self._ids("people"):
            templates.remove_person(person_id)
        for stranger_id in templates.stranger_ids - self._ids("strangers"):
            templates.remove_stranger(stranger_id)

    def _ids(self, table: str) -> set[int]:
        return {row["id"] for row in self._file.rows(f"SELECT id FROM {table}")}  # noqa: S608 - our own words

    def _take_over(self, change: Change) -> None:
        match change.kind:
            case ChangeKind.PERSON:
                self._reader.read_person(self._templates, change.visitor_id)
            case ChangeKind.STRANGER:
                self._reader.read_stranger(self._templates, change.visitor_id)
            case ChangeKind.CORRECTED:
                self._reader.read_corrected(self._templates)
        self._revision = change.revision
