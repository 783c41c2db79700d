"""Whose pictures are made."""

import cv2
import numpy as np

from doorbell.domain import Face, Frame, Person, Stranger, Track, UInt8Array, Visit, Visitor
from doorbell.visit_pictures import VisitPictures, Whose

NOW = 1_700_000_000.0
ANNA, POSTMAN = Person(1, "Anna"), Stranger(7, NOW, NOW, 1)
PIXELS = np.full((200, 400, 3), (200, 40, 40), np.uint8)
WITHIN_FACES = {1: (100, 80), 2: (100, 320)}  # row and column, away from what is drawn


def track(number: int) -> Track:
    row, column = WITHIN_FACES[number]
    box = np.array([column - 30, row - 30, column + 30, row + 30], np.float32)
    keypoints = np.tile(np.array([[column + 20, row + 20]], np.float32), (6, 1))
    return Track(number, Face(box, keypoints, 0.9), 0.0, 0.0, 5)


def visit(number: int, visitor: Visitor | None) -> Visit:
    return Visit(f"v{number}", NOW, NOW, visitor=visitor)


def seen(whose: Whose, *visits: Visit) -> VisitPictures:
    pictures = VisitPictures(whose)
    tracks = [(track(number), each) for number, each in enumerate(visits, start=1)]
    pictures.see(Frame(PIXELS, 0.0, NOW, 0), tracks, {1: 1.0, 2: 1.0})
    return pictures


def shown(jpeg: bytes | None, number: int) -> bool:
    """Whether a face is as the camera saw it."""
    assert jpeg is not None
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    rgb: UInt8Array = np.asarray(decoded[..., ::-1], np.uint8)
    found = rgb[WITHIN_FACES[number]].astype(int)
    return bool(np.abs(found - PIXELS[0, 0].astype(int)).max() < 30)


def test_pictures_of_all_show_everybody() -> None:
    anna, postman = visit(1, ANNA), visit(2, POSTMAN)
    pictures = seen("all", anna, postman)
    for each in (anna, postman, visit(2, None)):
        drawn = pictures.draw(each)
        assert shown(drawn, 1)
        assert shown(drawn, 2)
    assert pictures.draw_latest(NOW + 1, []) is not None


def test_pictures_of_people_show_them_and_paint_over_every_other_face() -> None:
    anna, postman = visit(1, ANNA), visit(2, POSTMAN)
    pictures = seen("people", anna, postman)
    drawn = pictures.draw(anna)
    assert shown(drawn, 1)
    assert not shown(drawn, 2)
    assert pictures.draw(postman) is None
    assert pictures.draw(visit(1, None)) is None  # as long as nobody knows who it is
    assert pictures.draw_latest(NOW + 1, []) is None


def test_a_face_found_for_the_first_time_is_painted_over_too() -> None:
    anna, frame = visit(1, ANNA), Frame(PIXELS, 0.0, NOW, 0)
    pictures = VisitPictures("people")
    pictures.see(frame, [(track(1), anna)], {1: 1.0}, [track(2).face])
    drawn = pictures.draw(anna)
    assert shown(drawn, 1)
    assert not shown(drawn, 2)


def test_pictures_of_nobody_are_not_made() -> None:
    anna = visit(1, ANNA)
    pictures = seen("none", anna)
    assert pictures.draw(anna) is None
    assert pictures.draw_latest(NOW + 1, []) is None
