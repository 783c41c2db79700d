"""What a notice says, and how it is written down."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Any

from doorbell.domain import Notice, Person, Ring, Stranger, VisitEvent, Visitor
from doorbell.phrases import Language, at_the_door, was_pressed

_VISITOR_KEYS = {"kind", "label", "person_id", "name"}
_LATEST = 1e11  # seconds since the epoch: the year 5138


def encode(notice: Notice) -> bytes:
    """A notice as it is kept."""
    return json.dumps(asdict(notice), ensure_ascii=False).encode()


def decode(document: bytes) -> Notice:
    """A notice as it was kept.

    Raises:
        ValueError: it was not written by us.
    """
    try:
        told = json.loads(document)
        notice = Notice(**told | {key: tuple(told[key]) for key in ("visits", "beside")})
    except (TypeError, KeyError, RecursionError) as exc:
        raise ValueError(f"that is no notice: {exc}") from exc
    if not _is_sound(notice):
        msg = "that is no notice: a value is of another kind"
        raise ValueError(msg)
    return notice


def of_event(kind: str, event: Ring | VisitEvent, language: Language, door: str) -> Notice:
    """What is told of somebody at the door.

    Args:
        kind: ring, stranger or person.
        event: what happened.
        language: of the house.
        door: what the door is called.
    """
    visit = event.visit
    visitor = None if visit is None else visit.visitor
    pressed = isinstance(event, Ring) and event.pressed
    at = f"{door}, {time.strftime('%H:%M', time.localtime(event.occurred_at))}"
    return Notice(
        kind=kind,
        occurred_at=event.occurred_at,
        title=at_the_door(visitor, language),
        message=f"{at}: {was_pressed(language)}" if pressed else at,
        pressed=pressed,
        visit_id=None if visit is None else visit.visit_id,
        visitor=None if visit is None else _visitor_document(visitor),
        door_id=event.door_id,
    )


def _is_sound(notice: Notice) -> bool:
    """Whether each value is of its kind."""
    texts = [notice.kind, notice.title, notice.message, notice.door_id, notice.notice_id]
    texts += [notice.visit_id or "", notice.target or "", *notice.visits, *notice.beside]
    return (
        all(isinstance(each, str) for each in texts)
        and isinstance(notice.pressed, bool)
        and isinstance(notice.occurred_at, int | float)
        and 0.0 <= notice.occurred_at < _LATEST
        and (notice.visitor is None or set(notice.visitor) == _VISITOR_KEYS)
    )


def _visitor_document(visitor: Visitor | None) -> dict[str, Any]:
    match visitor:
        case Person(person_id=number, name=name):
            return {"kind": "person", "label": name, "person_id": number, "name": name}
        case Stranger(label=label):
            kind = "stranger"
        case None:
            kind, label = "undecided", ""
    return {"kind": kind, "label": label, "person_id": None, "name": None}
