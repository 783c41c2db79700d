from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from doorbell.camera.simulated.folder import FolderCamera
from doorbell.config import CameraSection
from doorbell.errors import CameraError, EndOfStreamError


def write(path: Path, value: int, width: int = 40, height: int = 30) -> None:
    cv2.imwrite(str(path), np.full((height, width, 3), value, np.uint8))


def test_a_still_is_shown_for_a_second(tmp_path: Path) -> None:
    write(tmp_path / "b.png", 200)
    write(tmp_path / "a.png", 100)
    camera = FolderCamera(CameraSection(realtime=False), tmp_path)
    frames = [camera.read() for _ in range(20)]
    assert [int(frame.pixels[0, 0, 0]) for frame in frames] == [100] * 10 + [200] * 10
    assert frames[10].time_seconds == pytest.approx(1.0)
    with pytest.raises(EndOfStreamError, match=r"camera\.loop"):
        camera.read()


def test_with_a_frame_rate_it_is_a_recording_and_each_picture_keeps_its_size(
    tmp_path: Path,
) -> None:
    write(tmp_path / "1.png", 10, 40, 30)
    write(tmp_path / "2.JPG", 20, 64, 48)
    camera = FolderCamera(CameraSection(realtime=False, frames_per_second=25.0), tmp_path)
    first, second = camera.read(), camera.read()
    assert (first.width, first.height) == (40, 30)
    assert (second.width, second.height) == (64, 48)
    assert second.time_seconds == pytest.approx(0.04)


def test_what_is_no_picture_is_left_out_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"not a picture")
    (tmp_path / "notes.txt").write_text("not even called one")
    write(tmp_path / "b.png", 50)
    section = CameraSection(realtime=False, loop=True, frames_per_second=10.0)
    camera = FolderCamera(section, tmp_path)
    assert [int(camera.read().pixels[0, 0, 0]) for _ in range(5)] == [50] * 5
    assert [record.getMessage().count("a.jpg") for record in caplog.records] == [1]


def test_a_folder_without_a_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="holds no picture"):
        FolderCamera(CameraSection(), tmp_path)


def test_a_folder_of_broken_pictures_ends_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    camera = FolderCamera(CameraSection(loop=True, realtime=False), tmp_path)
    with pytest.raises(CameraError, match="can be read"):
        camera.read()
