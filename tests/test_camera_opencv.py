from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from doorbell.camera import Camera, open_camera
from doorbell.camera.opencv import OpenCvCamera, in_rows
from doorbell.camera.opening import open_latest
from doorbell.config import CameraSection
from doorbell.domain import Frame
from doorbell.errors import CameraError, EndOfStreamError


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Thirty frames in one second, each a little brighter."""
    path = tmp_path / "a clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (160, 120))
    for index in range(30):
        writer.write(np.full((120, 160, 3), 8 * index, np.uint8))
    writer.release()
    return path


def test_a_picture_that_opencv_gives_as_one_row_is_put_into_rows() -> None:
    picture = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    np.testing.assert_array_equal(in_rows(picture.reshape(1, -1), 6, 4), picture)
    for other in (picture, picture[:1], picture.reshape(1, -1)[:, :-3], picture[:, :, 0]):
        assert in_rows(other, 6, 4) is other
    assert in_rows(picture.reshape(1, -1), 0, 0).shape == (1, 72)


def read_until_error(camera: Camera) -> tuple[list[Frame], CameraError]:
    frames = []
    try:
        while True:
            frames.append(camera.read())
    except CameraError as exc:
        return frames, exc


class MotionJpegHandler(BaseHTTPRequestHandler):
    """A network camera: twenty pictures, then silence with the connection open."""

    silence = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            for index in range(20):
                size = (160, 120) if index < 10 else (320, 240)
                pixels = np.full((size[1], size[0], 3), (0, 0, 220), np.uint8)
                data = cv2.imencode(".jpg", pixels)[1].tobytes()
                self.wfile.write(
                    b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: "
                    + str(len(data)).encode()
                    + b"\r\n\r\n"
                    + data
                    + b"\r\n"
                )
                time.sleep(0.02)
            self.silence.wait(20)
        except OSError:
            pass  # the camera's reader has gone

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        del format, args


@pytest.fixture
def network_camera() -> Iterator[str]:
    MotionJpegHandler.silence.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), MotionJpegHandler) as server:
        thread = threading.Thread(target=server.serve_forever, name="network camera")
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/video.mjpg"
        MotionJpegHandler.silence.set()
        server.shutdown()
        thread.join()


def test_a_network_camera_that_falls_silent_is_lost_within_the_timeout(network_camera: str) -> None:
    camera = open_camera(CameraSection(uri=network_camera, backend="opencv", timeout_seconds=1.0))
    before = time.monotonic()
    frames = [camera.read() for _ in range(12)]
    assert all(before <= frame.time_seconds <= time.monotonic() for frame in frames)
    assert frames[0].pixels.mean(axis=(0, 1)) == pytest.approx([220, 0, 0], abs=6)
    rest, error = read_until_error(camera)
    assert len(frames + rest) >= 17, "the size changed in mid-stream and frames stopped coming"
    assert "gave no frame within 1 s" in str(error)
    assert time.monotonic() - before < 5
    camera.close()


def test_a_video_as_fast_as_possible_passes_every_frame_through_the_mailbox(clip: Path) -> None:
    latest = open_latest(CameraSection(uri=str(clip), realtime=False))
    start = time.monotonic()
    frames = [latest.get(2) for _ in range(30)]
    with pytest.raises(EndOfStreamError):
        latest.get(2)
    assert [round(frame.pixels.mean() / 8) for frame in frames] == list(range(30))
    assert [frame.time_seconds for frame in frames] == pytest.approx(
        [index / 30 for index in range(30)], abs=0.005
    )
    assert time.monotonic() - start < 0.9
    latest.close()


def test_a_video_at_its_own_speed_drops_what_a_slow_reader_misses(clip: Path) -> None:
    latest = open_latest(CameraSection(uri=str(clip), realtime=True))
    start = time.monotonic()
    taken: list[int] = []
    while not taken or taken[-1] < 29:
        frame = latest.get(2)
        assert time.monotonic() - start >= frame.time_seconds - 0.1
        taken.append(frame.index)
        time.sleep(0.1)
    with pytest.raises(EndOfStreamError):
        latest.get(2)
    assert 0.8 < time.monotonic() - start < 5
    assert taken == sorted(set(taken))
    assert len(taken) + latest.dropped == 30
    assert latest.dropped > 10
    latest.close()


@pytest.mark.parametrize(
    ("content", "hint"),
    [(None, "No such file"), (b"", "not a video"), (b"plain text", "not a video")],
)
def test_what_is_no_video_is_refused_by_name(
    tmp_path: Path, content: bytes | None, hint: str
) -> None:
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CameraError, match=hint) as caught:
        open_camera(CameraSection(uri=str(path)))
    assert str(path) in str(caught.value)


def test_opencv_and_ffmpeg_write_nothing_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"plain text")
    # In a process of its own: FFmpeg takes its log level once, from whoever uses it first.
    program = """
