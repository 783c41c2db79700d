"""Commands that say who somebody is, or whom the household ignores; and what takes them back."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeAlias

from doorbell.config import RecognitionSection
from doorbell.domain import (
    CorrectCommand,
    IgnoreCommand,
    NameCommand,
    NoFaceCommand,
    UndoCommand,
    Visit,
)
from doorbell.gallery.gallery import Gallery
from doorbell.household.corrections import (
    correct_to_no_face,
    correct_to_person,
    correct_to_stranger,
)
from doorbell.household.ignoring import ignore_visitor
from doorbell.household.naming import name_stranger
from doorbell.household.undoing import undo_change
from doorbell.status import Message, VisitCorrected

IdentifyingCommand: TypeAlias = (
    "NameCommand | CorrectCommand | IgnoreCommand | NoFaceCommand | UndoCommand"
)


def identify(
    command: IdentifyingCommand,
    gallery: Gallery,
    recognition: RecognitionSection,
    publish: Callable[[Message], None],
    doors: Collection[str] | None = None,
) -> str:
    """Carry a command out; what was done, in words.

    Args:
        command: what is asked for.
        gallery: where it is done.
        recognition: when a visitor who is corrected is like a stranger who is known.
        publish: tells the outputs of visits whose visitor is another now.
        doors: what visits at the door that was commanded are stored with, of which ``last`` is the
            last; None for every visit.

    Raises:
        DoorbellError: it cannot be done, and why.
    """
    match command:
        case NameCommand(stranger_id=stranger_id, name=name, force=force):
            named = name_stranger(gallery, stranger_id, name, force=force)
            for door_id in gallery.visits.doors():
                for visit in gallery.visits.newest(1, doors=(door_id,)):
                    if visit.visitor == named.now:
                        publish(VisitCorrected(visit))
            return f"{named.before.label} is now {named.now.label}"
        case CorrectCommand(visit=meant, person=person, learn=learn):
            visit = _meant(gallery, meant, doors)
            if person is None:
                correct_to_stranger(gallery, visit.visit_id, recognition)
            else:
                correct_to_person(gallery, visit.visit_id, person, learn=learn)
            visit = gallery.visits.find(visit.visit_id)
            publish(VisitCorrected(visit))
            who = "nobody" if visit.visitor is None else visit.visitor.label
            return f"visit {visit.visit_id} was of {who}"
        case IgnoreCommand(visit=meant, ignored=ignored):
            visit_id = _meant(gallery, meant, doors).visit_id
            visitor = ignore_visitor(gallery, visit_id, ignored=ignored)
            return f"{visitor.label} {'never rings' if ignored else 'rings again'}"
        case NoFaceCommand(visit=meant):
            correct_to_no_face(gallery, _meant(gallery, meant, doors).visit_id)
            return "that was no face"
        case UndoCommand(number=number):
            undone = undo_change(gallery, number)
            for visit in undone.visits:
                publish(VisitCorrected(visit))
            return undone.summary


def _meant(gallery: Gallery, words: str, doors: Collection[str] | None) -> Visit:
    """The visit that somebody means, as ``VisitStore.find``; the last is the last at these doors.

    Raises:
        UsageError: there is none, or several.
    """
    if doors is not None and words.casefold() == "last":
        for visit in gallery.visits.newest(1, doors=doors):
            return visit
    return gallery.visits.find(words)
