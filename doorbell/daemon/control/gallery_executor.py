"""The one thread beside the main one that reads and changes the gallery for who asks."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooSlow
from functools import partial
from typing import TypeVar

from doorbell.config import GallerySection, StorageSection
from doorbell.errors import ControlError, GalleryError, GalleryRefusedError
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.link.copy import open_own

_Result = TypeVar("_Result")

# Whoever asks waits no longer; what was begun is ended all the same.
WAIT_SECONDS = 20.0
# How long the gallery may keep one step of it waiting.
_GALLERY_BUSY_SECONDS = 5.0
# A server that did not answer is not asked again for so long, where the copy does.
_AWAY_SECONDS = 15.0
# The doorbell stops within five seconds, whatever is in hand: a transaction that is left is undone.
CLOSE_SECONDS = 1.0


class GalleryExecutor:
    """Serves one request after the other, with a connection of its own to the gallery's file.

    Args:
        storage: where the gallery is, and its key. It is opened with the first request.
        section: the server in its place, if there is one.
        wait_seconds: how long whoever asks waits.
    """

    def __init__(
        self,
        storage: StorageSection,
        section: GallerySection | None = None,
        *,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._storage = storage
        self._section = section
        self._wait_seconds = wait_seconds
        self._gallery: Gallery | None = None
        self._away_until = -math.inf
        self._waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        # Not an executor of the standard library: that waits at the end for as long as it takes.
        self._thread = threading.Thread(target=self._serve, name="household", daemon=True)
        self._thread.start()

    def run(self, work: Callable[[Gallery], _Result]) -> _Result:
        """Let the thread do something with the gallery, and wait for it.

        Raises:
            ControlError: it takes too long, or the doorbell stops.
            DoorbellError: as the work does.
        """
        return self._wait(partial(self._run, work))

    def read(self, work: Callable[[Gallery], _Result]) -> _Result:
        """As ``run``, for what changes nothing: by this machine's copy where the server is away.

        Likewise where this machine's account may not read all that is asked for.

        The copy has everybody, and the visits at this machine's doors.
        """
        return self._wait(partial(self._read, work))

    def _wait(self, work: Callable[[], _Result]) -> _Result:
        asked = self._begin(work)
        try:
            return asked.result(self._wait_seconds)
        except TooSlow as exc:
            asked.cancel()  # what has not begun is not done later, unasked
            raise ControlError("the gallery does not answer in time; try again") from exc

    def begin(self, work: Callable[[Gallery], _Result]) -> Future[_Result]:
        """Let the thread do something with the gallery, and wait for nothing.

        Raises:
            ControlError: the doorbell stops.
        """
        return self._begin(partial(self._run, work))

    def _begin(self, work: Callable[[], _Result]) -> Future[_Result]:
        if self._closed.is_set():
            raise ControlError("the doorbell stops; ask again when it is back")
        asked: Future[_Result] = Future()

        def answer() -> None:
            if not asked.set_running_or_notify_cancel():
                return
            try:
                asked.set_result(work())
            except BaseException as exc:  # noqa: BLE001 - it is raised where it was asked for
                asked.set_exception(exc)

        self._waiting.put(answer)
        return asked

    def close(self) -> None:
        """Let what is in hand end, for at most a second; idempotent."""
        self._closed.set()
        self._waiting.put(None)
        self._thread.join(CLOSE_SECONDS)

    def _serve(self) -> None:
        while (answer := self._waiting.get()) is not None and not self._closed.is_set():
            answer()
        self._leave()

    def _run(self, work: Callable[[Gallery], _Result]) -> _Result:
        if self._gallery is None:
            self._gallery = Gallery.of(self._storage, self._section)
            self._gallery.wait_at_most(_GALLERY_BUSY_SECONDS)
        try:
            return work(self._gallery)
        except GalleryError:
            self._leave()  # another file may be there by now
            raise

    def _read(self, work: Callable[[Gallery], _Result]) -> _Result:
        if self._section is None or self._section.url is None:
            return self._run(work)
        if time.monotonic() > self._away_until:
            try:
                return self._run(work)
            except GalleryRefusedError:
                pass  # the account of a door may not read all of it
            except GalleryError:
                self._away_until = time.monotonic() + _AWAY_SECONDS
        with open_own(self._storage, self._section) as copy:
            return work(copy)

    def _leave(self) -> None:
        if self._gallery is not None:
            self._gallery.close()
            self._gallery = None
