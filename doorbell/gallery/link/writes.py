"""What a machine has written, as it waits for the server: as bytes and back, and done there.

Done on the server, a write does what it did in the copy, whatever has become of its visitor since:
one who was named or merged is whoever that is now, and of one who was forgotten nothing is kept.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from doorbell.domain import FaceSample, Person, Stranger, Visit, Visitor
from doorbell.errors import UnknownStrangerError
from doorbell.gallery.codec import STORED_FLOAT
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.queries import add_stranger_samples, became, place_of


@dataclass(frozen=True, slots=True)
class AddStranger:
    """Somebody came who was never seen before; see ``StrangerStore.add``."""

    stranger_id: int
    seen_at: float
    samples: Sequence[FaceSample]


@dataclass(frozen=True, slots=True)
class NoteVisit:
    """A stranger came again; see ``StrangerStore.note_visit``."""

    stranger_id: int
    seen_at: float
    samples: Sequence[FaceSample]


@dataclass(frozen=True, slots=True)
class ForgetStranger:
    """A new stranger was none; see ``StrangerStore.forget``."""

    stranger_id: int


@dataclass(frozen=True, slots=True)
class SaveVisit:
    """A visit, or what has become of it; see ``VisitStore.save``."""

    visit: Visit
    samples: Sequence[FaceSample]
    rang_at: float | None
    stopped_at: float | None


@dataclass(frozen=True, slots=True)
class SeeVisits:
    """When visitors were seen last, by visit; see ``VisitStore.touch``."""

    last_seen_at: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class EndVisits:
    """Visits that a killed daemon left open ended when they were seen last."""

    visit_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Date:
    """Visits and strangers of this run have other times: the clock was wrong.

    Attributes:
        visits: the rows' identifiers and ``DATES["visits"]``.
        strangers: the rows' numbers and ``DATES["strangers"]``.
    """

    visits: Sequence[Sequence[Any]]
    strangers: Sequence[Sequence[Any]]


# The columns of a table that hold the times of what is in it.
DATES: Mapping[str, tuple[str, ...]] = {
    "visits": ("started_at", "last_seen_at", "ended_at", "rang_at", "stopped_at"),
    "strangers": ("first_seen_at", "last_seen_at"),
}

Write: TypeAlias = (
    "AddStranger | NoteVisit | ForgetStranger | SaveVisit | SeeVisits | EndVisits | Date"
)

_KINDS: dict[str, type[Write]] = {
    kind.__name__: kind
    for kind in (AddStranger, NoteVisit, ForgetStranger, SaveVisit, SeeVisits, EndVisits, Date)
}


def do(write: Write, gallery: Gallery) -> None:
    """Do a write on the server, within ``writing`` of its database.

    Raises:
        GalleryError: the server fails, or refuses it.
    """
    file = gallery.file
    match write:
        case AddStranger(stranger_id, seen_at, samples):
            file.insert(
                "strangers",
                id=stranger_id,
                first_seen_at=seen_at,
                last_seen_at=seen_at,
                visits=1,
            )
            add_stranger_samples(file, stranger_id, samples)
        case NoteVisit(stranger_id, seen_at, samples):
            present = _present(gallery, stranger_id)
            if present is not None:
                gallery.strangers.note_visit(present, seen_at, samples)
        case ForgetStranger(stranger_id):
            _forget(gallery, stranger_id)
        case SaveVisit(visit, samples, rang_at, stopped_at):
            gallery.visits.save(visit, samples, rang_at=rang_at, stopped_at=stopped_at)
            _note_what_became(gallery, visit)
        case SeeVisits(last_seen_at):
            gallery.visits.touch(last_seen_at)
        case EndVisits(visit_ids):
            file.execute(
                "UPDATE visits SET ended_at = last_seen_at "  # noqa: S608 - our own words
                f"WHERE ended_at IS NULL AND id {file.among}",
                file.listed(list(visit_ids)),
            )
        case Date(visits, strangers):
            for table, rows in (("visits", visits), ("strangers", strangers)):
                changes = ", ".join(f"{column} = ?" for column in DATES[table])
                for number, *times in rows:
                    file.execute(f"UPDATE {table} SET {changes} WHERE id = ?", *times, number)  # noqa: S608 - our own words


# A visit, or a stranger, that writes are about.
Subject: TypeAlias = "tuple[str, str | int]"


def joined(writes: Sequence[Write]) -> list[Write]:
    """Fewer writes that come to the same: of those that save one visit, the last.

    Unless between them is what ends, dates or deletes visits.
    """
    kept: list[Write | None] = []
    saved: dict[str, int] = {}  # where, by visit
    for write in writes:
        match write:
            case SaveVisit(visit):
                place = saved.get(visit.visit_id)
                earlier = None if place is None else kept[place]
                if place is not None and isinstance(earlier, SaveVisit):
                    kept[place] = None
                    write = SaveVisit(  # noqa: PLW2901 - both in one
                        replace(visit, visitor=visit.visitor or earlier.visit.visitor),
                        write.samples or earlier.samples,
                        earlier.rang_at if write.rang_at is None else write.rang_at,
                        write.stopped_at,
                    )
                saved[visit.visit_id] = len(kept)
            case ForgetStranger() | EndVisits() | Date():
                saved.clear()
        kept.append(write)
    return [write for write in kept if write is not None]


def made_by(write: Write) -> frozenset[Subject]:
    """What later writes build on."""
    match write:
        case AddStranger(number):
            return frozenset({("stranger", number)})
        case SaveVisit(visit):
            return frozenset({("visit", visit.visit_id)})
        case _:
            return frozenset()


def subjects(write: Write) -> frozenset[Subject]:
    """All that a write is about."""
    match write:
        case AddStranger(number) | NoteVisit(number) | ForgetStranger(number):
            return frozenset({("stranger", number)})
        case SaveVisit(visit):
            found: set[Subject] = {("visit", visit.visit_id)}
            if isinstance(visit.visitor, Stranger):
                found.add(("stranger", visit.visitor.stranger_id))
            return frozenset(found)
        case SeeVisits(last_seen_at):
            return frozenset(("visit", each) for each in last_seen_at)
        case EndVisits(visit_ids):
            return frozenset(("visit", each) for each in visit_ids)
        case Date(visits, strangers):
            return frozenset(
                (kind, row[0])
                for kind, rows in (("visit", visits), ("stranger", strangers))
                for row in rows
            )


def parted(write: Write, about: Container[Subject]) -> tuple[Write | None, Write | None]:
    """What of a write is about none of some visits and strangers, and what is."""
    if not any(each in about for each in subjects(write)):
        return write, None
    parts: list[Write | None] = []
    for is_about in (False, True):

        def belongs(kind: str, number: str | int, is_about: bool = is_about) -> bool:
            return ((kind, number) in about) == is_about

        part: Write
        match write:
            case SeeVisits(last_seen_at):
                seen = {each: at for each, at in last_seen_at.items() if belongs("visit", each)}
                part = SeeVisits(seen)
            case EndVisits(visit_ids):
                part = EndVisits([each for each in visit_ids if belongs("visit", each)])
            case Date(visits, strangers):
                part = Date(
                    [row for row in visits if belongs("visit", row[0])],
                    [row for row in strangers if belongs("stranger", row[0])],
                )
            case _:
                return None, write
        parts.append(part if subjects(part) else None)
    rest, aside = parts
    return rest, aside


def _forget(gallery: Gallery, stranger_id: int) -> None:
    """Forget a new stranger; one whom another door has met meanwhile is given back to the copy."""
    try:
        is_met = gallery.strangers.get(stranger_id).visits > 1
    except UnknownStrangerError:  # named, merged or forgotten meanwhile
        return
    if is_met:
        ids = gallery.file.listed([stranger_id])
        gallery.file.rows("SELECT note_template_changes('stranger', ?)", ids)
    else:
        gallery.strangers.forget(stranger_id)


def _note_what_became(gallery: Gallery, visit: Visit) -> None:
    """Let the copy follow where the visit is another visitor's than it says, or is not kept."""
    file = gallery.file
    stored = [
        (each.visitor and place_of(each.visitor)) for each in gallery.visits.those([visit.visit_id])
    ]
    if stored != [visit.visitor and place_of(visit.visitor)]:
        ids, doors = file.listed([visit.visit_id]), file.listed([visit.door_id])
        file.rows("SELECT note_visit_changes(?, ?)", ids, doors)


