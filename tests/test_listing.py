"""What is shown of people and strangers."""

import os
from pathlib import Path

import pytest

from doorbell.domain import Visit
from doorbell.errors import UnknownPersonError
from doorbell.gallery.gallery import Gallery
from doorbell.household.enrollment_strength import Level
from doorbell.household.listing import (
    known_people,
    known_person,
    newest_pictures,
)
from doorbell.outputs.pictures import picture_path


def test_people_are_told_with_how_well_they_are_known(storage: Path) -> None:
    with Gallery.open(storage / "gallery.sqlite") as gallery:
        anna, other = known_people(gallery)
        assert (anna.summary.person.name, anna.summary.samples) == ("Anna", 2)
        assert (anna.strength.level, other.strength.level) == (Level.FAIR, Level.WEAK)
        assert known_person(gallery, "anna") == anna
        with pytest.raises(UnknownPersonError):
            known_person(gallery, "Ana")


def test_a_stranger_is_shown_by_the_newest_visit_that_has_a_picture(storage: Path) -> None:
    pictures = storage / "pictures"
    with Gallery.open(storage / "gallery.sqlite") as gallery:
        stranger = gallery.strangers.get(1)
        assert newest_pictures(gallery, pictures) == {}
        for visit_id, at in (("older", 4000.0), ("newer", 5000.0), ("without", 6000.0)):
            gallery.visits.save(Visit(visit_id, at, at, visitor=stranger))
        for visit_id, written_at in (("older", 9000.0), ("newer", 5000.0)):
            picture_path(pictures, visit_id).write_bytes(b"jpeg")
            os.utime(picture_path(pictures, visit_id), (written_at, written_at))
        assert newest_pictures(gallery, pictures) == {1: picture_path(pictures, "newer")}
