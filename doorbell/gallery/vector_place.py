"""Where an open gallery keeps its templates: in memory, or in mapped files where they are too many.

The files are written anew whenever a gallery is opened, follow it while it is open, and are deleted
with its closing. What a process that was killed has left goes with the next start, and as soon as
anybody is forgotten. An encrypted gallery's lie in memory without a name, where no disk has them.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

from doorbell.domain import Float32Array
from doorbell.errors import GalleryError
from doorbell.recognition.mapped_index import MappedIndex
from doorbell.recognition.nearest import Ids, VectorIndex
from doorbell.recognition.vectors import Vectors

_LOG = logging.getLogger(__name__)

_SUFFIX = ".vectors"


class VectorPlace:
    """Of one open gallery.

    Args:
        most_in_memory: so many templates of people, or of strangers, are held in memory; None for
            all.
        directory: for files of more; None where they may not lie on a disk.
    """

    def __init__(self, most_in_memory: int | None = None, directory: Path | None = None) -> None:
        self._most_in_memory = most_in_memory
        self._directory = directory
        self._mapped: list[tuple[MappedIndex, Path | None]] = []

    def keep(self, whose: str, model_id: str, ids: Ids, vectors: Float32Array) -> Vectors:
        """Take over templates.

        Args:
            whose: a word for the name of the file.
            model_id: the embedder.
            ids: (n,) int64, ascending.
            vectors: (n, 128) float32 of unit length; not to be changed from now on.
        """
        if self._most_in_memory is None or len(ids) <= self._most_in_memory:
            return VectorIndex(ids, vectors)
        path = None
        if self._directory is not None:
            path = self._directory / f"{whose}.{model_id}{_SUFFIX}"
        try:
            index = MappedIndex.create(path, model_id, ids, vectors)
        except GalleryError as exc:  # a door that takes more memory still knows everybody
            _LOG.error("templates stay in memory: %s", exc)
            return VectorIndex(ids, vectors)
        self._mapped.append((index, path))
        return index

    def close(self) -> None:
        """Delete the files; idempotent."""
        while self._mapped:
            index, path = self._mapped.pop()
            index.settle()
            if path is not None:
                path.unlink(missing_ok=True)
            index.close()


def delete_left_behind(directory: Path) -> None:
    """Delete what no process keeps up to date any more: whoever made it was killed.

    Raises:
        GalleryError: it cannot be deleted.
    """
    try:
        for path in directory.glob(f"*{_SUFFIX}"):
            with suppress(GalleryError):  # it is in use: who writes it takes out what is forgotten
                MappedIndex.delete(path)
    except OSError as exc:
        raise GalleryError(
            f"cannot delete {exc.filename}, which holds faces of a gallery that was not closed: "
            f"{exc.strerror}; delete it"
        ) from exc
