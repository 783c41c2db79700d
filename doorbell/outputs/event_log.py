"""Events in the log: one line each, without pictures."""

from __future__ import annotations

import logging

from doorbell.domain import Event
from doorbell.status import Message

log = logging.getLogger(__name__)


class EventLog:
    """The output that logs.

    Args:
        names_door: whether it says at which door: where there are several.
    """

    def __init__(self, *, names_door: bool = False) -> None:
        self._names_door = names_door

    def handle(self, message: Message) -> None:
        """Log an event; states stand in the log where they arise."""
        if not isinstance(message, Event):
            return
        visit = message.visit
        visitor = visit.visitor if visit else None
        log.info(
            "%s%s visit=%s visitor=%s%s",
            type(message).__name__.lower(),
            f" door={message.door_id}" if self._names_door else "",
            visit.visit_id if visit else "none",
            visitor.label if visitor else "undecided",
            f" similarity={visit.similarity:.2f}" if visit and visitor else "",
        )

    def close(self) -> None:
        """There is nothing to release."""
