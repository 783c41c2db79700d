"""Pictures held up before a drawn porch, and visitors who stand there."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from camera_noise import CameraNoise

from doorbell.camera.simulated.background import draw_porch
from doorbell.camera.simulated.camera import SceneRenderer
from doorbell.camera.simulated.script import demo_script
from doorbell.config import RecognitionSection, TrackingSection, load_config
from doorbell.domain import (
    Arrived,
    Event,
    Face,
    Frame,
    Left,
    Match,
    Person,
    Recognized,
    Ring,
    UInt8Array,
    Unknown,
    Verdict,
)
from doorbell.errors import EnrollmentError
from doorbell.gallery.gallery import Gallery
from doorbell.household.enrollment import Enroller
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.models.store import face_path
from doorbell.pipeline.perception import Perception
from doorbell.pipeline.pipeline import Pipeline
from doorbell.pipeline.tracking import Tracker
from doorbell.recognition.liveness import DOUBTED, Liveness, moves_along, withhold

NOW = 1_700_000_000.0
SECTION = RecognitionSection()
NOISE = CameraNoise(720, 1280, 2.0)
KNOWN = Match(Verdict.KNOWN, Person(1, "Anna"), 0.7, 5)


def portrait(
    name: str, perception: Perception, models_directory: Path
) -> tuple[UInt8Array, np.ndarray]:
    """A photograph whose face is 80 pixels wide, and the middle of the face."""
    photo = decode_photo(read_photo(face_path(name, models_directory)), name)
    face = max(perception.detect_still(photo), key=lambda each: each.width_pixels)
    scale = 80 / face.width_pixels
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), (face.box_xyxy[:2] + face.box_xyxy[2:]) / 2 * scale


def held_up(
    photo: UInt8Array, middle: np.ndarray, *, border: int, seed: int, frames: int = 6
) -> Iterator[tuple[UInt8Array, Face]]:
    """A photograph held by an unsteady hand, with a white border of so many pixels."""
    rng = np.random.default_rng(seed)
    porch = draw_porch(1280, 720, seed)
    x, y = (int(each) for each in middle)
    left, top = max(x - 95, 0), max(y - 105, 0)
    cut = photo[top : y + 110, left : x + 95]
    if border > 0:
        cut = np.pad(cut, ((border, border), (border, border), (0, 0)), constant_values=235)
    mask = np.ones(cut.shape[:2], np.float32)
    own = np.array([x - left, y - top]) + border
    for number in range(frames):
        place = np.array([640.0, 330.0]) + rng.normal(0, 4, 2)
        turn = cv2.getRotationMatrix2D(tuple(own.astype(float)), rng.normal(0, 3), 1.0)
        turn[:, 2] += place - own
        held = cv2.warpAffine(cut, turn, (1280, 720))
        alpha = cv2.warpAffine(mask, turn, (1280, 720))
        pixels = np.asarray(cv2.blendLinear(porch, held, 1 - alpha, alpha), np.uint8)
        box = np.concatenate([place - 40, place + 40]).astype(np.float32)
        face = Face(box, np.zeros((6, 2), np.float32), 0.9)
        yield NOISE.on(pixels, number), face


@pytest.mark.parametrize("border", [0, 12])
@pytest.mark.parametrize("name", ["obama", "biden", "macron"])
def test_paper_around_a_face_shows(
    name: str, border: int, perception: Perception, models_directory: Path
) -> None:
    photo, middle = portrait(name, perception, models_directory)
    liveness = Liveness()
    for index, (pixels, face) in enumerate(held_up(photo, middle, border=border, seed=1)):
        liveness.see(pixels, face, index / 15)
    assert liveness.score < SECTION.min_live


def test_what_looked_like_a_picture_must_look_alive_for_a_while(
    perception: Perception, models_directory: Path
) -> None:
    photo, middle = portrait("obama", perception, models_directory)
    liveness, scores = Liveness(), []
    for index, (pixels, face) in enumerate(held_up(photo, middle, border=12, seed=1, frames=3)):
        liveness.see(pixels, face, index / 15)
    assert liveness.score < SECTION.min_live
    plain = np.full((720, 1280, 3), 120, np.uint8)
    for index in range(3, 43):
        liveness.see(plain, face, index / 15)
        scores.append(liveness.score >= SECTION.min_live)
    assert scores.index(True) >= DOUBTED - 1
    assert all(scores[scores.index(True) :])


@pytest.mark.parametrize("min_live", [0.0, SECTION.min_live])
def test_a_print_of_somebody_enrolled_rings_and_is_nobody(
    min_live: float, perception: Perception, models_directory: Path, tmp_path: Path
) -> None:
    """Without the score it is the person."""
    photo, middle = portrait("obama", perception, models_directory)
    config = load_config(None, [f"recognition.min_live={min_live}"])
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        enroller = Enroller(perception, gallery, config)
        enroller.enroll_photos("Barack", [face_path("obama2", models_directory)])
        pipeline = Pipeline(perception, gallery, config)
        events: list[Event] = []
        for index, (pixels, _) in enumerate(held_up(photo, middle, border=12, seed=3, frames=60)):
            events += pipeline.step(Frame(pixels, index / 15, NOW + index / 15, index))
        if min_live:
            with pytest.raises(EnrollmentError, match="looks like a picture held up"):
                pipeline.visible_samples("Somebody Else")
        events += pipeline.finish(NOW + 5)
        strangers = gallery.strangers.all()
    kinds = [type(event) for event in events]
    assert strangers == []
    assert kinds == [Arrived, Unknown if min_live else Recognized, Ring, Left]
    live = [event.visit.live for event in events if event.visit is not None]
    assert all(score is not None and (score < SECTION.min_live) for score in live[1:])


@pytest.mark.parametrize("name", ["obama", pytest.param("biden", marks=pytest.mark.long)])
def test_a_picture_on_the_wall_does_not_ring_until_somebody_takes_it(
    name: str, perception: Perception, models_directory: Path, tmp_path: Path
) -> None:
    photo, middle = portrait(name, perception, models_directory)
    [(hanging, _)] = held_up(photo, middle, border=12, seed=5, frames=1)
    events: list[Event] = []
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        pipeline = Pipeline(perception, gallery, load_config(None))

        def show(pixels: UInt8Array) -> None:
            index = next(counted)
            noisy = NOISE.on(pixels, 1000 + index)
            events.extend(pipeline.step(Frame(noisy, index / 15, NOW + index / 15, index)))

        counted = iter(range(10_000))
        for _ in range(60):
            show(np.zeros_like(hanging))
        for _ in range(150):  # the lamp goes on
            show(hanging)
        assert len(pipeline.observed) == 1
        assert events == []
        for pixels, _ in held_up(photo, middle, border=12, seed=5, frames=60):
            show(pixels)
    assert [type(event) for event in events] == [Arrived, Unknown, Ring]


def test_visitors_who_come_to_the_door_are_alive_for_all_the_edges_behind_them(
    perception: Perception, models_directory: Path
) -> None:
    rate = 15.0
    scene = SceneRenderer(demo_script(models_directory / "faces"), 1280, 720, rate)
    tracker = Tracker(TrackingSection())
    followed: defaultdict[int, Liveness] = defaultdict(Liveness)
    for index in range(round(4 * rate)):
        pixels = scene.render(index / rate, index)
        faces = perception.detect(pixels, tracker.tracks)
        for track, face in zip(tracker.update(faces, index / rate), faces, strict=True):
            followed[track.track_id].see(pixels, face, index / rate)
    [visitor] = [followed[track.track_id] for track in tracker.tracks if track.hits > rate]
    assert visitor.score > SECTION.min_live


def test_what_surrounds_a_face_tells_whether_it_moves_along() -> None:
    rng = np.random.default_rng(2)
    scene, head = (
        cv2.GaussianBlur(rng.integers(0, 255, (128, 128), np.uint8), (0, 0), 2) for _ in range(2)
    )
    before, apart = scene.copy(), scene.copy()
    before[40:88, 40:88] = head[40:88, 40:88]
    apart[43:91, 44:92] = head[40:88, 40:88]
    along = np.roll(before, (3, 4), axis=(0, 1))
    moved, fit, _ = moves_along(before, apart)
    assert moved == 5.0
    assert fit < -0.6
    moved, fit, _ = moves_along(before, along)
    assert moved == 5.0
    assert fit > 0.6
    assert moves_along(before, before) == (0.0, 0.0, 0)


def test_a_name_is_withheld_and_no_stranger_made_of_it() -> None:
    least = SECTION.min_live
    assert withhold(KNOWN, least, least) is KNOWN
    held_back = withhold(KNOWN, least - 0.01, least)
    assert held_back == Match(Verdict.UNDECIDED, None, 0.7, 5, may_be_stranger=False)
    assert withhold(KNOWN, 0.0, 0.0) is KNOWN
    unknown = Match(Verdict.UNKNOWN, None, 0.1, 9)
    assert withhold(unknown, 0.0, least) is unknown
