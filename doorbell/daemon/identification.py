"""Commands that say who somebody is, or whom the household ignores; and what takes them back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from doorbell.config import RecognitionSection
from doorbell.domain import (
    CorrectCommand,
    IgnoreCommand,
    NameCommand,
    NoFaceCommand,
    UndoCommand,
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
) -> str:
    """Carry a command out; what was done, in words.

    Args:
        command: what is asked for.
        gallery: where it is done.
        recognition: when a visitor who is corrected is like a stranger who is known.
        publish: tells the outputs of visits whose visitor is another now.

    Raises:
        DoorbellError: it cannot be done, and why.
    """
    match command:
        case NameCommand(stranger_id=stranger_id, name=name, force=force):
            named = name_stranger(gallery, stranger_id, name, force=force)
            for visit in gallery.visits.newest(1):
                if visit.visitor == named.now:
                    publish(VisitCorrected(visit))
            return f"{named.before.label} is now {named.now.label}"
        case CorrectCommand(visit=meant, person=person, learn=learn):
            visit = gallery.visits.find(meant)
            if person is None:
                correct_to_stranger(gallery, visit.visit_id, recognition)
            else:
                correct_to_person(gallery, visit.visit_id, person, learn=learn)
            visit = gallery.visits.find(visit.visit_id)
            publish(VisitCorrected(visit))
            who = "nobody" if visit.visitor is None else visit.visitor.label
            return f"visit {visit.visit_id} was of {who}"
        case IgnoreCommand(visit=meant, ignored=ignored):
            visitor = ignore_visitor(gallery, meant, ignored=ignored)
            return f"{visitor.label} {'never rings' if ignored else 'rings again'}"
        case NoFaceCommand(visit=meant):
            correct_to_no_face(gallery, meant)
            return "that was no face"
        case UndoCommand(number=number):
            undone = undo_change(gallery, number)
            for visit in undone.visits:
                publish(VisitCorrected(visit))
            return undone.summary
