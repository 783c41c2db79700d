"""Files that a house of one door has beside the gallery, when a second door comes or one goes."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from house_doors import configured

from doorbell.config import Config, load_config
from doorbell.daemon.door_files import take_over_files
from doorbell.settings import Settings, SettingsFile


def alone(folder: Path, door_id: str = "front") -> Config:
    return load_config(None, [f"storage.directory={folder}", f"device.id={door_id}"])


def write(config: Config, volume: float, waiting: str) -> sqlite3.Connection:
    """Settings, and an outbox whose last event is in SQLite's journal beside it."""
    config.storage.own_directory.mkdir(parents=True, exist_ok=True)
    SettingsFile(config.storage.settings_path).write(Settings(volume=volume))
    connection = sqlite3.connect(config.storage.outbox_path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE waits (topic TEXT)")
    connection.execute("INSERT INTO waits VALUES (?)", (waiting,))
    return connection


def killed(connection: sqlite3.Connection, config: Config) -> None:
    """Leave the files as they are at this moment, as after a kill."""
    outbox = config.storage.outbox_path
    files = {each: each.read_bytes() for each in outbox.parent.glob(f"{outbox.name}*")}
    connection.close()
    for path, content in files.items():
        path.write_bytes(content)


def volume(config: Config) -> float | None:
    return SettingsFile(config.storage.settings_path).read().volume


def waiting(config: Config) -> list[str]:
    with closing(sqlite3.connect(config.storage.outbox_path)) as connection:
        return [topic for (topic,) in connection.execute("SELECT topic FROM waits")]


@pytest.mark.parametrize(
    ("was", "heir"), [("back", "back"), ("front", "front"), ("house", "front")]
)
def test_what_waits_and_what_was_set_goes_to_the_door_of_that_id_or_the_first(
    was: str, heir: str, tmp_path: Path
) -> None:
    before = alone(tmp_path, was)
    killed(write(before, 0.25, "ring"), before)
    assert (tmp_path / "outbox.sqlite-wal").exists()
    house = configured(tmp_path, "front", "back", more=[f"device.id={was}"])
    take_over_files(house)
    doors = {each.device.id: each for each in house.doors}
    other = ({"front", "back"} - {heir}).pop()
    assert volume(doors[heir]) == 0.25
    assert waiting(doors[heir]) == ["ring"]
    assert volume(doors[other]) is None
    assert not doors[other].storage.outbox_path.exists()
    assert doors[other].storage.own_directory.stat().st_mode & 0o777 == 0o700
    assert [each for each in tmp_path.iterdir() if each.is_file()] == [tmp_path / "doorbell.toml"]


def test_who_goes_back_to_one_door_keeps_its_files(tmp_path: Path) -> None:
    house = configured(tmp_path, "front", "back")
    front, back = house.doors
    killed(write(front, 0.25, "front"), front)
    killed(write(back, 0.75, "back"), back)
    one = alone(tmp_path, "back")
    take_over_files(one)
    assert volume(one) == 0.75
    assert waiting(one) == ["back"]
    assert not back.storage.own_directory.exists()
    assert waiting(front) == ["front"], "and the other door's wait for it to come back"


def test_nothing_is_written_over_and_a_take_over_that_broke_off_goes_on(tmp_path: Path) -> None:
    house = configured(tmp_path, "front", "back", more=["device.id=front"])
    front = house.doors[0]
    before = alone(tmp_path)
    killed(write(before, 0.25, "ring"), before)
    front.storage.own_directory.mkdir(parents=True)
    SettingsFile(front.storage.settings_path).write(Settings(volume=0.5))
    before.storage.settings_path.unlink()  # it had gone along when the power went
    take_over_files(house)
    assert (volume(front), waiting(front)) == (0.5, ["ring"])
    SettingsFile(before.storage.settings_path).write(Settings(volume=1.0))
    take_over_files(house)
    assert volume(front) == 0.5


def test_a_house_of_one_door_keeps_its_files_where_they_are(tmp_path: Path) -> None:
    before = alone(tmp_path)
    killed(write(before, 0.25, "ring"), before)
    seen = sorted(tmp_path.rglob("*"))
    take_over_files(before)
    assert sorted(tmp_path.rglob("*")) == seen
    assert (volume(before), waiting(before)) == (0.25, ["ring"])
