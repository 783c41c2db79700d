"""Renaming, naming and merging: who somebody was and who they are now; and taking it back."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import sample
from galleries import Place, dump

from doorbell.domain import FaceSample, Visit
from doorbell.errors import (
    GalleryError,
    InvalidNameError,
    UnknownPersonError,
    UnknownStrangerError,
    UsageError,
)
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.household.corrections import correct_to_person
from doorbell.household.naming import (
    merge_people,
    merge_strangers,
    name_stranger,
    rename_person,
    undo_naming,
)
from doorbell.household.samples import list_samples, remove_sample
from doorbell.recognition.embedder import SFACE_ID


@pytest.fixture
def gallery(storage: Path) -> Iterator[Gallery]:
    with Gallery.open(storage / "gallery.sqlite") as gallery:
        yield gallery


def test_a_person_is_given_another_name_or_becomes_part_of_another(gallery: Gallery) -> None:
    renamed = rename_person(gallery, "anna", "Berta")
    assert (renamed.before.label, renamed.now.label) == ("Anna", "Berta")
    merged = merge_people(gallery, "berta", "李小龍", force=True)
    assert (merged.before.label, merged.now.label) == ("Berta", "李小龍")
    assert gallery.people.all() == [merged.now]


def test_a_stranger_becomes_a_person_new_or_enrolled(gallery: Gallery) -> None:
    for stranger_id, name in ((1, "Ben"), (2, "Anna")):
        before = gallery.strangers.get(stranger_id)
        named = name_stranger(gallery, stranger_id, name, force=True)
        assert (named.before, named.now) == (before, gallery.people.get(name))
    assert gallery.strangers.all() == []


@pytest.mark.parametrize(("one", "other"), [(1, 2), (2, 1)])
def test_of_two_strangers_the_older_stays(gallery: Gallery, one: int, other: int) -> None:
    merged = merge_strangers(gallery, one, other, force=True)
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


def between(one: int, other: int, cosine: float) -> FaceSample:
    """A face so like that of one axis, and else like that of another."""
    rest = float(np.sqrt(1 - cosine**2))
    mixed = cosine * sample(one).embedding + rest * sample(other).embedding
    return FaceSample(mixed.astype(np.float32), SFACE_ID, 0.9)


@pytest.fixture
def household(place: Place) -> Iterator[Gallery]:
    """Anna looks like axis 0, Ben like axis 1."""
    with place.open() as gallery:
        gallery.people.enroll("Anna", [EnrolledSample(between(0, 9, 0.99), "aa" * 32)], 100.0)
        gallery.people.enroll("Ben", [EnrolledSample(sample(1), "bb" * 32)])
        yield gallery


def comes(gallery: Gallery, face: FaceSample, visit_id: str) -> int:
    """A stranger comes; the number."""
    stranger = gallery.strangers.add([face], 10.0)  # ten seconds before they were last seen
    gallery.visits.save(Visit(visit_id, 10.0, 20.0, 20.0, stranger), [face])
    return stranger.stranger_id


def test_a_face_that_is_like_somebody_else_s_is_not_given_a_name(household: Gallery) -> None:
    number = comes(household, between(1, 20, 0.8), "v1")  # looks like Ben
    before = dump(household)
    with pytest.raises(UsageError, match=r"unlike Anna's .*0\.00.* most like Ben .*0\.80.*--force"):
        name_stranger(household, number, "Anna")
    with pytest.raises(UsageError, match=r"look like Ben \(similarity 0\.80\) and would be Cleo's"):
        name_stranger(household, number, "Cleo")
    with pytest.raises(UsageError, match="unlike Anna's"):
        correct_to_person(household, "v1", "Anna", learn=True)
    assert dump(household) == before
    correct_to_person(household, "v1", "Anna", learn=False)  # the household's word about a visit
    household.corrections.undo()
    assert name_stranger(household, number, "ben").now == household.people.get("Ben")


def test_people_are_merged_who_look_alike_and_others_only_by_force(household: Gallery) -> None:
    household.people.enroll("Anna B.", [EnrolledSample(between(0, 21, 0.7))])
    with pytest.raises(UsageError, match=r"faces of Anna B\. are unlike Ben's .*most like Anna"):
        merge_people(household, "Anna B.", "Ben")
    merge_people(household, "Anna B.", "Anna")
    merge_people(household, "Ben", "Anna", force=True)
    assert [person.name for person in household.people.all()] == ["Anna"]
    undo_naming(household)
    undo_naming(household)
    assert {person.name for person in household.people.all()} == {"Anna", "Ben", "Anna B."}


def test_faces_of_a_dark_night_need_be_no_more_alike_than_they_promise(household: Gallery) -> None:
    faint = FaceSample(between(0, 22, 0.3).embedding, SFACE_ID, 0.4)
    number = comes(household, faint, "v1")
    assert name_stranger(household, number, "Anna").now == household.people.get("Anna")


Act = Callable[[Gallery], object]
NAMINGS: dict[str, Act] = {
    "a new name": lambda gallery: name_stranger(gallery, 1, "Cleo"),
    "a name that is there": lambda gallery: name_stranger(gallery, 1, "Anna", force=True),
    "strangers": lambda gallery: merge_strangers(gallery, 1, 2, force=True),
    "people": lambda gallery: merge_people(gallery, "Ben", "Anna", force=True),
    "people with one photo": lambda gallery: merge_people(gallery, "Anna B.", "Anna", force=True),
}


@pytest.mark.parametrize("act", NAMINGS.values(), ids=NAMINGS)
def test_what_is_taken_back_is_as_it_was_also_after_a_restart(
    household: Gallery, place: Place, act: Act
) -> None:
    for number, axis in enumerate((30, 31)):
        comes(household, sample(axis), f"v{number}")
    household.strangers.note_visit(1, 30.0, [sample(32)] * 15)
    household.strangers.note_visit(2, 40.0, [sample(33)] * 15)  # too many for one stranger
    household.people.enroll("Anna B.", [EnrolledSample(sample(34), "aa" * 32)])  # Anna's photo
    ben = household.people.get("Ben")
    household.visits.save(Visit("bens", 50.0, 60.0, 60.0, ben), [sample(35)])
    household.people.set_chime("Ben", "gong")
    household.people.set_preferences("Ben", {"tv": 1})
    household.people.note_consent("Ben", "in writing", 5.0)
    household.people.ignore("Ben", ignored=True)
    household.strangers.ignore(2, ignored=True)
    with household.file.writing():  # whom an earlier version has known
        household.file.execute("UPDATE people SET earlier_subtype = 'Benny' WHERE name = 'Ben'")
    correct_to_person(household, "bens", "Anna", learn=False)  # not Ben, but Anna
    correct_to_person(household, "v1", "Ben", learn=True, force=True)
    before = dump(household)
    act(household)
    assert dump(household) != before
    household.close()
    with place.open() as again:
        undo_naming(again)
        assert dump(again) == before
        again.corrections.undo()
        again.corrections.undo()
        assert again.visits.get("bens").visitor == again.people.get("Ben")


def test_nothing_that_was_forgotten_comes_back(household: Gallery, place: Place) -> None:
    comes(household, sample(30), "gone")
    number = comes(household, sample(31), "kept")
    merge_strangers(household, 1, number, force=True)
    name_stranger(household, 1, "Cleo")
    household.visits.forget_before(15.0)  # none
    with household.file.writing():
        household.file.execute("DELETE FROM visits WHERE id = 'gone'")
    gone = household.people.stored_samples("Cleo")[0]
    assert gone.sample is not None
    remove_sample(household, "Cleo", gone.sample_id)
    undo_naming(household)
    assert [visit.visit_id for visit in household.visits.newest(9)] == ["kept"]
    assert len(household.strangers.samples(1, SFACE_ID)) == 1
    name_stranger(household, 1, "Cleo")
    household.people.forget("Cleo")
    with pytest.raises(UsageError, match="no naming or merging to undo"):
        undo_naming(household)
    with pytest.raises(UsageError, match="no correction to undo"):
        household.corrections.undo()
    content = place.content()
    assert b"Cleo" not in content
    assert sample(31).embedding.tobytes() not in content


def test_who_was_enrolled_since_stays_with_what_came_since(household: Gallery) -> None:
    comes(household, sample(30), "v1")
    cleo = name_stranger(household, 1, "Cleo").now
    household.people.enroll("Cleo", [EnrolledSample(sample(30), "cc" * 32)])
    household.visits.save(Visit("v2", 30.0, 40.0, 40.0, household.people.get("Cleo")))
    undo_naming(household)
    assert household.visits.get("v1").visitor == household.strangers.get(1)
    assert household.visits.get("v2").visitor == cleo
    assert len(household.people.samples("Cleo", SFACE_ID)) == 1


@pytest.mark.parametrize("noted", ["{", "[]", '{"gone": {}}', None])
def test_a_damaged_note_of_a_naming_is_said_and_changes_nothing(
    household: Gallery, noted: str | None
) -> None:
    comes(household, sample(30), "v1")
    name_stranger(household, 1, "Cleo")
    if noted is None:  # without what became of it
        [row] = household.file.rows("SELECT before FROM namings")
        noted = json.dumps({**json.loads(row["before"]), "after": None})
    with household.file.writing():
        household.file.execute("UPDATE namings SET before = ?", noted)
    before = dump(household)
    with pytest.raises(GalleryError, match="what was noted of a naming"):
        undo_naming(household)
    with pytest.raises(GalleryError, match="what was noted of a naming"):
        household.personal_data(household.people.get("Cleo").person_id)
    assert dump(household) == before


def test_a_name_that_somebody_else_has_by_now_is_not_given_back(household: Gallery) -> None:
    merge_people(household, "Ben", "Anna", force=True)
    household.people.enroll("ben", [EnrolledSample(sample(50))])
    before = dump(household)
    with pytest.raises(UsageError, match="somebody else is called 'ben' by now"):
        undo_naming(household)
    assert dump(household) == before
    rename_person(household, "ben", "Benjamin")
    assert undo_naming(household).now == household.people.get("Ben")


def test_a_wrong_sample_stands_out_and_is_removed_for_good(
    household: Gallery, place: Place
) -> None:
    for digest, face in (("cc", between(0, 23, 0.9)), ("dd", sample(40))):
        household.people.enroll("Anna", [EnrolledSample(face, digest * 32)], 200.0)
    household.visits.save(Visit("5f01aa", 300.0, 301.0, 301.0), [between(0, 24, 0.9)])
    correct_to_person(household, "last", "Anna", learn=True)
    listed = list_samples(household, "Anna")
    assert [each.source for each in listed] == [
        "photo aaaaaaaa",
        "photo cccccccc",
        "photo dddddddd",
        "visit 5f01aa",
    ]
    assert [each.added_at for each in listed] == [100.0, 200.0, 200.0, 300.0]
    assert [each.number for each in listed if each.stands_out] == [listed[2].number]
    assert remove_sample(household, "Anna", listed[2].number) == 3
    with pytest.raises(UsageError, match="no sample"):
        remove_sample(household, "Anna", listed[2].number)
    assert sample(40).embedding.tobytes() not in place.content()


@pytest.mark.parametrize(("visit_id", "other_id"), [("v1", "v2"), ("v2", "v1")])
def test_a_correction_made_in_between_can_be_undone_afterwards(
    household: Gallery, visit_id: str, other_id: str
) -> None:
    whose = {"v1": comes(household, sample(30), "v1"), "v2": comes(household, sample(31), "v2")}
    before = dump(household)
    merge_strangers(household, 1, 2, force=True)
    correct_to_person(household, visit_id, "Ben", learn=False)
    undo_naming(household)
    assert [stranger.stranger_id for stranger in household.strangers.all()] == [whose[other_id]]
    assert household.visits.get(visit_id).visitor == household.people.get("Ben")
    household.corrections.undo()
    assert dump(household) == before


def test_a_stranger_made_by_a_correction_goes_with_it(household: Gallery) -> None:
    ben = household.people.get("Ben")
    household.visits.save(Visit("bens", 50.0, 60.0, 60.0, ben), [sample(35)])
    before = dump(household)
    household.corrections.to_stranger("bens", None)
    name_stranger(household, 1, "Cleo")
    household.corrections.undo()
    assert household.visits.get("bens").visitor == ben
    undo_naming(household)
    assert dump(household) == before


@pytest.mark.parametrize("was_ignored", [False, True])
def test_whether_they_ring_stays_as_it_was_said_of_them_under_the_name(
    household: Gallery, *, was_ignored: bool
) -> None:
    comes(household, sample(30), "v1")
    household.strangers.ignore(1, ignored=was_ignored)
    name_stranger(household, 1, "Cleo")
    household.people.ignore("Cleo", ignored=not was_ignored)
    undo_naming(household)
    assert household.strangers.get(1).ignored is not was_ignored


def test_who_got_their_name_by_it_takes_later_visits_along(household: Gallery) -> None:
    comes(household, sample(30), "v1")
    cleo = name_stranger(household, 1, "Cleo").now
    for number in (2, 3):
        household.visits.save(Visit(f"v{number}", 40.0, 50.0 + number, 60.0, cleo))
    stranger = undo_naming(household).now
    assert household.strangers.get(1).visits == 3
    assert household.strangers.get(1).last_seen_at == 53.0
    assert {visit.visitor and visit.visitor.label for visit in household.visits.newest(9)} == {
        stranger.label
    }
