"""Faces that are pictures: on somebody's clothes, and such as were announced lately."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from doorstep import NOW, enroll
from visiting import UNDECIDED, Door, kinds

from doorbell.camera.simulated.camera import SceneRenderer
from doorbell.camera.simulated.script import SceneScript, demo_script
from doorbell.config import load_config
from doorbell.domain import Arrived, Face, Frame, Ring, Track, Unknown
from doorbell.gallery.gallery import Gallery
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.models.store import face_path
from doorbell.pipeline.perception import Perception
from doorbell.pipeline.pipeline import Pipeline
from doorbell.visits.observation import Observation
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


def test_a_wearer_who_is_missed_in_a_frame_while_walking_is_the_wearer_still() -> None:
    faces = WornFaces()
    wearer, shirt = track(0, 300, 120, 80, 0.0), track(1, 300, 250, 40, 0.0)
    assert faces.update([wearer, shirt], 0.0) == {1}
    assert faces.update([wearer, track(1, 350, 250, 40, 0.1)], 0.1) == {1}
    assert faces.update([track(0, 360, 120, 80, 0.2), track(1, 360, 250, 40, 0.2)], 0.2) == {1}


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


def scene_with_shirt(models_directory: Path, perception: Perception) -> Iterator[Frame]:
    """Somebody walks up and sways, with a face printed on the chest."""
    wearer = demo_script(models_directory / "faces").appearances[0]
    wearer = replace(wearer, enters_seconds=0.5, stays_seconds=4.0)
    rate, end = 10, 8
    scene = SceneRenderer(SceneScript((wearer,), duration_seconds=end), 1280, 720, rate)
    photo = decode_photo(read_photo(face_path("ardern", models_directory)), "ardern")
    left, top, right, bottom = perception.detect_still(photo)[0].box_xyxy.astype(int)
    print_pixels = photo[top:bottom, left:right]
    for index in range(rate * end):
        seconds = index / rate
        pixels = scene.render(seconds, index)
        pose = wearer.pose_at(seconds, 1280, 720)
        if pose is not None:
            side = 0.5 * pose.face_pixels
            sway = 0.05 * pose.face_pixels * np.sin(3 * seconds)
            x = pose.centre_xy[0] + sway - side / 2
            y = pose.centre_xy[1] + 1.1 * pose.face_pixels
            scale = side / print_pixels.shape[1]
            matrix = np.array([[scale, 0, x], [0, scale, y]])
            cv2.warpAffine(
                print_pixels,
                matrix,
                (1280, 720),
                dst=pixels,
                flags=cv2.INTER_AREA,
                borderMode=cv2.BORDER_TRANSPARENT,
            )
        yield Frame(pixels, seconds, NOW + seconds, index)


def test_a_shirt_with_a_face_begins_no_visit_and_its_wearer_does(
    perception: Perception, models_directory: Path, tmp_path: Path
) -> None:
    config = load_config(None, ["storage.pictures=none"])
    events = []
    shown = 0
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        enroll(perception, gallery, face_path("obama", models_directory), "Wearer")
        pipeline = Pipeline(perception, gallery, config)
        for frame in scene_with_shirt(models_directory, perception):
            events += pipeline.step(frame)
            shown += len(pipeline.observed) > 1
        events += pipeline.finish(NOW + 20)
    assert shown > 10, "the print is found"
    assert [type(event) for event in events].count(Arrived) == 1
    assert [type(event) for event in events].count(Ring) == 1
