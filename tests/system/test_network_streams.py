"""H.264 of a network camera as it is joined: between two key frames, or frozen before its encoder.

The camera is a process that sends over HTTP.
"""

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from doorbell.camera.latest import LatestFrame
from doorbell.camera.opening import open_latest
from doorbell.config import CameraSection, load_config
from doorbell.diagnostics import check_all
from doorbell.errors import CameraError
from doorbell.status import CameraCondition
from doorbell.testbed.network_camera import NetworkCamera
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

WAITING = "waiting for the camera's first key frame"


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[NetworkCamera]:
    camera = NetworkCamera(tmp_path)
    try:
        yield camera
    finally:
        camera.unplug()


def opened(camera: NetworkCamera, **settings: float) -> LatestFrame:
    """Open it once it sends; its first key frame is gone by then."""
    camera.plug()
    port = urlsplit(camera.uri).port or 0

    def sends() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return True
        return False

    assert eventually(sends, 20)
    time.sleep(0.5)
    section = CameraSection.model_validate({"uri": camera.uri, "timeout_seconds": 1.0, **settings})
    return open_latest(section, may_be_missing=True)


def is_live(latest: LatestFrame) -> bool:
    with suppress(CameraError):
        latest.get(0.05)
    return latest.state.condition is CameraCondition.LIVE


def test_a_stream_is_given_the_time_to_its_next_key_frame_and_it_is_said(
    camera: NetworkCamera, caplog: pytest.LogCaptureFixture
) -> None:
    camera.key_frames_apart = 180  # 12 s
    reasons: set[str] = set()

    def sees() -> bool:
        live = is_live(latest)
        reasons.add(latest.state.reason)
        return live

    with closing(opened(camera)) as latest:
        assert eventually(sees, 30), latest.state
        assert reasons == {WAITING, ""}
        assert not latest.waits_for_key_frame
    assert caplog.text.count(WAITING) == 1
    assert "cable" not in caplog.text


def test_closing_does_not_wait_for_a_key_frame(camera: NetworkCamera) -> None:
    camera.key_frames_apart = 450  # half a minute
    latest = opened(camera)

    def waits() -> bool:
        with suppress(CameraError):
            latest.get(0.05)
        return latest.waits_for_key_frame

    assert eventually(waits, 20), latest.state
    began = time.monotonic()
    latest.close()
    assert time.monotonic() - began < 3


def test_the_check_waits_for_a_key_frame_too(camera: NetworkCamera, tmp_path: Path) -> None:
    camera.key_frames_apart = 120
    opened(camera).close()
    config = load_config(
        None, [f"camera.uri={camera.uri}", f"inference.models_directory={tmp_path}"]
    )
    found = next(
        each for each in check_all(config, field_of_view_degrees=78) if each.part == "camera"
    )
    assert found.ok, found


def test_a_picture_that_is_frozen_before_the_encoder_is_said_and_ends(
    camera: NetworkCamera, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    camera.key_frames_apart = 15
    with closing(opened(camera, frozen_seconds=4.0)) as latest:
        assert eventually(lambda: is_live(latest), 20), latest.state
        camera.set("frozen")

        def is_frozen() -> bool:
            with suppress(CameraError):
                latest.get(0.05)
            return latest.state.condition is CameraCondition.FROZEN

        assert eventually(is_frozen, 20), latest.state
        with pytest.raises(CameraError):  # what it shows is passed on no more
            latest.get(3.0)
        camera.set("live")
        assert eventually(lambda: is_live(latest), 40), latest.state
    assert caplog.text.count("the camera is frozen") == 1
    assert caplog.text.count("the camera is back") == 1
