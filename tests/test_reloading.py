"""Reading the configuration anew: what is taken, what waits for a restart, what is refused."""

from pathlib import Path

import pytest

from doorbell.config import Config, load_config
from doorbell.daemon.reloading import RELOADED, Reloader
from doorbell.errors import ConfigError


class House:
    """A configuration in a file, and what follows it."""

    def __init__(self, folder: Path, text: str = "") -> None:
        self.path = folder / "doorbell.toml"
        self.path.write_text(text)
        self.told: list[Config] = []
        self.refuses = False
        self.reloader = Reloader(self.load(), self.load, [self._follow, self.told.append])

    def load(self) -> Config:
        return load_config(self.path)

    def write(self, text: str) -> None:
        """Change the file, and ask to read it."""
        self.path.write_text(text)
        self.reloader.reload()

    def _follow(self, _config: Config) -> None:
        if self.refuses:
            raise ConfigError("chime.default = 'x.wav': there is no such file")


def test_what_is_safe_is_taken_and_the_rest_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    house = House(tmp_path, "[chime]\nvolume = 0.8\n")
    house.write(
        "[chime]\nvolume = 0.3\n[visits]\ncooldown_seconds = 7\n"
        "[storage]\nvisits_days = 3\npictures_days = 3\n"
        '[camera]\nuri = "rtsp://me:secret@camera.lan/1"\n'
    )
    [config] = house.told
    assert (config.chime.volume, config.visits.cooldown_seconds) == (0.3, 7.0)
    assert (config.storage.visits_days, config.storage.pictures_days) == (3, 14)
    assert config.camera.uri == "simulated:"
    assert [(each.levelname, each.message) for each in caplog.records] == [
        (
            "INFO",
            "read the configuration anew, and took visits.cooldown_seconds, storage.visits_days, "
            "chime.volume",
        ),
        ("WARNING", "these take a restart of the doorbell: camera.uri, storage.pictures_days"),
    ]
    caplog.clear()
    house.reloader.reload()  # what waits for a restart waits on, and is said again
    assert house.told == [config]
    assert [each.message for each in caplog.records] == [
        "these take a restart of the doorbell: camera.uri, storage.pictures_days"
    ]


@pytest.mark.parametrize(
    "wrong", ["[chime]\nvolume = 7\n", "[chime", "[chimes]\nvolume = 0.3\n", None]
)
def test_a_wrong_file_changes_nothing(
    wrong: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(tmp_path)
    if wrong is None:
        house.path.unlink()
        house.reloader.reload()
    else:
        house.write(wrong)
    assert house.told == []
    assert caplog.messages[0].startswith("the configuration stays as it was: ")
    house.write("[chime]\nvolume = 0.3\n")
    assert [config.chime.volume for config in house.told] == [0.3]


def test_a_chime_that_cannot_be_played_refuses_it_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    house = House(tmp_path)
    house.refuses = True
    house.write('[chime]\ndefault = "x.wav"\n[visits]\nabsence_seconds = 3\n')
    assert house.told == []
    assert "x.wav" in caplog.text
    house.refuses = False
    house.write("[visits]\nabsence_seconds = 3\n")
    assert [config.visits.absence_seconds for config in house.told] == [3.0]
    house.reloader.reload()
    assert caplog.messages[-1] == "read the configuration anew: nothing has changed"


def doors(front: str = "", back: str = "") -> str:
    """Two doors, with keys of each."""
    return (
        f'[[door]]\nid = "front"\nname = "Front"\n{front}\n'
        f'[[door]]\nid = "back"\nname = "Back"\n{back}\n'
    )


def test_keys_of_a_door_are_taken_for_that_door(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    house = House(tmp_path, doors(back="chime.volume = 0.8"))
    house.write(
        "[chime]\nvolume = 0.2\n"
        + doors(
            front="visits.cooldown_seconds = 7\ncamera.width = 640",
            back='chime.device = "gate"\nstorage.visits_days = 3',
        )
    )
    [config] = house.told
    front, back = config.doors
    assert (front.visits.cooldown_seconds, back.visits.cooldown_seconds) == (7.0, 30.0)
    assert (front.chime.volume, back.chime.volume) == (0.2, 0.2), "the door has none any more"
    assert (front.storage.visits_days, back.storage.visits_days) == (90, 3)
    assert front.camera.width == 0
    assert back.chime.device is None
    assert caplog.messages == [
        "read the configuration anew, and took chime.volume, door.front.visits.cooldown_seconds, "
        "door.back.storage.visits_days, door.back.chime.volume",
        "these take a restart of the doorbell: door.front.camera.width, door.back.chime.device",
    ]


@pytest.mark.parametrize(
    "text",
    [
        doors() + '[[door]]\nid = "side"\nname = "Side"\n',
        '[[door]]\nid = "front"\nname = "Front"\n',
        "",
    ],
)
def test_another_door_takes_a_restart(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(tmp_path, doors())
    house.write(text)
    assert house.told == []
    assert caplog.messages == ["these take a restart of the doorbell: door"]


def test_every_key_that_is_taken_exists() -> None:
    for name in RELOADED:
        section, _, key = name.partition(".")
        assert not key or key in type(getattr(Config(), section)).model_fields
