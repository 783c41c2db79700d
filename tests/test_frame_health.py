import time

import numpy as np
import pytest
from frozen import FRAMES_PER_SECOND, pictures, play, still

from doorbell.camera.frame_health import FrameHealth, refuse_malformed
from doorbell.domain import Frame, UInt8Array
from doorbell.errors import CameraError
from doorbell.status import CameraCondition
from doorbell.testbed.encoder import Encoder, encode

SCENE = still(None, 480, 270, 1.0)
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


def test_one_picture_for_ever_is_frozen_until_its_noise_is_another() -> None:
    sight = FrameHealth(dark_seconds=1, frozen_seconds=6)
    picture = porch(1)
    assert [sight.look(picture.copy(), second) for second in range(7)] == [LIVE] * 6 + [FROZEN]
    with_clock = picture.copy()
    with_clock[20:50, 20:400] = 255
    assert sight.look(with_clock, 7) is FROZEN
    seen = [sight.look(porch(seed), 8 + seed) for seed in range(2, 14)]
    assert seen == [FROZEN] * 11 + [LIVE]


def test_who_comes_before_a_frozen_camera_that_lives_again_is_seen_at_once() -> None:
    sight = FrameHealth(dark_seconds=1, frozen_seconds=5)
    picture = porch(1)
    assert [sight.look(picture, second) for second in range(6)][-1] is FROZEN
    visitor = picture.copy()
    visitor[300:500, 600:680] = 30
    assert sight.look(visitor, 5.5, intra=False) is LIVE


def test_where_nobody_says_which_pictures_are_intra_it_takes_a_minute() -> None:
    sight = FrameHealth(dark_seconds=1, frozen_seconds=5)
    picture = porch(1)
    seen = [sight.look(picture, second, intra=None) for second in range(62)]
    assert seen.index(FROZEN) == 60
    sight = FrameHealth(dark_seconds=1, frozen_seconds=5)
    seen = [sight.look(picture, second, intra=second == 0) for second in range(130)]
    assert 60 <= seen.index(FROZEN) <= 125


@pytest.mark.parametrize("clock", [False, True])
@pytest.mark.parametrize(
    ("options", "bits_per_second"),
    [
        ({"crf": "23"}, 0),
        ({"crf": "32", "preset": "ultrafast"}, 0),
        ({"x264-params": "nal-hrd=cbr", "maxrate": "1M", "bufsize": "1M"}, 1_000_000),
    ],
)
def test_a_frozen_picture_behind_an_encoder_is_frozen(
    options: dict[str, str], bits_per_second: int, clock: bool
) -> None:
    shown = pictures(SCENE, 40, 2.0, frozen=True, clock=clock)
    encoder = Encoder(480, 270, options=options, bits_per_second=bits_per_second)
    frozen_at, _ = play(encode(shown, encoder), frozen_seconds=10)
    assert frozen_at[0] < 30
    assert len(frozen_at) > 0.9 * (40 - frozen_at[0]) * FRAMES_PER_SECOND


@pytest.mark.parametrize("noise", [0.5, 2.0])
@pytest.mark.parametrize(
    ("options", "bits_per_second"),
    [
        ({"tune": "zerolatency", "maxrate": "40k", "bufsize": "80k"}, 40_000),
        ({"preset": "ultrafast", "maxrate": "40k", "bufsize": "80k"}, 40_000),
        ({"crf": "35"}, 0),
    ],
)
def test_a_live_porch_is_live_however_few_bits_it_gets(
    options: dict[str, str], bits_per_second: int, noise: float
) -> None:
    shown = pictures(SCENE, 40, noise, frozen=False, clock=True)
    encoder = Encoder(480, 270, options=options, bits_per_second=bits_per_second)
    frozen_at, in_common = play(encode(shown, encoder), frozen_seconds=5)
    assert not frozen_at
    assert in_common < 0.6


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


def test_looking_takes_next_to_nothing_of_each_frame() -> None:
    sight, picture = FrameHealth(dark_seconds=1, frozen_seconds=30), porch(1)
    took = []
    for second in range(40):
        started = time.perf_counter()
        for frame in range(30):
            sight.look(picture, second + frame / 30)
        took.append((time.perf_counter() - started) / 30)
    assert min(took[35:]) < 1e-4


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
