"""Pictures on a real disk, also on one of a single megabyte."""

import logging
import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from doorbell.config import StorageSection
from doorbell.domain import Arrived, Event, Recognized, Ring, Visit
from doorbell.outputs.pictures import SWEEP_SECONDS, Pictures, picture_path
from doorbell.status import ClockState, State, StorageState, VisitsForgotten
from doorbell.testbed.waiting import eventually

NOW = 1_000_000_000.0
DAY = 86400.0


def event(picture: bytes | None, visit_id: str = "v1") -> Event:
    return Recognized("e", NOW, Visit(visit_id, NOW, NOW), picture)


def storage(directory: Path, **changes: int) -> StorageSection:
    return StorageSection.model_validate({"directory": directory, "free_megabytes": 0, **changes})


def problems(told: Sequence[State]) -> list[str | None]:
    """What was published of the pictures."""
    states = [state for state in told if isinstance(state, StorageState)]
    assert {state.part for state in states} == {"pictures"}
    return [state.problem for state in states]


def keep_file(path: Path, age_days: float = 0.0, size: int = 4) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"J" * size)
    os.utime(path, (NOW - age_days * DAY, NOW - age_days * DAY))
    return path


def test_the_latest_picture_of_a_visit_is_kept_for_the_owner_alone(tmp_path: Path) -> None:
    directory = tmp_path / "storage" / "pictures"
    pictures = Pictures(storage(tmp_path / "storage"))
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


def test_pictures_of_forgotten_visits_go_also_those_that_wait(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "pictures"
    odd = directory / "v3.jpg"
    odd.mkdir(parents=True)
    with closing(Pictures(storage(tmp_path))) as pictures:
        for visit_id in ("v1", "v2"):
            pictures.handle(event(b"JPEG", visit_id))
        pictures.handle(VisitsForgotten(("v3", "v1", "v9")))
    assert sorted(path.name for path in directory.iterdir()) == ["v2.jpg", "v3.jpg"]
    assert str(odd) in caplog.text


def test_old_pictures_and_unfinished_ones_go(tmp_path: Path) -> None:
    directory = tmp_path / "pictures"
    old, young = keep_file(directory / "a.jpg", 14.1), keep_file(directory / "b.jpg", 13.9)
    unfinished, foreign = keep_file(directory / "c.part"), keep_file(directory / "d.txt", 99.0)
    with closing(Pictures(storage(tmp_path))) as pictures:
        pictures.handle(ClockState(0.0, NOW))
    assert not old.exists()
    assert not unfinished.exists()
    assert young.exists()
    assert foreign.exists()


def test_nothing_goes_for_its_age_while_the_clock_is_not_trusted(tmp_path: Path) -> None:
    old = keep_file(tmp_path / "pictures" / "a.jpg", 400.0)
    with closing(Pictures(storage(tmp_path))) as pictures:
        pictures.handle(ClockState(0.0, None))
    assert old.exists()


def test_old_pictures_go_once_an_hour(tmp_path: Path) -> None:
    with closing(Pictures(storage(tmp_path))) as pictures:
        pictures.handle(ClockState(5.0, NOW))
        pictures.handle(event(b"after the first look"))
        while not picture_path(tmp_path / "pictures", "v1").exists():
            pass
        old = keep_file(tmp_path / "pictures" / "a.jpg", 15.0)
        pictures.handle(ClockState(5.0 + 0.99 * SWEEP_SECONDS, NOW))
    assert old.exists()
    with closing(Pictures(storage(tmp_path))) as pictures:
        pictures.handle(ClockState(5.0, NOW - 2 * DAY))
        pictures.handle(ClockState(5.0 + SWEEP_SECONDS, NOW))
    assert not old.exists()


def test_zero_days_keeps_for_ever(tmp_path: Path) -> None:
    old = keep_file(tmp_path / "pictures" / "a.jpg", 4000.0)
    with closing(Pictures(storage(tmp_path, pictures_days=0))) as pictures:
        pictures.handle(ClockState(0.0, NOW))
    assert old.exists()


def test_the_oldest_pictures_make_room_for_new_ones(tmp_path: Path) -> None:
    directory = tmp_path / "pictures"
    for days in range(1, 5):
        keep_file(directory / f"{days}.jpg", days, size=300_000)
    with closing(Pictures(storage(tmp_path, pictures_megabytes=1))) as pictures:
        pictures.handle(ClockState(0.0, NOW))
    assert {path.stem for path in directory.iterdir()} == {"1", "2", "3"}
    with closing(Pictures(storage(tmp_path, pictures_megabytes=1))) as pictures:
        pictures.handle(ClockState(0.0, NOW))
        pictures.handle(event(b"n" * 600_000, "new"))
    assert {path.stem for path in directory.iterdir()} == {"1", "new"}


def test_a_disk_without_the_reserve_gets_no_picture(tmp_path: Path) -> None:
    told: list[State] = []
    section = storage(tmp_path, free_megabytes=100_000)
    with closing(Pictures(section, publish=told.append)) as pictures:
        pictures.handle(event(b"one"))
        pictures.handle(event(b"two", "v2"))
    assert list((tmp_path / "pictures").iterdir()) == []
    assert "storage.free_megabytes = 100000" in (problems(told)[0] or "")


def test_what_a_full_disk_refuses_is_whole_or_not_there_and_follows_once_there_is_room(
    small_disk: Path,
) -> None:
    filling = keep_file(small_disk / "filling", size=700_000)
    told: list[State] = []
    pictures = Pictures(storage(small_disk), publish=told.append)
    for number in range(8):
        pictures.handle(event(bytes([number]) * 100_000, f"v{number}"))
    pictures.close()
    kept = [path.stat().st_size for path in (small_disk / "pictures").iterdir()]
    assert set(kept) == {100_000}
    assert problems(told) == ["pictures are not kept: No space left on device"]

    told.clear()
    pictures = Pictures(storage(small_disk), publish=told.append)
    pictures.handle(event(b"2" * 600_000, "waits"))
    assert eventually(lambda: told != [])
    filling.unlink()
    pictures.handle(ClockState(1.0, NOW))
    pictures.close()
    waited = picture_path(small_disk / "pictures", "waits")
    assert waited.read_bytes() == b"2" * 600_000
    assert problems(told)[-1] is None


def test_a_disk_that_refuses_is_said_once_and_said_again_when_it_is_well(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "pictures"
    directory.write_text("a file where a folder should be")
    with caplog.at_level(logging.INFO):
        told: list[State] = []
        pictures = Pictures(storage(tmp_path), publish=told.append)
        pictures.handle(event(b"one"))
        pictures.handle(event(b"two"))
        assert eventually(lambda: told != [])
        directory.unlink()
        pictures.handle(ClockState(1.0, None))
        pictures.close()
    assert picture_path(directory, "v1").read_bytes() == b"two"
    assert problems(told) == ["pictures are not kept: File exists", None]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert str(directory) in caplog.records[0].message
