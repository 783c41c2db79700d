"""The output that keeps what the notifier is to tell, and gives it to the notifier."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from doorbell.clock import BootTime
from doorbell.config.notifications import TargetSection
from doorbell.domain import (
    ANSWERABLE_SECONDS,
    Answerable,
    AnswerToken,
    Notice,
    Recognized,
    Ring,
    Unknown,
    VisitEvent,
)
from doorbell.outputs import Publish, publish_nowhere
from doorbell.outputs.notices.answers import Signer
from doorbell.outputs.notices.journal import Journal, Limits
from doorbell.outputs.notices.journal_file import Told
from doorbell.outputs.notices.notice import of_event
from doorbell.outputs.worker import Worker
from doorbell.phrases import Language, camera, storage, trial
from doorbell.status import (
    CameraCondition,
    CameraState,
    ClockState,
    Message,
    SettingsState,
    StorageState,
    VisitsForgotten,
)
from doorbell.storage.encryption import NO_CIPHER, Cipher

# What the journal calls itself among what is stored.
PART = "notifications"
CLOSE_SECONDS = 1.0

log = logging.getLogger(__name__)


class Notices:
    """The output for the notifier; whoever is ignored makes no notice.

    A visit is told once for each kind; who presses anew rings anew.

    Args:
        path: of the journal; the key of answers is beside it.
        cipher: how notices are kept.
        targets: who is told; for those who ask.
        language: of titles and messages.
        doors: what each door is called, by its id.
        limits: how much waits at most.
        publish: told whether notices are kept on the disk, on any thread.
    """

    def __init__(
        self,
        path: Path,
        cipher: Cipher = NO_CIPHER,
        *,
        targets: Sequence[TargetSection] = (),
        language: Language = "en",
        doors: Mapping[str, str] = {},
        limits: Limits | None = None,
        publish: Publish = publish_nowhere,
    ) -> None:
        self.language: Language = language
        self.targets = targets
        self._doors = doors
        self._publish = publish
        self._signer = Signer(path.with_suffix(".key"))
        self._journal = Journal(path, cipher, limits=limits)
        self._changed = threading.Condition()  # held for one write of the journal at most
        self._closed = False
        self._waiters_are_let_go = False
        self._failing_cameras: set[str] = set()  # of which doors
        self._private: set[str] = set()  # doors
        self._failing_parts: set[str] = set()
        self._problem: str | None = None
        self._sync_is_due = False
        self._worker = Worker[None]("notices", self._sync, capacity=1)

    def handle(self, message: Message) -> None:
        """Keep what is to be told, before anything else hears of it."""
        with self._changed:
            if self._closed:
                return
            self._take(message)
            problem = self._journal.problem
        if problem != self._problem:
            self._problem = problem
            self._publish(StorageState(PART, problem))

    def close(self) -> None:
        """Release the journal; idempotent."""
        self.let_go()
        self._worker.close(CLOSE_SECONDS)
        with self._changed:
            if not self._closed:
                self._closed = True
                self._journal.close()

    def reconfigure(self, targets: Sequence[TargetSection]) -> None:
        """Know of other targets from now on."""
        self.targets = targets

    def let_go(self) -> None:
        """Let nobody wait for notices any more: the doorbell stops."""
        with self._changed:
            self._waiters_are_let_go = True
            self._changed.notify_all()

    def take(
        self, journal_id: str | None, after: int, *, wait_seconds: float, limit: int
    ) -> tuple[str, Sequence[tuple[int, Notice, bool]]]:
        """Notices after that one, once there are any; what is kept elsewhere is deleted.

        Args:
            journal_id: whose numbers are meant; of another journal everything is given.
            after: up to which number notices are kept elsewhere.
            wait_seconds: how long to wait for one.
            limit: how many are given.

        Returns:
            The journal's id; and number, notice and whether it has a picture, of each.
        """
        with self._changed:
            if self._closed:
                return self._journal.journal_id, []
            self._journal.take(journal_id, after, 0)  # what is kept elsewhere need not wait here
            self._changed.wait_for(
                lambda: self._waiters_are_let_go or self._journal.has_after(journal_id, after),
                wait_seconds,
            )
            if self._closed:
                return self._journal.journal_id, []
            found = self._journal.take(journal_id, after, limit)
            taken = [(number, each.notice, each.picture_bytes > 0) for number, each in found]
            return self._journal.journal_id, taken

    def picture(self, number: int) -> bytes | None:
        """The picture of a notice that waits; None where it has none, or was taken."""
        with self._changed:
            return None if self._closed else self._journal.picture(number)

    def try_target(self, target: str) -> None:
        """Have one target told, to try it."""
        title, message = trial(target, self.language)
        with self._changed:
            if not self._closed:
                self._append(Notice("test", time.time(), title, message, target=target))

    def token(self, notice: Notice, code: str) -> AnswerToken:
        """The token of an answer to a notice."""
        return self._signer.token(notice.notice_id, notice.visit_id or "", code)

    def look(self, token: AnswerToken) -> Answerable | None:
        """What is known of a token; nothing at all of one that is none of ours."""
        with self._changed:
            told = self._journal.told(token.notice_id)
        # As long for a notice that there is none of: who guesses learns nothing.
        is_ours = self._signer.is_ours(token, told.visit_id if told else "")
        if told is None or not is_ours:
            return None
        why = _why_unusable(told, token.code)
        return Answerable(told.visit_id or None, told.kept.wall_seconds, why, told.door_id)

    def use(self, token: AnswerToken) -> str | None:
        """Use an answer up, before it is given; why it cannot be given, or None."""
        with self._changed:
            told = self._journal.told(token.notice_id)
            refusal = "it is none of ours" if told is None else _why_unusable(told, token.code)
            if refusal is None and not self._closed:
                self._journal.use(token.notice_id, token.code)
            return refusal

    def give_back(self, token: AnswerToken) -> None:
        """Let an answer that was refused be given again."""
        with self._changed:
            if not self._closed:
                self._journal.use(token.notice_id, token.code, used=False)

    def _take(self, message: Message) -> None:
        match message:
            case Ring():
                self._tell("ring", message)
            case Recognized():
                self._tell("person", message)
            case Unknown():
                self._tell("stranger", message)
            case CameraState():
                self._tell_camera(message)
            case StorageState() if message.part != PART:
                self._tell_storage(message)
            case VisitsForgotten(visit_ids=visit_ids, beside=beside):
                if self._journal.forget_visits(visit_ids, beside):
                    gone = Notice("forgotten", time.time(), visits=visit_ids, beside=beside)
                    self._append(gone)
            case SettingsState(privacy=privacy, door_id=door_id):
                self._keep_private(door_id, private=privacy)
            case ClockState():
                self._journal.retry()
            case _:
                pass

    def _tell(self, kind: str, event: Ring | VisitEvent) -> None:
        visit = event.visit
        if visit is not None:
            if visit.visitor is not None and visit.visitor.ignored:
                return
            pressed = isinstance(event, Ring) and event.pressed
            if not pressed and self._journal.was_told(visit.visit_id, kind):
                return
        self._append(
            of_event(kind, event, self.language, self._name(event.door_id)), event.picture_jpeg
        )

    def _name(self, door_id: str) -> str:
        return self._doors.get(door_id, "Doorbell")

    def _keep_private(self, door_id: str, *, private: bool) -> None:
        """Send no picture any more that was made before privacy was switched on, at any door."""
        if private and door_id not in self._private:
            visit_ids = self._journal.drop_pictures()
            if visit_ids:
                beside = tuple({each: None for each in visit_ids if each})
                self._append(Notice("forgotten", time.time(), beside=beside))
        (self._private.add if private else self._private.discard)(door_id)

    def _tell_camera(self, state: CameraState) -> None:
        fails = not state.gives_frames and state.condition is not CameraCondition.STARTING
        failed = state.door_id in self._failing_cameras
        if fails == failed or state.condition is CameraCondition.STARTING:
            return
        (self._failing_cameras.add if fails else self._failing_cameras.discard)(state.door_id)
        title = camera(not fails, self.language)
        self._append(
            Notice("camera", state.since_at, title, f"{self._name(state.door_id)}: {state.reason}")
        )

    def _tell_storage(self, state: StorageState) -> None:
        failed_before = bool(self._failing_parts)
        if state.problem is None:
            self._failing_parts.discard(state.part)
        else:
            self._failing_parts.add(state.part)
        if bool(self._failing_parts) != failed_before:
            title = storage(failed_before, self.language)
            house = ", ".join(self._doors.values()) or self._name("")
            words = f"{house}: {state.problem}" if state.problem else house
            self._append(Notice("storage", time.time(), title, words))

    def _append(self, notice: Notice, jpeg: bytes | None = None) -> None:
        self._journal.append(notice, jpeg)
        self._changed.notify_all()
        if not self._sync_is_due:
            self._sync_is_due = True
            self._worker.submit(None)

    def _sync(self, _: None) -> None:
        """Bring what was written to the disk: nothing else waits for it."""
        self._sync_is_due = False
        self._journal.sync()


def drop_waiting(path: Path, cipher: Cipher = NO_CIPHER) -> None:
    """Drop what waits since notifications were switched off: nobody is told, nor forgets it else.

    Args:
        path: of the journal, which there may not be.
        cipher: how notices are kept.
    """
    if path.exists():
        with closing(Journal(path, cipher)) as journal:
            journal.drop_all()


def _why_unusable(told: Told, code: str) -> str | None:
    """Why an answer of ours cannot be given any more, in words; None where it can."""
    if not 0.0 <= BootTime.now().seconds_since(told.kept) <= ANSWERABLE_SECONDS:
        return "it is older than a day"
    if code in told.used:
        return "it was given already"
    return None
