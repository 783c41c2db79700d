from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from doorbell.camera import frames_reach_gpu, open_camera
from doorbell.camera.exposed import FaceMeter, open_exposed
from doorbell.camera.rotated import RotatedCamera
from doorbell.config import CameraSection, load_config
from doorbell.domain import Frame
from doorbell.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One picture whose upper left corner is red (BGR here)."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:20, :20] = (0, 0, 255)
    cv2.imwrite(str(tmp_path / "picture.png"), pixels)
    return tmp_path


@pytest.mark.parametrize(
    ("degrees", "size", "red_at"),
    [
        (0, (40, 60), (10, 10)),
        (90, (60, 40), (10, 30)),
        (180, (40, 60), (30, 50)),
        (270, (60, 40), (50, 10)),
    ],
)
def test_pictures_are_turned_clockwise(
    folder: Path, degrees: int, size: tuple[int, int], red_at: tuple[int, int]
) -> None:
    section = CameraSection.model_validate({"uri": str(folder), "rotate": degrees})
    with closing(open_camera(section)) as camera:
        frame = camera.read()
    assert (frame.height, frame.width) == size
    assert tuple(frame.pixels[red_at]) == (255, 0, 0)
    assert int(np.count_nonzero(frame.pixels)) == 400


def test_a_turned_camera_is_exposed_too(models_directory: Path) -> None:
    section = CameraSection(rotate=90, width=64, height=48, realtime=False, expose_faces=True)
    with closing(open_exposed(section, models_directory / "faces", FaceMeter())) as camera:
        assert type(camera).__name__ == "ExposedCamera"
        assert camera.read().height == 64


def test_no_gpu_sees_a_picture_that_the_processor_turned() -> None:
    class GpuCamera:
        def read(self) -> Frame:
            return Frame(np.zeros((48, 64, 3), np.uint8), 1.0, time.time(), 0, 1234)

        def close(self) -> None:
            pass

    assert RotatedCamera(GpuCamera(), 180).read().device_address is None
    assert frames_reach_gpu(CameraSection(uri="csi://0"))
    assert not frames_reach_gpu(CameraSection(uri="csi://0", rotate=180))


@pytest.mark.parametrize("degrees", ["45", "-90", "360"])
def test_only_quarter_turns_are_taken(degrees: str) -> None:
    with pytest.raises(ConfigError, match=r"camera\.rotate"):
        load_config(None, [f"camera.rotate={degrees}"])
