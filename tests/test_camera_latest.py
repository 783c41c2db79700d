from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

import numpy as np
import pytest

from doorbell.camera import Camera
from doorbell.camera.frame_health import FrameHealth
from doorbell.camera.latest import LatestFrame
from doorbell.camera.opening import close_all, open_latest
from doorbell.camera.patience import Patience
from doorbell.config import CameraSection
from doorbell.domain import Frame
from doorbell.errors import CameraError, CameraSetupError, EndOfStreamError
from doorbell.status import CameraCondition


def frame(index: int) -> Frame:
    return Frame(np.full((16, 16, 3), index % 256, np.uint8), index / 30, time.time(), index)


class ScriptedCamera:
    """Gives what its script gives: a frame, or an exception to raise."""

    def __init__(self, script: Iterator[Frame | Exception]) -> None:
        self._script = script
        self.closed = threading.Event()

    def read(self) -> Frame:
        item = next(self._script)
        if isinstance(item, Exception):
            raise item
        return item

    def close(self) -> None:
        self.closed.set()


class StuckCamera:
    """A driver that hangs until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.reading = threading.Event()

    def read(self) -> Frame:
        self.reading.set()
        self.let_go.wait(30)
        raise CameraError("the driver gave up")

    def close(self) -> None:
        pass


def recording(length: int) -> Iterator[Frame | Exception]:
    yield from (frame(index) for index in range(length))
    while True:
        yield EndOfStreamError("over")


def opener(*scripts: Iterator[Frame | Exception]) -> Callable[[], Camera]:
    cameras = iter(scripts)
    return lambda: ScriptedCamera(next(cameras))


def itself(camera: Camera) -> Camera:
    return camera


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.002)


def capture_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "capture"]


def test_a_slow_reader_gets_the_newest_frame_and_the_rest_are_counted() -> None:
    latest = LatestFrame(opener(recording(50)), reopen_max_seconds=1, lossless=False)
    wait_until(lambda: latest.dropped == 49)
    assert latest.get(1).index == 49
    with pytest.raises(EndOfStreamError):
        latest.get(1)
    assert latest.dropped == 49
    latest.close()


def test_lossless_delivers_every_frame_to_a_slow_reader() -> None:
    latest = LatestFrame(opener(recording(20)), reopen_max_seconds=1, lossless=True)
    indices = []
    for _ in range(20):
        indices.append(latest.get(1).index)
        time.sleep(0.005)
    assert indices == list(range(20))
    with pytest.raises(EndOfStreamError, match="over"):
        latest.get(1)
    assert latest.dropped == 0
    latest.close()


def test_a_lost_camera_is_reopened_and_each_turn_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def losing(length: int) -> Iterator[Frame | Exception]:
        yield from (frame(index) for index in range(length))
        yield CameraError("unplugged")

    attempts = 0
    again = threading.Event()

    def open_camera() -> Camera:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            return ScriptedCamera(losing(1))
        if attempts == 2:
            raise CameraError("still unplugged")
        if attempts == 3:
            return ScriptedCamera(losing(0))
        again.wait(10)
        return ScriptedCamera(recording(1))

    with caplog.at_level(logging.INFO, logger="doorbell.camera"):
        latest = LatestFrame(open_camera, reopen_max_seconds=0.02, lossless=False)
        assert latest.get(1).index == 0
        wait_until(lambda: attempts == 4)
        assert not latest.state.gives_frames
        with pytest.raises(CameraError, match="being reopened"):
            latest.get(0.01)
        again.set()
        assert latest.get(2).index == 0
        assert latest.state.gives_frames
        latest.close()
    assert caplog.text.count("unplugged") == 1
    assert caplog.text.count("the camera is back") == 1


def test_no_frame_in_time_is_an_error_and_the_next_call_may_succeed() -> None:
    release = threading.Event()

    def late() -> Iterator[Frame | Exception]:
        release.wait(10)
        yield frame(0)
        while True:
            yield EndOfStreamError("over")

    latest = LatestFrame(opener(late()), reopen_max_seconds=1, lossless=False)
    start = time.monotonic()
    with pytest.raises(CameraError, match=r"no frame within 0\.05 s"):
        latest.get(0.05)
    assert time.monotonic() - start < 1
    release.set()
    assert latest.get(2).index == 0
    latest.close()


def test_closing_is_bounded_even_if_the_driver_hangs(caplog: pytest.LogCaptureFixture) -> None:
    camera = StuckCamera()
    latest = LatestFrame(lambda: camera, reopen_max_seconds=1, lossless=False)
    assert camera.reading.wait(2)
    start = time.monotonic()
    latest.close()
    assert time.monotonic() - start < 3
    assert "did not answer" in caplog.text
    with pytest.raises(CameraError, match="closed"):
        latest.get(0.1)
    camera.let_go.set()
    wait_until(lambda: not capture_threads())


def test_cameras_that_hang_are_closed_in_the_time_of_one() -> None:
    stuck = [StuckCamera() for _ in range(4)]
    works = ScriptedCamera(recording(10))
    cameras: list[Camera] = [*stuck, works]
    latest = [
        LatestFrame(partial(itself, camera), reopen_max_seconds=1, lossless=False)
        for camera in cameras
    ]
    assert all(camera.reading.wait(2) for camera in stuck)
    start = time.monotonic()
    close_all(latest)
    assert time.monotonic() - start < 3
    assert works.closed.is_set()
    for camera in stuck:
        camera.let_go.set()
    wait_until(lambda: not capture_threads())


def test_closing_wakes_a_waiting_reader_and_ends_the_thread() -> None:
    scripted = ScriptedCamera(recording(10))
    latest = LatestFrame(lambda: scripted, reopen_max_seconds=1, lossless=True)
    latest.get(1)
    assert [thread.daemon for thread in capture_threads()] == [True]
    latest.close()
    latest.close()
    assert not capture_threads()
    assert scripted.closed.is_set()
    with pytest.raises(CameraError, match="closed"):
        latest.get(0.1)


def test_a_fault_in_the_capture_thread_reaches_the_reader() -> None:
    def broken() -> Iterator[Frame | Exception]:
        yield ZeroDivisionError("a mistake of ours")

    latest = LatestFrame(opener(broken()), reopen_max_seconds=1, lossless=False)
    with pytest.raises(ZeroDivisionError):
        latest.get(2)
    latest.close()


def test_a_missing_camera_fails_at_start() -> None:
    with pytest.raises(CameraError, match="there is no camera"):
        open_latest(CameraSection(uri="/dev/video-none"))
    assert not capture_threads()


def test_a_camera_that_may_be_missing_is_waited_for_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    plugged = threading.Event()

    def open_camera() -> Camera:
        if not plugged.is_set():
            raise CameraError("there is no camera")
        return ScriptedCamera(frame(index) for index in itertools.count())

    with caplog.at_level(logging.INFO, logger="doorbell.camera"):
        latest = LatestFrame(
            open_camera, reopen_max_seconds=0.02, lossless=False, may_be_missing=True
        )
        wait_until(lambda: latest.state.condition is CameraCondition.LOST)
        with pytest.raises(CameraError, match="being reopened"):
            latest.get(0.2)
        assert latest.state.reason == "there is no camera"
        assert not latest.needs_restart
        plugged.set()
        latest.get(2)
        assert latest.state.condition is CameraCondition.LIVE
        assert latest.state.reason == ""
        latest.close()
    assert caplog.text.count("there is no camera") == 1


def test_a_wrong_set_up_is_not_waited_for_but_told_to_the_reader() -> None:
    latest = open_latest(CameraSection(uri="/no/such/video.mkv"), may_be_missing=True)
    with pytest.raises(CameraSetupError, match="cannot read the video"):
        latest.get(2)
    latest.close()


def test_a_driver_that_hangs_is_left_behind_and_the_camera_opened_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stuck = StuckCamera()
    cameras: list[Camera] = [stuck, ScriptedCamera(frame(index) for index in itertools.count())]
    latest = LatestFrame(
        lambda: cameras.pop(0),
        reopen_max_seconds=1,
        lossless=False,
        patience=Patience(stuck_seconds=0.1),
    )
    seen: list[CameraCondition] = []
    while not seen or seen[-1] is not CameraCondition.LIVE:
        with suppress(CameraError):
            latest.get(0.05)
        seen.append(latest.state.condition)
    assert set(seen) <= {*CameraCondition} - {CameraCondition.LOST}
    assert "the camera hangs" in caplog.text
    stuck.let_go.set()  # what it says at last changes nothing
    wait_until(lambda: len(capture_threads()) == 1)
    assert latest.state.gives_frames
    latest.close()


def test_too_many_hanging_drivers_are_beyond_help_and_one_that_answers_ends_that() -> None:
    opened: list[StuckCamera] = []

    def open_camera() -> Camera:
        opened.append(StuckCamera())
        return opened[-1]

    latest = LatestFrame(
        open_camera,
        reopen_max_seconds=0.02,
        lossless=False,
        patience=Patience(stuck_seconds=0.05),
    )
    helped = 0
    while not latest.needs_restart:
        helped += 1
        assert helped < 200
        with pytest.raises(CameraError):
            latest.get(0.02)
    assert len(opened) == 4
    assert len(capture_threads()) == 4
    assert latest.state.condition is CameraCondition.STUCK
    for camera in opened:
        camera.let_go.set()
    wait_until(lambda: len(capture_threads()) == 1)
    latest.close()
    for camera in opened:
        camera.let_go.set()


@pytest.mark.parametrize("seen_since", [False, True])
def test_only_a_driver_that_hangs_since_the_last_frame_can_hold_the_camera(
    seen_since: bool,
) -> None:
    stuck = StuckCamera()
    cameras: list[Camera] = [stuck]
    if seen_since:
        cameras.append(ScriptedCamera(iter([frame(0), CameraError("switched off")])))

    def open_camera() -> Camera:
        if not cameras:
            raise CameraError("switched off")
        return cameras.pop(0)

    latest = LatestFrame(
        open_camera,
        reopen_max_seconds=0.02,
        lossless=False,
        patience=Patience(stuck_seconds=0.05, held_seconds=0.2),
        may_be_missing=True,
    )

    def look_for(seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with suppress(CameraError):
                latest.get(0.02)

    look_for(1.0)
    assert latest.needs_restart is not seen_since
    latest.close()
    stuck.let_go.set()


def test_a_frozen_camera_is_opened_anew_and_its_frames_are_not_passed_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rng = np.random.default_rng(1)
    pictures = [rng.integers(low, low + 30, (16, 16, 3), np.uint8) for low in (60, 120)]

    def showing(picture: int) -> Iterator[Frame | Exception]:
        for index in itertools.count():
            time.sleep(0.01)
            yield Frame(pictures[picture], index / 100, time.time(), index)

    scripts = iter([showing(0), showing(0), showing(1)])
    with caplog.at_level(logging.INFO, logger="doorbell.camera"):
        latest = LatestFrame(
            lambda: ScriptedCamera(next(scripts)),
            reopen_max_seconds=0.01,
            lossless=False,
            sight=FrameHealth(dark_seconds=0, frozen_seconds=0.1),
        )
        seconds = [latest.get(1).time_seconds]
        while (taken := latest.get(3)).pixels is pictures[0]:
            seconds.append(taken.time_seconds)
        assert taken.time_seconds > seconds[-1], "stream time ran backwards"
        assert seconds == sorted(seconds)
        latest.close()
    assert seconds[-1] < 0.2
    assert caplog.text.count("frozen") == 1
