"""What the daemon reads and writes in the gallery, whether or not the disk plays along.

A gallery that fails stops nobody and is logged once: what it refuses waits in memory, in order, and
is written when it answers again. One that was deleted or damaged under us stops the bell as little
as a full disk does, and answers after a new start only. Decides nobody's identity.
"""

from __future__ import annotations

import logging
import secrets
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from doorbell.domain import FaceSample, Stranger, Visit, Visitor
from doorbell.errors import GalleryError, UnknownStrangerError, UsageError
from doorbell.gallery.gallery import Gallery
from doorbell.recognition.templates import Templates
from doorbell.visits.restoring import Earlier

# Writes that wait for the gallery, some four for a visit; older ones are dropped.
WRITES_KEPT = 400

# Of these a stranger gets one by chance who cannot be stored yet.
NEWCOMERS = 1_000_000

# Changes of so many visitors are taken over between two frames; reading one takes 0.1 ms.
CHANGES_AT_ONCE = 8

log = logging.getLogger(__name__)

_Write: TypeAlias = Callable[[], object]


class VisitRecorder:
    """Stands between the door and its gallery; used by the one thread that opened the gallery.

    Args:
        gallery: who is known; it must answer once at the start.
        model_id: of the embedder.
        earlier_of: the doors whose visits of the run before are taken over; None for every door's.

    Raises:
        GalleryError: the gallery does not answer at the start.
    """

    def __init__(
        self, gallery: Gallery, model_id: str, earlier_of: Collection[str] | None = None
    ) -> None:
        self._gallery = gallery
        self._model_id = model_id
        self._earlier_of = earlier_of
        self._templates = gallery.templates(model_id)
        self._waiting: deque[_Write] = deque(maxlen=WRITES_KEPT)
        self._identified: dict[int, Stranger] = {}  # by the number given meanwhile
        self._problem: str | None = None
        self._overflow_said = False

    @property
    def problem(self) -> str | None:
        """Why the gallery cannot be used now; None where it can."""
        return self._problem

    def templates(self) -> Templates:
        """Everybody's templates, as they were when the gallery could last be read."""
        if self._problem is None:
            try:
                self._templates = self._gallery.templates(self._model_id, CHANGES_AT_ONCE)
            except GalleryError as exc:
                self._fail(exc)
        return self._templates

    def visit(self, visit_id: str) -> Visit | None:
        """A visit as the gallery has it; None where it has none, or does not answer."""
        if self._problem is None:
            try:
                return self._gallery.visits.get(visit_id)
            except UsageError:  # forgotten while it goes on
                return None
            except GalleryError as exc:
                self._fail(exc)
        return None

    def introduce(
        self, known: Visitor | None, samples: Sequence[FaceSample], wall_time: float
    ) -> Stranger:
        """Give a stranger the identifier of earlier visits, or a new one.

        Where the gallery does not answer, a new stranger gets a negative number by chance that is
        never stored; ``catch_up`` tells the identifier once there is one.

        Args:
            known: the stranger met before, if any.
            samples: the best of this visit.
            wall_time: seconds since the epoch.
        """
        if self._problem is None:
            try:
                return self._introduce(known, samples, wall_time)
            except GalleryError as exc:
                self._fail(exc)
        if isinstance(known, Stranger):
            self._put_off(partial(self._note, known.stranger_id, wall_time, samples))
            return replace(
                known,
                last_seen_at=wall_time,
                visits=known.visits + 1,
                visits_week=known.visits_week + 1,
            )
        newcomer = Stranger(-1 - secrets.randbelow(NEWCOMERS), wall_time, wall_time, visits=1)
        self._put_off(partial(self._identify, newcomer, samples))
        return newcomer

    def save(
        self,
        visit: Visit,
        samples: Sequence[FaceSample] = (),
        *,
        rang_at: float | None = None,
        stopped_at: float | None = None,
    ) -> None:
        """Store a visit, or what has become of it, with the best of its samples.

        Args:
            visit: as it stands.
            samples: of its visitor.
            rang_at: wall time when the bell rang in it, if it has.
            stopped_at: wall time when the daemon stopped with the visitor at the door.
        """
        self._write(partial(self._save, visit, samples, rang_at, stopped_at))

    def touch(self, last_seen_at: Mapping[str, float]) -> None:
        """Note when visitors who are there were seen last, by visit; what is refused is let be."""
        if self._problem is None and last_seen_at:
            try:
                self._gallery.visits.touch(last_seen_at)
            except GalleryError as exc:
                self._fail(exc)

    def earlier(self) -> Earlier:
        """What the run before left; visits that are not in it are ended, if they were left open.

        Nothing where the gallery does not answer: what was left open then stays so until the next.
        """
        if self._problem is not None:
            return Earlier()
        try:
            earlier = self._gallery.visits.earlier(self._model_id, self._earlier_of)
            self._gallery.visits.close_open(
                [each.visit.visit_id for each in earlier.visits], self._earlier_of
            )
        except GalleryError as exc:
            self._fail(exc)
            return Earlier()
        if earlier.left_open:
            log.info("%d visits were left open by the last run", len(earlier.left_open))
        return earlier

    def withdraw(self, stranger: Stranger) -> None:
        """Forget a new stranger who was none."""
        self._write(partial(self._withdraw, stranger))

    def catch_up(self) -> dict[int, Stranger]:
        """Write what waits, if the gallery answers again; called every few seconds.

        Returns:
            The strangers that were stored, by the number that they had meanwhile.
        """
        if self._problem is None:
            return {}
        kept = len(self._waiting)
        try:
            self._templates = self._gallery.templates(self._model_id, CHANGES_AT_ONCE)
            while self._waiting:
                self._waiting[0]()
                self._waiting.popleft()
        except GalleryError as exc:
            self._problem = f"{exc}"
            return {}
        log.info("the gallery answers again; %d writes that waited are done", kept)
        self._problem, self._overflow_said = None, False
        identified, self._identified = self._identified, {}
        return identified

    def _introduce(
        self, known: Visitor | None, samples: Sequence[FaceSample], wall_time: float
    ) -> Stranger:
        if isinstance(known, Stranger):
            try:
                return self._gallery.strangers.note_visit(known.stranger_id, wall_time, samples)
            except UnknownStrangerError:
                log.info("%s was forgotten while at the door", known.label)
        return self._gallery.strangers.add(samples, wall_time)

    def _note(self, stranger_id: int, wall_time: float, samples: Sequence[FaceSample]) -> None:
        with suppress(UnknownStrangerError):  # forgotten meanwhile
            self._gallery.strangers.note_visit(stranger_id, wall_time, samples)

    def _identify(self, newcomer: Stranger, samples: Sequence[FaceSample]) -> None:
        stranger = self._gallery.strangers.add(samples, newcomer.first_seen_at)
        self._identified[newcomer.stranger_id] = stranger
        log.info("%s is %s", newcomer.label, stranger.label)

    def _save(
        self,
        visit: Visit,
        samples: Sequence[FaceSample],
        rang_at: float | None,
        stopped_at: float | None,
    ) -> None:
        if isinstance(visit.visitor, Stranger):
            visit = replace(visit, visitor=self._stored(visit.visitor))
        self._gallery.visits.save(visit, samples, rang_at=rang_at, stopped_at=stopped_at)

    def _withdraw(self, stranger: Stranger) -> None:
        with suppress(UnknownStrangerError):  # named or forgotten from the command line meanwhile
            self._gallery.strangers.forget(self._stored(stranger).stranger_id)

    def _stored(self, stranger: Stranger) -> Stranger:
        return self._identified.get(stranger.stranger_id, stranger)

    def _write(self, write: _Write) -> None:
        if self._problem is None:
            try:
                write()
            except GalleryError as exc:
                self._fail(exc)
            else:
                return
        self._put_off(write)

    def _put_off(self, write: _Write) -> None:
        if len(self._waiting) == self._waiting.maxlen and not self._overflow_said:
            log.error("%d writes wait for the gallery; the oldest are dropped", WRITES_KEPT)
            self._overflow_said = True
        self._waiting.append(write)

    def _fail(self, error: GalleryError) -> None:
        log.error("visits are announced, and kept in memory only: %s", error)
        self._problem = f"{error}"
