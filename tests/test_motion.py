from collections.abc import Iterable

import numpy as np
import pytest
from camera_noise import CameraNoise

from doorbell.detection.motion import (
    FORGOTTEN_FRAMES,
    FRESH_LOOKS,
    MOST_LOOKS,
    REMEMBERED_FRAMES,
    Motion,
)
from doorbell.detection.regions import Region, RegionKind
from doorbell.domain import UInt8Array

HERE = Region(256, 128, 256, RegionKind.TILE)
ELSEWHERE = Region(800, 300, 256, RegionKind.TILE)
SCENE = np.tile(np.linspace(40, 200, 1280).astype(np.uint8)[None, :, None], (720, 1, 3))
NOISE = CameraNoise(720, 1280, 8.0)


def porch(seed: int) -> UInt8Array:
    """The same scene with fresh noise, as of a camera at dusk."""
    return NOISE.on(SCENE, seed)


def visitor(seed: int) -> UInt8Array:
    frame = porch(seed)
    frame[200:260, 300:340] = 20
    return frame


def watched(*frames: UInt8Array) -> Motion:
    motion = Motion()
    for frame in frames:
        motion.watch(frame)
    return motion


def share(motion: Motion, region: Region) -> float:
    return float(motion.shares(np.array([[region.left, region.top, region.side]]))[0])


def test_a_still_door_does_not_move_for_all_its_noise() -> None:
    motion = watched(porch(1), porch(2), porch(3))
    assert share(motion, HERE) == 0
    assert share(motion, ELSEWHERE) == 0


def test_who_comes_into_sight_moves_there_and_nowhere_else() -> None:
    motion = watched(porch(1), visitor(2))
    assert share(motion, HERE) == 1
    assert share(motion, ELSEWHERE) == 0


def test_the_first_frame_does_not_move() -> None:
    assert share(watched(visitor(1)), HERE) == 0


@pytest.mark.parametrize(
    ("frames", "moves"), [(REMEMBERED_FRAMES - 1, True), (REMEMBERED_FRAMES, False)]
)
def test_motion_is_remembered_for_some_frames(frames: int, moves: bool) -> None:
    motion = watched(porch(1), visitor(2), *(visitor(3 + i) for i in range(frames)))
    assert (share(motion, HERE) == 1) is moves


def test_a_region_may_reach_beyond_the_frame() -> None:
    motion = watched(porch(1), visitor(2))
    assert share(motion, Region(-100, -100, 500, RegionKind.TILE)) == 1
    assert share(motion, Region(1270, 700, 300, RegionKind.TILE)) == 0


def test_a_share_is_the_part_that_lies_within() -> None:
    motion = watched(porch(1), visitor(2))
    left_half = Region(320 - 400, 0, 400, RegionKind.TILE)
    assert share(motion, left_half) == pytest.approx(0.5, abs=0.2)


def test_what_moves_has_a_window_with_it_near_the_middle() -> None:
    (window,) = watched(porch(1), visitor(2)).windows([], 256)
    assert window.side == 256
    assert abs(window.left + 128 - 320) < 40
    assert abs(window.top + 128 - 200) < 40


def test_a_window_grows_with_what_moves() -> None:
    before = porch(1)
    after = before.copy()
    after[100:720, 1000:1200] //= 2
    (window,) = watched(before, after).windows([], 256)
    assert 620 <= window.side <= 800
    assert window.top <= 100
    assert window.top + window.side >= 720


def test_who_comes_in_at_the_border_is_in_the_middle_of_the_window() -> None:
    before = porch(1)
    after = before.copy()
    after[200:400, 1240:1280] //= 2
    (window,) = watched(before, after).windows([], 256)
    assert abs(window.left + window.side / 2 - 1260) < 20
    assert abs(window.top + window.side / 2 - 300) < 20


def test_the_largest_motion_has_the_first_window() -> None:
    before = porch(1)
    after = before.copy()
    after[100:140, 100:140] //= 2
    after[300:600, 800:1000] //= 2
    first, second = watched(before, after).windows([], 64)
    assert first.left > 600
    assert second.left < 200


def test_explained_motion_has_no_window() -> None:
    motion = watched(porch(1), visitor(2))
    assert motion.windows([np.array([250, 150, 400, 300], np.float32)], 256) == []
    assert motion.windows([np.array([700, 150, 900, 300], np.float32)], 256)


def windows_opened(motion: Motion, rest_frames: int, seeds: Iterable[int]) -> list[bool]:
    """Somebody moves on and on, each window is looked at: whether one opens, frame by frame."""
    opened = []
    for seed in seeds:
        motion.watch(porch(seed) if seed % 2 else visitor(seed))
        windows = motion.windows([], 256)
        for window in windows:
            motion.rest(window, rest_frames)
        opened.append(bool(windows))
    return opened


def test_what_moves_anew_has_a_window_in_every_frame_and_rests_later() -> None:
    motion = watched(porch(1))
    opened = windows_opened(motion, 3, range(2, 32))
    assert all(opened[:FRESH_LOOKS])
    assert opened[-9:].count(True) == 3


def test_what_was_still_for_long_moves_anew() -> None:
    motion = watched(porch(1))
    windows_opened(motion, 3, range(2, 80))
    for seed in range(81, 81 + 2 * (MOST_LOOKS + 1) * FORGOTTEN_FRAMES, 2):
        motion.watch(porch(seed))
    assert all(windows_opened(motion, 3, range(1000, 1000 + FRESH_LOOKS)))


def test_the_whole_frame_may_move() -> None:
    motion = watched(porch(1), porch(2) // 2)  # a lamp goes out
    (window,) = motion.windows([], 256)
    assert window.side == 1280


@pytest.mark.parametrize("size", [(1, 320), (1, 1), (3, 2000), (2000, 3)])
def test_a_frame_may_be_of_any_shape(size: tuple[int, int]) -> None:
    motion = watched(np.zeros((*size, 3), np.uint8), np.full((*size, 3), 200, np.uint8))
    assert motion.windows([], 64) or min(size) < 3
