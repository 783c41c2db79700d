"""Faces that are pictures: on somebody's clothes, and such as were announced lately."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from visiting import UNDECIDED, Door, kinds

from doorbell.domain import Arrived, Face, Ring, Track, Unknown
from doorbell.visits.open_visit import Observation
from doorbell.visits.prints import REMEMBERED_SECONDS
from doorbell.visits.worn import OWN_MOVEMENT, WornFaces


def track(track_id: int, x: float, y: float, size: float, seconds: float) -> Track:
    box = np.array([x - size / 2, y - size / 2, x + size / 2, y + size / 2], np.float32)
    return Track(track_id, Face(box, np.zeros((6, 2), np.float32), 0.9), 0.0, seconds, 5)


def worn(frames: Sequence[Sequence[tuple[float, float, float]]]) -> list[list[int]]:
    """Which faces (x, y, size) are worn in each frame, by their place in it."""
    faces = WornFaces()
    found = []
    for index, places in enumerate(frames):
        tracks = [track(i, *place, index / 10) for i, place in enumerate(places)]
        found.append(sorted(faces.update(tracks, index / 10)))
    return found


def test_what_goes_along_below_a_face_is_worn_also_by_who_walks_up() -> None:
    frames = []
    for step in range(20):
        x, y, size = 100 + 20 * step, 200 - 3 * step, 60 + 4 * step
        shift = 0.1 * np.sin(step)  # the wearer turns
        frames.append([(x, y, size), (x + shift * size, y + 1.4 * size, 0.5 * size)])
    assert worn(frames) == [[1]] * 20


@pytest.mark.parametrize(
    ("x", "y", "size"),
    [
        (300, 200, 60),  # as large as the other: a child before a grown-up
        (300, 120, 40),  # beside the face
        (480, 250, 40),  # beside the body
        (300, 20, 40),  # above
        (300, 620, 40),  # far below
    ],
)
def test_who_stands_there_is_not_worn(x: float, y: float, size: float) -> None:
    assert worn([[(300, 120, 80), (x, y, size)]] * 5) == [[]] * 5


def test_who_moves_against_the_face_above_is_somebody_from_then_on() -> None:
    frames = [
        [(300, 120, 80), (300 + dx, 250, 50)] for dx in (0, 10, 20, 1.1 * OWN_MOVEMENT * 80, 0)
    ]
    assert worn(frames) == [[1], [1], [1], [], []]


def test_a_print_whose_wearer_is_not_found_any_more_is_nobodys() -> None:
    faces = WornFaces()
    wearer, shirt = track(0, 300, 120, 80, 0.0), track(1, 300, 250, 40, 0.0)
    assert faces.update([wearer, shirt], 0.0) == {1}
    later = replace(shirt, last_seen_seconds=1.0)
    assert faces.update([wearer, later], 1.0) == frozenset()


def as_print(seen: Observation, live: float = 0.05) -> Observation:
    return replace(seen, live=live, is_print=live < 0.3)


def announce(door: Door, track_id: int, identity: int, live: float = 0.05) -> list[type]:
    events = []
    for _ in range(4 * 8):
        events += door.frame(as_print(door.see(track_id, identity, UNDECIDED), live))
    return kinds([*events, *door.wait(6)])


def test_a_picture_is_announced_once_and_not_again_for_ten_minutes() -> None:
    door = Door()
    assert announce(door, 1, 0)[:3] == [Arrived, Unknown, Ring]
    for track_id in range(2, 6):
        assert announce(door, track_id, 0) == []
    assert announce(door, 6, 3)[:2] == [Arrived, Unknown], "another picture"
    door.wait(REMEMBERED_SECONDS)
    assert announce(door, 7, 0)[:2] == [Arrived, Unknown]


def test_who_looks_alive_is_announced_however_like_the_picture() -> None:
    door = Door()
    announce(door, 1, 0)
    assert announce(door, 2, 0, live=0.9)[:2] == [Arrived, Unknown]


def test_who_looked_alive_once_is_no_picture_the_next_time() -> None:
    door = Door()
    door.frame(as_print(door.see(1, 0, UNDECIDED), 0.9))
    announce(door, 1, 0)
    assert announce(door, 2, 0)[:2] == [Arrived, Unknown]
