"""What the household says of visits, and taking it back."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest
from all_samples import read_samples
from galleries import Place, dump

from doorbell.domain import FaceSample, Person, Stranger, Visit
from doorbell.errors import UnknownPersonError, UnknownStrangerError, UsageError
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.gallery.migrations import MIGRATIONS
from doorbell.gallery.queries import MAX_VISIT_SAMPLES

MODEL = "sface-test"
DAY = 86400.0


def sample(axis: int, *, quality: float = 0.5) -> FaceSample:
    embedding = np.zeros(128, np.float32)
    embedding[axis] = 1.0
    return FaceSample(embedding, MODEL, quality)


def axes(embeddings: np.ndarray) -> list[int]:
    return [int(axis) for axis in embeddings.argmax(axis=1)]


@pytest.fixture
def gallery(place: Place) -> Iterator[Gallery]:
    """Anna, Berta, a stranger; a visit taken for Anna, two of the stranger's, one of nobody."""
    with place.open() as gallery:
        anna = gallery.people.enroll("Anna", [EnrolledSample(sample(1))]).person
        gallery.people.enroll("Berta", [EnrolledSample(sample(2))])
        stranger = gallery.strangers.add([sample(30)], 2 * DAY)
        gallery.visits.save(Visit("annas-1", DAY, DAY + 5, DAY + 5, anna, 0.6), [sample(10)])
        gallery.visits.save(Visit("other-1", 2 * DAY, 2 * DAY + 5, visitor=stranger), [sample(30)])
        stranger = gallery.strangers.note_visit(1, 3 * DAY, [sample(31)])
        gallery.visits.save(Visit("other-2", 3 * DAY, 3 * DAY + 5, visitor=stranger), [sample(31)])
        gallery.visits.save(Visit("nobody-1", 4 * DAY, 4 * DAY + 5))
        yield gallery


def negatives(gallery: Gallery) -> list[tuple[str, int]]:
    """Who is not whom."""
    templates = read_samples(gallery.file, MODEL)
    names = [templates.people[index].name for index in templates.negative_index]
    return list(zip(names, axes(templates.negative_embeddings), strict=True))


def samples_of_people(gallery: Gallery) -> list[tuple[str, int]]:
    templates = read_samples(gallery.file, MODEL)
    names = [templates.people[index].name for index in templates.person_index]
    return list(zip(names, axes(templates.person_embeddings), strict=True))


def test_the_best_samples_stay_with_a_visit(gallery: Gallery) -> None:
    many = [sample(40 + i, quality=i / 10) for i in range(8)]
    gallery.visits.save(gallery.visits.get("annas-1"), many)
    kept = gallery.visits.samples("annas-1")
    assert [each.quality for each in kept] == [0.7, 0.6, 0.5, 0.4, 0.3]
    assert len(kept) == MAX_VISIT_SAMPLES
    gallery.visits.save(gallery.visits.get("annas-1"))
    assert len(gallery.visits.samples("annas-1")) == MAX_VISIT_SAMPLES
    assert gallery.visits.samples("nobody-1") == []


def test_a_wrong_name_becomes_a_negative_and_nothing_is_learned_unasked(gallery: Gallery) -> None:
    done = gallery.corrections.to_person("annas-1", "berta", learn=False)
    assert done.visit
    assert (done.visit.visitor, done.visit.corrected) == (Person(2, "Berta"), True)
    assert (done.before, done.samples, done.learned) == (Person(1, "Anna"), 1, 0)
    assert negatives(gallery) == [("Anna", 10)]
    assert samples_of_people(gallery) == [("Anna", 1), ("Berta", 2)]
    assert [each.visit_id for each in gallery.visits.newest(9, name="Berta")] == ["annas-1"]


