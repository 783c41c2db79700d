"""What ``doorbell check`` examines where there are several doors."""

from __future__ import annotations

from pathlib import Path

import pytest

from doorbell.cli.options import door_of
from doorbell.config import Config, DoorSection, InferenceSection, StorageSection, load_config
from doorbell.diagnostics import check_all
from doorbell.errors import UsageError
from doorbell.inference import NetworkFiles, Runner, open_runner

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


def test_networks_are_loaded_once_for_all_doors(models_directory: Path, tmp_path: Path) -> None:
    """Those that look at a camera's picture, and at the simulated visitor."""
    camera = {"uri": "simulated:", "width": 64, "height": 64, "realtime": False}
    doors = tuple(
        DoorSection(id=each, name=each, camera=camera, chime={"enabled": False})
        for each in ("front", "garden")
    )
    house = Config(
        door=doors,
        inference=InferenceSection(models_directory=models_directory),
        storage=StorageSection(directory=tmp_path),
    )
    loaded: list[str] = []

    def load(files: NetworkFiles, section: InferenceSection) -> Runner:
        loaded.append(files.name)
        return open_runner(files, section)

    found = {each.part: each.ok for each in check_all(house, open_network=load)}
    assert all(found[f"{part} ({door.name})"] for part in ("camera", "latency") for door in doors)
    assert loaded.count("sface") == loaded.count("yunet") == 1


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
