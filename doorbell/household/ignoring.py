"""Whom the household ignores: they are told of as before, and their coming never rings."""

from __future__ import annotations

from doorbell.domain import Person, Stranger, Visitor
from doorbell.errors import UsageError
from doorbell.gallery.gallery import Gallery


def ignore_person(gallery: Gallery, name: str, *, ignored: bool = True) -> Person:
    """Never ring for a person, or ring again.

    Raises:
        UnknownPersonError: nobody has that name; the nearest names are offered.
    """
    return gallery.people.ignore(name, ignored=ignored)


def ignore_stranger(gallery: Gallery, stranger_id: int, *, ignored: bool = True) -> Stranger:
    """Never ring for a stranger, or ring again; kept, however old, while ignored.

    Raises:
        UnknownStrangerError: there is none of that identifier.
    """
    return gallery.strangers.ignore(stranger_id, ignored=ignored)


def ignore_visitor(gallery: Gallery, visit: str, *, ignored: bool = True) -> Visitor:
    """Never ring for whoever a visit was of, or ring again.

    Args:
        gallery: where the visit is.
        visit: its identifier, the beginning of that, or ``last``.
        ignored: whether to ignore them.

    Raises:
        UsageError: no visit or several are meant, or nobody knows who it was.
    """
    found = gallery.visits.find(visit)
    match found.visitor:
        case Person(name=name):
            return ignore_person(gallery, name, ignored=ignored)
        case Stranger(stranger_id=stranger_id):
            return ignore_stranger(gallery, stranger_id, ignored=ignored)
        case None:
            raise UsageError(
                f"nobody can tell who visit {found.visit_id} was of, so whoever comes again would "
                "not be known; see who came with: doorbell visits list"
            )
