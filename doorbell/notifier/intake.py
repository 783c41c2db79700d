"""Takes notices from the running doorbell and keeps them for whom they are."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from doorbell.clock import BootTime
from doorbell.config.notifications import TargetSection
from doorbell.errors import ControlError, NotRunningError, RefusedError
from doorbell.notifier.backoff import Backoff
from doorbell.notifier.file import NotifierFileError
from doorbell.notifier.notices import Doorbell, Notice
from doorbell.notifier.rules import Refusal, refusal
from doorbell.notifier.store import HOUR_SECONDS, NotifierStore

# Where the doorbell does not run: its start is not far off.
LONGEST_PAUSE_SECONDS = 5.0

log = logging.getLogger(__name__)


class Intake:
    """Asks the doorbell for notices; ``run`` is for a thread of its own.

    Args:
        doorbell: who has them.
        store: where they are kept.
        targets: who is told, by name; asked anew for each notice.
        kept: told of the targets for which something new waits.
        now: the present.

    Attributes:
        asked_at: when the doorbell answered last, or refused to, by monotonic time.
        caught_up: set once nothing more waits at the doorbell, and by ``stop``.
    """

    def __init__(
        self,
        doorbell: Doorbell,
        store: NotifierStore,
        targets: Callable[[], Mapping[str, TargetSection]],
        *,
        kept: Callable[[list[str]], None],
        now: Callable[[], BootTime] = BootTime.now,
    ) -> None:
        self._doorbell = doorbell
        self._store = store
        self._targets = targets
        self._kept = kept
        self._now = now
        self._backoff = Backoff()
        self._problem: str | None = None
        self._limited_at: dict[str, float] = {}
        self._stopped = threading.Event()
        self.asked_at = time.monotonic()
        self.caught_up = threading.Event()

    def run(self) -> None:
        """Ask until ``stop``."""
        while not self._stopped.is_set():
            self._stopped.wait(self.step())

    def stop(self) -> None:
        """Ask no more; a request that is under way is not waited for."""
        self._stopped.set()
        self.caught_up.set()

    def step(self) -> float:
        """Ask once and keep what comes; for how many seconds not to ask again."""
        self.asked_at = time.monotonic()
        try:
            journal, after = self._store.progress()
            taken = self._doorbell.take(journal, after, wait=self.caught_up.is_set())
            for notice in taken.notices:
                if self._stopped.is_set():  # whoever comes after takes it
                    return 0.0
                self._take(notice, taken.journal)
            if taken.last is not None:
                self._store.advance(taken.journal, taken.last)
            else:
                self.caught_up.set()
        except (ControlError, NotifierFileError) as exc:
            self._say(exc)
            return min(self._backoff.failed(), LONGEST_PAUSE_SECONDS)
        self._backoff.succeeded()
        self._problem = None
        return 0.0

    def _say(self, exc: Exception) -> None:
        if str(exc) != self._problem and not self._stopped.is_set():
            level = logging.INFO if isinstance(exc, NotRunningError) else logging.ERROR
            log.log(level, "nothing can be taken from the doorbell: %s", exc)
        self._problem = str(exc)

    def _take(self, notice: Notice, journal: str) -> None:
        if notice.kind == "forgotten":
            self._store.forget(notice, journal=journal)
            return
        targets = self._targets()
        told = [name for name, section in targets.items() if self._is_told(section, notice)]
        picture = None
        if notice.has_picture and any(targets[name].picture for name in told):
            picture = self._picture(notice)
        self._store.keep(notice, picture, told, journal=journal, now=self._now())
        if told:
            self._kept(told)

    def _is_told(self, section: TargetSection, notice: Notice) -> bool:
        past = self._store.past(section.name, notice)
        local = datetime.fromtimestamp(notice.occurred_at).astimezone()
        why = refusal(section, notice, past, local)
        if why is None:
            return True
        if why is Refusal.LIMIT:
            self._say_limit(section, self._now().wall_seconds)
        elif why is not Refusal.KIND:
            log.debug("%s is not told of a notice: %s", section.name, why.value)
        return False

    def _say_limit(self, section: TargetSection, now: float) -> None:
        before = self._limited_at.get(section.name)
        if before is None or now - before >= HOUR_SECONDS:
            self._limited_at[section.name] = now
            log.warning(
                "%s had %d notifications within an hour, and is told no more for now: see "
                "per_hour of this target",
                *(section.name, section.per_hour),
            )

    def _picture(self, notice: Notice) -> bytes | None:
        """The picture; None where the doorbell has none any more."""
        try:
            return self._doorbell.picture(notice.number) or None
        except RefusedError as exc:
            if exc.kind in ("too_fast", "stopping"):
                raise
            log.info("a notification goes without its picture: %s", exc)
            return None
