import gc
import sys
import time
from collections.abc import Sequence

import numpy as np
import pytest
from mapped_camera import MappedUtils, ScriptedSource, Step

from doorbell.camera import frames_reach_gpu, open_camera
from doorbell.camera.jetson import RTSP_LATENCY_MILLISECONDS, JetsonCamera
from doorbell.camera.latest import LatestFrame
from doorbell.camera.uri import parse_uri
from doorbell.config import CameraSection
from doorbell.domain import UInt8Array
from doorbell.errors import CameraError


def grey(value: int, width: int = 32, height: int = 18) -> UInt8Array:
    return np.full((height, width, 3), value, np.uint8)


def section(
    uri: str = "csi://0", *, timeout_seconds: float = 0.05, width: int = 0
) -> CameraSection:
    return CameraSection(uri=uri, timeout_seconds=timeout_seconds, width=width, height=width // 2)


def open_jetson(utils: MappedUtils, uri: str = "csi://0") -> JetsonCamera:
    return JetsonCamera(section(uri), parse_uri(uri), utils)


@pytest.mark.parametrize(
    ("uri", "asked", "more"),
    [
        ("csi://1", "csi://1", {}),
        ("/dev/video2", "v4l2:///dev/video2", {}),
        ("0", "v4l2:///dev/video0", {}),
        (
            "rtsp://me:secret@camera/live",
            "rtsp://me:secret@camera/live",
            {"latency": RTSP_LATENCY_MILLISECONDS},
        ),
    ],
)
def test_what_jetson_utils_is_asked_for(uri: str, asked: str, more: dict[str, object]) -> None:
    plain, sized = MappedUtils([grey(1)]), MappedUtils([grey(1)])
    open_jetson(plain, uri).close()
    JetsonCamera(section(uri, width=640), parse_uri(uri), sized).close()
    assert plain.opened == [(asked, more)]
    assert sized.opened == [(asked, {"width": 640, "height": 320, **more})]


@pytest.mark.parametrize("uri", ["https://camera/stream.mjpg", "udp://@:5000", "clip.mp4"])
def test_what_jetson_utils_does_not_know_is_refused(uri: str) -> None:
    with pytest.raises(CameraError, match=r"does not open .*camera\.backend = 'opencv'"):
        open_jetson(MappedUtils([grey(1)]), uri)


def test_without_jetson_utils_a_csi_camera_is_said_to_need_it() -> None:
    assert "jetson_utils" not in sys.modules
    with pytest.raises(CameraError, match="needs jetson-utils, which is not installed"):
        open_camera(section())


def test_whose_frames_a_gpu_sees() -> None:
    assert frames_reach_gpu(section())
    assert frames_reach_gpu(CameraSection(uri="rtsp://camera/live", backend="jetson"))
    assert not frames_reach_gpu(section("0"))
    assert not frames_reach_gpu(section("simulated:"))


def test_a_frame_is_where_the_gpu_sees_it() -> None:
    camera = open_jetson(MappedUtils([grey(10), grey(20)]))
    for value in (10, 20):
        frame = camera.read()
        assert frame.device_address == frame.pixels.ctypes.data
        assert (frame.pixels == value).all()


def test_memory_is_used_again_once_nobody_looks_at_it() -> None:
    utils = MappedUtils([grey(index) for index in range(60)])
    camera = open_jetson(utils)
    for index in range(60):
        frame = camera.read()
        assert (frame.pixels == index).all()
    assert utils.slots == 2


@pytest.mark.parametrize("keep", ["the frame", "its pixels", "a part", "a part of a part"])
def test_memory_is_left_alone_while_anything_shows_it(keep: str) -> None:
    camera = open_jetson(MappedUtils([grey(index) for index in range(40)]))
    kept = []
    for _ in range(10):
        frame = camera.read()
        views = {
            "the frame": frame,
            "its pixels": frame.pixels,
            "a part": frame.pixels[2:5, 3:9],
            "a part of a part": frame.pixels[2:9].transpose(2, 0, 1)[0][1:],
        }
        kept.append(views[keep])
        del frame, views
        camera.read()
    gc.collect()
    for _ in range(20):
        camera.read()
    for index, view in enumerate(kept):
        pixels = view if isinstance(view, np.ndarray) else view.pixels
        assert (pixels == 2 * index).all()


def test_a_picture_outlives_its_camera() -> None:
    utils = MappedUtils([grey(7)])
    camera = open_jetson(utils)
    frame = camera.read()
    camera.close()
    del camera, utils
    gc.collect()
    assert (frame.pixels == 7).all()


def test_a_stream_may_change_its_size() -> None:
    sizes = [(32, 18), (32, 18), (64, 40), (64, 40), (32, 18)]
    camera = open_jetson(MappedUtils([grey(n, *size) for n, size in enumerate(sizes)]))
    for index, size in enumerate(sizes):
        frame = camera.read()
        assert (frame.width, frame.height) == size
        assert (frame.pixels == index).all()


@pytest.mark.parametrize(
    ("scripts", "message"),
    [
        ((), r"cannot open 'csi://0': failed to create .* nvargus-daemon"),
        (([RuntimeError("no frames")],), r"csi://0 failed .*no frames; .* nvargus-daemon"),
    ],
)
def test_a_camera_that_does_not_start_is_said_with_what_to_do(
    scripts: tuple[Sequence[Step], ...], message: str
) -> None:
    utils = MappedUtils(*scripts)
    with pytest.raises(CameraError, match=message):
        open_jetson(utils)
    assert [source.closed for source in utils.sources] == [1] * len(scripts)


def test_no_password_is_in_an_error() -> None:
    with pytest.raises(CameraError) as caught:
        open_jetson(MappedUtils(), "rtsp://me:secret@camera/live")
    assert "secret" not in str(caught.value)
    assert "rtsp://***@camera/live" in str(caught.value)


@pytest.mark.parametrize(
    ("last", "message"),
    [
        (None, r"no frame within 0\.05 s \(still streaming\)"),
        (RuntimeError("end of stream"), "came to its end: end of stream"),
    ],
)
def test_a_stall_and_an_end_are_errors_in_time(last: Step, message: str) -> None:
    camera = open_jetson(MappedUtils([grey(1), last]))
    camera.read()
    start = time.monotonic()
    with pytest.raises(CameraError, match=message):
        camera.read()
    assert time.monotonic() - start < 0.5


@pytest.mark.parametrize("fault", [None, RuntimeError("camera unplugged")])
def test_a_lost_camera_is_made_anew_and_frames_go_on(fault: Step) -> None:
    utils = MappedUtils([grey(1), fault], [], [grey(2), grey(3), *[None] * 50])
    latest = LatestFrame(lambda: open_jetson(utils), reopen_max_seconds=0.02, lossless=True)
    seen = [int(latest.get(5).pixels[0, 0, 0]) for _ in range(3)]
    latest.close()
    assert seen == [1, 2, 3]
    assert [source.closed for source in utils.sources] == [1, 1, 1]


class Stuck(ScriptedSource):
    """Fails to close."""

    def Close(self) -> None:  # noqa: N802 - their name
        raise RuntimeError("pipeline does not stop")


class StuckUtils(MappedUtils):
    def videoSource(self, uri: str, *, options: object) -> ScriptedSource:  # noqa: ARG002, N802
        return Stuck(self, [grey(1)], 0.0)


def test_a_camera_that_does_not_close_is_left_behind() -> None:
    camera = open_jetson(StuckUtils())
    camera.close()
    camera.close()
    with pytest.raises(CameraError, match="is closed"):
        camera.read()
