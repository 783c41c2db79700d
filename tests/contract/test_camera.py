"""What every camera must do, run over every backend that this machine has."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import mapped_camera
import numpy as np
import pytest
from mapped_camera import MappedUtils

from doorbell.camera import Camera, open_camera
from doorbell.camera.jetson import JetsonCamera
from doorbell.camera.patience import patience_with
from doorbell.camera.process.camera import CameraProcesses
from doorbell.camera.process.starter import spawn_starter
from doorbell.camera.simulated.camera import SimulatedCamera
from doorbell.camera.simulated.script import SceneScript
from doorbell.camera.uri import parse_uri
from doorbell.config import CameraSection
from doorbell.domain import UInt8Array
from doorbell.errors import CameraError, EndOfStreamError

WIDTH, HEIGHT, FRAMES, RATE = 320, 180, 12, 20.0


def red_picture(index: int) -> UInt8Array:
    """Red, a little brighter each time, so that no two frames are equal."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[..., 0] = 140 + 8 * index
    return pixels


@dataclass(frozen=True)
class Case:
    """A backend under test.

    Attributes:
        open: opens it, at its own speed or not.
        red_xy: what is around this pixel is red in every frame.
        recorded: whether it ends with EndOfStreamError after ``FRAMES`` frames.
    """

    open: Callable[[CameraSection], Camera]
    uri: str
    red_xy: tuple[int, int]
    recorded: bool

    def section(self, *, realtime: bool, loop: bool = False) -> CameraSection:
        simulated = self.uri.startswith("simulated:")
        return CameraSection(
            uri=self.uri,
            width=WIDTH if simulated else 0,
            height=HEIGHT if simulated else 0,
            frames_per_second=RATE,
            timeout_seconds=0.5,
            realtime=realtime,
            loop=loop,
        )


# The module ``jetson_utils`` before a camera of these pictures, for another process.
SCRIPTED_JETSON = """
import sys
sys.path[:0] = {folders!r}
from mapped_camera import MappedUtils
from test_camera import FRAMES, RATE, red_picture

utils = MappedUtils([*map(red_picture, range(FRAMES)), None], period_seconds=1 / RATE)
videoSource, cudaAllocMapped = utils.videoSource, utils.cudaAllocMapped
cudaMemcpy, cudaToNumpy = utils.cudaMemcpy, utils.cudaToNumpy
cudaDeviceSynchronize = utils.cudaDeviceSynchronize
"""


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CameraProcesses]:
    folder = tmp_path_factory.mktemp("jetson")
    folders = [str(Path(__file__).parent), str(Path(mapped_camera.__file__).parent)]
    (folder / "jetson_utils.py").write_text(SCRIPTED_JETSON.format(folders=folders))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", os.pathsep.join([str(folder), *sys.path]))
        starter = spawn_starter()
    with closing(CameraProcesses(starter)) as opened:
        yield opened


