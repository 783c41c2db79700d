"""What the running doorbell has to tell, and the protocol by which the notifier asks it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Protocol

from typing_extensions import Self


@dataclass(frozen=True, slots=True)
class Answer:
    """A button of a notification.

    Attributes:
        label: in words.
        token: with it whoever presses the button proves that they were told; a secret.
    """

    label: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AtDoor:
    """Who is at the door.

    Attributes:
        kind: ``person``, ``stranger`` or ``undecided``.
        label: in words.
        person_id: of a person.
        name: of a person, or one that was given to a stranger.
    """

    kind: str
    label: str
    person_id: int | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell.

    Attributes:
        number: its place in the doorbell's journal.
        notice_id: unique for ever.
        kind: what it is of; see ``doorbell.control.requests.notifications``.
        occurred_at: seconds since the epoch.
        title, message: in words.
        pressed: whether somebody pressed the button.
        visit_id: of the visit, if it is of one.
        visitor: who is at the door, if anybody is.
        has_picture: whether there is one.
        link: where the console shows it, a path.
        target: the only one that a test goes to.
        visits: that are forgotten.
        beside: visits whose pictures may show the same faces, and are forgotten too.
        answers: the buttons.
    """

    number: int
    notice_id: str
    kind: str
    occurred_at: float
    title: str
    message: str
    pressed: bool = False
    visit_id: str | None = None
    visitor: AtDoor | None = None
    has_picture: bool = False
    link: str = "/"
    target: str | None = None
    visits: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    answers: tuple[Answer, ...] = ()

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """Take one out of its JSON.

        Raises:
            ValueError: it is not of its form.
        """
        try:
            visitor = document.get("visitor")
            return cls(
                number=int(document["number"]),
                notice_id=str(document["notice_id"]),
                kind=str(document["kind"]),
                occurred_at=_epoch_seconds(document["occurred_at"]),
                title=str(document.get("title") or ""),
                message=str(document.get("message") or ""),
                pressed=bool(document.get("pressed")),
                visit_id=_text_or_none(document.get("visit_id")),
                visitor=None if visitor is None else _at_door(visitor),
                has_picture=bool(document.get("has_picture")),
                link=str(document.get("link") or "/"),
                target=_text_or_none(document.get("target")),
                visits=tuple(str(each) for each in document.get("visits") or ()),
                beside=tuple(str(each) for each in document.get("beside") or ()),
                answers=tuple(
                    Answer(str(each["label"]), str(each["token"]))
                    for each in document.get("answers") or ()
                ),
            )
        except (AttributeError, KeyError, TypeError) as exc:
            msg = f"a notice without what belongs to one: {type(exc).__name__}"
            raise ValueError(msg) from exc

    def to_json(self) -> str:
        """Its JSON, from which ``from_json`` makes the same again."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Take one out of what ``to_json`` has made.

        Raises:
            ValueError: it is not of its form.
        """
        return cls.read(json.loads(text))


@dataclass(frozen=True, slots=True)
class Taken:
    """What the doorbell has handed over.

    Attributes:
        journal: whose numbers they have; another one after the doorbell has lost its own.
        notices: in order.
        last: the highest number among what was handed over, readable or not; None for nothing.
    """

    journal: str
    notices: tuple[Notice, ...]
    last: int | None


@dataclass(frozen=True, slots=True)
class TargetState:
    """How a target is.

    Attributes:
        name: as the configuration calls it.
        to: where what it is told goes, in words without any secret.
        pictures: whether pictures go there.
        waiting: how many notifications it has not got yet.
        problem: why not, in words.
        last_at: when it got the last one, seconds since the epoch.
    """

    name: str
    to: str
    pictures: bool
    waiting: int = 0
    problem: str | None = None
    last_at: float | None = None


class Doorbell(Protocol):
    """The running doorbell, as the notifier asks it. Every method may raise ``ControlError``."""

    def take(self, journal: str | None, after: int, *, wait: bool = True) -> Taken:
        """Wait some seconds for notices.

        Args:
            journal: whose numbers are meant; None for none yet.
            after: everything up to this one is kept here, and may be deleted there.
            wait: whether to, where there are none.
        """

    def picture(self, number: int) -> bytes:
        """The picture of a notice, JPEG.

        Raises:
            RefusedError: there is none.
        """

    def act(self, token: str) -> str:
        """Do what a button says; what was done, in words.

        Raises:
            RefusedError: it is not done, and why.
        """

    def report(self, targets: Sequence[TargetState]) -> None:
        """Say how the targets are."""


def _at_door(document: Mapping[str, Any]) -> AtDoor:
    person_id = document.get("person_id")
    return AtDoor(
        str(document["kind"]),
        str(document.get("label") or ""),
        None if person_id is None else int(person_id),
        _text_or_none(document.get("name")),
    )


def _epoch_seconds(value: object) -> float:
    if isinstance(value, str):
        return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
    return float(value)  # type: ignore[arg-type]  # a TypeError is what is to come of anything else


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)
