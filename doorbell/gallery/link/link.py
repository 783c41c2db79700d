"""The thread between a machine's copy of the gallery and the server.

A server that is away is asked again every few seconds, for as long as that takes.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from doorbell.config import GallerySection
from doorbell.errors import DoorbellError, GalleryError
from doorbell.gallery.gallery import Gallery, open_server
from doorbell.gallery.link.copy_file import CopyFile
from doorbell.gallery.link.exchange import Exchange, keep_nothing_else
from doorbell.gallery.link.machines import prune, require_tidied
from doorbell.status import VisitsForgotten
from doorbell.storage.encryption import Cipher

if TYPE_CHECKING:  # which needs psycopg
    from doorbell.gallery.postgres.database import PostgresDatabase

log = logging.getLogger(__name__)

# How long what was written waits, at most, where the server answers.
SEND_SECONDS = 0.5

# Between two attempts to reach a server that is away.
RETRY_SECONDS = 3.0

# A server that says nothing is asked whether it is there.
ASK_SECONDS = 10.0

# An answer that takes longer is none. None is large.
ANSWER_SECONDS = 10.0

# Between two times that what is old is looked for.
TIDY_SECONDS = 3600.0

CLOSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class LinkState:
    """How a machine stands with the server.

    Attributes:
        away_since: wall time since which the server has not answered; None where it does.
        problem: what is wrong; None where nothing is.
        waiting: how many writes wait for it.
        aside: how many it has refused for good: they are kept, and tried again by the next start.
    """

    away_since: float | None
    problem: str | None
    waiting: int
    aside: int


@contextmanager
def _logging_failure() -> Iterator[None]:
    try:
        yield
    except GalleryError as exc:
        log.error("what is old stays for another hour: %s", exc)


def _tidy_nothing(gallery: Gallery) -> Iterable[object]:
    del gallery
    return ()


class GalleryLink:
    """Keeps the copy and the server alike, with connections of its own to both.

    Args:
        path: of the copy, which is there.
        cipher: how the copy is kept.
        section: the server.
        doors: whose visits are this machine's.
        forgotten: told on the link's thread of visits that are gone, so that what else is held of
            them goes, too.
        tidy_own: steps, each of a moment, that delete on the server what is old of this machine's
            doors; gone through on the link's thread once an hour.
        tidy: steps that delete there what is old and no machine's own, and merge strangers who are
            one; once an hour of the house, where this machine's account may.
    """

    def __init__(
        self,
        path: Path,
        cipher: Cipher,
        section: GallerySection,
        doors: Collection[str],
        *,
        forgotten: Callable[[VisitsForgotten], None] = keep_nothing_else,
        tidy_own: Callable[[Gallery], Iterable[object]] = _tidy_nothing,
        tidy: Callable[[Gallery], Iterable[object]] = _tidy_nothing,
    ) -> None:
        self._path = path
        self._cipher = cipher
        self._section = section
        self._doors = tuple(doors)
        self._forgotten = forgotten
        self._tidy_own = tidy_own
        self._tidy = tidy
        self._stopping = threading.Event()
        self._caught_up = threading.Event()
        self._waiting = self._aside = 0
        self._has_tried_again = False
        self._began = time.monotonic()
        self._answered_at = time.time()
        self._problem: str | None = None
        # Not waited for when the daemon stops: a server that hangs would keep it.
        self._thread = threading.Thread(target=self._run, name="gallery link", daemon=True)
        self._thread.start()

    def catch_up(self, seconds: float) -> bool:
        """Wait, at most so long, until the copy has what the server had when this began."""
        return self._caught_up.wait(seconds)

    def state(self) -> LinkState:
        """How this machine stands with the server; asks nobody."""
        silent = time.time() - self._answered_at > ASK_SECONDS + SEND_SECONDS
        is_away = self._problem is not None or silent
        return LinkState(
            self._answered_at if is_away else None,
            self._problem or ("the server does not answer" if silent else None),
            self._waiting,
            self._aside,
        )

    def close(self) -> None:
        """Let what is in hand end, for at most a second; idempotent."""
        self._stopping.set()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set():
            problem = self._attempt()
            if problem is not None:
                if self._problem is None:
                    log.warning("the door decides by its copy of the gallery: %s", problem)
                self._problem = problem
                self._stopping.wait(RETRY_SECONDS)

    def _attempt(self) -> str | None:
        """Keep both alike until that fails, and why; None where the daemon stops."""
        try:
            with closing(CopyFile(self._path, self._cipher)) as copy:
                self._count(copy)
                self._serve(copy)
        except DoorbellError as exc:
            return f"{exc}"
        return None

    def _serve(self, copy: CopyFile) -> None:
        with closing(open_server(self._section)) as server:
            server.wait_at_most(ANSWER_SECONDS)
            link = Exchange(copy, server, self._doors, self._forgotten, answered=self._noted_answer)
            link.begin()
            if not self._has_tried_again:
                copy.try_again()
                self._has_tried_again = True
            if self._problem is not None:
                log.info("the server of the gallery answers again; %d writes wait", self._waiting)
            # Another machine may have met the same newcomers in the meantime.
            tidy_seconds = 0.0 if copy.new_strangers_wait() else TIDY_SECONDS
            asked_at = tidied_at = -math.inf
            while not self._stopping.is_set():
                self._count(copy)
                if self._waiting:
                    link.send()
                    self._count(copy)
                    self._noted_answer()
                if server.hears_change(SEND_SECONDS) or time.monotonic() > asked_at + ASK_SECONDS:
                    link.follow()
                    link.keep_numbers()
                    asked_at = time.monotonic()
                    self._noted_answer()
                    self._caught_up.set()
                if time.monotonic() > tidied_at + TIDY_SECONDS:
                    self._tidy_server(server, tidy_seconds)
                    tidied_at, tidy_seconds = time.monotonic(), TIDY_SECONDS

    def _tidy_server(self, server: PostgresDatabase, every_seconds: float) -> None:
        with _logging_failure():
            self._go_through(self._tidy_own(Gallery(server)))
        with _logging_failure(), server.tidying(every_seconds) as is_ours:
            if is_ours:
                self._go_through(self._tidy(Gallery(server)))
                prune(server)
        if time.monotonic() > self._began + TIDY_SECONDS:  # by then somebody has
            with _logging_failure():
                require_tidied(server)

    def _go_through(self, steps: Iterable[object]) -> None:
        for _ in steps:
            self._noted_answer()
            if self._stopping.is_set():
                return

    def _count(self, copy: CopyFile) -> None:
        self._waiting, self._aside = copy.count_waiting(), copy.count_aside()

    def _noted_answer(self) -> None:
        self._answered_at, self._problem = time.time(), None
