"""A daemon tidies up: what is old goes, with its pictures, and strangers who are one merge."""

import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from doorbell.domain import FaceSample, Visit
from doorbell.gallery.gallery import Gallery
from doorbell.outputs.pictures import picture_path
from doorbell.pipeline.perception import Perception
from doorbell.testbed.daemon_process import DaemonProcess, run_command

pytestmark = pytest.mark.system

DAY = 86400.0


def test_the_daemon_forgets_what_is_old(tmp_path: Path, perception: Perception) -> None:
    now = time.time()
    faces = np.eye(128, dtype=np.float32)
    frames = tmp_path / "frames"
    frames.mkdir()
    cv2.imwrite(str(frames / "1.png"), np.full((120, 160, 3), 90, np.uint8))
    visits = {"old": (40, 0), "recent": (20, 1), "again": (2, 1), "oldest": (95, None)}
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        for name, (days, axis) in visits.items():
            at = now - days * DAY
            visitor = None
            if axis is not None:
                sample = FaceSample(faces[axis], perception.model_id, 0.5)
                visitor = gallery.strangers.add([sample], at)
            gallery.visits.save(Visit(name, at, at + 5, at + 5, visitor))
            picture = picture_path(tmp_path / "pictures", name)
            picture.parent.mkdir(exist_ok=True)
            picture.write_bytes(b"jpeg")

    command = run_command(
        f"camera.uri={frames}",
        "camera.loop=true",
        f"storage.directory={tmp_path}",
        "chime.enabled=false",
    )
    with DaemonProcess(command, tmp_path / "log") as daemon:
        assert daemon.says("stranger-3 is stranger-2")
        assert daemon.terminate() == 0, daemon.log
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        assert [each.visit_id for each in gallery.visits.newest(9)] == ["again", "recent"]
        assert [(each.stranger_id, each.visits) for each in gallery.strangers.all()] == [(2, 2)]
    assert {each.stem for each in (tmp_path / "pictures").iterdir()} == {"again", "recent"}
