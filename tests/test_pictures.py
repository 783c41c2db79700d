import logging
import os
from pathlib import Path

import pytest

from doorbell.domain import Arrived, Event, Recognized, Ring, Visit
from doorbell.outputs.pictures import Pictures, picture_path

NOW = 1_000_000_000.0
DAY = 86400.0


def event(picture: bytes | None, visit_id: str = "v1") -> Event:
    return Recognized("e", NOW, Visit(visit_id, NOW, NOW), picture)


def keep_file(path: Path, age_days: float) -> Path:
    path.write_bytes(b"JPEG")
    os.utime(path, (NOW - age_days * DAY, NOW - age_days * DAY))
    return path


def test_the_latest_picture_of_a_visit_is_kept_for_the_owner_alone(tmp_path: Path) -> None:
    directory = tmp_path / "storage" / "pictures"
    pictures = Pictures(directory, keep_days=14, now=NOW)
    for picture in (b"first", None, b"second"):
        pictures.handle(event(picture))
    pictures.handle(event(b"other", "v2"))
    pictures.handle(Ring("e", NOW, None, b"nobody"))
    pictures.handle(Arrived("e", NOW, Visit("v3", NOW, NOW)))
    pictures.close()
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == {
        "v1.jpg": b"second",
        "v2.jpg": b"other",
    }
    assert picture_path(directory, "v1").read_bytes() == b"second"
    assert directory.stat().st_mode & 0o777 == 0o700
    assert picture_path(directory, "v1").stat().st_mode & 0o777 == 0o600


def test_old_pictures_and_unfinished_ones_go_at_the_start(tmp_path: Path) -> None:
    old, young = keep_file(tmp_path / "a.jpg", 14.1), keep_file(tmp_path / "b.jpg", 13.9)
    unfinished, foreign = keep_file(tmp_path / "c.part", 0.0), keep_file(tmp_path / "d.txt", 99.0)
    Pictures(tmp_path, keep_days=14, now=NOW).close()
    assert not old.exists()
    assert not unfinished.exists()
    assert young.exists()
    assert foreign.exists()


def test_old_pictures_go_once_a_day(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path, keep_days=14, now=NOW)
    young = keep_file(tmp_path / "b.jpg", 13.9)
    pictures.tick(NOW + 0.99 * DAY)
    pictures.handle(event(b"later"))
    pictures.close()
    assert young.exists()
    pictures = Pictures(tmp_path, keep_days=14, now=NOW)
    pictures.tick(NOW + DAY)
    pictures.close()
    assert not young.exists()


def test_zero_days_keeps_for_ever(tmp_path: Path) -> None:
    old = keep_file(tmp_path / "a.jpg", 4000.0)
    Pictures(tmp_path, keep_days=0, now=NOW).close()
    assert old.exists()


def test_a_disk_that_refuses_is_said_once_and_said_again_when_it_is_well(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "pictures"
    directory.write_text("a file where a folder should be")
    with caplog.at_level(logging.INFO):
        pictures = Pictures(directory, keep_days=14, now=NOW)
        pictures.handle(event(b"one"))
        pictures.handle(event(b"two"))
        pictures.close()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(directory) in caplog.records[0].message
