"""Brings one target what waits for it: in order, one at a time, until it has it or is too old.

Each target has a courier with a thread of its own, so that a slow one holds up no other.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from doorbell.clock import BootTime
from doorbell.config.notifications import TargetSection
from doorbell.errors import ConfigError
from doorbell.notifier.backoff import Backoff
from doorbell.notifier.file import NotifierFileError
from doorbell.notifier.notices import TargetState
from doorbell.notifier.rules import quiet_seconds
from doorbell.notifier.sending import Message, NotSentError, Sender, late_text
from doorbell.notifier.store import NotifierStore, Waiting
from doorbell.phrases import Language

# What is older is told to nobody any more.
OLDEST_SECONDS = 86400.0
# Where nothing waits; whoever has something new says so.
IDLE_SECONDS = 600.0
# What waits may be of somebody who was forgotten meanwhile: the doorbell is asked first. Where it
# does not run, what waits goes after that.
CATCH_UP_SECONDS = 30.0
# What a target refuses for what it is, and not for the moment, is dropped after so many tries.
MOST_REFUSALS = 5

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Clocks:
    """What time it is.

    Attributes:
        now: the present.
        monotonic: seconds by a clock that nobody sets.
    """

    now: Callable[[], BootTime] = BootTime.now
    monotonic: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class House:
    """What notifications say of the house.

    Attributes:
        language: of the words.
        console: where the console is, without a slash at the end; empty where nobody knows.
    """

    language: Language = "en"
    console: str = ""


class Courier:
    """Of one target; ``run`` is for a thread of its own.

    Args:
        section: the target.
        open_sender: reads its secrets and makes what reaches it; tried again where it fails.
        store: where it waits.
        house: what is said of it.
        clocks: what time it is.
        backoff: how long to wait after a failure.
    """

    def __init__(
        self,
        section: TargetSection,
        open_sender: Callable[[TargetSection], Sender],
        store: NotifierStore,
        *,
        house: House,
        clocks: Clocks | None = None,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        self.section = section
        self._open_sender = open_sender
        self._store = store
        self._house = house
        self._clocks = clocks or Clocks()
        self._make_backoff = backoff
        self._backoff = backoff()
        self._paused_until = float("-inf")
        # Of what this target refuses for what it is: when to try again, by monotonic time.
        self._refused: dict[str, tuple[float, int, Backoff]] = {}
        self._done: set[str] = set()  # taken, and not yet noted on a disk that is full
        self._sender: Sender | None = None
        self._failing = False
        self._wake = threading.Event()
        self._stopped = threading.Event()

    def run(
        self,
        caught_up: threading.Event | None = None,
        earlier: threading.Thread | None = None,
    ) -> None:
        """Bring what comes until ``stop``.

        Args:
            caught_up: set once it is known what was forgotten while the notifier was away.
            earlier: that of the same target before, which may be sending something yet.
        """
        if caught_up is not None:
            caught_up.wait(CATCH_UP_SECONDS)
        if earlier is not None:
            earlier.join()
        while not self._stopped.is_set():
            self._wake.clear()
            pause = self.step()
            if pause and not self._stopped.is_set():
                self._wake.wait(pause)

    def wake(self) -> None:
        """There is something new."""
        self._wake.set()

    def stop(self) -> None:
        """Bring nothing more; what is being sent is not waited for."""
        self._stopped.set()
        self._wake.set()

    def state(self) -> TargetState:
        """How the target is."""
        sender = self._sender
        last_at, problem = self._store.last_answer(self.section.name)
        return TargetState(
            name=self.section.name,
            to=self.section.name if sender is None else sender.to,
            pictures=self.section.picture and (sender is None or sender.takes_pictures),
            waiting=len(self._store.waiting_ids(self.section.name)),
            problem=problem,
            last_at=last_at,
        )

    def step(self) -> float:
        """Do one thing; for how many seconds there is nothing to do."""
        now = self._clocks.monotonic()
        if now < self._paused_until:
            return self._paused_until - now
        try:
            return self._next_thing(now)
        except NotifierFileError as exc:
            log.error("%s", exc)
            return self._pause(self._backoff.failed())

    def _next_thing(self, now: float) -> float:
        for notice_id in sorted(self._done):
            self._note_done(notice_id)
        sender = self._opened()
        if sender is None:
            return self._paused_until - now
        waiting = self._store.waiting_ids(self.section.name)
        self._refused = {each: kept for each, kept in self._refused.items() if each in waiting}
        later = IDLE_SECONDS
        for notice_id in waiting:
            due = self._refused.get(notice_id, (now,))[0]
            if due > now:
                later = min(later, due - now)
                continue
            kept = self._store.read(notice_id)
            if kept is None or self._is_dropped(kept):
                continue
            quiet = self._quiet_seconds(kept)
            if quiet:
                later = min(later, quiet)
                continue
            return self._deliver(sender, kept)
        return later

    def _opened(self) -> Sender | None:
        if self._sender is None:
            try:
                self._sender = self._open_sender(self.section)
            except ConfigError as exc:
                self._fail(str(exc))
        return self._sender

    def _deliver(self, sender: Sender, kept: Waiting) -> float:
        """Send one; for how long nothing else is to be."""
        notice_id = kept.notice.notice_id
        _, refusals, backoff = self._refused.get(notice_id, (0.0, 0, self._make_backoff()))
        message = self._message(sender, kept, with_picture=refusals == 0)
        try:
            sender.send(message)
        except NotSentError as exc:
            if not exc.of_message:
                return self._fail(str(exc), exc.retry_seconds)
            self._store.note_problem(self.section.name, str(exc))
            if refusals + 1 >= MOST_REFUSALS:
                log.error("a notification for %s is dropped: %s", self.section.name, exc)
                self._store.done(self.section.name, notice_id)
                return 0.0
            # Without its picture, if that is what it was, at once.
            wait = 0.0 if message.picture is not None else backoff.failed()
            due = self._clocks.monotonic() + wait
            self._refused[notice_id] = (due, refusals + 1, backoff)
            return 0.0
        self._backoff.succeeded()
        if self._failing:
            log.info("%s is told again", self.section.name)
        self._failing = False
        self._done.add(notice_id)
        self._note_done(notice_id)
        return 0.0

    def _note_done(self, notice_id: str) -> None:
        self._store.done(self.section.name, notice_id, last_at=self._wall())
        self._done.discard(notice_id)

    def _fail(self, problem: str, retry_seconds: float = 0.0) -> float:
        self._failing = True
        _, before = self._store.last_answer(self.section.name)
        if problem != before:
            log.warning("%s is not told: %s", self.section.name, problem)
            self._store.note_problem(self.section.name, problem)
        return self._pause(max(self._backoff.failed(), retry_seconds))

    def _pause(self, seconds: float) -> float:
        self._paused_until = self._clocks.monotonic() + seconds
        return seconds

    def _is_dropped(self, kept: Waiting) -> bool:
        if self._clocks.now().seconds_since(kept.kept) <= OLDEST_SECONDS:
            return False
        log.warning("a notification for %s is dropped: it has waited for a day", self.section.name)
        self._store.done(self.section.name, kept.notice.notice_id)
        return True

    def _quiet_seconds(self, kept: Waiting) -> float:
        """For how long quiet hours have come over what waits; a test is one's own doing."""
        if kept.notice.kind == "test":
            return 0.0
        return quiet_seconds(self.section, datetime.fromtimestamp(self._wall()).astimezone())

    def _wall(self) -> float:
        return self._clocks.now().wall_seconds

    def _message(self, sender: Sender, kept: Waiting, *, with_picture: bool) -> Message:
        notice, section = kept.notice, self.section
        late = late_text(notice, self._wall(), self._house.language)
        pictured = with_picture and section.picture and sender.takes_pictures
        return Message(
            notice=notice,
            text=notice.message if late is None else f"{notice.message} {late}".strip(),
            link=f"{self._house.console}{notice.link}" if self._house.console else "",
            picture=kept.picture if pictured else None,
            answers=notice.answers if section.actions and sender.takes_answers else (),
            is_late=late is not None,
        )
