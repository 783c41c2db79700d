"""What people change at run time: typed, bounded, kept whole or not at all."""

from __future__ import annotations

import logging
import os
import stat
from datetime import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from doorbell.config import Config, load_config
from doorbell.daemon.settings import SettingCommand, SettingsInForce
from doorbell.domain import (
    ChimeCommand,
    MuteCommand,
    PrivacyCommand,
    QuietHoursCommand,
    VolumeCommand,
)
from doorbell.errors import SettingsError, UsageError
from doorbell.settings import MAX_BYTES, Settings, SettingsFile
from doorbell.status import ClockStep, MuteState, SettingsState, State

ALL = Settings(
    muted=True,
    muted_until=1_700_000_000.5,
    volume=0.25,
    default_chime="gong",
    quiet_hours=False,
    privacy=True,
)


def test_what_was_written_is_read_and_for_the_owner_alone(tmp_path: Path) -> None:
    file = SettingsFile(tmp_path / "settings.json")
    assert file.read() == Settings()
    file.write(ALL)
    assert SettingsFile(tmp_path / "settings.json").read() == ALL
    assert stat.S_IMODE((tmp_path / "settings.json").stat().st_mode) == 0o600
    file.write(Settings())
    assert file.read() == Settings()
    assert list(tmp_path.iterdir()) == [tmp_path / "settings.json"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("volume", 1.01),
        ("volume", -0.1),
        ("volume", float("nan")),
        ("volume", "loud"),
        ("volume", True),
        ("muted", 1),
        ("muted_until", -1.0),
        ("muted_until", 1e300),
        ("quiet_hours", "on"),
        ("privacy", None),
        ("default_chime", "/etc/passwd"),
        ("default_chime", "gong.wav"),
        ("default_chime", "http://x/y.wav"),
        ("default_chime", "gong; reboot"),
        ("default_chime", ""),
    ],
)
def test_a_value_that_is_not_allowed_is_refused(key: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=key):
        Settings().changed(**{key: value})
    with pytest.raises(ValidationError):
        Settings.model_validate({key: value})


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"7", b"\xff\xfe", b"[" * 5000, b"x" * (MAX_BYTES + 1), b"\0" * 99],
)
def test_a_damaged_file_is_said_once_and_everything_follows_the_configuration(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        in_force = SettingsInForce(configured(tmp_path), lambda _state: None)
        in_force.tell(1000.0)
        in_force.look(1001.0)
    assert len(caplog.records) == 1
    assert str(path) in caplog.text
    in_force.change(VolumeCommand(0.5), 1000.0)
    assert SettingsFile(path).read() == Settings(volume=0.5)


def test_one_wrong_value_costs_only_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"muted": true, "volume": 7, "default_chime": "../x", "of_later": 1}')
    assert SettingsFile(path).read() == Settings(muted=True)
    assert len(caplog.records) == 1
    assert "volume = '7'" in caplog.text


