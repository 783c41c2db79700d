"""The stream's detector with the real networks: a visitor three metres away."""

from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from doorbell.camera.simulated.camera import SimulatedCamera
from doorbell.camera.simulated.script import Appearance, SceneScript, demo_script
from doorbell.config import CameraSection, TrackingSection, load_config
from doorbell.domain import Arrived, Frame
from doorbell.errors import EndOfStreamError
from doorbell.gallery.gallery import Gallery
from doorbell.pipeline.perception import Perception, open_perception
from doorbell.pipeline.pipeline import Pipeline
from doorbell.pipeline.tracking import Tracker

WIDTH, HEIGHT = 1280, 720

# A face 22 cm high three metres from a camera that shows 110 degrees across 1280 pixels: tan(55
# degrees) * 3 m is half the width.
FACE_PIXELS = 22


@pytest.fixture
def far_visitor(models_directory: Path) -> Appearance:
    """Walks past at a metre a second, never nearer."""
    known = demo_script(models_directory / "faces").appearances[0]
    size = FACE_PIXELS / HEIGHT
    return replace(
        known,
        enters_seconds=0.5,
        approach_seconds=1.5,
        stays_seconds=1.0,
        from_x=0.3,
        door_x=0.4,
        farthest_face=size,
        closest_face=size,
    )


def frames_of(visitor: Appearance) -> Iterator[Frame]:
    section = CameraSection(width=WIDTH, height=HEIGHT, realtime=False, frames_per_second=20)
    camera = SimulatedCamera(section, SceneScript((visitor,), duration_seconds=2.6))
    with closing(camera), suppress(EndOfStreamError):
        while True:
            yield camera.read()


def test_a_visitor_at_three_metres_is_found_at_once_and_arrives(
    perception: Perception, far_visitor: Appearance, tmp_path: Path
) -> None:
    confirm_hits = TrackingSection().confirm_hits
    found, arrived = [], []
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        pipeline = Pipeline(perception, gallery, load_config(None))
        for frame in frames_of(far_visitor):
            events = pipeline.step(frame)
            pose = far_visitor.pose_at(frame.time_seconds, WIDTH, HEIGHT)
            for track, _ in pipeline.in_sight:
                if pose and track.hits >= confirm_hits:
                    found.append(frame.time_seconds)
                    centre = (track.face.box_xyxy[:2] + track.face.box_xyxy[2:]) / 2
                    assert centre == pytest.approx(pose.centre_xy, abs=FACE_PIXELS)
            arrived += [frame.time_seconds for event in events if isinstance(event, Arrived)]
    assert min(found) <= far_visitor.enters_seconds + 0.5
    # A face too small to be compared is believed after a second.
    assert len(arrived) == 1
    assert arrived[0] <= far_visitor.enters_seconds + 1.6


def test_without_far_regions_that_visitor_is_missed(
    models_directory: Path, far_visitor: Appearance
) -> None:
    """So the far network is what finds them, and the key switches it."""
    config = load_config(
        None,
        ["detection.far_regions_per_frame=0", f"inference.models_directory={models_directory}"],
    )
    tracker = Tracker(config.tracking)
    with closing(open_perception(config)) as near_only:
        for frame in frames_of(far_visitor):
            if frame.time_seconds > 1.2:
                break
            tracker.update(near_only.detect(frame.pixels, tracker.tracks), frame.time_seconds)
    assert tracker.tracks == ()