def test_a_person_learns_from_a_visit_when_told_to_and_once_only(gallery: Gallery) -> None:
    assert gallery.corrections.to_person("annas-1", "Berta", learn=True).learned == 1
    assert samples_of_people(gallery) == [("Anna", 1), ("Berta", 2), ("Berta", 10)]
    assert gallery.corrections.to_person("annas-1", "Berta", learn=True).learned == 0
    with pytest.raises(UsageError, match="doorbell visits correct annas-1 'Berta' --learn"):
        gallery.corrections.to_person("annas-1", "Berta", learn=False)
    with pytest.raises(UsageError, match="nothing can be learned"):
        gallery.corrections.to_person("nobody-1", "Berta", learn=True)


def test_what_was_learned_for_the_wrong_person_is_seen_no_more(gallery: Gallery) -> None:
    gallery.corrections.to_person("annas-1", "Anna", learn=True)
    assert ("Anna", 10) in samples_of_people(gallery)
    gallery.corrections.to_person("annas-1", "Berta", learn=False)
    assert ("Anna", 10) not in samples_of_people(gallery)
    assert [each.samples for each in gallery.people.summaries()] == [1, 1]
    assert gallery.corrections.to_person("annas-1", "Anna", learn=True).learned == 1
    assert negatives(gallery) == [("Berta", 10)]  # the earlier word, not Anna, is overruled


def test_a_visit_of_a_stranger_is_taken_from_the_stranger(gallery: Gallery) -> None:
    gallery.corrections.to_person("other-1", "Anna", learn=False)
    templates = read_samples(gallery.file, MODEL)
    assert axes(templates.stranger_embeddings) == [31]
    assert gallery.strangers.get(1).visits == 1
    gallery.corrections.to_person("other-2", "Anna", learn=False)
    assert gallery.strangers.all() == []
    assert read_samples(gallery.file, MODEL).stranger_embeddings.shape == (0, 128)
    with pytest.raises(UnknownStrangerError):
        gallery.strangers.get(1)
    assert negatives(gallery) == []
    gallery.corrections.undo()
    gallery.corrections.undo()
    assert gallery.strangers.get(1).visits == 2
    assert axes(read_samples(gallery.file, MODEL).stranger_embeddings) == [30, 31]


def test_a_visit_of_nobody_enrolled_is_a_new_or_an_old_stranger_s(gallery: Gallery) -> None:
    new = gallery.corrections.to_stranger("annas-1", None)
    assert new.visit
    assert new.visit.visitor == Stranger(2, DAY, DAY + 5, 1)
    assert negatives(gallery) == [("Anna", 10)]
    assert axes(read_samples(gallery.file, MODEL).stranger_embeddings) == [30, 31, 10]
    gallery.corrections.undo()
    old = gallery.corrections.to_stranger("annas-1", 1)
    assert old.visit
    assert old.visit.visitor == Stranger(1, 2 * DAY, 3 * DAY, 3, visits_week=3)
    with pytest.raises(UsageError, match="stranger-1's already"):
        gallery.corrections.to_stranger("annas-1", 1)
    with pytest.raises(UnknownStrangerError):
        gallery.corrections.to_stranger("nobody-1", 7)


def test_what_is_no_face_is_listed_no_more_and_remembered(gallery: Gallery) -> None:
    gallery.corrections.to_no_face("annas-1")
    gallery.corrections.to_no_face("other-2")
    templates = read_samples(gallery.file, MODEL)
    assert axes(templates.non_face_embeddings) == [10, 31]
    assert axes(templates.stranger_embeddings) == [30]
    assert [each.visit_id for each in gallery.visits.newest(9)] == ["nobody-1", "other-1"]
    assert [each.visits for each in gallery.people.summaries()] == [0, 0]
    with pytest.raises(UsageError):
        gallery.visits.find("annas-1")


