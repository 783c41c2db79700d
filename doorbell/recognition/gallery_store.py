"""The open gallery: its life, and what one change of it is.

Enters: a path. Leaves: transactions, counted. Knows no table.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from typing_extensions import Self

from doorbell.config import StorageSection
from doorbell.recognition.gallery_file import GalleryFile
from doorbell.sealing import PLAIN, Seal, open_seal

_LOG = logging.getLogger(__name__)


class GalleryStore:
    """What all verbs of the gallery stand on."""

    @classmethod
    def open(cls, path: Path, seal: Seal = PLAIN) -> Self:
        """Open the gallery's file, creating it where there is none.

        Raises:
            GalleryError: the file is damaged, not a gallery, of a later version, or out of reach;
                it is left as it was.
            SealError: it is encrypted with another key, or is not and should be.
        """
        return cls(GalleryFile(path, seal))

    @classmethod
    def of(cls, storage: StorageSection) -> Self:
        """Open the gallery that the configuration names, with the key that it names.

        Raises:
            GalleryError, SealError: see ``open``.
            ConfigError: the key is a credential of systemd, and none were passed to this process.
        """
        return cls.open(storage.gallery_path, open_seal(storage.key_file))

    def __init__(self, file: GalleryFile) -> None:
        self._file = file
        self._revision = 0  # counts our own changes of whatever templates are built from

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file; idempotent."""
        self._file.close()

    def wait_at_most(self, seconds: float) -> None:
        """Give up on a gallery that another process keeps locked for longer than this."""
        self._file.rows(f"PRAGMA busy_timeout = {round(seconds * 1000)}")

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One transaction that changes people, strangers, samples or corrections."""
        with self._file.writing():
            yield
        self._revision += 1

    def _overwrite_log(self) -> None:
        # The log has pages from before the deletion.
        if not self._file.empty_log():
            _LOG.warning(
                "the gallery is in use by another process: what was forgotten is deleted, but its "
                "bytes stay in %s-wal until that process closes or writes more",
                self._file.path,
            )
