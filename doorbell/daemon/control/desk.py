"""The one thread beside the main one that reads and changes the gallery for who asks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from typing import TypeVar

from doorbell.config import StorageSection
from doorbell.errors import ControlError, GalleryError, GalleryLostError
from doorbell.gallery.gallery import Gallery

_Result = TypeVar("_Result")

# Whoever asks waits no longer; what was begun is ended all the same.
WAIT_SECONDS = 20.0
CLOSE_SECONDS = 2.0


class GalleryDesk:
    """Serves one request after the other, with a connection of its own to the gallery's file.

    Args:
        storage: where the gallery is, and its key. It is opened with the first request.
        wait_seconds: how long whoever asks waits.
    """

    def __init__(self, storage: StorageSection, wait_seconds: float = WAIT_SECONDS) -> None:
        self._storage = storage
        self._wait_seconds = wait_seconds
        self._gallery: Gallery | None = None
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="household")
        self._closed = threading.Event()

    def do(self, work: Callable[[Gallery], _Result]) -> _Result:
        """Let the thread do something with the gallery, and wait for it.

        Raises:
            ControlError: it takes too long.
            DoorbellError: as the work does.
        """
        try:
            begun = self._executor.submit(self._do, work)
        except RuntimeError as exc:
            if not self._closed.is_set():
                raise
            raise ControlError("the doorbell stops; ask again when it is back") from exc
        try:
            return begun.result(self._wait_seconds)
        except TooSlow as exc:
            begun.cancel()  # what has not begun is not done later, unasked
            raise ControlError("the gallery does not answer in time; try again") from exc

    def close(self) -> None:
        """Let what is in hand end; idempotent."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._executor.submit(self._leave)
        self._executor.shutdown(wait=True, cancel_futures=False)

    def _do(self, work: Callable[[Gallery], _Result]) -> _Result:
        if self._gallery is None:
            self._gallery = Gallery.of(self._storage)
        try:
            return work(self._gallery)
        except (GalleryLostError, GalleryError):
            self._leave()  # another file may be there by now
            raise

    def _leave(self) -> None:
        if self._gallery is not None:
            self._gallery.close()
            self._gallery = None
