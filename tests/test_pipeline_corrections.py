"""What the household says of visits, heeded at the door: real models, portraits, two processes."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from doorstep import NOW, Door, at_the_door, enroll, kinds

from doorbell.config import RecognitionSection, load_config
from doorbell.domain import (
    Arrived,
    FaceSample,
    Left,
    Person,
    Recognized,
    Ring,
    Stranger,
    UInt8Array,
    Unknown,
    Visit,
)
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.queries import MAX_VISIT_SAMPLES
from doorbell.household.corrections import stranger_of_visit
from doorbell.household.strangers import MERGE_MARGIN, merge_alike
from doorbell.models.store import face_path
from doorbell.pipeline.perception import Perception

CONFIG = load_config(None, ["visits.absence_seconds=1", "visits.cooldown_seconds=0"])
NEEDED = CONFIG.recognition.stranger_similarity + MERGE_MARGIN
ANNA, BERTA = Person(1, "Anna"), Person(2, "Berta")


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    """The command line's."""
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        yield gallery


@pytest.fixture
def door(perception: Perception, tmp_path: Path) -> Iterator[Door]:
    """The daemon's, with its own view of the gallery."""
    with Gallery.open(tmp_path / "gallery.sqlite") as of_daemon:
        yield Door(perception, of_daemon, CONFIG)


@pytest.fixture(scope="module")
def visitor(models_directory: Path) -> UInt8Array:
    return at_the_door("obama", models_directory)


@pytest.fixture
def mistaken(perception: Perception, gallery: Gallery, models_directory: Path) -> None:
    """Anna is enrolled with a photo by which the visitor is taken for her; Berta is another."""
    enroll(perception, gallery, face_path("obama2", models_directory), "Anna")
    enroll(perception, gallery, face_path("biden", models_directory), "Berta")


@pytest.mark.usefixtures("mistaken")
def test_a_wrong_name_is_not_given_again_until_the_correction_is_undone(
    door: Door, gallery: Gallery, visitor: UInt8Array
) -> None:
    assert kinds(door.see(visitor)) == [Arrived, Recognized, Ring]
    visit = gallery.visits.find("last")
    assert visit.visitor == ANNA
    assert 0 < len(gallery.visits.samples(visit.visit_id)) <= MAX_VISIT_SAMPLES

    # While the visitor is still there.
    assert stranger_of_visit(gallery, visit.visit_id, CONFIG.recognition) is None
    gallery.corrections.to_stranger(visit.visit_id, None)
    [left] = [*door.see(visitor), *door.see(seconds=1.5)]
    assert isinstance(left, Left)
    assert isinstance(left.visit.visitor, Stranger)
    assert gallery.visits.get(visit.visit_id).visitor == gallery.strangers.get(1)

    again = door.see(visitor, seconds=2.5)
    assert kinds(again) == [Arrived, Unknown, Ring]
    assert again[1].visit
    assert again[1].visit.visitor == gallery.strangers.get(1)
    assert gallery.strangers.get(1).visits == 2
    last = gallery.visits.find("last").visit_id
    assert stranger_of_visit(gallery, last, CONFIG.recognition) == gallery.strangers.get(1)
    door.see(seconds=1.5)

    gallery.corrections.undo()
    named = door.see(visitor)
    assert kinds(named) == [Arrived, Recognized, Ring]
    assert named[1].visit
    assert named[1].visit.visitor == ANNA


@pytest.mark.usefixtures("mistaken")
def test_the_right_name_holds_for_the_visit_and_is_learned_when_told(
    door: Door, gallery: Gallery, visitor: UInt8Array
) -> None:
    door.see(visitor)
    visit = gallery.visits.find("last")
    gallery.corrections.to_person(visit.visit_id, "Berta", learn=True)
    [left] = [*door.see(visitor), *door.pipeline.finish(NOW)]
    assert left.visit
    assert (left.visit.visitor, left.visit.corrected) == (BERTA, True)
    assert gallery.visits.get(visit.visit_id).visitor == BERTA
    door.see(seconds=1.5)
    named = [event for event in door.see(visitor) if isinstance(event, Recognized)]
    assert [event.visit.visitor for event in named] == [BERTA]


