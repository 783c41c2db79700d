"""What ``doorbell check`` examines where there are several doors."""

from __future__ import annotations

from pathlib import Path

import pytest

from doorbell.cli.options import door_of
from doorbell.config import Config, DoorSection, StorageSection, load_config
from doorbell.diagnostics import check_all
from doorbell.errors import UsageError

OF_EACH_DOOR = (
    *("camera", "latency", "sound", "speaker", "speech", "microphone", "button", "relay"),
    "broker",
)


@pytest.fixture
def config(models_directory: Path, tmp_path: Path) -> Config:
    """Two doors whose cameras are not there, and models without portraits, so that it is quick."""
    models = tmp_path / "models"
    models.mkdir()
    for built in models_directory.iterdir():
        if built.name != "faces":
            (models / built.name).symlink_to(built)
    (tmp_path / "doorbell.toml").write_text(
        f"""
        inference.models_directory = "{models}"
        storage.directory = "{tmp_path / "state"}"
        chime.enabled = false
        [[door]]
        id = "front"
        name = "Front door"
        camera.uri = "{tmp_path}/front.mp4"
        [[door]]
        id = "garden"
        name = "Garden gate"
        camera.uri = "{tmp_path}/garden.mp4"
        mqtt.enabled = true
        """
    )
    return load_config(tmp_path / "doorbell.toml", ["mqtt.port=1"])


def test_what_each_door_has_is_checked_at_each_and_the_house_once(config: Config) -> None:
    found = {each.part: each for each in check_all(config)}
    assert [*found] == [
        "models",
        *(f"{part} (Front door)" for part in OF_EACH_DOOR),
        *(f"{part} (Garden gate)" for part in OF_EACH_DOOR),
        *("notifications", "disk", "gallery", "clock"),
    ]
    assert "front.mp4" in found["camera (Front door)"].message
    assert "garden.mp4" in found["camera (Garden gate)"].message
    assert found["broker (Front door)"].message == "switched off (mqtt.enabled)"
    assert "cannot reach" in found["broker (Garden gate)"].message


def test_a_door_is_named_where_there_are_several(tmp_path: Path) -> None:
    storage = StorageSection(directory=tmp_path)
    doors = tuple(DoorSection(id=each, name=each, camera={"uri": each}) for each in ("a", "b"))
    house = Config(storage=storage, door=doors)
    assert door_of(house, "b").camera.uri == "b"
    with pytest.raises(UsageError, match="say at which door: --door with one of a, b"):
        door_of(house, None)
    with pytest.raises(UsageError, match="there is no door 'c': --door with one of a, b"):
        door_of(house, "c")
    assert door_of(Config(storage=storage), None).device.id == "front-door"
