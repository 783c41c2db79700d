"""The person detector on real pixels, the zones, and the tracks of figures."""

from pathlib import Path

import numpy as np

from doorbell.detection.bodies import anchors
from doorbell.detection.zones import IgnoredZones
from doorbell.domain import Body
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.pipeline.body_tracking import LOST_SECONDS, STILL_SECONDS, BodyTracker
from doorbell.pipeline.perception import Perception


def test_somebody_is_found_by_the_figure_with_the_face_painted_out(
    perception: Perception, faces: Path
) -> None:
    photo = decode_photo(read_photo(faces / "obama.jpg"), "obama")
    face = max(perception.detect_still(photo), key=lambda each: each.width_pixels)
    left, top, right, bottom = (int(edge) for edge in face.box_xyxy)
    hidden = photo.copy()
    hidden[top - 30 : bottom + 30, left - 10 : right + 10] = 40
    body = max(perception.bodies_in(hidden), key=lambda each: each.height_pixels)
    assert body.box_xyxy[0] < left < right < body.box_xyxy[2]
    assert perception.bodies_in(np.full((480, 640, 3), 90, np.uint8)) == []


def test_every_anchor_has_its_place() -> None:
    assert anchors().shape == (1917, 4)


def test_a_box_is_in_a_zone_with_its_middle() -> None:
    zones = IgnoredZones([[(0, 0), (0.5, 0), (0.5, 1), (0, 1)]])
    assert zones.hold(np.array([0, 0, 300, 400], np.float32), 640, 480)
    assert not zones.hold(np.array([300, 0, 400, 400], np.float32), 640, 480)
    assert not IgnoredZones([]).hold(np.array([0, 0, 1, 1], np.float32), 640, 480)


def figure(left: float, *, moving: bool = True) -> Body:
    return Body(np.array([left, 0, left + 100, 300], np.float32), 0.9, is_moving=moving)


def test_a_figure_is_followed_lost_and_taken_for_a_thing_that_stands_still() -> None:
    tracker = BodyTracker()
    assert tracker.update([figure(0, moving=False)], 0.0) == []
    [first] = tracker.update([figure(0)], 0.5)
    [second] = tracker.update([figure(80)], 1.0)
    assert (first.track_id, second.hits) == (second.track_id, 2)
    tracker.expire(1.0 + LOST_SECONDS + 0.1)
    assert tracker.tracks == ()
    tracker.update([figure(0)], 10.0)
    tracker.update([figure(0, moving=False)], 10.0 + STILL_SECONDS + 0.1)
    tracker.expire(10.0 + STILL_SECONDS + 0.1)
    assert tracker.tracks == ()


def test_another_stream_is_looked_at_from_its_beginning(perception: Perception) -> None:
    """Its time begins anew."""
    rng = np.random.default_rng(1)
    frames = [rng.integers(0, 255, (240, 320, 3), np.uint8) for _ in range(6)]

    def looks(first_seconds: float) -> int:
        found = 0
        for index, pixels in enumerate(frames):
            perception.detect(pixels, [])
            now = first_seconds + 0.2 * index
            found += perception.find_bodies(pixels, now, [], []) is not None
        return found

    assert looks(1000.0) > 0
    assert looks(0.0) > 0
