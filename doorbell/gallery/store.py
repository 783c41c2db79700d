"""What every store of the gallery stands on: the open file, and what one change of it is."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from doorbell.gallery.database import GalleryFile

_LOG = logging.getLogger(__name__)


class Changes:
    """The transactions of one open gallery that change whom faces are compared with.

    Attributes:
        file: the open gallery.
        count: how many there were so far.
    """

    def __init__(self, file: GalleryFile) -> None:
        self.file = file
        self.count = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """One transaction that changes people, strangers, samples or corrections."""
        with self.file.writing():
            yield
        self.count += 1

    def overwrite_log(self) -> None:
        """Leave no byte of what was deleted: the write-ahead log has pages from before."""
        if not self.file.empty_log():
            _LOG.warning(
                "the gallery is in use by another process: what was forgotten is deleted, but its "
                "bytes stay in %s-wal until that process closes or writes more",
                self.file.path,
            )