@pytest.fixture(params=["simulated", "folder", "opencv", "jetson", "process"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    middle = (WIDTH // 2, HEIGHT // 2)
    match request.param:
        case "simulated":
            script = SceneScript(appearances=(), duration_seconds=FRAMES / RATE, seed=3)
            brick = (int(WIDTH * 0.95), HEIGHT // 2)
            return Case(lambda s: SimulatedCamera(s, script), "simulated:", brick, recorded=True)
        case "folder":
            for index in range(FRAMES):
                path = tmp_path / f"{index:02}.png"
                cv2.imwrite(str(path), cv2.cvtColor(red_picture(index), cv2.COLOR_RGB2BGR))
            return Case(open_camera, str(tmp_path), middle, recorded=True)
        case "opencv":
            path = tmp_path / "clip.avi"
            size = (WIDTH, HEIGHT)
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), RATE, size)
            for index in range(FRAMES):
                writer.write(cv2.cvtColor(red_picture(index), cv2.COLOR_RGB2BGR))
            writer.release()
            return Case(open_camera, path.as_uri(), middle, recorded=True)
        case "process":
            opened = request.getfixturevalue("processes")
            return Case(
                lambda s: opened.open(s, None, name="", patience=patience_with(s), meter=None),
                "csi://0",
                middle,
                recorded=False,
            )
        case _:
            steps = [*(red_picture(index) for index in range(FRAMES)), None]
            utils = MappedUtils(steps, period_seconds=1 / RATE)
            return Case(
                lambda s: JetsonCamera(s, parse_uri(s.uri), utils),
                "csi://0",
                middle,
                recorded=False,
            )


@pytest.fixture
def camera(case: Case) -> Camera:
    return case.open(case.section(realtime=False))


def test_a_frame_is_rgb_bytes_of_its_own_size(case: Case, camera: Camera) -> None:
    frame = camera.read()
    assert frame.pixels.dtype == np.uint8
    assert frame.pixels.shape == (HEIGHT, WIDTH, 3)
    assert (frame.width, frame.height) == (WIDTH, HEIGHT)
    assert frame.pixels.flags.c_contiguous
    x, y = case.red_xy
    red, green, blue = frame.pixels[y - 20 : y + 20, x - 10 : x + 10].mean(axis=(0, 1))
    assert red > 1.25 * green
    assert red > 1.25 * blue
    camera.close()


def test_time_and_index_increase(case: Case) -> None:
    before = time.time()
    camera = case.open(case.section(realtime=False))
    frames = [camera.read() for _ in range(FRAMES)]
    camera.close()
    assert [frame.index for frame in frames] == list(range(FRAMES))
    steps = np.diff([frame.time_seconds for frame in frames])
    assert steps.min() > 0
    if case.recorded:
        assert steps == pytest.approx(1 / RATE, abs=0.005)
    assert all(before <= frame.captured_at <= time.time() for frame in frames)


def test_a_frame_that_had_to_wait_is_stamped_when_it_was_due(case: Case) -> None:
    if not case.recorded:
        pytest.skip("a live camera's frames come when they come")
    camera = case.open(case.section(realtime=True))
    ages = []
    for _ in range(FRAMES):
        frame = camera.read()
        ages.append(time.time() - frame.captured_at)
    camera.close()
    assert np.median(ages) < 0.2 / RATE


def test_a_frame_is_not_overwritten_by_the_next_ones(camera: Camera) -> None:
    first = camera.read()
    kept = first.pixels.copy()
    later = [camera.read() for _ in range(6)]
    camera.close()
    assert np.array_equal(first.pixels, kept)
    assert not any(np.array_equal(frame.pixels, kept) for frame in later)


def test_frames_come_at_their_own_speed(case: Case) -> None:
    camera = case.open(case.section(realtime=True))
    first = camera.read()
    start = time.monotonic()
    for _ in range(6):
        last = camera.read()
    elapsed = time.monotonic() - start
    camera.close()
    streamed = last.time_seconds - first.time_seconds
    assert streamed - 0.1 < elapsed < streamed + 1.0
    assert elapsed >= 5 / RATE


def test_the_end_is_an_error_within_the_timeout(case: Case, camera: Camera) -> None:
    for _ in range(FRAMES):
        camera.read()
    expected = EndOfStreamError if case.recorded else CameraError
    for _ in range(2):
        start = time.monotonic()
        with pytest.raises(expected):
            camera.read()
        assert time.monotonic() - start < 1.0
    camera.close()


def test_a_recording_starts_over_and_time_goes_on(case: Case) -> None:
    if not case.recorded:
        pytest.skip("a live camera has no end to start over from")
    camera = case.open(case.section(realtime=False, loop=True))
    frames = [camera.read() for _ in range(3 * FRAMES)]
    camera.close()
    steps = np.diff([frame.time_seconds for frame in frames])
    assert steps == pytest.approx(1 / RATE, abs=0.01)
    assert [frame.index for frame in frames] == list(range(3 * FRAMES))
    start, again = frames[0].pixels.astype(int), frames[2 * FRAMES].pixels.astype(int)
    assert np.abs(start - again).mean() < 6


def test_closing_twice_is_fine_and_reading_then_is_not(camera: Camera) -> None:
    camera.read()
    camera.close()
    camera.close()
    with pytest.raises(CameraError):
        camera.read()
