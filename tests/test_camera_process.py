"""A camera that another process reads: what passes between the two, and what is not believed."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from doorbell.camera.exposed import FaceMeter
from doorbell.camera.patience import Patience, patience_with
from doorbell.camera.process.camera import CameraProcesses, ProcessCamera
from doorbell.camera.process.messages import pair, ring_shape, send
from doorbell.camera.process.starter import spawn_starter
from doorbell.config import CameraSection
from doorbell.domain import Face
from doorbell.errors import CameraError, CameraSetupError, CameraStuckError, EndOfStreamError
from doorbell.imaging.frame_buffers import FrameBuffers
from doorbell.imaging.frame_ring import RingWriter
from doorbell.testbed.camera_processes import camera_process, descendants, starter
from doorbell.testbed.waiting import eventually

IMPATIENT = Patience(stuck_seconds=0.2)


@pytest.fixture(scope="module")
def processes() -> Iterator[CameraProcesses]:
    with closing(CameraProcesses(spawn_starter())) as opened:
        yield opened


@pytest.fixture
def ends() -> Iterator[tuple[ProcessCamera, socket.socket]]:
    """Our end of a process, and that of the process, which a test plays."""
    ours, theirs = pair()
    with theirs, closing(ProcessCamera(ours, IMPATIENT, None, FrameBuffers())) as camera:
        yield camera, theirs
        theirs.close()  # or it would be waited for


def opened(
    processes: CameraProcesses, section: CameraSection, meter: FaceMeter | None = None
) -> ProcessCamera:
    return processes.open(section, None, name="door", patience=patience_with(section), meter=meter)


def test_what_cannot_be_opened_is_refused_as_in_this_process(
    processes: CameraProcesses, tmp_path: Path
) -> None:
    with pytest.raises(CameraError, match="there is no camera /dev/video99"):
        opened(processes, CameraSection(uri="/dev/video99"))
    (tmp_path / "clip.mkv").write_text("no film")
    with pytest.raises(CameraSetupError, match="not a video"):
        opened(processes, CameraSection(uri=str(tmp_path / "clip.mkv")))


def test_a_face_is_exposed_by_the_process_that_reads_the_camera(
    processes: CameraProcesses, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script = tmp_path / "dusk.toml"
    script.write_text("duration_seconds = 100.0\nlight = 0.05\nappearances = []\n")
    section = CameraSection(
        uri=f"simulated:{script}", width=320, height=180, frames_per_second=20, expose_faces=True
    )
    somebody = Face(np.array([100, 40, 200, 140], np.float32), np.zeros((6, 2), np.float32), 0.9)
    meter = FaceMeter()
    with (
        caplog.at_level(logging.INFO),
        closing(opened(processes, section, meter)) as camera,
    ):
        before = camera.read().pixels.mean()
        for _ in range(40):
            frame = camera.read()
            meter.look(frame.pixels, [somebody])
            if frame.pixels.mean() > 2 * before:
                break
    assert frame.pixels.mean() > 2 * before
    assert "is exposed by the face" in caplog.text


def test_what_stays_so_is_said_once_however_often_the_camera_is_opened(
    processes: CameraProcesses, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "door.png").write_bytes(b"no picture")
    section = CameraSection(uri=str(tmp_path), expose_faces=True)
    meter = FaceMeter()
    for _ in range(2):
        with closing(opened(processes, section, meter)) as camera, pytest.raises(CameraError):
            camera.read()
    assert caplog.text.count("camera.expose_faces does nothing") == 1


def test_frames_that_change_their_size_come_through_memory_of_that_size(
    ends: tuple[ProcessCamera, socket.socket],
) -> None:
    camera, process = ends
    for number, (width, height) in enumerate([(64, 36), (64, 36), (32, 48)]):
        ring = RingWriter(ring_shape(width, height))
        send(process, {"ring": [width, height]}, ring.descriptor)
        slot, pixels = ring.begin()
        pixels[...] = number + 1
        ring.end(slot, number)
        send(process, {"frame": [slot, number, 1.5, 2.5, None]})
        frame = camera.read()
        assert frame.pixels.shape == (height, width, 3)
        assert np.all(frame.pixels == number + 1)
        assert (frame.index, frame.time_seconds, frame.captured_at) == (number, 1.5, 2.5)
        assert frame.intra is None


def test_a_process_that_does_not_answer_hangs(ends: tuple[ProcessCamera, socket.socket]) -> None:
    camera, _ = ends
    for _ in range(2):
        with pytest.raises(CameraStuckError, match=r"its driver has not answered for 0\.2 s"):
            camera.read()


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        ({"error": "EndOfStreamError", "message": "over"}, EndOfStreamError, "over"),
        ({"error": "SystemExit", "message": "no"}, CameraError, "no"),
        ({"ended": -11}, CameraError, "ended by SIGSEGV"),
        ({"ended": -99}, CameraError, "ended by signal 99"),
        ({"ended": 1}, CameraError, r"ended by itself \(1\)"),
        (["frame"], CameraError, "said what is no message"),
    ],
)
def test_what_ends_a_camera_is_said_again_by_each_later_read(
    ends: tuple[ProcessCamera, socket.socket], said: object, error: type[CameraError], words: str
) -> None:
    camera, process = ends
    process.send(json.dumps(said).encode())
    for _ in range(2):
        with pytest.raises(error, match=words) as raised:
            camera.read()
        assert type(raised.value) is error


def test_memory_that_would_end_who_reads_it_is_refused(
    ends: tuple[ProcessCamera, socket.socket],
) -> None:
    camera, process = ends
    shape = ring_shape(64, 36)
    unsealed = os.memfd_create("frames")
    os.ftruncate(unsealed, shape.file_bytes)
    send(process, {"ring": [64, 36]}, unsealed)
    os.close(unsealed)
    with pytest.raises(CameraError, match="can be cut short"):
        camera.read()


def test_pictures_larger_than_any_camera_s_are_refused(
    ends: tuple[ProcessCamera, socket.socket],
) -> None:
    camera, process = ends
    ring = RingWriter(ring_shape(64, 36))
    send(process, {"ring": [100_000, 100_000]}, ring.descriptor)
    with pytest.raises(CameraError, match="100000 x 100000 pixels"):
        camera.read()


def test_a_process_that_is_gone_without_a_word_is_a_lost_camera(
    ends: tuple[ProcessCamera, socket.socket],
) -> None:
    camera, process = ends
    process.close()
    with pytest.raises(CameraError, match="process is gone"):
        camera.read()


def test_cameras_that_come_and_go_at_once_leave_nothing_behind(
    processes: CameraProcesses, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "door.png"), np.full((48, 64, 3), 90, np.uint8))
    section = CameraSection(uri=str(tmp_path), realtime=False, loop=True)
    first = starter(os.getpid())
    assert first is not None

    def descriptors() -> list[int]:
        return [len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in (os.getpid(), first)]

    before = descriptors()

    def come_and_go(number: int) -> None:
        patience = Patience(stuck_seconds=10.0)
        for ending in (None, signal.SIGKILL, signal.SIGSTOP, None):
            with closing(
                processes.open(section, None, name=f"{number}", patience=patience, meter=None)
            ) as camera:
                assert camera.read().pixels.shape == (48, 64, 3)
                pid = camera_process(os.getpid(), f"{number}")
                if ending is not None and pid is not None:
                    os.kill(pid, ending)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(come_and_go, range(3)))
    assert eventually(lambda: not descendants(first))
    assert all(now <= then for now, then in zip(descriptors(), before, strict=True))
