"""Events that the broker has and home automation may not have heard: it was not there.

Home Assistant says on its status topic that it has come (its birth message), and the broker says
there that it has gone (its will). What goes to the broker in between is heard by nobody: events are
never retained. What went before the will was heard, so no event is sent again to who was there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from doorbell.clock import BootTime
from doorbell.outputs.mqtt.messages import EventSubject, subject_of
from doorbell.outputs.mqtt.outbox_store import QueuedEvent


class UnheardEvents:
    """What is to be sent again when home automation comes. Under the caller's lock.

    Args:
        late_seconds: after as many an event is worth nothing any more.
    """

    def __init__(self, late_seconds: float) -> None:
        self._late_seconds = late_seconds
        self._events: dict[int, QueuedEvent] = {}  # by number, in order
        self._somebody_listens = False  # for all we know

    def connected(self) -> None:
        """There is a new connection: whether anybody came or went meanwhile is not known."""
        self._somebody_listens = False

    def acknowledged(self, event: QueuedEvent, now: BootTime) -> None:
        """Note that the broker has an event."""
        self._drop_late(now)
        if not self._somebody_listens:
            self._events[event.number] = event

    def went(self) -> None:
        """Home automation was there until now, and has gone."""
        self._events.clear()
        self._somebody_listens = False

    def came(self, now: BootTime) -> list[QueuedEvent]:
        """Home automation is there: what it has not heard and is not late, in order, once."""
        self._drop_late(now)
        unheard = list(self._events.values())
        self._events.clear()
        self._somebody_listens = True
        return unheard

    def subjects(self) -> Mapping[int, EventSubject]:
        """Whom each event is about, by number."""
        return {number: subject_of(event.document) for number, event in self._events.items()}

    def forget(self, numbers: Collection[int]) -> None:
        """Drop events about whoever was forgotten."""
        for number in numbers:
            self._events.pop(number, None)

    def forget_visits(self, visit_ids: Collection[str]) -> None:
        """Drop events of visits that were forgotten."""
        self.forget([n for n, each in self.subjects().items() if each.visit_id in visit_ids])

    def _drop_late(self, now: BootTime) -> None:
        for number, event in list(self._events.items()):
            if event.is_late(now, self._late_seconds):
                del self._events[number]
