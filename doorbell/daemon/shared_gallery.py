"""A gallery that the machines of a house share: what is done beside the copy that decides.

The main thread works on the copy alone. What the household asks for is done on the server, by a
thread of its own, and what is old is deleted there: visits by the machine whose door they were at,
and what is nobody's by one machine for all.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial

from doorbell.clock import is_synchronized
from doorbell.config import Config
from doorbell.daemon.control.gallery_executor import GalleryExecutor
from doorbell.daemon.maintenance import Retention
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.link.copy_file import CopyFile
from doorbell.gallery.link.link import GalleryLink
from doorbell.gallery.link.machines import unwatched_doors
from doorbell.household.forgetting import (
    ForgettingOutcome,
    ForgetVisits,
    forgetting_strangers,
    forgetting_visits,
)
from doorbell.household.strangers import merge_alike
from doorbell.recognition.embedder import SFACE_ID
from doorbell.status import State
from doorbell.stopping import Stop
from doorbell.storage.encryption import open_cipher

log = logging.getLogger(__name__)

# Before the first frame is decided, whoever was forgotten elsewhere goes from the copy.
CATCH_UP_SECONDS = 5.0
# A million samples take about a minute.
FIRST_COPY_SECONDS = 180.0

# After a move, or a backup that was put back, the server knows only who was started since.
# Until this one has run so long, visits at doors of no machine are left alone.
SETTLED_SECONDS = 86_400.0

_POLL_SECONDS = 0.2


@dataclass(slots=True)
class Kept:
    """For how long things are kept; not known before the first frame, and changed under way."""

    retention: Retention | None = None


@dataclass(frozen=True, slots=True)
class SharedGallery:
    """What goes on with the server.

    Attributes:
        link: keeps the copy and the server alike.
        household: changes what is on the server, for who asks.
        kept: for how long things are kept there.
        is_first: whether the copy has never been whole.
    """

    link: GalleryLink
    household: GalleryExecutor
    kept: Kept
    is_first: bool

    def catch_up(self, stop: Stop) -> None:
        """Wait a moment for what the server has; without, the copy decides as it is.

        A copy that has never been whole is waited for as long as the server fills it: whoever it
        lacks would be taken for a stranger.
        """
        began = time.monotonic()
        while not self.link.catch_up(_POLL_SECONDS) and not stop.is_set():
            waited = time.monotonic() - began
            fills = self.is_first and self.link.state().problem is None
            if waited > (FIRST_COPY_SECONDS if fills else CATCH_UP_SECONDS):
                why = self.link.state().problem or "the server is slow"
                log.warning("the copy of the gallery decides as it is: %s", why)
                break

    @property
    def problem(self) -> str | None:
        """Why the server is not used now, or what it has refused; None where all is well."""
        state = self.link.state()
        if state.away_since is None:
            if not state.aside:
                return None
            return f"the server refused {state.aside} writes, which are kept here: see the log"
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(state.away_since))
        return f"{state.problem}; last in touch at {since}, {state.waiting} writes wait"


@contextmanager
def open_shared(config: Config, publish: Callable[[State], None]) -> Iterator[SharedGallery]:
    """Keep the copy, which is open, and the server alike.

    Args:
        config: of this machine, with ``gallery.url``.
        publish: takes states, on any thread.
    """
    kept = Kept()
    path, cipher = config.storage.copy_path, open_cipher(config.storage.key_file)
    with closing(CopyFile(path, cipher)) as copy:
        is_first = not copy.progress().is_whole
    settled_at = time.monotonic() + SETTLED_SECONDS
    with ExitStack() as stack:
        link = GalleryLink(
            path,
            cipher,
            config.gallery,
            [door.device.id for door in config.doors],
            forgotten=publish,
            tidy_own=partial(_tidy_own, config, publish, kept),
            tidy=partial(_tidy, config, publish, kept, settled_at),
        )
        stack.enter_context(closing(link))
        household = GalleryExecutor(config.storage, config.gallery)
        yield SharedGallery(link, stack.enter_context(closing(household)), kept, is_first)


def forgetting_own(
    gallery: Gallery,
    wall_time: float,
    retention: Retention,
    doors: Collection[str],
    forget_visits: ForgetVisits,
) -> Iterator[ForgettingOutcome]:
    """Forget on the server old visits at a machine's doors, in steps; see ``forgetting_older``.

    Args:
        gallery: on the server; the account of a door may do this.
        wall_time: now, by a clock that is right.
        retention: for how long this machine keeps them.
        doors: its own.
        forget_visits: deletes what else is held of visits.
    """
    days = retention.days_at(doors)
    return forgetting_visits(gallery, wall_time, retention.storage, forget_visits, days)


def forgetting_nobodys(
    gallery: Gallery,
    wall_time: float,
    retention: Retention,
    forget_visits: ForgetVisits,
    *,
    is_settled: bool,
) -> Iterator[ForgettingOutcome]:
    """Forget there old strangers, and old visits at doors that no machine has; likewise.

    Args:
        gallery: on the server, by the household's account.
        wall_time: as there.
        retention: as there.
        forget_visits: as there.
        is_settled: whether all machines have had the time to say which doors they have.
    """
    storage = retention.storage
    yield from forgetting_strangers(gallery, wall_time, storage, forget_visits)
    if is_settled:
        days = retention.days_at(unwatched_doors(gallery.file, gallery.visits.doors()))
        yield from forgetting_visits(gallery, wall_time, storage, forget_visits, days)


def _tidy_own(
    config: Config,
    publish: Callable[[State], None],
    kept: Kept,
    gallery: Gallery,
) -> Iterator[object]:
    """Delete on the server what is old at this machine's doors, step by step."""
    retention = kept.retention
    if retention is not None and is_synchronized():
        doors = [door.device.id for door in config.doors]
        yield from forgetting_own(gallery, time.time(), retention, doors, publish)


def _tidy(
    config: Config,
    publish: Callable[[State], None],
    kept: Kept,
    settled_at: float,
    gallery: Gallery,
) -> Iterator[object]:
    """Delete on the server what is old and no machine's own, and merge strangers who are one."""
    retention = kept.retention
    if retention is not None and is_synchronized():
        is_settled = time.monotonic() >= settled_at
        yield from forgetting_nobodys(
            gallery, time.time(), retention, publish, is_settled=is_settled
        )
    read = partial(gallery.templates, SFACE_ID)
    for merged in merge_alike(gallery, read, config.recognition, undoable=True):
        if merged is not None:
            newer, older = merged
            log.info("%s is %s", newer.label, older.label)
        yield merged
