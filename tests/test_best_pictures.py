"""Whose pictures are made."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest

from doorbell.domain import (
    Body,
    Face,
    FaceSample,
    Float32Array,
    Frame,
    Match,
    Person,
    Stranger,
    Track,
    UInt8Array,
    Verdict,
    Visit,
    Visitor,
)
from doorbell.imaging.visit_picture import draw_picture
from doorbell.pipeline.best_pictures import OWN_SIMILARITY, PERSON_SIMILARITY, VisitPictures, Whose
from doorbell.visits.observation import Observation, Sightings
from doorbell.visits.open_visit import OpenVisit

NOW = 1_700_000_000.0
ANNA, BELA, POSTMAN = Person(1, "Anna"), Person(2, "Béla"), Stranger(7, NOW, NOW, 1)
PIXELS = np.full((200, 400, 3), (200, 40, 40), np.uint8)
OTHER_PIXELS = np.full((200, 400, 3), (40, 40, 200), np.uint8)
WITHIN_FACES = {1: (100, 80), 2: (100, 320)}  # row and column, away from what is drawn


def track(number: int, grown: float = 1.0) -> Track:
    row, column = WITHIN_FACES[number]
    half = 30 * grown
    box = np.array([column - half, row - half, column + half, row + half], np.float32)
    keypoints = np.tile(np.array([[column + 20, row + 20]], np.float32), (6, 1))
    return Track(number, Face(box, keypoints, 0.9), 0.0, 0.0, 5)


def looks(degrees: float) -> Float32Array:
    """A face whose cosine with that of another angle is the cosine of the difference."""
    vector = np.zeros(128, np.float32)
    vector[:2] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return vector


def degrees(similarity: float) -> float:
    return float(np.degrees(np.arccos(similarity)))


OF = {1: 0.0, 2: 90.0}  # what Anna and Béla look like


def similarity(person: Person, sample: FaceSample) -> float:
    return float(looks(OF[person.person_id]) @ sample.embedding)


class Porch:
    """Visits in sight, each with the track of its number."""

    def __init__(self, whose: Whose, bodies: Sequence[Body] = ()) -> None:
        self.pictures = VisitPictures(whose, similarity, lambda _pixels: bodies)
        self.visits: dict[int, OpenVisit] = {}
        self.pixels = PIXELS

    def comes(self, number: int, visitor: Visitor | None, named_by: float | None = None) -> Visit:
        visit = Visit(f"v{number}", NOW, NOW, visitor=visitor)
        self.visits[number] = OpenVisit(visit, 0.0, 0.0, {number: Sightings()})
        if named_by is not None:
            self.visits[number].named_by = looks(named_by)
        return visit

    def names(self, number: int, visitor: Visitor, *, corrected: bool = False) -> Visit:
        entry = self.visits[number]
        entry.visit = replace(entry.visit, visitor=visitor, corrected=corrected)
        return entry.visit

    def see(
        self,
        faces: Mapping[int, float | None],
        others: Sequence[Face] = (),
        quality: float = 0.5,
        grown: float = 1.0,
        figures: Mapping[int, Body] | None = None,
    ) -> None:
        """One frame: what the face of each track looks like; None where it is too poor."""
        seen = []
        for number, angle in faces.items():
            sample = None if angle is None else FaceSample(looks(angle), "test", quality)
            match = Match(Verdict.UNDECIDED, None, 0.0, 0)
            observation = Observation(track(number, grown), match, None, sample=sample)
            seen.append((observation, self.visits.get(number)))
        for number, body in (figures or {}).items():
            self.visits[number].body = body
        entries = [self.visits[number] for number in figures or {}]
        self.pictures.see(Frame(self.pixels, 0.0, NOW, 0), seen, others, entries)

    def draw(self, number: int, visit: Visit | None = None) -> bytes | None:
        """What people are shown."""
        entry = self.visits[number]
        taken = self.pictures.take(entry, visit or entry.visit)
        return None if taken is None else draw_picture(taken)


def is_as_seen(jpeg: bytes | None, place: tuple[int, int]) -> bool:
    """Whether a place (row, column) of a picture is as the camera saw it."""
    assert jpeg is not None
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    rgb: UInt8Array = np.asarray(decoded[..., ::-1], np.uint8)
    found = rgb[place].astype(int)
    return bool(np.abs(found - PIXELS[0, 0].astype(int)).max() < 30)


def shown(jpeg: bytes | None, number: int) -> bool:
    """Whether a face is as the camera saw it."""
    return is_as_seen(jpeg, WITHIN_FACES[number])


def test_pictures_of_all_show_everybody() -> None:
    porch = Porch("all")
    porch.comes(1, ANNA, 0.0)
    porch.comes(2, POSTMAN, 180.0)
    porch.see({1: 0.0, 2: 180.0})
    for number in (1, 2):
        drawn = porch.draw(number)
        assert shown(drawn, 1)
        assert shown(drawn, 2)
    assert porch.pictures.take_latest(NOW + 1, []) is not None


def test_pictures_of_people_show_them_and_paint_over_every_other_face() -> None:
    porch = Porch("people")
    porch.comes(1, ANNA, 0.0)
    porch.comes(2, POSTMAN, 180.0)
    porch.see({1: 0.0, 2: 180.0})
    drawn = porch.draw(1)
    assert shown(drawn, 1)
    assert not shown(drawn, 2)
    assert porch.draw(2) is None
    assert porch.draw(1, replace(porch.visits[1].visit, visitor=None)) is None  # not named yet
    assert porch.pictures.take_latest(NOW + 1, []) is None


def test_a_face_found_for_the_first_time_is_painted_over_too() -> None:
    porch = Porch("people")
    porch.comes(1, ANNA, 0.0)
    porch.see({1: 0.0}, [track(2).face])
    drawn = porch.draw(1)
    assert shown(drawn, 1)
    assert not shown(drawn, 2)


def test_pictures_of_nobody_are_not_made() -> None:
    porch = Porch("none")
    porch.comes(1, ANNA, 0.0)
    porch.see({1: 0.0})
    assert porch.draw(1) is None
    assert porch.pictures.take_latest(NOW + 1, []) is None


def test_with_privacy_on_no_picture_is_made_and_none_of_that_time_later() -> None:
    porch = Porch("all")
    porch.comes(1, ANNA, 0.0)
    porch.see({1: 0.0})
    porch.pictures.private = True
    assert porch.draw(1) is None
    assert porch.pictures.take_latest(NOW + 1, []) is None
    porch.comes(2, POSTMAN, 180.0)
    porch.see({2: 180.0})
    porch.pictures.private = False
    assert porch.draw(2) is None
    assert porch.pictures.take_latest(NOW + 1, []) is None
    porch.see({2: 180.0})
    assert shown(porch.draw(2), 2)


@pytest.mark.parametrize("whose", ["all", "people"])
@pytest.mark.parametrize(
    "impostor", [None, degrees(OWN_SIMILARITY - 0.02), -degrees(PERSON_SIMILARITY - 0.02)]
)
def test_a_better_frame_of_somebody_else_in_the_visitors_place_is_no_picture_of_hers(
    whose: Whose, impostor: float | None
) -> None:
    porch = Porch(whose)
    porch.comes(1, ANNA, 0.0)
    porch.see({1: 0.0})
    porch.pixels = OTHER_PIXELS
    porch.see({1: impostor}, quality=0.99)
    assert shown(porch.draw(1), 1)
    porch.see({1: degrees(OWN_SIMILARITY + 0.02)}, quality=0.99)
    assert not shown(porch.draw(1), 1)


def test_a_picture_from_before_she_was_named_goes_if_it_is_not_like_her() -> None:
    porch = Porch("all")
    porch.comes(1, None)
    porch.see({1: degrees(PERSON_SIMILARITY - 0.02)}, quality=0.99)
    assert porch.draw(1) is not None
    porch.names(1, ANNA)
    assert porch.draw(1) is None
    porch.see({1: None})
    assert porch.draw(1) is None
    porch.see({1: 5.0})
    assert porch.draw(1) is not None


def test_a_face_too_poor_to_compare_shows_who_is_not_named_and_nobody_else() -> None:
    porch = Porch("all")
    porch.comes(1, None)
    porch.see({1: None})
    assert porch.draw(1) is not None
    porch.names(1, POSTMAN)
    assert porch.draw(1) is None


def test_who_cannot_be_told_is_shown_in_the_frame_with_the_largest_face() -> None:
    porch = Porch("all")
    porch.comes(1, None)
    porch.see({1: None})
    porch.pixels = OTHER_PIXELS
    porch.see({1: None}, grown=1.1)
    assert shown(porch.draw(1), 1), "exchanged for hardly more"
    porch.see({1: None}, grown=1.5)
    assert not shown(porch.draw(1), 1)
    porch.pixels = PIXELS
    porch.see({1: 0.0}, quality=0.1)
    assert shown(porch.draw(1), 1), "a face that can be told is worth more than a larger one"
    porch.pixels = OTHER_PIXELS
    porch.see({1: None}, grown=9.0)
    assert shown(porch.draw(1), 1)


def test_of_people_who_cannot_be_told_no_picture_is_made() -> None:
    porch = Porch("people")
    porch.comes(1, None)
    porch.see({1: None})
    assert porch.draw(1) is None


def test_the_picture_of_a_visit_that_was_corrected_shows_who_was_there() -> None:
    porch = Porch("all")
    porch.comes(1, None, named_by=180.0)
    porch.names(1, ANNA, corrected=True)
    porch.see({1: 180.0})
    assert porch.draw(1) is not None


@pytest.mark.parametrize("beside", [None, 180.0])
def test_who_stands_beside_is_painted_over_unless_that_frame_shows_it_is_they(
    beside: float | None,
) -> None:
    porch = Porch("people")
    porch.comes(1, ANNA, 0.0)
    porch.comes(2, BELA, 90.0)
    porch.see({1: 0.0, 2: 90.0})
    assert shown(porch.draw(1), 2)
    porch.see({1: 0.0, 2: beside}, quality=0.99)
    assert not shown(porch.draw(1), 2)
    assert shown(porch.draw(2), 2)


def figure(number: int, grown: float = 1.0) -> Body:
    """Somebody whose head is where a track's face is."""
    row, column = WITHIN_FACES[number]
    half = 35 * grown
    box = np.array([column - half, row - half, column + half, row + 90 * grown], np.float32)
    return Body(box, 0.9)


