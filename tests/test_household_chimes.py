"""A person's chime, checked before it is stored."""

from pathlib import Path

import pytest

from doorbell.errors import UnknownPersonError, UsageError
from doorbell.gallery.gallery import Gallery
from doorbell.household.chimes import give_chime, is_chime


def test_a_chime_is_given_and_taken_back(storage: Path) -> None:
    with Gallery.open(storage / "gallery.sqlite") as gallery:
        assert give_chime(gallery, "anna", "gong").chime == "gong"
        assert give_chime(gallery, "anna", None).chime is None
        assert gallery.people.get("Anna").chime is None


def test_one_that_cannot_be_played_is_refused(storage: Path) -> None:
    text = storage / "notes.wav"
    text.write_text("la la la")
    with Gallery.open(storage / "gallery.sqlite") as gallery:
        for chime, words in (
            ("gnog", "there is no chime 'gnog': give one of westminster"),
            (str(text), "is no usable WAV file"),
            (str(storage / "gone.wav"), "cannot read the chime"),
        ):
            assert not is_chime(chime)
            with pytest.raises(UsageError, match=words):
                give_chime(gallery, "Anna", chime)
        assert is_chime("gong")
        with pytest.raises(UnknownPersonError):
            give_chime(gallery, "Ana", "gong")
        assert [person.chime for person in gallery.people.all()] == [None, None]
