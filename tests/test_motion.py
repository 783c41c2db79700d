import numpy as np
import pytest

from doorbell.detection.motion import REMEMBERED_FRAMES, Motion
from doorbell.detection.regions import Region, RegionKind
from doorbell.domain import UInt8Array

HERE = Region(256, 128, 256, RegionKind.TILE)
ELSEWHERE = Region(800, 300, 256, RegionKind.TILE)


def porch(seed: int) -> UInt8Array:
    """The same scene with fresh noise, as of a camera at dusk."""
    noise = np.random.default_rng(seed).normal(0, 8, (720, 1280, 3))
    scene = np.linspace(40, 200, 1280)[None, :, None] + noise
    return np.clip(scene, 0, 255).astype(np.uint8)


def visitor(seed: int) -> UInt8Array:
    frame = porch(seed)
    frame[200:260, 300:340] = 20
    return frame


def watched(*frames: UInt8Array) -> Motion:
    motion = Motion()
    for frame in frames:
        motion.watch(frame)
    return motion


def test_a_still_door_does_not_move_for_all_its_noise() -> None:
    motion = watched(porch(1), porch(2), porch(3))
    assert motion.share(HERE) == 0
    assert motion.share(ELSEWHERE) == 0


def test_who_comes_into_sight_moves_there_and_nowhere_else() -> None:
    motion = watched(porch(1), visitor(2))
    assert motion.share(HERE) == 1
    assert motion.share(ELSEWHERE) == 0


def test_the_first_frame_does_not_move() -> None:
    assert watched(visitor(1)).share(HERE) == 0


@pytest.mark.parametrize(
    ("frames", "moves"), [(REMEMBERED_FRAMES - 1, True), (REMEMBERED_FRAMES, False)]
)
def test_motion_is_remembered_for_some_frames(frames: int, moves: bool) -> None:
    motion = watched(porch(1), visitor(2), *(visitor(3 + i) for i in range(frames)))
    assert (motion.share(HERE) == 1) is moves


def test_a_region_may_reach_beyond_the_frame() -> None:
    motion = watched(porch(1), visitor(2))
    assert motion.share(Region(-100, -100, 500, RegionKind.TILE)) == 1
    assert motion.share(Region(1270, 700, 300, RegionKind.TILE)) == 0


def test_a_share_is_the_part_that_lies_within() -> None:
    motion = watched(porch(1), visitor(2))
    left_half = Region(320 - 400, 0, 400, RegionKind.TILE)
    assert motion.share(left_half) == pytest.approx(0.5, abs=0.2)
