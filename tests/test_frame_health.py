import time

import numpy as np
import pytest

from doorbell.camera.frame_health import FrameHealth, refuse_malformed
from doorbell.domain import Frame, UInt8Array
from doorbell.errors import CameraError
from doorbell.status import CameraCondition

LIVE, DARK, FROZEN = CameraCondition.LIVE, CameraCondition.DARK, CameraCondition.FROZEN


def porch(
    seed: int, low: int = 60, high: int = 90, shape: tuple[int, int] = (720, 1280)
) -> UInt8Array:
    return np.random.default_rng(seed).integers(low, high, (*shape, 3), np.uint8)


def test_black_is_dark_after_its_time_and_light_ends_it_at_once() -> None:
    sight = FrameHealth(dark_seconds=10, frozen_seconds=5)
    night = [porch(seed, 0, 6) for seed in range(3)]
    assert sight.look(porch(1), 0) is LIVE
    assert [sight.look(night[second % 3], second) for second in range(1, 10)] == [LIVE] * 9
    assert sight.look(night[0], 10) is DARK
    assert sight.look(porch(1), 11) is LIVE


def test_a_sensor_without_noise_in_the_dark_is_dark_and_not_frozen() -> None:
    sight = FrameHealth(dark_seconds=10, frozen_seconds=5)
    black = np.zeros((360, 640, 3), np.uint8)
    seen = [sight.look(black, second) for second in range(30)]
    assert seen == [LIVE] * 10 + [DARK] * 20


def test_a_night_with_one_lamp_is_not_dark() -> None:
    sight = FrameHealth(dark_seconds=1, frozen_seconds=0)
    night = porch(1, 0, 6)
    night[100:200, 100:200] = 220
    assert {sight.look(night, second) for second in range(5)} == {LIVE}


def test_one_picture_for_ever_is_frozen_until_a_bit_changes() -> None:
    sight = FrameHealth(dark_seconds=1, frozen_seconds=5)
    picture = porch(1)
    assert [sight.look(picture.copy(), second) for second in range(6)] == [LIVE] * 5 + [FROZEN]
    other = picture.copy()
    other[0, 0, 0] ^= 1
    assert sight.look(other, 7) is LIVE


def test_a_picture_of_another_size_is_another_picture_and_glare_is_no_standstill() -> None:
    sight = FrameHealth(dark_seconds=1, frozen_seconds=5)
    for second in range(20):
        shape = (720, 1280) if second % 2 else (48, 64)
        assert sight.look(np.full((*shape, 3), 100, np.uint8), second) is LIVE
    for second in range(20, 40):
        assert sight.look(np.full((720, 1280, 3), 255, np.uint8), second) is LIVE


def test_a_time_without_pictures_is_no_standstill() -> None:
    sight = FrameHealth(dark_seconds=1, frozen_seconds=5)
    picture = porch(1)
    assert [sight.look(picture, second) for second in range(5)] == [LIVE] * 5
    sight.begin(100)
    assert [sight.look(picture, second) for second in range(100, 106)] == [LIVE] * 5 + [FROZEN]


def test_what_is_switched_off_is_never_said() -> None:
    sight = FrameHealth(dark_seconds=0, frozen_seconds=0)
    grey, black = porch(1), np.zeros((36, 64, 3), np.uint8)
    assert {sight.look(grey, 1e3 * number) for number in range(5)} == {LIVE}
    assert {sight.look(black, 1e4 * number) for number in range(5)} == {LIVE}


def test_looking_takes_next_to_nothing() -> None:
    sight, picture = FrameHealth(dark_seconds=1, frozen_seconds=1), porch(1)
    took = []
    for number in range(50):
        started = time.perf_counter()
        sight.look(picture, number)
        took.append(time.perf_counter() - started)
    assert min(took) < 1e-4


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((48, 64), np.uint8),
        np.zeros((48, 64, 4), np.uint8),
        np.zeros((48, 64, 3), np.float32),
        np.zeros((0, 64, 3), np.uint8),
        np.zeros((48, 2, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused_by_its_shape(pixels: UInt8Array) -> None:
    with pytest.raises(CameraError, match="no picture"):
        refuse_malformed(Frame(pixels, 0.0, 0.0, 0))
