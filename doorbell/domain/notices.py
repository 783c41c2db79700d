"""What somebody elsewhere is told of the door, and what they may answer."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# In base64url: 12 characters, so that a token has room for the rest.
_ID_BYTES = 9
# With a button Telegram takes so many bytes: https://core.telegram.org/bots/api#inlinekeyboardbutton
TOKEN_CHARACTERS = 64
# How long a notice may be answered.
ANSWERABLE_SECONDS = 86400.0
# Kinds that tell who is at the door; they can be answered.
AT_THE_DOOR = frozenset({"ring", "stranger", "person"})


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that somebody is to be told, or that was forgotten.

    Attributes:
        kind: ring, stranger, person, camera, storage, test or forgotten.
        occurred_at: wall time, seconds since the epoch.
        title, message: words for people, in the language of the house.
        pressed: whether somebody pressed.
        visit_id: of which visit; None where it is of none.
        visitor: kind, label, person_id and name; None where nobody is at the door.
        target: of a test, the only target that is told.
        visits: that were forgotten.
        beside: other visits, whose pictures may show the same faces.
        door_id: at which door; empty where it is about none.
        notice_id: unique for ever.
    """

    kind: str
    occurred_at: float
    title: str = ""
    message: str = ""
    pressed: bool = False
    visit_id: str | None = None
    visitor: Mapping[str, Any] | None = None
    target: str | None = None
    visits: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    door_id: str = ""
    notice_id: str = field(default_factory=lambda: secrets.token_urlsafe(_ID_BYTES))


@dataclass(frozen=True, slots=True)
class Answerable:
    """What is known of an answer that is ours.

    Attributes:
        visit_id: of the visit that it is about; None where it is about none.
        told_at: when that was to be told, wall time, seconds since the epoch.
        refusal: why it cannot be given any more, in words; None where it can.
        door_id: at which door that was; empty where an earlier doorbell has told it.
    """

    visit_id: str | None
    told_at: float
    refusal: str | None
    door_id: str = ""


@dataclass(frozen=True, slots=True)
class AnswerToken:
    """What comes back with an answer to a notice; nobody has looked yet whether it is ours.

    Written with dots between its parts, in A-Z, a-z, 0-9, ``-`` and ``_``.

    Attributes:
        notice_id: of which notice.
        code: what is answered: ``p`` and a person's number, ``n`` for nobody known, ``i`` to
            ignore, ``r`` and a reply's identifier.
        mac: the code of authentication by which it is known.
    """

    notice_id: str
    code: str
    mac: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> AnswerToken | None:
        """Take it apart; None where it is none."""
        parts = text.split(".")
        is_token = len(parts) == 3 and text.isascii() and len(text) <= TOKEN_CHARACTERS
        return cls(*parts) if is_token else None

    def __str__(self) -> str:
        return f"{self.notice_id}.{self.code}.{self.mac}"

    @property
    def fits(self) -> bool:
        """Whether it is short enough to go with a button."""
        return len(str(self)) <= TOKEN_CHARACTERS

    @property
    def reply_id(self) -> str | None:
        """Which reply is to be said."""
        return self.code[1:] if self.code.startswith("r") else None

    @property
    def person_id(self) -> int | None:
        """Who it is said to be."""
        number = self.code[1:]
        is_person = self.code.startswith("p") and number.isascii() and number.isdecimal()
        return int(number) if is_person else None
