import logging
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from all_samples import read_samples
from galleries import Place

from doorbell.domain import FaceSample, Person, Stranger, Visit
from doorbell.errors import (
    EnrollmentError,
    GalleryError,
    InvalidNameError,
    UnknownPersonError,
    UnknownStrangerError,
    UsageError,
)
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.gallery.queries import MAX_STRANGER_SAMPLES

MODEL = "sface-test"


def sample(seed: int, *, quality: float = 0.5, model_id: str = MODEL) -> FaceSample:
    direction = np.random.default_rng(seed).normal(size=128)
    embedding = (direction / np.linalg.norm(direction)).astype(np.float32)
    return FaceSample(embedding, model_id, quality)


def photo(seed: int) -> EnrolledSample:
    return EnrolledSample(sample(seed), f"{seed:064x}")


def test_enrolls_a_person_and_keeps_them_over_a_restart(place: Place) -> None:
    with place.open() as gallery:
        outcome = gallery.people.enroll("  Anna ", [photo(1), photo(2)])
    with place.open() as gallery:
        assert gallery.people.all() == [outcome.person] == [Person(1, "Anna")]
        assert (outcome.added, outcome.duplicates) == (2, ())
        stored = read_samples(gallery.file, MODEL).person_embeddings
    np.testing.assert_array_equal(stored, [sample(1).embedding, sample(2).embedding])


def test_the_same_photo_is_stored_once_for_one_person_and_again_for_another(
    gallery: Gallery,
) -> None:
    gallery.people.enroll("Anna", [photo(1)])
    outcome = gallery.people.enroll("ANNA", [photo(2), photo(1), photo(2)])
    assert outcome.added == 1
    assert outcome.duplicates == (photo(1).source_sha256, photo(2).source_sha256)
    assert gallery.people.enroll("Berta", [photo(1)]).added == 1
    assert [each.samples for each in gallery.people.summaries()] == [2, 1]


def test_live_frames_and_another_embedder_are_never_duplicates(gallery: Gallery) -> None:
    gallery.people.enroll("Anna", [photo(1), EnrolledSample(sample(3)), EnrolledSample(sample(3))])
    other = EnrolledSample(sample(1, model_id="sface-2"), photo(1).source_sha256)
    assert gallery.people.enroll("Anna", [other]).added == 1
    assert len(read_samples(gallery.file, MODEL).person_embeddings) == 3
    assert len(read_samples(gallery.file, "sface-2").person_embeddings) == 1


def test_an_enrollment_with_one_bad_sample_stores_nothing(gallery: Gallery) -> None:
    bad = EnrolledSample(FaceSample(np.zeros(128, np.float32), MODEL, 0.5))
    with pytest.raises(GalleryError, match="length 0"):
        gallery.people.enroll("Anna", [photo(1), bad])
    assert gallery.people.all() == []
    with pytest.raises(EnrollmentError, match="no face"):
        gallery.people.enroll("Anna", [])


@pytest.mark.parametrize(
    ("embedding", "quality", "message"),
    [
        (np.full(64, 0.125, np.float32), 0.5, r"shape \(64,\)"),
        (np.full((1, 128), 1 / np.sqrt(128), np.float32), 0.5, "shape"),
        (np.full(128, 1 / np.sqrt(128), np.float64), 0.5, "float64"),
        (np.full(128, np.nan, np.float32), 0.5, "length nan"),
        (np.full(128, np.inf, np.float32), 0.5, "length inf"),
        (np.full(128, 1.0, np.float32), 0.5, "length 11.3"),
        (np.full(128, 1 / np.sqrt(128), np.float32), 1.5, "quality 1.5"),
        (np.full(128, 1 / np.sqrt(128), np.float32), float("nan"), "quality nan"),
    ],
)
def test_what_is_no_embedding_is_refused(
    gallery: Gallery, embedding: np.ndarray, quality: float, message: str
) -> None:
    with pytest.raises(GalleryError, match=message):
        gallery.people.enroll("Anna", [EnrolledSample(FaceSample(embedding, MODEL, quality))])


@pytest.mark.parametrize("name", ["Ægir", "李小龍", "👩‍👧 Mama", "عائشة", "Zoë", "x" * 100])
def test_names_of_any_script_stay_as_they_are(gallery: Gallery, name: str) -> None:
    assert gallery.people.enroll(f" {name}\n", [photo(1)]).person.name == name
    assert gallery.people.get(name.upper()).name == name


