"""A camera of few frames a second: everybody is one visitor, and is named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from doorstep import NOW, enroll
from visiting import UNDECIDED, Door, kinds, known, looks

from doorbell.camera.simulated.camera import SceneRenderer
from doorbell.camera.simulated.script import SceneScript, demo_script
from doorbell.config import load_config
from doorbell.domain import Arrived, FaceSample, Frame, Left, Person
from doorbell.gallery.gallery import Gallery
from doorbell.pipeline.frame_rate import MOST_WORTH, FrameRate
from doorbell.pipeline.perception import Perception
from doorbell.pipeline.pipeline import Pipeline
from doorbell.visits.continuation import HANDOVER_SECONDS, LEAST_HANDOVER_SIMILARITY
from doorbell.visits.open_visit import FAREWELL_FRAMES, Observation

ANNA = Person(1, "Anna")


@pytest.mark.parametrize(
    ("rate", "begins"),
    [(0.5, 0.5), (0.5, 1.1), (1.0, 0.3), (2.0, 0.1), (4.0, 0.0), (5.0, 0.07), (8.0, 0.0)],
)
def test_who_walks_up_one_after_the_other_are_two_visitors_whatever_the_camera_gives(
    rate: float, begins: float, perception: Perception, models_directory: Path, tmp_path: Path
) -> None:
    known_one, stranger, *_ = demo_script(models_directory / "faces").appearances
    # Long enough for the frames that a name takes, where there is one each two seconds.
    stays = max(4.0, 4 / rate)
    first = replace(known_one, enters_seconds=1.0, stays_seconds=stays)
    second = replace(stranger, enters_seconds=first.gone_seconds + 6, stays_seconds=stays)
    end = second.gone_seconds + 6
    scene = SceneRenderer(SceneScript((first, second), duration_seconds=end), 1280, 720, 15.0)
    config = load_config(None, ["storage.pictures=none"])
    events = []
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        enroll(perception, gallery, first.portrait, "Known")
        pipeline = Pipeline(perception, gallery, config)
        for index in range(int((end - begins) * rate)):
            seconds = begins + index / rate
            pixels = scene.render(seconds, index)
            events += pipeline.step(Frame(pixels, seconds, NOW + seconds, index))
        events += pipeline.finish(NOW + end)
        visits = [e.visit for e in events if isinstance(e, Left) and not e.visit.continued_by]
        names = [visit.visitor.label for visit in visits if visit.visitor]
    assert names == ["Known", "stranger-1"]
    assert len(visits) == 2


def quality(seen: Observation, value: float, frames: int = FAREWELL_FRAMES) -> Observation:
    """The same with frames that tell so much."""
    assert seen.signature is not None
    match = replace(seen.match, frames_used=frames)
    return replace(seen, match=match, samples=(FaceSample(seen.signature, "test", value),))


def test_good_frames_that_follow_poor_ones_of_nobody_yet_are_of_the_same_visitor() -> None:
    door = Door()
    poor = quality(door.see(1, looks(0, 0.4)), 0.45)
    assert kinds(door.frame(poor)) == [Arrived]
    door.frame()
    good = quality(door.see(2, 0, left=400), 0.65)
    assert door.frame(good) == []
    assert len(door.visits.open_visits) == 1


@pytest.mark.parametrize(
    ("likeness", "worth", "seconds"),
    [
        (LEAST_HANDOVER_SIMILARITY - 0.02, 0.3, 0.125),  # too unlike, however poor
        (0.4, 0.6, 0.125),  # both are good
        (0.4, 0.45, HANDOVER_SECONDS + 0.25),  # too late
    ],
)
def test_who_is_not_like_the_poor_frames_or_comes_later_is_somebody_else(
    likeness: float, worth: float, seconds: float
) -> None:
    door = Door()
    door.frame(quality(door.see(1, looks(0, likeness)), worth))
    door.wait(seconds)
    assert kinds(door.frame(quality(door.see(2, 0, left=400), 0.65))) == [Arrived]


def test_nobody_takes_over_the_visit_of_somebody_named_by_being_a_little_alike() -> None:
    door = Door()
    door.frame(quality(door.see(1, looks(0, 0.4), known(ANNA)), 0.45))
    door.frame()
    assert kinds(door.frame(quality(door.see(2, 0, left=400), 0.65))) == [Arrived]


def test_a_visit_of_nobody_ends_in_the_one_whose_better_frames_followed_it() -> None:
    door = Door()
    may_be_stranger = replace(UNDECIDED, may_be_stranger=True)
    door.frame(quality(door.see(1, looks(0, 0.4), may_be_stranger), 0.45))
    door.frame(quality(door.see(2, 3, left=400), 0.45))  # at first not like it
    events = []
    for _ in range(7 * 8):
        events += door.frame(quality(door.see(2, 0, left=400), 0.65, frames=9))
    [left] = [event for event in events if isinstance(event, Left)]
    assert left.visit.visitor is None
    assert left.visit.continued_by == door.visits.open_visits[0].visit_id
    assert door.introduced == []


def test_two_who_are_seen_in_one_frame_stay_two_however_alike() -> None:
    door = Door()
    may_be_stranger = replace(UNDECIDED, may_be_stranger=True)
    door.frame(quality(door.see(1, looks(0, 0.45), may_be_stranger), 0.5))
    for _ in range(3):
        one = quality(door.see(1, looks(0, 0.45), may_be_stranger), 0.5)
        door.frame(one, quality(door.see(2, 0, left=400), 0.65, frames=9))
    events = []
    for _ in range(7 * 8):
        events += door.frame(quality(door.see(2, 0, left=400), 0.65, frames=9))
    [left] = [event for event in events if isinstance(event, Left)]
    assert left.visit.continued_by is None
    assert len(door.introduced) == 1


def test_a_frame_of_a_slow_camera_is_worth_more_and_one_that_was_left_out_nothing() -> None:
    def worth(period: float, step: int = 1) -> int:
        rate = FrameRate()
        pixels = np.zeros((16, 16, 3), np.uint8)
        return [rate.note(Frame(pixels, i * period, NOW, i * step)) for i in range(4)][-1]

    assert [worth(1 / fps) for fps in (60, 30, 15, 10)] == [1, 1, 1, 1]
    assert [worth(1 / fps) for fps in (5, 2, 0.1)] == [3, 7, MOST_WORTH]
    assert worth(0.5, step=15) == 1, "the machine is slow, and not the camera"
    restarted = FrameRate()
    for seconds, index in ((0.0, 9), (1.0, 0), (2.0, 0)):
        assert restarted.note(Frame(np.zeros((16, 16, 3), np.uint8), seconds, NOW, index)) == 1