def test_whoever_shows_no_face_is_shown_by_the_figure() -> None:
    porch = Porch("all")
    porch.comes(1, None)
    porch.see({}, figures={1: figure(1)})
    porch.pixels = OTHER_PIXELS
    porch.see({})  # gone from the porch, and from the camera
    assert shown(porch.draw(1), 1)


def test_a_larger_figure_and_any_face_show_a_visitor_better() -> None:
    porch = Porch("all")
    porch.comes(1, None)
    porch.see({}, figures={1: figure(1)})
    porch.pixels = OTHER_PIXELS
    porch.see({}, figures={1: figure(1, grown=1.05)})
    assert shown(porch.draw(1), 1)
    porch.see({}, figures={1: figure(1, grown=1.3)})
    assert not shown(porch.draw(1), 1)
    porch.pixels = PIXELS
    porch.see({1: None}, figures={1: figure(1, grown=2.0)})
    porch.pixels = OTHER_PIXELS
    porch.see({}, figures={1: figure(1, grown=3.0)})
    assert shown(porch.draw(1), 1)


def test_a_figure_is_nobodys_picture_once_the_visitor_is_named() -> None:
    porch = Porch("all")
    porch.comes(1, None)
    porch.see({}, figures={1: figure(1)})
    assert porch.draw(1, porch.names(1, ANNA)) is None


