"""Enrollment by a video, with the real networks."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from all_samples import read_samples
from enrolling_photos import OBAMA, enroll, refused

from doorbell.camera.simulated.camera import SimulatedCamera
from doorbell.camera.simulated.script import Appearance, SceneScript, demo_script
from doorbell.config import CameraSection, load_config
from doorbell.domain import Frame
from doorbell.errors import EndOfStreamError, EnrollmentError
from doorbell.gallery.gallery import Gallery
from doorbell.household.enrollment import Enroller
from doorbell.household.enrollment_samples import KEPT_SAMPLES, TOO_ALIKE
from doorbell.household.enrollment_strength import Coverage
from doorbell.models.store import face_path
from doorbell.pipeline.perception import Perception


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        yield gallery


@pytest.fixture
def enroller(perception: Perception, gallery: Gallery) -> Enroller:
    return Enroller(perception, gallery, load_config(None))


def frames_of(script: SceneScript) -> Iterator[Frame]:
    section = CameraSection(width=640, height=360, realtime=False, frames_per_second=6)
    camera = SimulatedCamera(section, script)
    try:
        while True:
            yield camera.read()
    except EndOfStreamError:
        return


@pytest.fixture
def scene(models_directory: Path) -> tuple[Appearance, ...]:
    return demo_script(models_directory / "faces").appearances


@pytest.fixture
def alone(scene: tuple[Appearance, ...]) -> SceneScript:
    return SceneScript(scene[:1], duration_seconds=4.0)


def test_a_video_gives_samples_that_differ(
    enroller: Enroller, gallery: Gallery, perception: Perception, alone: SceneScript
) -> None:
    report = enroller.enroll_frames(OBAMA, frames_of(alone), source="anna.mp4")
    [result] = report.results
    assert result.accepted
    assert 1 <= report.added <= KEPT_SAMPLES
    assert f"{report.added} of " in result.message
    vectors = read_samples(gallery.file, perception.model_id).person_embeddings
    assert len(vectors) == report.added
    similarities = (vectors @ vectors.T)[~np.eye(len(vectors), dtype=bool)]
    assert similarities.max() <= TOO_ALIKE


def test_the_same_video_twice_is_said_and_stored_once(
    enroller: Enroller, gallery: Gallery, alone: SceneScript
) -> None:
    first = enroller.enroll_frames(OBAMA, frames_of(alone), source="anna.mp4")
    second = enroller.enroll_frames(OBAMA, frames_of(alone), source="copy of anna.mp4")
    assert second.added == 0
    assert f"{first.added} frames were enrolled before" in second.results[0].message
    assert gallery.people.summaries()[0].samples == first.added


def test_the_main_person_of_a_video_is_who_is_seen_largest_and_longest(
    enroller: Enroller, gallery: Gallery, scene: tuple[Appearance, ...], models_directory: Path
) -> None:
    visitor, passer_by = scene[2], scene[3]
    both = SceneScript(
        (
            replace(visitor, enters_seconds=0.0),
            replace(passer_by, enters_seconds=0.0, closest_face=0.15),
        ),
        duration_seconds=4.0,
    )
    enroller.enroll_frames(OBAMA, frames_of(both), source="both.mp4")
    words = refused(enroller, face_path("obama", models_directory), name="Somebody Else")
    assert words.startswith(f"this face looks like {OBAMA}")
    assert enroll(enroller, face_path("biden", models_directory), name="Joe Biden")[1].accepted
    # Somebody else's video is refused as a photo is.
    with pytest.raises(EnrollmentError, match=f"looks like {OBAMA}"):
        enroller.enroll_frames("Somebody Else", frames_of(both), source="both.mp4")
    assert [person.name for person in gallery.people.all()] == [OBAMA, "Joe Biden"]


def test_a_video_without_a_face_is_refused(
    enroller: Enroller, gallery: Gallery, alone: SceneScript
) -> None:
    empty_porch = islice(frames_of(alone), 3)
    with pytest.raises(EnrollmentError, match=r"porch.mp4 shows no face good enough"):
        enroller.enroll_frames(OBAMA, empty_porch, source="porch.mp4")
    assert gallery.people.all() == []


def test_who_guides_is_told_of_the_poses_seen(enroller: Enroller, alone: SceneScript) -> None:
    coverage = Coverage()
    report = enroller.enroll_frames(OBAMA, frames_of(alone), source="the camera", coverage=coverage)
    assert report.strength
    assert "straight" in coverage.seen
    assert {"left", "right"} <= set(coverage.missing)


def test_a_video_of_somebody_else_than_the_person_enrolled_is_refused(
    enroller: Enroller, alone: SceneScript, models_directory: Path
) -> None:
    enroll(enroller, face_path("ardern", models_directory), name="Jacinda Ardern")
    with pytest.raises(EnrollmentError, match="unlike Jacinda Ardern's other pictures"):
        enroller.enroll_frames("Jacinda Ardern", frames_of(alone), source="door.mp4")