CORRECTIONS: dict[str, Callable[[Gallery, str], object]] = {
    "person": lambda gallery, visit: gallery.corrections.to_person(visit, "Berta", learn=False),
    "learn": lambda gallery, visit: gallery.corrections.to_person(visit, "Berta", learn=True),
    "new stranger": lambda gallery, visit: gallery.corrections.to_stranger(visit, None),
    "old stranger": lambda gallery, visit: gallery.corrections.to_stranger(visit, 1),
    "no face": lambda gallery, visit: gallery.corrections.to_no_face(visit),
}


def test_undoing_restores_the_gallery_step_by_step(gallery: Gallery) -> None:
    states = [dump(gallery)]
    for visit in ("annas-1", "other-1", "other-2", "nobody-1"):
        for correct in CORRECTIONS.values():
            with suppress(UsageError):  # a stranger's already, or nothing to learn from
                correct(gallery, visit)
            if dump(gallery) != states[-1]:
                states.append(dump(gallery))
    assert len(states) == 16
    for state in reversed(states[:-1]):
        gallery.corrections.undo()
        assert dump(gallery) == state
    with pytest.raises(UsageError, match="no correction"):
        gallery.corrections.undo()


@pytest.mark.parametrize("correct", CORRECTIONS.values(), ids=CORRECTIONS)
def test_the_daemon_does_not_save_its_own_view_over_a_correction(
    gallery: Gallery, place: Place, correct: Callable[[Gallery, str], object]
) -> None:
    going_on = gallery.visits.get("annas-1")
    with place.open() as daemon:
        correct(gallery, "annas-1")
        corrected = gallery.visits.get("annas-1")
        daemon.visits.save(Visit("annas-1", DAY, DAY + 9, DAY + 9, going_on.visitor, 0.6))
        after = gallery.visits.get("annas-1")
        assert (after.visitor, after.ended_at) == (corrected.visitor, DAY + 9)
        gallery.corrections.undo()
        daemon.visits.save(Visit("annas-1", DAY, DAY + 9, DAY + 9, going_on.visitor, 0.6))
        assert gallery.visits.get("annas-1").visitor == Person(1, "Anna")


def test_a_stranger_made_by_a_correction_stays_if_they_came_again(gallery: Gallery) -> None:
    gallery.corrections.to_stranger("annas-1", None)
    gallery.strangers.note_visit(2, 9 * DAY, [sample(50)])
    gallery.corrections.undo()
    assert gallery.strangers.get(2).visits == 1
    assert axes(read_samples(gallery.file, MODEL).stranger_embeddings) == [30, 31, 50]


def test_naming_a_corrected_stranger_holds_over_undoing(gallery: Gallery) -> None:
    gallery.corrections.to_stranger("annas-1", None)
    gallery.strangers.name(2, "Ben")
    assert negatives(gallery) == [("Anna", 10)]
    gallery.corrections.undo()
    assert ("Ben", 10) in samples_of_people(gallery)
    assert negatives(gallery) == []


def test_one_who_is_the_person_after_all_is_no_negative_of_them(gallery: Gallery) -> None:
    gallery.corrections.to_stranger("annas-1", None)
    gallery.strangers.name(2, "Anna")
    assert negatives(gallery) == []
    gallery.corrections.to_person("annas-1", "Berta", learn=False)
    gallery.people.merge("Berta", "Anna")
    assert negatives(gallery) == []


def test_forgetting_takes_what_a_correction_taught_along(gallery: Gallery, place: Place) -> None:
    bytes_of_face = sample(10).embedding.tobytes()

    def found() -> bool:
        return bytes_of_face in place.content()

    gallery.corrections.to_person("annas-1", "Berta", learn=True)
    assert found()
    gallery.people.forget("Berta")
    assert not found()
    assert gallery.corrections.undo().visit is None