import sys
from doorbell.camera import open_camera
from doorbell.config import CameraSection
from doorbell.errors import CameraError
for uri in sys.argv[1:]:
    try:
        open_camera(CameraSection(uri=uri, backend="opencv"))
    except CameraError:
        print("refused")
"""
    finished = subprocess.run(
        [sys.executable, "-c", program, str(path), "rtsp://127.0.0.1:9/stream", "/dev/null"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert finished.stdout.split() == ["refused"] * 3
    assert finished.stderr == ""


def test_a_truncated_video_ends_where_it_was_cut(clip: Path) -> None:
    whole = clip.read_bytes()
    clip.write_bytes(whole[: len(whole) // 2])
    camera = open_camera(CameraSection(uri=str(clip), realtime=False))
    frames, error = read_until_error(camera)
    assert isinstance(error, EndOfStreamError)
    assert 5 < len(frames) < 30


def test_a_missing_device_lists_those_present() -> None:
    with pytest.raises(CameraError, match=r"no camera /dev/video99 \(present: "):
        open_camera(CameraSection(uri="99", backend="opencv"))


def test_a_device_that_is_no_camera_is_refused() -> None:
    with pytest.raises(CameraError, match="cannot open the camera /dev/null"):
        open_camera(CameraSection(uri="/dev/null", backend="opencv"))


FORBIDDEN = next(
    (path for path in Path("/dev").iterdir() if path.exists() and not os.access(path, os.R_OK)),
    None,
)


@pytest.mark.skipif(FORBIDDEN is None, reason="this user may open every device")
def test_a_device_without_permission_names_the_group() -> None:
    with pytest.raises(CameraError, match="group video"):
        open_camera(CameraSection(uri=str(FORBIDDEN), backend="opencv"))


@pytest.mark.skipif(
    cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER), reason="this OpenCV has GStreamer"
)
def test_a_pipeline_without_gstreamer_says_so() -> None:
    with pytest.raises(CameraError, match="without GStreamer"):
        open_camera(CameraSection(uri="videotestsrc ! appsink"))


def test_cameras_that_hang_leave_no_options_behind_whoever_ends_first() -> None:
    """Else the next camera, and every process that is started, goes by theirs."""

    def open_silent() -> None:
        with suppress(CameraError):
            open_camera(CameraSection(uri=address)).close()

    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/door"
        first, last = (threading.Thread(target=open_silent) for _ in range(2))
        first.start()
        to_first, _ = silent.accept()  # its options are there
        last.start()
        to_last, _ = silent.accept()
        to_first.close()
        first.join()
        to_last.close()
        last.join()
    assert "OPENCV_FFMPEG_CAPTURE_OPTIONS" not in os.environ


def test_a_frame_is_decoded_into_the_memory_that_has_its_size(tmp_path: Path) -> None:
    path = tmp_path / "colours.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (160, 120))
    for index in range(4):
        writer.write(np.full((120, 160, 3), (200, 50 * index, 20), np.uint8))
    writer.release()
    section = CameraSection(uri=str(path), realtime=False)
    fits, smaller = np.zeros((120, 160, 3), np.uint8), np.zeros((60, 80, 3), np.uint8)
    with closing(open_camera(section)) as here, closing(open_camera(section)) as there:
        assert isinstance(there, OpenCvCamera)
        for memory in (fits, smaller, None, fits):
            there.memory = memory
            expected, frame = here.read(), there.read()
            assert np.array_equal(frame.pixels, expected.pixels)
            assert (frame.pixels is memory) == (memory is fits)
