"""Saying who a visit was: which visit is meant, and which stranger."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import sample

from doorbell.config import RecognitionSection
from doorbell.domain import Visit
from doorbell.errors import UnknownPersonError, UsageError
from doorbell.gallery.gallery import Gallery
from doorbell.household.corrections import (
    correct_to_no_face,
    correct_to_person,
    correct_to_stranger,
)

SECTION = RecognitionSection()


@pytest.fixture
def gallery(storage: Path) -> Iterator[Gallery]:
    """Anna and 李小龍, stranger-1 with the face of axis 4, stranger-2 with that of axis 5."""
    with Gallery.open(storage / "gallery.sqlite") as gallery:
        anna = gallery.people.get("Anna")
        gallery.visits.save(Visit("5f01aa", 4000.0, 4001.0, visitor=anna), [sample(5)])
        gallery.visits.save(Visit("5f02bb", 5000.0, 5001.0, visitor=anna), [sample(60)])
        yield gallery


def test_the_visit_is_meant_by_the_beginning_of_its_name_or_as_the_last(gallery: Gallery) -> None:
    with pytest.raises(UsageError, match="this visit are unlike 李小龍's other pictures"):
        correct_to_person(gallery, "last", "李小龍", learn=True)
    assert gallery.visits.get("5f02bb").visitor == gallery.people.get("Anna")
    done = correct_to_person(gallery, "last", "李小龍", learn=True, force=True)
    assert done.visit == gallery.visits.get("5f02bb")
    assert (done.before, done.learned) == (gallery.people.get("Anna"), 1)
    assert correct_to_no_face(gallery, "5f01").visit == gallery.visits.get("5f01aa")
    assert "5f01aa" not in [visit.visit_id for visit in gallery.visits.newest(9)]


def test_which_stranger_it_was_the_faces_say(gallery: Gallery) -> None:
    known, new = (correct_to_stranger(gallery, each, SECTION) for each in ("5f01", "5f02"))
    assert known.visit
    assert known.visit.visitor == gallery.strangers.get(2)
    assert new.visit
    assert new.visit.visitor == gallery.strangers.get(3)


def test_of_a_visit_without_faces_nobody_knows_which_stranger_it_was(gallery: Gallery) -> None:
    done = correct_to_stranger(gallery, "v2", SECTION)
    assert done.visit
    assert done.visit.visitor == gallery.strangers.get(3)


def test_what_cannot_be_is_refused_and_changes_nothing(gallery: Gallery) -> None:
    gallery.visits.save(Visit("5f01cc", 6000.0, 6001.0))
    before = gallery.visits.newest(9)
    with pytest.raises(UsageError, match="2 visits begin with '5f01': 5f01aa, 5f01cc; write more"):
        correct_to_no_face(gallery, "5f01")
    with pytest.raises(UsageError, match="no visit is called 'gone'; give at least"):
        correct_to_stranger(gallery, "gone", SECTION)
    with pytest.raises(UnknownPersonError, match="did you mean Anna"):
        correct_to_person(gallery, "last", "Ana", learn=False)
    with pytest.raises(UsageError, match="stranger-1's already"):
        correct_to_stranger(gallery, "v1", SECTION)
    assert gallery.visits.newest(9) == before
    with pytest.raises(UsageError, match="no correction to undo"):
        gallery.corrections.undo()