@pytest.mark.parametrize("kind", ["fifo", "directory", "link"])
def test_what_is_no_file_is_not_waited_for(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "settings.json"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text('{"muted": true}')
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(elsewhere)
    assert SettingsFile(path).read() == Settings()
    assert len(caplog.records) == 1


@given(st.binary(max_size=200))
def test_nothing_in_the_file_stops_the_start(tmp_path_factory: Any, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "settings.json"
    path.write_bytes(content)
    assert isinstance(SettingsFile(path).read(), Settings)


def configured(directory: Path, *overrides: str) -> Config:
    return load_config(
        None,
        [
            f"storage.directory={directory}",
            "chime.quiet_from=22:00:00",
            "chime.quiet_to=07:00:00",
            "device.id=back-door",
            *overrides,
        ],
    )


class House:
    """The settings of a house, as an output hears them."""

    def __init__(self, directory: Path, *overrides: str) -> None:
        self.directory, self.overrides = directory, overrides
        self.heard: list[State] = []
        self.restart(1000.0)

    def restart(self, wall_time: float) -> None:
        self.heard.clear()
        config = configured(self.directory, *self.overrides)
        self.settings = SettingsInForce(config, self.heard.append)
        self.settings.tell(wall_time)

    def change(self, command: SettingCommand, wall_time: float = 1000.0) -> str:
        return self.settings.change(command, wall_time)

    @property
    def muted(self) -> bool:
        return [each.muted for each in self.heard if isinstance(each, MuteState)][-1]

    @property
    def state(self) -> SettingsState:
        return [each for each in self.heard if isinstance(each, SettingsState)][-1]


def test_the_configuration_holds_until_somebody_changes_something(tmp_path: Path) -> None:
    house = House(tmp_path, "chime.volume=0.7")
    assert house.heard == [
        MuteState(False, "back-door"),
        SettingsState(
            0.7,
            "westminster",
            quiet_hours=True,
            quiet_from=time(22, 0),
            quiet_to=time(7, 0),
            pictures_days=14,
            visits_days=90,
            strangers_days=30,
            unanswered_reply="coming",
            door_id="back-door",
        ),
    ]
    assert not (tmp_path / "settings.json").exists()


def test_a_mute_survives_and_ends_when_it_should(tmp_path: Path) -> None:
    house = House(tmp_path)
    assert house.change(MuteCommand(True, minutes=90)) == "chimes are muted for 90 minutes"
    assert (house.muted, house.state.muted_until) == (True, 6400.0)
    house.restart(3000.0)  # as after a kill: nothing is written at the end
    assert (house.muted, house.state.muted_until) == (True, 6400.0)
    house.settings.look(6399.0)
    assert house.muted
    house.settings.look(6400.0)
    assert (house.muted, house.state.muted_until) == (False, None)
    house.change(MuteCommand(True, minutes=90), 7000.0)
    house.restart(20_000.0)  # it was off when that ended
    assert not house.muted
    house.change(MuteCommand(True))
    house.restart(1e9)
    assert (house.muted, house.state.muted_until) == (True, None)
    house.change(MuteCommand(False))
    house.restart(1e9)
    assert not house.muted


def test_a_clock_that_is_set_makes_a_mute_neither_longer_nor_shorter(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.change(MuteCommand(True, minutes=10), 100.0)  # no clock since the power cut
    house.settings.follow_clock(ClockStep(0.0, 160.0, 1e9))
    house.settings.look(1e9 + 160.0)
    assert house.muted
    house.settings.look(1e9 + 700.0)
    assert not house.muted
    # That of an earlier run was dated by a clock that was right.
    house.change(MuteCommand(True, minutes=10), 1e9)
    house.restart(50.0)
    house.settings.follow_clock(ClockStep(0.0, 60.0, 1e9))
    assert house.state.muted_until == 1e9 + 600.0


def test_every_setting_goes_before_the_configuration_and_is_kept(tmp_path: Path) -> None:
    house = House(tmp_path)
    assert house.change(VolumeCommand(0.25)) == "chimes sound at 25%"
    house.change(ChimeCommand("gong"))
    house.change(QuietHoursCommand(False))
    house.change(PrivacyCommand(True))
    for _ in range(2):
        assert house.state == SettingsState(
            0.25,
            "gong",
            False,
            True,
            pictures_days=14,
            visits_days=90,
            strangers_days=30,
            unanswered_reply="coming",
            door_id="back-door",
        )
        assert house.settings.privacy
        house.restart(2000.0)
    house.change(ChimeCommand(None))
    house.change(QuietHoursCommand(True))
    assert (house.state.default_chime, house.state.quiet_hours) == ("westminster", True)
    with pytest.raises(SettingsError):
        house.change(VolumeCommand(2.0))
    with pytest.raises(SettingsError):
        house.change(ChimeCommand("x.wav"))
    assert house.state.volume == 0.25


def test_quiet_hours_that_nobody_has_set_cannot_be_kept(tmp_path: Path) -> None:
    heard: list[State] = []
    settings = SettingsInForce(load_config(None, [f"storage.directory={tmp_path}"]), heard.append)
    with pytest.raises(UsageError, match=r"chime\.quiet_from"):
        settings.change(QuietHoursCommand(True), 1000.0)
    settings.tell(1000.0)
    assert not [each for each in heard if isinstance(each, SettingsState)][-1].quiet_hours


def test_a_disk_that_refuses_stops_nothing_and_is_said(tmp_path: Path) -> None:
    house = House(tmp_path / "gone")
    said = house.change(MuteCommand(True))
    assert "until the next start only" in said
    assert house.muted
    (tmp_path / "gone").mkdir()
    assert house.change(MuteCommand(True)) == "chimes are muted"
    house.restart(2000.0)
    assert house.muted
