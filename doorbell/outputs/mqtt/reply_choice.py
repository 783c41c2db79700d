"""Quick replies as home automation has them: a list to choose from, and a button that says one.

The document on ``replies``, version 1:

================  ===============================================================================
version           1
chosen            the label of the reply that PRESS on ``say`` says; null where there are none
chosen_id         its identifier, or null
replies           a list of objects with id and label
================  ===============================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from doorbell.domain import Reply, ReplyCommand
from doorbell.outputs.mqtt.messages import SCHEMA_VERSION, Document
from doorbell.outputs.mqtt.requests import CHOSEN


class ReplyChoice:
    """Which reply is chosen: the first, until somebody chooses; used by any thread."""

    def __init__(self) -> None:
        self._replies: tuple[Reply, ...] = ()
        self._chosen_id = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """What there is to choose from."""
        return tuple(each.label for each in self._replies)

    @property
    def chosen(self) -> Reply | None:
        """The one that is chosen; None where there are none."""
        replies = self._replies
        return _found(replies, self._chosen_id) or (replies[0] if replies else None)

    def know(self, replies: Sequence[Reply]) -> None:
        """Take in which replies there are."""
        self._replies = tuple(replies)

    def taken(self, command: ReplyCommand) -> ReplyCommand:
        """A command with the identifier of the reply that it means, where there is one."""
        text = command.reply_id
        reply = self.chosen if text == CHOSEN else _found(self._replies, text)
        return command if reply is None else replace(command, reply_id=reply.reply_id)

    def choose(self, command: ReplyCommand) -> bool:
        """Let the reply that a command means be the one that is said; whether there is one.

        A list gives labels: of what is called like another's identifier, the label is meant.
        """
        by_label = (each for each in self._replies if each.label == command.reply_id)
        reply = next(by_label, None) or _found(self._replies, command.reply_id)
        if reply is not None:
            self._chosen_id = reply.reply_id
        return reply is not None

    def document(self) -> Document:
        """What is retained of it."""
        chosen = self.chosen
        return {
            "version": SCHEMA_VERSION,
            "chosen": chosen and chosen.label,
            "chosen_id": chosen and chosen.reply_id,
            "replies": [{"id": each.reply_id, "label": each.label} for each in self._replies],
        }


def _found(replies: Sequence[Reply], text: str) -> Reply | None:
    by_id = (each for each in replies if each.reply_id == text)
    by_label = (each for each in replies if each.label == text)
    return next(by_id, None) or next(by_label, None)
