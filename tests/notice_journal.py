"""A doorbell that has notices to tell, as the notifier asks it."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from PIL import Image

from doorbell.clock import BootTime
from doorbell.errors import NotRunningError, RefusedError
from doorbell.notifier.notices import Answer, AtDoor, Notice, Taken, TargetState

ANNA = AtDoor("person", "Anna", 1, "Anna")
BEN = AtDoor("person", "Ben", 2, "Ben")
STRANGER = AtDoor("stranger", "a stranger")
UNDECIDED = AtDoor("undecided", "somebody")


def jpeg() -> bytes:
    """A small picture."""
    made = io.BytesIO()
    Image.new("RGB", (32, 24), (200, 30, 30)).save(made, "JPEG")
    return made.getvalue()


def notice(name: str, kind: str = "ring", **more: Any) -> Notice:
    """A notice whose message begins with its id, by which receivers know it."""
    given: dict[str, Any] = {
        "number": 0,
        "notice_id": name,
        "kind": kind,
        "occurred_at": 0.0,
        "title": "Grüße von der Tür",
        "message": f"{name} ist an der Tür",
    }
    return Notice(**(given | more))


class Journal:
    """``Doorbell`` in memory.

    Attributes:
        running: whether it can be asked.
        acted: the tokens that were used.
        reports: what it was told of the targets.
    """

    def __init__(self, journal_id: str = "j1", wait_seconds: float = 0.0) -> None:
        self.journal_id = journal_id
        self.wait_seconds = wait_seconds
        self.running = True
        self.waiting: dict[int, tuple[Notice, bytes]] = {}
        self.last = 0
        self.acted: list[str] = []
        self.reports: list[Sequence[TargetState]] = []
        self.changed = threading.Condition()

    def tell(self, told: Notice, picture: bytes = b"") -> Notice:
        """Have something to tell."""
        with self.changed:
            self.last += 1
            told = replace(told, number=self.last, has_picture=bool(picture))
            self.waiting[self.last] = told, picture
            self.changed.notify_all()
        return told

    def take(self, journal: str | None, after: int, *, wait: bool = True) -> Taken:
        self._require_running()
        with self.changed:
            if journal == self.journal_id:
                for number in [each for each in self.waiting if each <= after]:
                    del self.waiting[number]
            self.changed.wait_for(lambda: bool(self.waiting), self.wait_seconds if wait else 0.0)
            notices = tuple(told for told, _ in self.waiting.values())
            last = max(self.waiting, default=None)
            return Taken(self.journal_id, notices, last)

    def picture(self, number: int) -> bytes:
        self._require_running()
        if number not in self.waiting:
            raise RefusedError("there is none", "not_found")
        return self.waiting[number][1]

    def act(self, token: str) -> str:
        self._require_running()
        if token in self.acted:
            raise RefusedError("this answer was given already")
        if not token.startswith("token-"):
            raise RefusedError("that is no answer that this doorbell has asked for")
        self.acted.append(token)
        return "done as you say"

    def report(self, targets: Sequence[TargetState]) -> None:
        self._require_running()
        self.reports.append(tuple(targets))

    def _require_running(self) -> None:
        if not self.running:
            raise NotRunningError("the doorbell is not running")

    def answers(self) -> Mapping[str, Any]:
        """What the control socket answers, for a ``ScriptedDoorbell``."""

        def take(asked: dict[str, Any]) -> dict[str, Any]:
            taken = self.take(asked["journal"], asked["after"], wait=asked["wait_seconds"] > 0.0)
            return {"journal": taken.journal, "notices": [document(n) for n in taken.notices]}

        def picture(asked: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
            return {"type": "image/jpeg"}, self.picture(asked["number"])

        def act(asked: dict[str, Any]) -> dict[str, Any]:
            try:
                return {"summary": self.act(asked["token"])}
            except RefusedError as exc:
                return {"ok": False, "kind": exc.kind, "error": str(exc)}

        def report(asked: dict[str, Any]) -> dict[str, Any]:
            self.reports.append(asked["targets"])
            return {}

        return {
            "notices.take": take,
            "notices.picture": picture,
            "notices.act": act,
            "notices.report": report,
        }


class Clock:
    """A clock that a test sets.

    Attributes:
        now: seconds since the machine was started.
        wall: seconds since the epoch; None for the same.
    """

    def __init__(self, now: float | None = None) -> None:
        self.now = time.time() if now is None else now
        self.wall: float | None = None

    def __call__(self) -> float:
        return self.now

    def moment(self) -> BootTime:
        """The present, of one start of the machine."""
        return BootTime(self.now if self.wall is None else self.wall, self.now, "a boot")


def document(told: Notice) -> dict[str, Any]:
    """A notice as the doorbell hands it over."""
    visitor = told.visitor
    return {
        "number": told.number,
        "notice_id": told.notice_id,
        "kind": told.kind,
        "occurred_at": told.occurred_at,
        "title": told.title,
        "message": told.message,
        "pressed": told.pressed,
        "visit_id": told.visit_id,
        "visitor": visitor
        and {
            "kind": visitor.kind,
            "label": visitor.label,
            "person_id": visitor.person_id,
            "name": visitor.name,
        },
        "has_picture": told.has_picture,
        "link": told.link,
        "target": told.target,
        "visits": list(told.visits),
        "beside": list(told.beside),
        "answers": [{"label": each.label, "token": each.token} for each in told.answers],
    }


ANSWERS = (Answer("It's Anna", "token-p1"), Answer("Nobody I know", "token-n"))