def test_pictures_of_people_are_made_of_nobody_by_the_figure() -> None:
    porch = Porch("people")
    porch.comes(1, None)
    porch.see({}, figures={1: figure(1)})
    assert porch.draw(1) is None


def test_pictures_of_people_paint_over_the_figures_of_others() -> None:
    porch = Porch("people", [figure(1), figure(2)])
    porch.comes(1, ANNA, 0.0)
    porch.see({1: 0.0})
    drawn = porch.draw(1)
    assert shown(drawn, 1)
    assert not shown(drawn, 2)
    everybody = Porch("all", [figure(1), figure(2)])
    everybody.comes(1, ANNA, 0.0)
    everybody.see({1: 0.0})
    assert shown(everybody.draw(1), 2)


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_figures_that_hold_a_shown_face_the_other_is_painted_over(order: int) -> None:
    own = figure(1)
    behind = Body(np.array([70, 60, 230, 200], np.float32), 0.95)
    face = track(1).face
    assert own.holds(face)
    assert behind.holds(face)
    porch = Porch("people", [own, behind][::order])
    porch.comes(1, ANNA, 0.0)
    porch.see({1: 0.0})
    drawn = porch.draw(1)
    assert shown(drawn, 1)
    assert is_as_seen(drawn, (165, 55)), "of the visitor's own figure alone"
    for of_the_other in ((80, 200), (140, 200), (190, 150)):
        assert not is_as_seen(drawn, of_the_other)
    assert is_as_seen(drawn, (100, 260)), "of nobody"


