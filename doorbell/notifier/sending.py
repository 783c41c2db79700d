"""What is sent, to what, and what may come of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from doorbell.domain import AT_THE_DOOR
from doorbell.errors import OutputError
from doorbell.notifier.notices import Answer, Notice
from doorbell.phrases import Language, was_at

# What comes later than this says when it was.
LATE_SECONDS = 120.0
# With more, ntfy refuses a message.
MOST_ANSWERS = 3


class NotSentError(OutputError):
    """A target has not taken a notification, or nobody can tell whether it has.

    Args:
        message: why not, in words without a secret.
        of_message: whether it refuses this one, and may take the next.
        retry_seconds: how long it asks to be left alone.
    """

    def __init__(
        self, message: str, *, of_message: bool = False, retry_seconds: float = 0.0
    ) -> None:
        super().__init__(message)
        self.of_message = of_message
        self.retry_seconds = retry_seconds


@dataclass(frozen=True, slots=True)
class Message:
    """A notification as a target gets it.

    Attributes:
        notice: what it is of; the same notice is always sent with the same ``notice_id``.
        text: of the notice, and when it was where that was long ago.
        link: into the console, in full; empty where nobody knows its address.
        picture: JPEG, if there is one and it is to go along.
        answers: the buttons, if there are to be any.
        is_late: whether it comes late.
    """

    notice: Notice
    text: str
    link: str = ""
    picture: bytes | None = field(default=None, repr=False)
    answers: Sequence[Answer] = ()
    is_late: bool = False

    @property
    def text_with_link(self) -> str:
        """The text, with the link on a line of its own."""
        return f"{self.text}\n{self.link}" if self.link else self.text


class Sender(Protocol):
    """What reaches one target. Used by one thread.

    Attributes:
        to: where it sends to, in words without a secret.
        takes_pictures: whether pictures can go along.
        takes_answers: whether it shows buttons.
    """

    to: str
    takes_pictures: bool
    takes_answers: bool

    def send(self, message: Message) -> None:
        """Hand it over.

        Raises:
            NotSentError: it was not taken, or nobody can tell.
        """


def late_text(notice: Notice, now: float, language: Language) -> str | None:
    """When it was, in words, where who is at the door is told late; else None."""
    if notice.kind not in AT_THE_DOOR or now - notice.occurred_at <= LATE_SECONDS:
        return None
    occurred, present = (
        datetime.fromtimestamp(each).astimezone() for each in (notice.occurred_at, now)
    )
    clock = occurred.strftime("%H:%M")
    day = "" if occurred.date() == present.date() else occurred.strftime("%d.%m.")
    return was_at(f"{day} {clock}".strip(), language)