def _present(gallery: Gallery, stranger_id: int) -> int | None:
    """Who a stranger is by now; None for somebody who is named, or forgotten."""
    try:
        return gallery.strangers.get(stranger_id).stranger_id
    except UnknownStrangerError:
        became_columns = became(gallery.file, "strangers", stranger_id)
        present = became_columns and became_columns["stranger_id"]
        return None if present is None else _present(gallery, int(str(present)))


def encoded(write: Write) -> bytes:
    """A write as JSON; with faces in it, to be encrypted like these."""
    match write:
        case AddStranger(stranger_id, seen_at, samples) | NoteVisit(stranger_id, seen_at, samples):
            content: list[Any] = [stranger_id, seen_at, _encoded_samples(samples)]
        case ForgetStranger(stranger_id):
            content = [stranger_id]
        case SaveVisit(visit, samples, rang_at, stopped_at):
            content = [_encoded_visit(visit), _encoded_samples(samples), rang_at, stopped_at]
        case SeeVisits(last_seen_at):
            content = [dict(last_seen_at)]
        case EndVisits(visit_ids):
            content = [list(visit_ids)]
        case Date(visits, strangers):
            content = [visits, strangers]
    return json.dumps([type(write).__name__, *content]).encode()


def decoded(data: bytes) -> Write:
    """A write from ``encoded``."""
    name, *content = json.loads(data)
    kind = _KINDS[name]
    places: Mapping[type[Write], Mapping[int, Callable[[Any], Any]]] = {
        AddStranger: {2: _decoded_samples},
        NoteVisit: {2: _decoded_samples},
        SaveVisit: {0: _decoded_visit, 1: _decoded_samples},
    }
    for place, decode in places.get(kind, {}).items():
        content[place] = decode(content[place])
    return kind(*content)


