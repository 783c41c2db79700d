"""Several doors in one configuration: what each has of its own, and what is refused."""

import re
from pathlib import Path

import pytest

from doorbell.config import Config, load_config
from doorbell.config.doors import OWN_KEYS
from doorbell.errors import ConfigError

HOUSE = """
[device]
id = "house"
area = "Ground floor"
[camera]
width = 800
[chime]
volume = 0.5
[visits]
cooldown_seconds = 20
[storage]
pictures_days = 7
[mqtt]
enabled = true
host = "broker.lan"
[[door]]
id = "front"
name = "Front door"
camera.uri = "/dev/video0"
chime.volume = 0.9
[[door]]
id = "garden"
name = "Garden gate"
area = "Garden"
camera = { uri = "/dev/video2", width = 640 }
visits.cooldown_seconds = 60
detection.ignore = [[[0.0, 0.0], [0.2, 0.0], [0.2, 1.0]]]
storage.pictures_days = 1
mqtt.publish_images = false
"""
SHIPPED = Path(__file__).parent.parent / "config" / "doorbell.toml"
TWO = '[[door]]\nid = "a"\nname = "A"\n{}\n[[door]]\nid = "b"\nname = "B"\n{}\n'


def read(folder: Path, text: str) -> Config:
    path = folder / "doorbell.toml"
    path.write_text(text)
    return load_config(path)


def test_what_a_door_leaves_out_is_as_in_the_section_of_that_name(tmp_path: Path) -> None:
    front, garden = read(tmp_path, HOUSE).doors
    assert (front.device.id, front.device.name, front.device.area) == (
        "front",
        "Front door",
        "Ground floor",
    )
    assert (garden.device.id, garden.device.area) == ("garden", "Garden")
    assert (front.camera.uri, front.camera.width) == ("/dev/video0", 800)
    assert (garden.camera.uri, garden.camera.width) == ("/dev/video2", 640)
    assert (front.chime.volume, garden.chime.volume) == (0.9, 0.5)
    assert (front.visits.cooldown_seconds, garden.visits.cooldown_seconds) == (20, 60)
    assert (front.storage.pictures_days, garden.storage.pictures_days) == (7, 1)
    assert (front.mqtt.host, garden.mqtt.host) == ("broker.lan", "broker.lan")
    assert not garden.mqtt.publish_images
    assert len(garden.detection.ignore) == 1
    assert not front.detection.ignore
    assert front.doors == (front,), "a door has no doors"


def test_the_shipped_example_of_a_door_is_one_with_every_key_that_is_not_a_whole_section(
    tmp_path: Path,
) -> None:
    _, _, example = SHIPPED.read_text(encoding="utf-8").partition("#   [[door]]")
    path = tmp_path / "doorbell.toml"
    path.write_text("[[door]]" + re.sub(r"^#", "", example, flags=re.MULTILINE), encoding="utf-8")
    [door] = load_config(path).door
    assert {"id", "name", "area"} <= door.model_fields_set
    for section, keys in OWN_KEYS.items():
        assert set(getattr(door, section)) == keys


def test_a_configuration_without_doors_is_one_door(tmp_path: Path) -> None:
    config = read(tmp_path, '[device]\nid = "front"\n')
    assert config.doors == (config,)
    assert config.storage.own_directory == config.storage.directory


def test_the_files_of_each_door_are_apart_and_those_of_the_house_are_not(tmp_path: Path) -> None:
    config = read(tmp_path, HOUSE)
    front, garden = (each.storage for each in config.doors)
    assert front.gallery_path == garden.gallery_path == config.storage.gallery_path
    assert front.pictures_directory == garden.pictures_directory
    folders = {"front": front, "garden": garden}
    for door_id, storage in folders.items():
        own = config.storage.directory / "doors" / door_id
        assert storage.settings_path.parent == storage.outbox_path.parent == own


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        ("camera.fps = 3", "", "the door 'a': camera.fps = 3: there is no such key"),
        ("camera = 3", "", "door.0.camera = 3: must be keys of the section of that name"),
        ("", "chime.volume = 7", "the door 'b': chime.volume = 7: must be a number from 0 to 1"),
        ("", "rooms = 3", "door.1.rooms = 3: there is no such key; the keys are id, name"),
        ("recognition.risk = 0.1", "", "door.0.recognition: there is no such key"),
        (
            "detection.regions_per_frame = 3",
            "",
            "detection.regions_per_frame is the same for all doors: set it in [detection]; "
            "a door's own are ignore",
        ),
        ("storage.directory = '/x'", "", "storage.directory is the same for all doors"),
        ("", "mqtt.host = 'x'", "the door 'b': mqtt.host is the same for all doors"),
        (
            "camera.uri = '/dev/video0'",
            "camera.uri = '/dev/video0'",
            "the doors 'a' and 'b' have the same camera.uri: give each its own",
        ),
        (
            "button = { chip = '/dev/gpiochip0', line = 3 }",
            "relay = { chip = '/dev/gpiochip0', line = 3 }",
            "the doors 'a' and 'b' have the same GPIO line",
        ),
    ],
)
def test_what_is_wrong_with_a_door_is_said_with_the_door(
    one: str, other: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, TWO.format(one, other))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("doors", "message"),
    [
        ([("a", "A"), ("A", "B")], "two doors have the id 'a': give each its own"),
        ([("a", "Door"), ("b", "door")], "the doors 'a' and 'b' have the same name"),
        ([("a b", "A")], "door.0.id = 'a b': must be 1 to 64 letters, digits, - and _"),
        ([("../x", "A")], "door.0.id = '../x': must be 1 to 64 letters, digits, - and _"),
        ([(f"d{n}", f"D{n}") for n in range(17)], "there are 17 doors; one daemon watches 16"),
    ],
)
def test_each_door_has_an_id_and_a_name_of_its_own(
    doors: list[tuple[str, str]], message: str, tmp_path: Path
) -> None:
    text = "".join(f'[[door]]\nid = "{each}"\nname = "{name}"\n' for each, name in doors)
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, text)
    assert message in str(refused.value)


@pytest.mark.parametrize("text", ['[door]\nid = "a"\nname = "A"\n', "door = 3\n"])
def test_one_section_of_doors_is_answered_with_how_it_is_written(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must be sections, each of which begins with \[\[door"):
        read(tmp_path, text)


def test_a_password_in_a_wrong_door_is_not_shown(tmp_path: Path) -> None:
    uri = "camera.uri = 'rtsp://anna:hunter2@camera.lan/1'"
    for one, other in (
        (uri, uri),
        ("camera.password = 'hunter2'", ""),
        ("mqtt.password = 'hunter2'", ""),
        ("password = 'hunter2'", ""),
    ):
        with pytest.raises(ConfigError) as refused:
            read(tmp_path, TWO.format(one, other))
        assert "hunter2" not in str(refused.value)