def test_two_spellings_of_one_name_are_one_person(gallery: Gallery) -> None:
    composed = gallery.people.enroll("Zo\u00eb", [photo(1)]).person
    assert gallery.people.enroll("zoe\u0308", [photo(2)]).person == composed


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "empty"),
        (" \t\n", "empty"),
        ("\u200b\u200d", "empty"),
        ("y" * 101, "101 characters"),
        ("An\x00na", r"U\+0000"),
        ("An\x1b[31mna", r"U\+001B"),
        ("An\u2028na", r"U\+2028"),
        ("An\u202ena", r"U\+202E"),
        ("An\udcffna", r"U\+DCFF"),
        ("Stranger-7", "stranger"),
    ],
)
def test_names_that_cannot_be_shown_are_refused(gallery: Gallery, name: str, message: str) -> None:
    with pytest.raises(InvalidNameError, match=message):
        gallery.people.enroll(name, [photo(1)])
    assert gallery.people.all() == []


def test_an_unknown_person_is_answered_with_the_nearest_names(gallery: Gallery) -> None:
    gallery.people.enroll("Anna", [photo(1)])
    gallery.people.enroll("Berta", [photo(2)])
    with pytest.raises(UnknownPersonError, match="did you mean Anna\\?"):
        gallery.people.forget("ana")
    with pytest.raises(UnknownPersonError, match="doorbell people list"):
        gallery.people.get("Zygmunt")
    with pytest.raises(UnknownPersonError):
        gallery.people.get("An\udcffna")


def test_renames_and_refuses_a_name_that_is_taken(gallery: Gallery) -> None:
    anna = gallery.people.enroll("Anna", [photo(1)]).person
    gallery.people.enroll("Berta", [photo(2)])
    assert gallery.people.rename("anna", "ANNA") == Person(anna.person_id, "ANNA")
    with pytest.raises(UsageError, match="doorbell people merge 'ANNA' 'Berta'"):
        gallery.people.rename("Anna", "berta")
    with pytest.raises(InvalidNameError):
        gallery.people.rename("Anna", " ")
    assert [each.name for each in gallery.people.all()] == ["ANNA", "Berta"]


def test_merges_samples_visits_chime_and_preferences(gallery: Gallery) -> None:
    twice = gallery.people.enroll("Ann", [photo(1), photo(2)]).person
    anna = gallery.people.enroll("Anna", [photo(2), photo(3)]).person
    gallery.people.set_chime("Ann", "bird")
    gallery.people.set_preferences("Ann", {"tv": "on", "scene": 1})
    gallery.people.set_preferences("Anna", {"scene": 2})
    gallery.visits.save(Visit("v1", 1.0, 2.0, visitor=twice))
    merged = gallery.people.merge("Ann", "Anna")
    assert merged == Person(anna.person_id, "Anna", "bird", {"tv": "on", "scene": 2})
    (summary,) = gallery.people.summaries()
    assert (summary.person, summary.samples, summary.visits) == (merged, 3, 1)
    with pytest.raises(UsageError, match="same person"):
        gallery.people.merge("Anna", "anna")


def test_forgetting_deletes_samples_and_visits_and_says_which(gallery: Gallery) -> None:
    anna = gallery.people.enroll("Anna", [photo(1), photo(2)]).person
    berta = gallery.people.enroll("Berta", [photo(3)]).person
    gallery.visits.save(Visit("v1", 1.0, 2.0, visitor=anna))
    gallery.visits.save(Visit("v2", 3.0, 4.0, visitor=berta))
    forgotten = gallery.people.forget("Anna")
    assert (forgotten.visitor, forgotten.samples, forgotten.visit_ids) == (anna, 2, ("v1",))
    assert [visit.visit_id for visit in gallery.visits.newest(10)] == ["v2"]
    assert gallery.templates(MODEL).people == (berta,)
    again = gallery.people.enroll("Anna", [photo(1)]).person
    assert again.person_id not in (anna.person_id, berta.person_id)


def test_what_is_forgotten_is_in_no_file_any_more(tmp_path: Path) -> None:
    path = tmp_path / "gallery.sqlite"
    bytes_of_face = sample(1).embedding.tobytes()

    def found() -> bool:
        return any(bytes_of_face in each.read_bytes() for each in path.parent.iterdir())

    with Gallery.open(path) as gallery, Gallery.open(path) as daemon:
        gallery.people.enroll("Anna", [photo(1)])
        gallery.people.enroll("Berta", [photo(2)])
        daemon.templates(MODEL)
        assert found()
        gallery.people.forget("Anna")
        assert not found()
        stranger = gallery.strangers.add([sample(1)], 1.0)
        assert found()
        gallery.strangers.forget(stranger.stranger_id)
        assert not found()