def _encoded_samples(samples: Sequence[FaceSample]) -> list[Any]:
    return [
        [
            base64.b64encode(each.embedding.astype(STORED_FLOAT).tobytes()).decode(),
            each.model_id,
            each.quality,
        ]
        for each in samples
    ]


def _decoded_samples(content: list[Any]) -> list[FaceSample]:
    return [
        FaceSample(
            np.frombuffer(base64.b64decode(text), STORED_FLOAT).astype(np.float32),
            model_id,
            quality,
        )
        for text, model_id, quality in content
    ]


# What of a visit is stored, but for its visitor.
_OF_VISIT = (
    "visit_id",
    "started_at",
    "last_seen_at",
    "ended_at",
    "similarity",
    "frames_used",
    "seconds_to_decision",
    "door_id",
)


def _encoded_visit(visit: Visit) -> dict[str, Any]:
    visitor = visit.visitor
    return {name: getattr(visit, name) for name in _OF_VISIT} | {
        "person_id": visitor.person_id if isinstance(visitor, Person) else None,
        "stranger_id": visitor.stranger_id if isinstance(visitor, Stranger) else None,
    }


def _decoded_visit(content: dict[str, Any]) -> Visit:
    """A visit whose visitor is known by number alone."""
    person_id, stranger_id = content.pop("person_id"), content.pop("stranger_id")
    visitor: Visitor | None = None
    if person_id is not None:
        visitor = Person(person_id, "")
    elif stranger_id is not None:
        visitor = Stranger(stranger_id, 0.0, 0.0, 0)
    return Visit(**content, visitor=visitor)
