"""The most alike of very many unit vectors, from a file that several processes share.

Does what ``nearest.VectorIndex`` does where so many would take too much memory: of each vector two
bytes a number lie in a file that every process maps (``vector_file``), and only what has changed
since that was written is in memory besides. The high bytes of all are looked at, those nearest by
the sum of absolute differences compared by their high bytes, and the best of these in full. So two
vectors change places only if they are as alike as 16 bits can tell, or if the sum leads astray: it
puts whom a name could be given to so far before everybody else that this was never seen
(``doorbell bench vectors``).

Used without any database. One process keeps it up to date, the others follow what that writes.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from typing_extensions import Self

from doorbell.domain import Float32Array, UInt8Array
from doorbell.errors import GalleryError
from doorbell.recognition.fixed_point import encode, require_units, turned, turned_back
from doorbell.recognition.mapped_vectors import MappedVectors, Places
from doorbell.recognition.nearest import LOWEST_PRIORITY, Ids
from doorbell.recognition.vector_file import BLOCK_ROWS, Kind, VectorFile, write_vectors
from doorbell.storage.files import OWNER_ONLY, whole_file

_LOG = logging.getLogger(__name__)

# So many changes are gathered before the file is made anew, or this part of what is in it.
MOST_CHANGES = 2_000
CHANGED_PART = 1 / 100


class MappedIndex:
    """Vectors of unit length by identifier; used by one thread.

    Made by ``create`` and ``open``.
    """

    def __init__(
        self, path: Path | None, model_id: str, now: MappedVectors, lock: int | None
    ) -> None:
        self._path = path
        self._model_id = model_id
        self._now = now
        self._rewriting: _Rewriting | None = None
        self._rewrites = now.writes
        self._release = weakref.finalize(self, _unlock, lock)

    @classmethod
    def create(cls, path: Path | None, model_id: str, ids: Ids, vectors: Float32Array) -> Self:
        """Write an index anew and open it to keep it up to date.

        Args:
            path: of the file; None for memory without a name, for what may not lie on a disk.
            model_id: whose vectors they are.
            ids: (n,) int64, ascending.
            vectors: (n, d) float32, of unit length; not kept.

        Raises:
            GalleryError: a vector is not of unit length, another process keeps this index up to
                date, or the file cannot be written.
        """
        blocks = (_encoded(vectors[at : at + BLOCK_ROWS]) for at in range(0, len(ids), BLOCK_ROWS))
        lock = None if path is None else _lock(path)
        try:
            with ExitStack() as stack:
                descriptor = _new_file(path, stack)
                write_vectors(descriptor, model_id, ids, blocks, vectors.shape[1])
                now = MappedVectors(VectorFile(descriptor, model_id), writes=True)
        except OSError as exc:
            _unlock(lock)
            raise _not_written(path, exc) from exc
        except BaseException:
            _unlock(lock)
            raise
        return cls(path, model_id, now, lock)

    @classmethod
    def open(cls, path: Path, model_id: str, *, writes: bool = False) -> Self:
        """Open an index that is there.

        Args:
            path: of the file.
            model_id: whose vectors are expected.
            writes: whether to keep it up to date; one process at a time does.

        Raises:
            GalleryError: there is none, it is damaged or of another model, or another process
                keeps it up to date too.
        """
        lock = _lock(path) if writes else None
        try:
            now = _open(path, model_id, writes=writes)
        except BaseException:
            _unlock(lock)
            raise
        return cls(path, model_id, now, lock)

    @classmethod
    def delete(cls, path: Path) -> None:
        """Delete an index that no process keeps up to date.

        Raises:
            GalleryError: one does.
            OSError: it cannot be deleted.
        """
        lock = _lock(path)
        path.unlink(missing_ok=True)
        _unlock(lock)

    def __len__(self) -> int:
        self._follow()
        return len(self._now)

    def __contains__(self, vector_id: int) -> bool:
        self._follow()
        return vector_id in self._now

    def vector(self, vector_id: int) -> Float32Array:
        """The vector of an identifier, (d,) float32, but for what rounding to 16 bits takes.

        Raises:
            KeyError: there is none.
        """
        self._follow()
        return turned_back(self._now.vector(vector_id))

    def put(self, vector_id: int, vector: Float32Array) -> None:
        """Add a vector, (d,) float32, or replace the one of this identifier.

        Raises:
            GalleryError: it is not of unit length, the disk is full, or this process only reads.
        """
        high, low = _encoded(vector[np.newaxis])
        self._change(Kind.PUT, vector_id, high[0], low[0])

    def remove(self, vector_id: int) -> None:
        """Remove the vector of an identifier, if there is one; nothing of it stays in the file.

        Raises:
            GalleryError: the disk is full, or this process only reads.
        """
        if vector_id in self._now:
            nothing = np.zeros(self._now.dimensions, np.uint8)
            self._change(Kind.REMOVED, vector_id, nothing, nothing)

    def best(self, query: Float32Array, count: int = 1) -> tuple[Ids, Float32Array]:
        """The most alike, those first.

        Args:
            query: (d,) float32, not zero.
            count: how many; fewer come where there are fewer.

        Returns:
            Identifiers (k,) int64 and products with the query (k,) float32; of equal ones the
            smaller identifier comes first.

        Raises:
            GalleryError: the query has no direction.
        """
        self._follow()
        ids, products = self._now.best(turned(query), count)
        order = np.lexsort((ids, -products))[:count]
        return ids[order], np.asarray(products[order], np.float32)

    def reaching(self, query: Float32Array, least: float) -> tuple[Ids, Float32Array]:
        """All whose product with the query, (d,) float32 of unit length, is so high."""
        self._follow()
        ids, products = self._now.reaching(turned(query), least)
        return ids, np.asarray(products, np.float32)

    def settle(self) -> None:
        """Wait until the file is not being made anew any more."""
        if self._rewriting is not None:
            self._rewriting.join()
            self._take_over()

    def close(self) -> None:
        """Let another process keep it up to date; idempotent."""
        self.settle()
        self._release()

    def _follow(self) -> None:
        """Take over what the process that writes has changed."""
        if self._now.writes:
            self._take_over()
        elif self._path is not None and not self._now.is_at(self._path):
            self._now = _open(self._path, self._model_id, writes=False)
        else:
            self._now.follow()

    def _change(self, kind: Kind, vector_id: int, high: UInt8Array, low: UInt8Array) -> None:
        if not self._now.writes:
            raise GalleryError(
                "this process only reads the index of vectors; let the one that writes it change it"
            )
        self._take_over()
        try:
            self._now.change(kind, vector_id, high, low)
        except OSError as exc:
            raise _not_written(self._path, exc) from exc
        if self._rewriting is not None:
            self._rewriting.changed[vector_id] = (kind, high, low)
        elif self._rewrites and self._now.changes >= max(
            MOST_CHANGES, CHANGED_PART * len(self._now)
        ):
            self._rewriting = _Rewriting(self._path, self._model_id, self._now)

    def _take_over(self) -> None:
        """Go on with the file that was made anew, if it is done."""
        done = self._rewriting
        if done is None or done.is_alive():
            return
        self._rewriting = None
        done.join()
        try:
            self._now = done.finish()
        except (OSError, GalleryError) as exc:  # the file there is goes on to be searched
            self._rewrites = False
            _LOG.error("the index of vectors is not made anew: %s", exc)


class _Rewriting(threading.Thread):
    """Writes an index anew, without what is gone, while the one there is in use."""

    def __init__(self, path: Path | None, model_id: str, now: MappedVectors) -> None:
        super().__init__(name="index of vectors")
        self.changed: dict[int, tuple[Kind, UInt8Array, UInt8Array]] = {}  # since this began
        self._path, self._model_id, self._now = path, model_id, now
        self._kept = now.kept()
        self._stack = ExitStack()
        self._file: VectorFile | None = None
        self._failed: OSError | GalleryError | None = None
        self.start()

    def run(self) -> None:
        if sys.platform == "linux":  # where each thread has a priority of its own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
        ids, _, recent_ids, recent = self._kept
        ids = np.concatenate([ids, recent_ids])
        order = np.argsort(ids)
        try:
            descriptor = _new_file(self._path, self._stack)
            write_vectors(
                descriptor, self._model_id, ids[order], self._blocks(order), recent.shape[1]
            )
            os.fsync(descriptor)  # here, where nobody waits for it
            self._file = VectorFile(descriptor, self._model_id)
        except (OSError, GalleryError) as exc:
            self._failed = exc

    def finish(self) -> MappedVectors:
        """The new file, with what has changed meanwhile, in the place of the other.

        Raises:
            OSError, GalleryError: it could not be written; the other is as it was.
        """
        with self._stack:
            if self._failed is not None or self._file is None:
                raise self._failed or GalleryError("it was not written")
            now = MappedVectors(self._file, writes=True)
            for vector_id, (kind, high, low) in self.changed.items():
                if kind is Kind.PUT or vector_id in now:
                    now.change(kind, vector_id, high, low)
        return now

    def _blocks(self, order: Places) -> Iterator[tuple[UInt8Array, UInt8Array]]:
        """What is kept, in this order, encoded."""
        _, places, _, recent = self._kept
        encoded = encode(recent)
        for at in range(0, len(order), BLOCK_ROWS):
            block = order[at : at + BLOCK_ROWS]
            is_recent = block >= len(places)
            old = self._now.rows(places[block[~is_recent]])
            high, low = (np.empty((len(block), recent.shape[1]), np.uint8) for _ in range(2))
            for of_block, kept, new in zip((high, low), old, encoded, strict=True):
                of_block[~is_recent] = kept
                of_block[is_recent] = new[block[is_recent] - len(places)]
            yield high, low


def _encoded(vectors: Float32Array) -> tuple[UInt8Array, UInt8Array]:
    require_units(vectors)
    return encode(turned(vectors))


def _open(path: Path, model_id: str, *, writes: bool) -> MappedVectors:
    try:
        flags = os.O_RDWR if writes else os.O_RDONLY
        descriptor = os.open(path, flags | os.O_CLOEXEC)
        return MappedVectors(VectorFile(descriptor, model_id), writes=writes)
    except OSError as exc:
        raise GalleryError(f"cannot open the index of vectors {path}: {exc.strerror}") from exc
    except GalleryError as exc:
        raise GalleryError(f"{path}: {exc}") from exc


def _new_file(path: Path | None, stack: ExitStack) -> int:
    """An empty file of the owner's alone, which comes to its place when the stack is left."""
    if path is None:
        return os.memfd_create("vectors", os.MFD_CLOEXEC)
    partial = stack.enter_context(whole_file(path, durable=False))
    return os.open(partial, os.O_RDWR | os.O_CLOEXEC)


def _lock(path: Path) -> int:
    """Be the one who writes; the system takes it back from a process that was killed."""
    descriptor = os.open(
        path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, OWNER_ONLY
    )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(descriptor)
        raise GalleryError(
            f"another process keeps {path} up to date; only one may, let this one read"
        ) from exc
    return descriptor


def _unlock(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)


def _not_written(path: Path | None, exc: OSError) -> GalleryError:
    where = "in memory" if path is None else str(path)
    return GalleryError(
        f"cannot write the index of vectors {where}: {exc.strerror}; make room, or raise "
        "gallery.vectors_in_memory"
    )
