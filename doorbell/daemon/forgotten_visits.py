"""Finds visits that another process has deleted, so that nothing of them stays here.

A command that forgets somebody deletes files; what waits in this process for its turn to be written
or sent, it cannot reach.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import suppress

from doorbell.clock import SECONDS_PER_DAY
from doorbell.domain import Event, Visit
from doorbell.errors import GalleryError
from doorbell.gallery.deletion import is_beside
from doorbell.gallery.gallery import Gallery
from doorbell.status import Message, VisitsForgotten

# As long, and as many, as anything of a visit waits.
WAITING_SECONDS = SECONDS_PER_DAY
WAITING_VISITS = 1000


class ForgottenVisits:
    """The visits of the last day, and which of them the gallery has no longer.

    Args:
        gallery: where they are kept.
    """

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        newest: list[Visit] = []
        with suppress(GalleryError):  # it may answer later
            newest = gallery.visits.newest(WAITING_VISITS, since=time.time() - WAITING_SECONDS)
        self._visits = {visit.visit_id: visit for visit in reversed(newest)}  # the oldest first
        self._gone = 0

    def note(self, message: Message) -> None:
        """Take in what is told of visits."""
        if isinstance(message, VisitsForgotten):
            for visit_id in message.visit_ids:
                self._visits.pop(visit_id, None)
        elif isinstance(message, Event) and message.visit is not None:
            self._visits[message.visit.visit_id] = message.visit
            while len(self._visits) > WAITING_VISITS:
                del self._visits[next(iter(self._visits))]

    def find(self, gone: int) -> VisitsForgotten | None:
        """Those that are gone, with the others of their time; each is found once.

        Args:
            gone: how many visitors were removed since the start; nobody else's visits are deleted
                by another process.
        """
        if gone == self._gone:
            return None
        try:
            lost = self._gallery.visits.missing(self._visits)
        except GalleryError:  # it is asked again
            return None
        self._gone = gone
        return self.take(lost)

    def take(self, visit_ids: Collection[str]) -> VisitsForgotten | None:
        """These, with the others of their time; None where nothing was told of any of them."""
        visits = [self._visits.pop(each) for each in sorted(visit_ids) if each in self._visits]
        if not visits:
            return None
        beside = [one for one in self._visits.values() if _is_beside_any(one, visits)]
        return VisitsForgotten(
            tuple(each.visit_id for each in visits), tuple(each.visit_id for each in beside)
        )


def _is_beside_any(one: Visit, others: list[Visit]) -> bool:
    return any(is_beside(one, other) for other in others)