@pytest.mark.parametrize("gone", ["the person", "the visits"])
def test_undoing_once_the_visit_is_gone_brings_back_no_stranger_without_a_visit(
    gallery: Gallery, gone: str
) -> None:
    newcomer = gallery.strangers.add([sample(50)], 5 * DAY)
    gallery.visits.save(Visit("newcomer-1", 5 * DAY, 5 * DAY + 5, visitor=newcomer), [sample(50)])
    gallery.corrections.to_person("newcomer-1", "Anna", learn=False)
    if gone == "the person":
        gallery.people.forget("Anna")
    else:
        gallery.visits.forget_before(6 * DAY)
    gallery.corrections.undo()
    assert [each.stranger_id for each in gallery.strangers.all()] == [1]
    assert axes(read_samples(gallery.file, MODEL).stranger_embeddings) == [30, 31]


def test_whoever_is_forgotten_leaves_no_face_that_a_correction_hid(gallery: Gallery) -> None:
    """The household said whose face it was: the stranger's samples of that visit were Anna's."""
    gallery.corrections.to_person("other-2", "Anna", learn=False)
    gallery.people.forget("Anna")
    gallery.corrections.undo()
    assert axes(read_samples(gallery.file, MODEL).stranger_embeddings) == [30]
    assert gallery.strangers.get(1).visits == 1


def test_a_negative_outlives_the_visit_and_the_stranger_that_time_takes(gallery: Gallery) -> None:
    gallery.corrections.to_stranger("annas-1", None)
    assert gallery.visits.forget_before(2 * DAY)[0] == ("annas-1",)
    assert [each.stranger_id for each in gallery.strangers.all()] == [1, 2]
    (old,) = gallery.strangers.forget_before(2 * DAY)
    assert old.visitor.label == "stranger-2"
    assert negatives(gallery) == [("Anna", 10)]
    assert gallery.corrections.undo().visit is None
    assert negatives(gallery) == []


def test_a_stranger_forgotten_by_hand_leaves_no_negative(gallery: Gallery) -> None:
    gallery.corrections.to_stranger("annas-1", None)
    gallery.strangers.forget(2)
    assert negatives(gallery) == []


def test_a_stranger_hidden_by_a_correction_is_forgotten_in_time(gallery: Gallery) -> None:
    gallery.corrections.to_person("other-1", "Anna", learn=False)
    gallery.corrections.to_person("other-2", "Anna", learn=False)
    (hidden,) = gallery.strangers.forget_before(9 * DAY)
    assert (hidden.visitor.label, hidden.samples) == ("stranger-1", 2)
    restored = gallery.corrections.undo()
    assert restored.visit
    assert restored.visit.visitor is None


def test_visits_are_forgotten_with_their_samples(gallery: Gallery, place: Place) -> None:
    assert gallery.visits.forget_before(3 * DAY)[0] == ("annas-1", "other-1")
    assert gallery.visits.samples("annas-1") == []
    assert sample(10).embedding.tobytes() not in place.content()
    assert gallery.strangers.get(1).visits == 2
    assert gallery.visits.forget_before(3 * DAY) == ((), ())


def test_a_visit_is_found_by_what_people_type(gallery: Gallery) -> None:
    assert gallery.visits.find("last").visit_id == "nobody-1"
    assert gallery.visits.find("ANNA").visit_id == "annas-1"
    assert gallery.visits.find("other-2").visit_id == "other-2"
    with pytest.raises(UsageError, match="2 visits begin with 'othe': other-1, other-2"):
        gallery.visits.find("othe")
    for wrong in ("ann", "", "xxxx", "annas-1 "):
        with pytest.raises(UsageError, match="no visit is called"):
            gallery.visits.find(wrong)
    with pytest.raises(UnknownPersonError, match="did you mean Anna"):
        gallery.corrections.to_person("annas-1", "Ana", learn=False)
    with pytest.raises(UsageError, match="there is no visit x"):
        gallery.corrections.to_no_face("x")


