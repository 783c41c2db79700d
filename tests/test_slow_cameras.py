"""A camera of few frames a second: everybody is one visitor, and is named."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import groupby, islice
from pathlib import Path

import numpy as np
import pytest
from doorstep import NOW, enroll
from visiting import UNDECIDED, Door, kinds, known, looks

from doorbell.camera.frame_rate import MOST_WORTH, FrameRate
from doorbell.camera.latest import LatestFrame
from doorbell.camera.simulated.camera import SceneRenderer
from doorbell.camera.simulated.script import SceneScript, demo_script
from doorbell.config import load_config
from doorbell.diagnostics import check_all
from doorbell.domain import Arrived, FaceSample, Frame, Left, Person
from doorbell.errors import EndOfStreamError
from doorbell.gallery.gallery import Gallery
from doorbell.pipeline.perception import Perception
from doorbell.pipeline.pipeline import Pipeline
from doorbell.status import CameraCondition, CameraState
from doorbell.visits.continuation import HANDOVER_SECONDS, LEAST_HANDOVER_SIMILARITY
from doorbell.visits.observation import Observation
from doorbell.visits.open_visit import FAREWELL_FRAMES

ANNA = Person(1, "Anna")


@pytest.mark.parametrize(
    ("rate", "begins"),
    [
        (0.5, 0.5),
        pytest.param(0.5, 1.1, marks=pytest.mark.long),
        (1.0, 0.3),
        pytest.param(2.0, 0.1, marks=pytest.mark.long),
        pytest.param(4.0, 0.0, marks=pytest.mark.long),
        (5.0, 0.07),
        pytest.param(8.0, 0.0, marks=pytest.mark.long),
    ],
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
        for i in range(4):
            rate.note(Frame(pixels, i * period, NOW, i * step))
        return rate.worth

    assert [worth(1 / fps) for fps in (60, 30, 15, 10)] == [1, 1, 1, 1]
    assert [worth(1 / fps) for fps in (5, 2, 0.1)] == [3, 7, MOST_WORTH]
    assert worth(0.5, step=15) == 1, "the machine is slow, and not the camera"
    restarted = FrameRate()
    for seconds, index in ((0.0, 9), (1.0, 0), (2.0, 0)):
        restarted.note(Frame(np.zeros((16, 16, 3), np.uint8), seconds, NOW, index))
        assert restarted.worth == 1


def test_a_camera_is_slow_below_two_frames_a_second_and_well_again_well_above() -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    rate, seconds = FrameRate(), 0.0
    said = []
    for index, per_second in enumerate([15] * 8 + [1.5] * 8 + [2.2] * 8 + [3.0] * 8):
        rate.note(Frame(pixels, seconds, NOW, index))
        said.append(rate.is_slow)
        seconds += 1 / per_second
    assert [said[7], said[15], said[23], said[31]] == [False, True, True, False]
    assert rate.per_second == pytest.approx(3.0)


def stepped(rates: list[float]) -> Iterator[Frame]:
    """Eight frames at each of some rates, as fast as they are taken."""
    seconds = 0.0
    for index, rate in enumerate(rate for rate in rates for _ in range(8)):
        yield Frame(np.full((32, 32, 3), index, np.uint8), seconds, NOW + seconds, index)
        seconds += 1 / rate


class Recording:
    """A camera that gives what it has, and no more."""

    def __init__(self, frames: Iterator[Frame]) -> None:
        self._frames = frames

    def read(self) -> Frame:
        try:
            return next(self._frames)
        except StopIteration:
            raise EndOfStreamError("over") from None

    def close(self) -> None:
        pass


def test_a_slow_camera_is_said_once_and_is_a_state_that_goes_on_watching(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def seen(rates: list[float]) -> list[CameraState]:
        """The states, as the frames are taken."""
        latest = LatestFrame(
            lambda: Recording(stepped(rates)), reopen_max_seconds=1.0, lossless=True
        )
        states = []
        with suppress(EndOfStreamError):
            while True:
                latest.get(5.0)
                states.append(latest.state)
        latest.close()
        return states

    with caplog.at_level("INFO", logger="doorbell.camera"):
        states = seen([1.0, 0.5, 10.0])
    conditions = [condition for condition, _ in groupby(states, lambda each: each.condition)]
    assert conditions == [CameraCondition.LIVE, CameraCondition.SLOW, CameraCondition.LIVE]
    slow = next(each for each in states if each.condition is CameraCondition.SLOW)
    assert slow.gives_frames
    assert "too few frames (1 a second)" in slow.reason
    assert caplog.text.count("too few frames") == 1
    assert caplog.text.count("enough frames again") == 1
    assert {each.condition for each in seen([15.0, 3.0])} == {CameraCondition.LIVE}


@pytest.mark.parametrize(
    ("rate", "is_slow"), [(1.0, True), pytest.param(10.0, False, marks=pytest.mark.long)]
)
def test_the_check_says_that_a_camera_is_too_slow(
    rate: float, is_slow: bool, models_directory: Path
) -> None:
    del models_directory  # built
    settings = [f"camera.frames_per_second={rate}", "camera.realtime=false"]
    config = load_config(None, settings)
    [_, camera] = islice(check_all(config, field_of_view_degrees=110.0), 2)
    assert camera.ok
    assert any("too few frames" in each for each in camera.advice) is is_slow
