"""Naming and merging people and strangers: who somebody was, and who they are from now on."""

from __future__ import annotations

from dataclasses import dataclass

from doorbell.domain import Visitor
from doorbell.gallery.gallery import Gallery


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


def merge_people(gallery: Gallery, source: str, into: str) -> Renaming:
    """Make two people one: ``source`` goes, ``into`` has the samples and visits of both.

    Raises:
        UnknownPersonError: nobody has one of the names; the nearest names are offered.
        UsageError: both are the same person.
    """
    return Renaming(gallery.people.get(source), gallery.people.merge(source, into))


def name_stranger(gallery: Gallery, stranger_id: int, name: str) -> Renaming:
    """Make a stranger a person, new or enrolled already, with samples and visits.

    Raises:
        UnknownStrangerError: there is none of that identifier.
        InvalidNameError: the name cannot be stored.
    """
    return Renaming(gallery.strangers.get(stranger_id), gallery.strangers.name(stranger_id, name))


def merge_strangers(gallery: Gallery, one: int, other: int) -> Renaming:
    """Make two strangers who are the same person one, under the older identifier.

    Raises:
        UnknownStrangerError: there is none of one of the identifiers.
        UsageError: both are the same.
    """
    _, newer = (gallery.strangers.get(each) for each in sorted((one, other)))
    return Renaming(newer, gallery.strangers.merge(one, other))
