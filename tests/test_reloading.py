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


def test_every_key_that_is_taken_exists() -> None:
    for name in RELOADED:
        section, _, key = name.partition(".")
        assert not key or key in type(getattr(Config(), section)).model_fields