def test_a_reader_that_keeps_old_pages_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "gallery.sqlite"
    with Gallery.open(path) as gallery, closing(sqlite3.connect(path)) as reader:
        gallery.people.enroll("Anna", [photo(1)])
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM samples").fetchone()
        with caplog.at_level(logging.WARNING):
            gallery.people.forget("Anna")
    assert "in use by another process" in caplog.text


def test_chimes_and_preferences(gallery: Gallery) -> None:
    gallery.people.enroll("Anna", [photo(1)])
    assert gallery.people.set_chime("anna", "bird").chime == "bird"
    assert gallery.people.set_chime("anna", None).chime is None
    wishes = {"tv": {"source": "HDMI 1"}, "lights": [1, 2.5, None, "ö"]}
    assert gallery.people.set_preferences("Anna", wishes).preferences == wishes
    for no_json in ({"tv": {1, 2}}, {"tv": float("nan")}, {"tv": "\ud800"}):
        with pytest.raises(UsageError, match="not JSON"):
            gallery.people.set_preferences("Anna", no_json)
    assert gallery.people.get("Anna").preferences == wishes


def test_a_stranger_is_counted_and_the_best_samples_are_kept(gallery: Gallery) -> None:
    first = gallery.strangers.add([sample(1, quality=0.1)], 100.0)
    assert first == Stranger(1, 100.0, 100.0, 1)
    better = [sample(2 + i, quality=0.5) for i in range(MAX_STRANGER_SAMPLES)]
    again = gallery.strangers.note_visit(1, 200.0, better)
    assert again == gallery.strangers.get(1) == Stranger(1, 100.0, 200.0, 2)
    kept = read_samples(gallery.file, MODEL)
    np.testing.assert_array_equal(kept.stranger_embeddings, [each.embedding for each in better])
    assert kept.strangers == (again,)
    with pytest.raises(UnknownStrangerError, match="no stranger-9"):
        gallery.strangers.note_visit(9, 1.0, [])


@pytest.mark.parametrize("enrolled_before", [False, True])
def test_naming_a_stranger_moves_samples_and_visits(
    gallery: Gallery, enrolled_before: bool
) -> None:
    if enrolled_before:
        gallery.people.enroll("Anna", [photo(9)])
    stranger = gallery.strangers.add([sample(1), sample(2)], 100.0)
    gallery.visits.save(Visit("v1", 100.0, 110.0, visitor=stranger))
    anna = gallery.strangers.name(stranger.stranger_id, "Anna")
    assert gallery.strangers.all() == []
    assert gallery.visits.newest(10) == [Visit("v1", 100.0, 110.0, visitor=anna)]
    (summary,) = gallery.people.summaries()
    assert (summary.samples, summary.visits) == (2 + enrolled_before, 1)
    assert summary.last_seen_at == 110.0


def test_strangers_not_seen_for_long_are_forgotten_with_their_visits(gallery: Gallery) -> None:
    old, recent = (
        gallery.strangers.add([sample(1)], 100.0),
        gallery.strangers.add([sample(2)], 200.0),
    )
    gallery.visits.save(Visit("v1", 100.0, 110.0, visitor=old))
    (forgotten,) = gallery.strangers.forget_before(200.0)
    assert (forgotten.visitor, forgotten.samples, forgotten.visit_ids) == (old, 1, ("v1",))
    assert gallery.strangers.all() == [recent]
    assert gallery.strangers.forget_before(200.0) == []


def test_templates_are_brought_up_to_date_where_the_gallery_changed(place: Place) -> None:
    with place.open() as daemon, place.open() as command_line:
        daemon.people.enroll("Anna", [photo(1)])
        templates = daemon.templates(MODEL)
        before = templates.revision
        daemon.visits.save(Visit("v1", 1.0, 2.0))
        assert daemon.templates(MODEL) is templates
        assert templates.revision == before
        daemon.people.enroll("Ben", [photo(2)])
        assert daemon.templates(MODEL).enrolled == 2
        own = templates.revision
        assert own != before
        command_line.people.set_chime("Anna", "bird")
        assert daemon.templates(MODEL).people[0].chime == "bird"
        assert templates.revision != own


def test_another_thread_is_refused(gallery: Gallery) -> None:
    refused = []

    def use() -> None:
        try:
            gallery.people.all()
        except GalleryError as error:
            refused.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert len(refused) == 1


def test_a_closed_gallery_says_so_and_closes_twice(gallery: Gallery) -> None:
    gallery.close()
    gallery.close()
    with pytest.raises(GalleryError, match="closed"):
        gallery.templates(MODEL)