def test_a_correction_undone_while_the_visit_goes_on_is_undone_for_it(
    door: Door,
    gallery: Gallery,
    visitor: UInt8Array,
    perception: Perception,
    models_directory: Path,
) -> None:
    enroll(perception, gallery, face_path("biden", models_directory), "Anna")
    door.see(visitor)
    visit = gallery.visits.find("last")
    gallery.corrections.to_person(visit.visit_id, "Anna", learn=False)
    door.see(visitor, seconds=0.3)
    assert [each.visitor for each in door.pipeline.open_visits] == [ANNA]
    gallery.corrections.undo()
    [left] = [*door.see(visitor, seconds=0.3), *door.pipeline.finish(NOW)]
    assert left.visit
    assert (left.visit.visitor, left.visit.corrected) == (gallery.strangers.get(1), False)


def test_who_is_merged_while_at_the_door_stays_who_that_is(
    door: Door, gallery: Gallery, perception: Perception, models_directory: Path
) -> None:
    enroll(perception, gallery, face_path("biden", models_directory), "Joe")
    enroll(perception, gallery, face_path("obama2", models_directory), "Joseph")
    assert kinds(door.see(at_the_door("biden", models_directory))) == [Arrived, Recognized, Ring]
    joseph = gallery.people.merge("Joe", "Joseph")
    [left] = door.see(seconds=1.5)
    assert isinstance(left, Left)
    assert left.visit.visitor == joseph
    assert gallery.visits.find("last").visitor == joseph
    assert gallery.strangers.all() == []


def test_what_is_no_face_rings_no_more_until_that_is_undone(
    door: Door, gallery: Gallery, visitor: UInt8Array
) -> None:
    assert kinds(door.see(visitor)) == [Arrived, Unknown, Ring]
    gallery.corrections.to_no_face(gallery.visits.find("last").visit_id)
    assert kinds(door.see(visitor, seconds=2.0)) == [Left]
    assert door.see(visitor, seconds=3.0) == []
    assert gallery.visits.newest(9) == []
    assert gallery.strangers.all() == []
    gallery.corrections.undo()
    assert kinds(door.see(visitor)) == [Arrived, Unknown, Ring]
    assert gallery.strangers.get(1).visits == 2


def test_somebody_else_is_not_taken_for_what_is_no_face(
    door: Door, gallery: Gallery, visitor: UInt8Array, models_directory: Path
) -> None:
    door.see(visitor)
    gallery.corrections.to_no_face(gallery.visits.find("last").visit_id)
    door.see(seconds=1.5)
    other = at_the_door("biden", models_directory)
    assert kinds(door.see(visitor, other)) == [Arrived, Unknown, Ring]


def face(similarity: float, model_id: str) -> FaceSample:
    """A sample of that cosine with ``face(1)``."""
    embedding = np.zeros(128, np.float32)
    embedding[:2] = similarity, (1 - similarity**2) ** 0.5
    return FaceSample(embedding, model_id, 0.5)


@pytest.mark.parametrize(
    ("similarity", "at", "merged"),
    [(NEEDED + 0.02, 50.0, True), (NEEDED - 0.02, 50.0, False), (NEEDED + 0.02, 3.0, False)],
    ids=["alike", "not alike enough", "seen at the same time"],
)
def test_strangers_who_are_one_are_merged_and_never_two_seen_together(
    gallery: Gallery,
    perception: Perception,
    *,
    similarity: float,
    at: float,
    merged: bool,
) -> None:
    for likeness, start in ((1.0, 0.0), (similarity, at)):
        stranger = gallery.strangers.add([face(likeness, perception.model_id)], start)
        visit = Visit(f"visit-{start}", start, start + 9, visitor=stranger)
        gallery.visits.save(visit)
    templates = partial(gallery.templates, perception.model_id)
    list(merge_alike(gallery, templates, RecognitionSection()))
    assert [each.stranger_id for each in gallery.strangers.all()] == ([1] if merged else [1, 2])
    assert gallery.strangers.get(1).visits == (2 if merged else 1)
