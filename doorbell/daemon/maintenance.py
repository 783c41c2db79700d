"""What is kept, looked after now and again: retention, a full disk, a clock that was set.

No threads, no clock of its own. Nothing here ends the daemon.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from doorbell.clock import WallClock
from doorbell.config import RecognitionSection, StorageSection
from doorbell.errors import GalleryError
from doorbell.gallery.gallery import Gallery
from doorbell.household.forgetting import forgetting_older
from doorbell.household.strangers import merge_alike
from doorbell.pipeline.pipeline import Pipeline
from doorbell.status import ClockState, ClockStep, State

RETENTION_SECONDS = 3600.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Retention:
    """For how long things are kept.

    Attributes:
        storage: what is the same at every door, and where it is.
        visits_days_by_door: instead of its ``visits_days``, by the door as it is stored with
            visits; 0 for ever.
    """

    storage: StorageSection
    visits_days_by_door: Mapping[str, int] = field(default_factory=dict)

    def days_at(self, doors: Collection[str]) -> dict[str, int]:
        """For how long visits at some doors are kept; 0 for ever."""
        days = self.visits_days_by_door
        return {each: days.get(each, self.storage.visits_days) for each in doors}


class Maintenance:
    """Keeps the storage in order.

    Args:
        pipelines: of all doors, which share what waits for the gallery.
        gallery: what is kept of visits and strangers.
        kept: for how long.
        recognition: how similar is the same stranger.
        publish: takes states for every output, at once.
        wall_time: seconds since the epoch.
        time_seconds: by a clock that nobody sets.
        tidies: whether what is old is deleted here; where the gallery is a copy, that is done on
            the server.
    """

    def __init__(
        self,
        pipelines: Sequence[Pipeline],
        gallery: Gallery,
        kept: Retention,
        recognition: RecognitionSection,
        publish: Callable[[State], None],
        *,
        wall_time: float,
        time_seconds: float,
        tidies: bool = True,
    ) -> None:
        self._pipelines = pipelines
        self._recorder = pipelines[0].recorder
        self._gallery = gallery
        self._kept = kept
        self._recognition = recognition
        self._publish = publish
        self._clock = WallClock(wall_time, time_seconds, self._written_at())
        self._latest_before = self._latest_visit()
        self._retention_due_seconds = time_seconds
        self._steps: deque[ClockStep] = deque()  # that the gallery has yet to follow
        self._delay_said = False
        self._tidying: Iterator[bool] | None = None
        self._tidies = tidies

    def reconfigure(self, kept: Retention) -> None:
        """Keep things for as long as another configuration says, from the next look on."""
        self._kept = kept
        self._retention_due_seconds = -math.inf

    def follow_clock(self, wall_time: float, time_seconds: float) -> None:
        """Move what this run has dated where the clock was set; every turn, and cheap."""
        step = self._clock.look(wall_time, time_seconds)
        if step is None:
            return
        log.warning("the clock was set by %+.0f s: so move visits of this run", step.seconds)
        for pipeline in self._pipelines:
            pipeline.follow_clock(step.until, step.seconds)
        self._publish(step)
        self._steps.append(step)
        self._date_anew()

    def run(self, wall_time: float, time_seconds: float, *, synchronized: bool) -> None:
        """Write what waits, and once an hour let ``step`` delete what is old; every few seconds.

        Args:
            wall_time: seconds since the epoch.
            time_seconds: by a clock that nobody sets.
            synchronized: whether the system knows the wall clock to be right.
        """
        identified = self._recorder.catch_up()
        for pipeline in self._pipelines:
            pipeline.identify(identified)
        self._date_anew()
        trusted = self._clock.is_trusted(time_seconds, synchronized=synchronized)
        self._publish(ClockState(time_seconds, wall_time if trusted else None))
        if time_seconds < self._retention_due_seconds or self._recorder.problem is not None:
            return
        self._retention_due_seconds = time_seconds + RETENTION_SECONDS
        if self._tidies and self._tidying is None:
            self._tidying = self._tidy(wall_time if trusted else None)

    @property
    def is_tidying(self) -> bool:
        """Whether ``step`` has something left to do."""
        return self._tidying is not None

    def step(self) -> bool:
        """Do a little of what is due: a few milliseconds' worth, whatever the gallery holds.

        Returns:
            Whether it wrote, and so waited for the disk.
        """
        if self._tidying is None or self._recorder.problem is not None:
            return False
        try:
            wrote = next(self._tidying, None)
        except GalleryError as exc:
            log.error("what is old stays for another hour: %s", exc)
            wrote = None
        if wrote is None:
            self._tidying = None
        return bool(wrote)

    def _tidy(self, wall_time: float | None) -> Iterator[bool]:
        """Delete what is old and merge strangers who are one; after each step, whether it wrote."""
        if wall_time is not None:
            kept = self._kept
            for _ in forgetting_older(
                self._gallery, wall_time, kept.storage, self._publish, kept.visits_days_by_door
            ):
                yield True
        merging = merge_alike(self._gallery, self._recorder.templates, self._recognition)
        for merged in merging:
            if merged is not None:
                newer, older = merged
                log.info("%s is %s", newer.label, older.label)
            yield merged is not None

    def _date_anew(self) -> None:
        """Move stored visits with the clock, once those that wait are stored by the wrong one."""
        try:
            while self._steps and self._recorder.problem is None:
                step = self._steps[0]
                self._gallery.visits.follow_clock(
                    step.since, step.until, step.seconds, self._latest_before
                )
                self._steps.popleft()
                self._delay_said = False
        except GalleryError as exc:
            if not self._delay_said:
                log.error("visits keep the time of the wrong clock: %s", exc)
            self._delay_said = True

    def _latest_visit(self) -> int:
        try:
            return self._gallery.visits.last_number()
        except GalleryError:
            return 0

    def _written_at(self) -> float | None:
        """The latest date in the gallery; None where there is none, or it does not answer."""
        try:
            dates: list[float | None] = [
                visit.last_seen_at for visit in self._gallery.visits.newest(1)
            ]
            dates.append(self._gallery.strangers.last_seen_at())
        except GalleryError:
            return None
        return max((date for date in dates if date is not None), default=None)
