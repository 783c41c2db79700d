"""What every store of the gallery stands on: the open database, and what one change of it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from doorbell.gallery.sql import GalleryDatabase


class Changes:
    """The transactions of one open gallery that change whom faces are compared with.

    Attributes:
        file: the open database.
        count: how many there were so far.
    """

    def __init__(self, file: GalleryDatabase) -> None:
        self.file = file
        self.count = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """One transaction that changes people, strangers, samples or corrections."""
        with self.file.writing():
            yield
        self.count += 1

    def overwrite_log(self) -> None:
        """Leave no byte of what was deleted, as far as that can be had."""
        self.file.overwrite_deleted()
