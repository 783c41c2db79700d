"""Renaming, naming and merging: who somebody was and who they are now."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from doorbell.errors import InvalidNameError, UnknownPersonError, UnknownStrangerError, UsageError
from doorbell.gallery.gallery import Gallery
from doorbell.household.naming import (
    merge_people,
    merge_strangers,
    name_stranger,
    rename_person,
)


@pytest.fixture
def gallery(storage: Path) -> Iterator[Gallery]:
    with Gallery.open(storage / "gallery.sqlite") as gallery:
        yield gallery


def test_a_person_is_given_another_name_or_becomes_part_of_another(gallery: Gallery) -> None:
    renamed = rename_person(gallery, "anna", "Berta")
    assert (renamed.before.label, renamed.now.label) == ("Anna", "Berta")
    merged = merge_people(gallery, "berta", "李小龍")
    assert (merged.before.label, merged.now.label) == ("Berta", "李小龍")
    assert gallery.people.all() == [merged.now]


def test_a_stranger_becomes_a_person_new_or_enrolled(gallery: Gallery) -> None:
    for stranger_id, name in ((1, "Ben"), (2, "Anna")):
        before = gallery.strangers.get(stranger_id)
        named = name_stranger(gallery, stranger_id, name)
        assert (named.before, named.now) == (before, gallery.people.get(name))
    assert gallery.strangers.all() == []


@pytest.mark.parametrize(("one", "other"), [(1, 2), (2, 1)])
def test_of_two_strangers_the_older_stays(gallery: Gallery, one: int, other: int) -> None:
    merged = merge_strangers(gallery, one, other)
    assert (merged.before.label, merged.now.label) == ("stranger-2", "stranger-1")
    assert gallery.strangers.all() == [merged.now]


def test_what_cannot_be_is_refused_and_changes_nothing(gallery: Gallery) -> None:
    before = gallery.people.all(), gallery.strangers.all()
    with pytest.raises(UnknownPersonError, match="did you mean Anna"):
        rename_person(gallery, "Ana", "Berta")
    with pytest.raises(UsageError, match="doorbell people merge 'Anna' '李小龍'"):
        rename_person(gallery, "Anna", "李小龍")
    with pytest.raises(UsageError, match="cannot be merged into the same person"):
        merge_people(gallery, "Anna", "anna")
    with pytest.raises(InvalidNameError, match="control character"):
        name_stranger(gallery, 1, "An\x1bna")
    with pytest.raises(UnknownStrangerError, match="there is no stranger-9"):
        merge_strangers(gallery, 1, 9)
    with pytest.raises(UsageError, match="cannot be merged into itself"):
        merge_strangers(gallery, 1, 1)
    assert (gallery.people.all(), gallery.strangers.all()) == before
