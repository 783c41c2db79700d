"""Naming and merging people and strangers: who somebody was, and who they are from now on."""

from __future__ import annotations

from dataclasses import dataclass

from doorbell.domain import Visitor
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.names import clean_name
from doorbell.household.likeness import require_likeness, require_same_stranger
from doorbell.recognition.embedder import SFACE_ID


@dataclass(frozen=True, slots=True)
class Renaming:
    """Who somebody was, and who they are now, with samples and visits."""

    before: Visitor
    now: Visitor


def rename_person(gallery: Gallery, name: str, new_name: str) -> Renaming:
    """Give a person another name.

    Raises:
        UnknownPersonError: nobody has the first name; the nearest names are offered.
        InvalidNameError: the new one cannot be stored.
        UsageError: the new one is somebody else's.
    """
    return Renaming(gallery.people.get(name), gallery.people.rename(name, new_name))


def merge_people(
    gallery: Gallery, source: str, into: str, *, force: bool = False, model_id: str = SFACE_ID
) -> Renaming:
    """Make two people one: ``source`` goes, ``into`` has the samples and visits of both.

    Args:
        gallery: where both are.
        source: name of one.
        into: name of the other.
        force: whether or not they look alike.
        model_id: the embedder whose samples are compared.

    Raises:
        UnknownPersonError: nobody has one of the names; the nearest names are offered.
        UsageError: both are the same person; or they are not alike, and it is not forced.
    """
    gone, kept = gallery.people.get(source), gallery.people.get(into)
    if not force:
        samples = gallery.people.samples(gone.name, model_id)
        require_likeness(gallery, gone.name, samples, kept.name, but=gone)
    return Renaming(gone, gallery.people.merge(source, into))


def name_stranger(
    gallery: Gallery, stranger_id: int, name: str, *, force: bool = False, model_id: str = SFACE_ID
) -> Renaming:
    """Make a stranger a person, new or enrolled already, with samples and visits.

    Args:
        gallery: where they are.
        stranger_id: whom.
        name: theirs.
        force: whether or not they look like that person, or like another.
        model_id: the embedder whose samples are compared.

    Raises:
        UnknownStrangerError: there is none of that identifier.
        InvalidNameError: the name cannot be stored.
        UsageError: they do not look like it, and it is not forced.
    """
    stranger, cleaned = gallery.strangers.get(stranger_id), clean_name(name)
    if not force:
        samples = gallery.strangers.samples(stranger_id, model_id)
        require_likeness(gallery, stranger.label, samples, cleaned)
    return Renaming(stranger, gallery.strangers.name(stranger_id, name))


def merge_strangers(
    gallery: Gallery, one: int, other: int, *, force: bool = False, model_id: str = SFACE_ID
) -> Renaming:
    """Make two strangers who are the same person one, under the older identifier.

    Args:
        gallery: where both are.
        one: of one stranger.
        other: of another.
        force: whether or not they look alike.
        model_id: the embedder whose samples are compared.

    Raises:
        UnknownStrangerError: there is none of one of the identifiers.
        UsageError: both are the same; or they are not alike, and it is not forced.
    """
    _, newer = (gallery.strangers.get(each) for each in sorted((one, other)))
    if not force:
        require_same_stranger(gallery, one, other, model_id)
    return Renaming(newer, gallery.strangers.merge(one, other, undoable=True))


def undo_naming(gallery: Gallery) -> Renaming:
    """Take the last naming of a stranger, or merge of two by hand, back; again, the one before.

    Returns:
        Who they were taken for until now, and who is somebody of their own again.

    Raises:
        UsageError: there is none; or somebody else has the name by now.
    """
    undone = gallery.namings.undo()
    return Renaming(undone.before, undone.now)