def test_two_shown_faces_within_one_figure_excuse_one_figure_each() -> None:
    both = Body(np.array([40, 60, 360, 200], np.float32), 0.9)
    porch = Porch("people", [both, figure(2), figure(1)])
    porch.comes(1, ANNA, 0.0)
    porch.comes(2, BELA, 90.0)
    porch.see({1: 0.0, 2: 90.0})
    drawn = porch.draw(1)
    assert shown(drawn, 1)
    assert shown(drawn, 2)
    assert not is_as_seen(drawn, (150, 200)), "of a figure that is neither's"


def test_pictures_are_clean_and_say_who_is_in_them() -> None:
    porch = Porch("all")
    porch.comes(1, ANNA, 0.0)
    porch.comes(2, POSTMAN, 180.0)
    other = track(2).face
    porch.see({1: 0.0, 2: 90.0}, [other])  # somebody else where the postman stood
    taken = porch.pictures.take(porch.visits[1], porch.visits[1].visit)
    assert taken is not None
    pixels = cv2.imdecode(np.frombuffer(taken.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    assert np.abs(pixels[..., ::-1].astype(int) - PIXELS[0, 0]).max() < 30  # nothing drawn
    assert taken.faces is not None
    told = [(each.visit_id, each.is_certain, each.visitor, each.is_drawn) for each in taken.faces]
    assert told == [("v1", True, ANNA, True), ("v2", False, None, True), (None, False, None, False)]


@pytest.mark.parametrize("anybody", [False, True])
def test_whoever_is_forgotten_goes_from_pictures_of_visits_that_go_on(anybody: bool) -> None:
    porch = Porch("all")
    porch.comes(1, ANNA, 0.0)
    porch.comes(2, BELA, 90.0)
    porch.see({1: 0.0, 2: None})  # nobody can tell that it is Béla
    porch.pictures.forget([porch.visits[1]], lambda visit_id: visit_id == "v3", anybody=anybody)
    drawn = porch.draw(1)
    assert shown(drawn, 1)
    assert shown(drawn, 2) is not anybody
    porch.pictures.forget([porch.visits[1]], lambda visit_id: visit_id == "v2", anybody=True)
    drawn = porch.draw(1)
    assert shown(drawn, 1)
    assert not shown(drawn, 2)
    taken = porch.pictures.take(porch.visits[1], porch.visits[1].visit)
    assert taken is not None
    assert [face.visit_id for face in taken.faces or ()] == ["v1"]
    assert porch.pictures.take_latest(NOW + 1, []) is None
