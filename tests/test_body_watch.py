"""When and where people are looked for by their figure."""

from collections.abc import Mapping

import numpy as np
import pytest

from doorbell.detection.bodies import BodyDetector, anchors
from doorbell.detection.body_watch import BodyWatch
from doorbell.detection.motion import Motion
from doorbell.domain import Body, BodyTrack, Face, Float32Array, Track, UInt8Array
from doorbell.inference import Input
from doorbell.networks.pedestrian_anchors import SIZE

WIDTH, HEIGHT = 320, 240
GREY, WHITE = 60, 250


class Eyes:
    """A network that finds nobody, and remembers what it was shown."""

    def __init__(self) -> None:
        self.shown: list[Float32Array] = []

    def infer(self, inputs: Mapping[str, Input]) -> dict[str, Float32Array]:
        self.shown.append(np.asarray(inputs["image"], np.float32))
        count = len(anchors())
        scores = np.tile(np.array([9, -9], np.float32), (1, count, 1))
        return {"scores": scores, "regressors": np.zeros((1, count, 4), np.float32)}

    def close(self) -> None:
        """Nothing is held."""


class Porch:
    """Frames of a porch that somebody white walks across, or stands on; each is looked at."""

    def __init__(self, looks_per_second: float = 2.0) -> None:
        self.eyes = Eyes()
        self.motion = Motion()
        self.watch = BodyWatch(BodyDetector(self.eyes, 0.5), looks_per_second)

    def see(
        self,
        time_seconds: float,
        left: int,
        faces: tuple[Track, ...] = (),
        followed: tuple[BodyTrack, ...] = (),
        *,
        busy: bool = False,
    ) -> bool:
        """Take in a frame with somebody at this place; whether it was looked at."""
        pixels: UInt8Array = np.full((HEIGHT, WIDTH, 3), GREY, np.uint8)
        pixels[40:, left : left + 40] = WHITE
        self.motion.watch(pixels)
        found = self.watch.look(pixels, time_seconds, self.motion, faces, followed, busy=busy)
        return found is not None

    def walks(self, seconds: float, since: float = 0.0) -> list[float]:
        """So long somebody walks by, 30 frames a second; the times of the looks."""
        times = [since + index / 30 for index in range(round(seconds * 30))]
        return [now for index, now in enumerate(times) if self.see(now, 20 + 8 * (index % 30))]


def face_of(left: int) -> Track:
    """The face of whoever stands there, followed."""
    box = np.array([left, 40, left + 40, 80], np.float32)
    return Track(1, Face(box, np.zeros((6, 2), np.float32), 0.9), 0.0, 0.0, 5)


def figure_of(left: int) -> BodyTrack:
    body = Body(np.array([left, 40, left + 40, HEIGHT], np.float32), 0.9)
    return BodyTrack(1, body, 0.0, 0.0, 0.0, 3, 3)


def test_where_nothing_moves_nobody_is_looked_for() -> None:
    porch = Porch()
    assert not any(porch.see(index / 30, 100) for index in range(90))
    assert porch.eyes.shown == []


def test_what_moves_is_looked_at_no_more_often_than_configured() -> None:
    looks = Porch().walks(5)
    assert 9 <= len(looks) <= 10
    assert min(np.diff(looks)) >= 0.5 - 1e-6
    assert 24 <= len(Porch(5.0).walks(5)) <= 25
    never = Porch(0.0)
    assert never.walks(5) == []
    assert never.eyes.shown == []


def test_the_look_is_at_what_moves() -> None:
    porch = Porch()
    porch.see(0.0, 250)
    assert porch.see(0.1, 260)
    [seen] = porch.eyes.shown
    assert seen.shape == (1, 3, SIZE, SIZE)
    across = seen[0, 1, SIZE // 2]  # the frame's right 240 pixels
    assert np.flatnonzero(across > 0.5).min() / SIZE * HEIGHT + 80 == 260


def test_whoever_shows_a_face_is_not_looked_for_and_somebody_beside_is() -> None:
    porch = Porch()
    lefts = [100 + index % 3 for index in range(60)]
    assert not any(porch.see(i / 30, left, (face_of(left),)) for i, left in enumerate(lefts))
    beside = Porch()
    assert any(beside.see(i / 30, left, (face_of(260),)) for i, left in enumerate(lefts))


def test_a_figure_without_a_face_is_looked_for_again_though_it_stands_still() -> None:
    porch = Porch()
    looks = [i / 30 for i in range(90) if porch.see(i / 30, 100, (), (figure_of(100),))]
    assert len(looks) == 6
    with_face = Porch()
    seen = [
        with_face.see(index / 30, 100, (face_of(100),), (figure_of(100),)) for index in range(90)
    ]
    assert not any(seen)


def test_a_frame_in_which_faces_are_embedded_is_passed_over() -> None:
    porch = Porch()
    times = [index / 30 for index in range(150)]
    busy = [index % 3 != 2 for index in range(150)]
    looks = [
        index
        for index, now in enumerate(times)
        if porch.see(now, 20 + 8 * (index % 30), busy=busy[index])
    ]
    assert 9 <= len(looks) <= 10
    assert not any(busy[index] for index in looks)


def test_where_every_frame_embeds_only_the_first_look_comes_later() -> None:
    porch = Porch()
    assert porch.see(0.0, 20) is False
    looks = [
        tenth / 10
        for tenth in range(1, 60)
        if porch.see(tenth / 10, 20 + 8 * (tenth % 30), busy=True)
    ]
    assert looks[0] == 0.3
    assert np.diff(looks) == pytest.approx(0.5)


def test_what_was_put_off_in_another_stream_waits_no_less_in_this_one() -> None:
    porch = Porch()
    porch.see(1000.0, 20)
    assert not porch.see(1000.1, 30, busy=True)
    assert not porch.see(0.0, 40, busy=True)
    assert not porch.see(0.1, 50, busy=True)
    assert porch.see(0.2, 60, busy=True)


def test_another_stream_is_looked_at_from_its_beginning() -> None:
    porch = Porch()
    assert porch.walks(2, since=1000.0)
    again = porch.walks(2)
    assert again[0] <= 0.1
    assert len(again) == 4
