"""The person detector on real pixels, the zones, and the tracks of figures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from doorstep import NOW, at_the_door

from doorbell.config import load_config
from doorbell.detection.bodies import anchors
from doorbell.detection.zones import IgnoredZones
from doorbell.domain import Body, BodyTrack, FaceSample, Frame, Track, UInt8Array
from doorbell.gallery.gallery import Gallery
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.pipeline.body_tracking import LOST_SECONDS, STILL_SECONDS, BodyTracker
from doorbell.pipeline.perception import FaceCrop, Perception
from doorbell.pipeline.pipeline import Pipeline


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


class Noted(Perception):
    """The same networks; notes what is asked of them, in order."""

    def __init__(self, perception: Perception) -> None:
        self.__dict__.update(vars(perception.another()))
        self.asked: list[str] = []

    def embed(
        self, portraits: Sequence[FaceCrop], *, mirrored: bool = False
    ) -> list[FaceSample | None]:
        self.asked += ["embed"] * bool(portraits)
        return super().embed(portraits, mirrored=mirrored)

    def find_bodies(
        self,
        pixels: UInt8Array,
        time_seconds: float,
        faces: Sequence[Track],
        followed: Sequence[BodyTrack],
        *,
        busy: bool = False,
    ) -> list[Body] | None:
        found = super().find_bodies(pixels, time_seconds, faces, followed, busy=busy)
        self.asked += ["look"] * (found is not None)
        return found


def test_no_frame_both_embeds_a_face_and_is_searched_for_figures(
    perception: Perception, models_directory: Path, tmp_path: Path
) -> None:
    noted = Noted(perception)
    visitor = at_the_door("obama", models_directory)
    asked = []
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        pipeline = Pipeline(noted, gallery, load_config(None))
        for index in range(60):
            pixels = np.full((360, 640, 3), 120, np.uint8)
            pixels[-visitor.shape[0] :, 20 : 20 + visitor.shape[1]] = visitor
            left = 480 + 8 * (index % 15)
            pixels[60:, left : left + 40] = 250
            noted.asked = []
            pipeline.step(Frame(pixels, index / 30, NOW + index / 30, index))
            asked.append(noted.asked)
    assert 3 <= asked.count(["look"]) <= 4
    assert asked.count(["embed"]) >= 10
    assert asked.count([]) + asked.count(["look"]) + asked.count(["embed"]) == 60