def test_strangers_are_merged_under_the_older_identifier(gallery: Gallery) -> None:
    gallery.strangers.add([sample(60)], 9 * DAY)
    gallery.visits.save(Visit("other-3", 9 * DAY, 9 * DAY + 5, visitor=gallery.strangers.get(2)))
    assert gallery.strangers.merge(2, 1) == Stranger(1, 2 * DAY, 9 * DAY, 3, visits_week=2)
    assert axes(read_samples(gallery.file, MODEL).stranger_embeddings) == [30, 31, 60]
    visits = gallery.visits.newest(9, stranger_id=1)
    assert [each.visit_id for each in visits] == ["other-3", "other-2", "other-1"]
    with pytest.raises(UnknownStrangerError):
        gallery.strangers.merge(1, 2)
    with pytest.raises(UsageError, match="into itself"):
        gallery.strangers.merge(1, 1)


def test_who_was_at_the_door_at_the_same_time_is_known(gallery: Gallery) -> None:
    other = gallery.strangers.add([sample(60)], 3 * DAY + 4)
    assert not gallery.strangers.seen_together(1, 2)
    gallery.visits.save(Visit("other-3", 3 * DAY + 4, 3 * DAY + 9, visitor=other))
    assert gallery.strangers.seen_together(1, 2)
    assert gallery.strangers.seen_together(2, 1)


@pytest.mark.parametrize(("begins", "lasts"), [(2, 0.5), (4.5, 5), (-4, 4.5)])
def test_a_moment_at_the_same_time_may_be_two_tracks_of_one_face(
    gallery: Gallery, begins: float, lasts: float
) -> None:
    """The first is there from the first to the fifth second."""
    other = gallery.strangers.add([sample(60)], 3 * DAY)
    started_at = 3 * DAY + begins
    gallery.visits.save(Visit("other-3", started_at, started_at + lasts, visitor=other))
    assert not gallery.strangers.seen_together(1, 2)


def test_visits_of_a_week_are_counted_with_the_present_one(gallery: Gallery) -> None:
    assert gallery.strangers.get(1).visits_week == 2
    for day, week in ((5, 3), (10.5, 2), (30, 1)):
        stranger = gallery.strangers.note_visit(1, day * DAY, [])
        assert stranger.visits_week == week
        gallery.visits.save(Visit(f"day-{day}", day * DAY, day * DAY + 5, visitor=stranger))
        assert gallery.strangers.get(1) == stranger
    assert stranger.visits == 5


def test_a_gallery_of_the_first_version_is_migrated_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        for statement in MIGRATIONS[0]:
            connection.execute(statement)
        connection.execute("PRAGMA user_version = 1")
        vector = sample(1).embedding.astype("<f4").tobytes()
        connection.execute("INSERT INTO people (name, name_key) VALUES ('Anna', 'anna')")
        connection.execute("INSERT INTO strangers VALUES (1, 1.0, 2.0, 3)")
        connection.execute(
            "INSERT INTO samples VALUES (1, 1, NULL, ?, ?, 0.5, 'sha')", (MODEL, vector)
        )
        connection.execute(
            "INSERT INTO samples VALUES (2, NULL, 1, ?, ?, 0.5, NULL)", (MODEL, vector)
        )
        connection.execute(
            "INSERT INTO visits VALUES ('visit', 1.0, 2.0, 2.0, 1, NULL, 0.7, 5, 0.5)"
        )
        connection.commit()
    with Gallery.open(path) as gallery:
        anna = Person(1, "Anna", earlier_subtype="Anna")
        assert gallery.people.all() == [anna]
        assert gallery.strangers.all() == [Stranger(1, 1.0, 2.0, 3)]
        assert gallery.visits.newest(9) == [Visit("visit", 1.0, 2.0, 2.0, anna, 0.7, 5, 0.5)]
        templates = read_samples(gallery.file, MODEL)
        assert axes(templates.person_embeddings) == axes(templates.stranger_embeddings) == [1]
        assert (
            templates.negative_embeddings.shape == templates.non_face_embeddings.shape == (0, 128)
        )
        gallery.corrections.to_no_face("visit")
        gallery.corrections.undo()
        assert gallery.visits.newest(9, name="Anna")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
