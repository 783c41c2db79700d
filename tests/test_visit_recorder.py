"""The gallery's side of the door, with a gallery that another process holds, or that is gone."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from galleries import InFile, Place

from doorbell.domain import FaceSample, Stranger, Visit
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.pipeline.visit_recorder import WRITES_KEPT, VisitRecorder

NOW = 1_700_000_000.0
MODEL = "test"


def sample(identity: int) -> FaceSample:
    return FaceSample(np.eye(128, dtype=np.float32)[identity], MODEL, 0.5)


def visit(name: str, visitor: Stranger | None = None) -> Visit:
    return Visit(name, NOW, NOW + 5, visitor=visitor)


@pytest.fixture
def gallery(place: Place) -> Iterator[Gallery]:
    with place.open() as gallery:
        gallery.wait_at_most(0.01)
        yield gallery


@contextmanager
def locked(place: Place) -> Iterator[None]:
    """Somebody else writes and does not come to an end."""
    with place.open() as other, other.file.writing():
        yield


def test_a_new_stranger_gets_an_identifier_and_what_was_saved_once_the_gallery_answers(
    gallery: Gallery, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    before = gallery.strangers.add([sample(0)], NOW - 99)
    book = VisitRecorder(gallery, MODEL)
    caplog.set_level(logging.INFO)
    with locked(place):
        newcomer = book.introduce(None, [sample(1)], NOW)
        book.save(visit("v1", newcomer), [sample(1)])
        other = book.introduce(None, [sample(2)], NOW)
        book.save(visit("v2", other), [sample(2)])
        assert newcomer.stranger_id < 0
        assert newcomer.stranger_id != other.stranger_id
        assert newcomer.label.startswith("new-stranger-")
        assert book.problem is not None
        assert "locked" in book.problem
        assert book.catch_up() == {}
        assert [each.stranger_id for each in book.templates().strangers] == [before.stranger_id]
    identified = book.catch_up()
    assert [each.stranger_id for each in identified.values()] == [2, 3]
    assert list(identified) == [newcomer.stranger_id, other.stranger_id]
    assert book.problem is None
    assert [each.label for each in book.templates().strangers] == [
        "stranger-1",
        "stranger-2",
        "stranger-3",
    ]
    labels = {v.visit_id: v.visitor.label for v in gallery.visits.newest(9) if v.visitor}
    assert labels == {"v1": "stranger-2", "v2": "stranger-3"}
    said = [record.levelname for record in caplog.records if "gallery" in record.message]
    assert said == ["ERROR", "INFO"]


def test_a_stranger_met_before_keeps_the_identifier_and_the_visit_is_counted_later(
    gallery: Gallery, place: Place
) -> None:
    known = gallery.strangers.add([sample(0)], NOW - 99)
    book = VisitRecorder(gallery, MODEL)
    with locked(place):
        met = book.introduce(known, [sample(0)], NOW)
        assert (met.stranger_id, met.visits, met.last_seen_at) == (1, 2, NOW)
        assert gallery.strangers.get(1).visits == 1
    book.catch_up()
    assert (gallery.strangers.get(1).visits, gallery.strangers.get(1).last_seen_at) == (2, NOW)


def test_a_new_stranger_who_was_none_leaves_nothing_behind(gallery: Gallery, place: Place) -> None:
    anna = gallery.people.enroll("Anna", [EnrolledSample(sample(0))]).person
    book = VisitRecorder(gallery, MODEL)
    with locked(place):
        newcomer = book.introduce(None, [sample(1)], NOW)
        book.save(visit("v1", newcomer))
        book.save(Visit("v1", NOW, NOW + 6, visitor=anna))
        book.withdraw(newcomer)
    book.catch_up()
    assert gallery.strangers.all() == []
    [kept] = gallery.visits.newest(9)
    assert (kept.visitor, kept.last_seen_at) == (anna, NOW + 6)


def test_what_waits_brings_no_face_back_of_who_was_forgotten_meanwhile(
    gallery: Gallery, place: Place
) -> None:
    anna = gallery.people.enroll("Anna", [EnrolledSample(sample(0))]).person
    book = VisitRecorder(gallery, MODEL)
    with locked(place):
        book.save(Visit("v1", NOW, NOW + 6, visitor=anna), [sample(0)])
    gallery.people.forget("Anna")
    book.catch_up()
    assert gallery.visits.missing(["v1"]) == {"v1"}
    assert gallery.visits.samples("v1") == []


def test_what_waits_is_bounded_and_the_oldest_goes(
    gallery: Gallery, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    book = VisitRecorder(gallery, MODEL)
    with locked(place):
        for number in range(WRITES_KEPT + 3):
            book.save(visit(f"v{number}"))
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    book.catch_up()
    kept = {each.visit_id for each in gallery.visits.newest(9999)}
    assert kept == {f"v{number}" for number in range(3, WRITES_KEPT + 3)}


def test_a_gallery_that_was_deleted_is_a_problem_and_no_end(tmp_path: Path) -> None:
    place = InFile(tmp_path)
    gallery = place.open()
    gallery.strangers.add([sample(0)], NOW)
    book = VisitRecorder(gallery, MODEL)
    place.path.unlink()
    assert [each.label for each in book.templates().strangers] == ["stranger-1"]
    assert book.visit("v1") is None
    assert book.introduce(None, [sample(1)], NOW).stranger_id < 0
    assert book.catch_up() == {}
    assert book.problem is not None
    assert "deleted or replaced" in book.problem
    gallery.close()
