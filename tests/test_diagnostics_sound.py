"""What the check finds out about loudspeakers and speech, on ALSA devices that are files."""

from pathlib import Path

import numpy as np
import pytest
from hearing import sounds_like

from doorbell.config import Config, load_config
from doorbell.diagnostics.sound import (
    check_door_speaker,
    check_microphone,
    check_sound,
    check_speech,
)
from doorbell.errors import SoundError
from doorbell.outputs.sound.synthesis import attention
from doorbell.testbed.hearing import likeness
from doorbell.testbed.microphone import DEVICE, MicrophoneFile
from doorbell.testbed.sound_card import SoundCard, environment_of


class Sounds:
    """A loudspeaker inside and one at the door."""

    def __init__(self, folder: Path) -> None:
        self.inside = SoundCard(folder, device="inside")
        self.door = SoundCard(folder, device="door")
        self.environment = environment_of(self.inside, self.door)


def config_of(*settings: str) -> Config:
    return load_config(None, settings)


@pytest.fixture
def sounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sounds:
    sounds = Sounds(tmp_path)
    monkeypatch.setenv("ALSA_CONFIG_PATH", sounds.environment["ALSA_CONFIG_PATH"])
    return sounds


def test_each_loudspeaker_is_played_on(sounds: Sounds) -> None:
    config = config_of("chime.device=inside", "chime.default=crystal", "talk.device=door")
    assert check_sound(config).startswith("played crystal;")
    assert sounds_like(sounds.inside.take(), "crystal")
    assert check_door_speaker(config).startswith("played two notes at the door;")
    notes = attention().samples[:, 0]
    assert likeness(sounds.door.take(), notes)[0] > 0.99
    assert not sounds.inside.recording.exists()


def test_a_device_that_is_not_there_is_named_with_its_key(sounds: Sounds) -> None:
    sounds.door.unplug()
    for check, key, device in (
        (check_door_speaker, "talk.device", "door"),
        (check_sound, "chime.device", "attic"),
    ):
        with pytest.raises(SoundError) as refused:
            check(config_of("chime.device=attic", "talk.device=door"))
        assert str(refused.value) == (
            f"{key}: the sound device {device!r} cannot be used: there is no such device; aplay -L "
            "lists those that there are, and the doorbell's user must be in the group audio"
        )


def test_one_loudspeaker_for_both_is_said_and_played_on_once(sounds: Sounds) -> None:
    for settings in ((), ("chime.device=door", "talk.device=door")):
        assert "where the chimes are" in check_door_speaker(config_of(*settings))
    assert "talk.enabled" in check_door_speaker(config_of("talk.enabled=false"))
    assert not sounds.door.recording.exists()


@pytest.mark.parametrize(
    ("level", "words"), [(0, "nothing but silence"), (16384, "the loudest was 50 %")]
)
def test_the_microphone_is_listened_to_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: int, words: str
) -> None:
    microphone = MicrophoneFile(tmp_path, np.full(16000, level, np.int16))
    monkeypatch.setenv("ALSA_CONFIG_PATH", microphone.environment["ALSA_CONFIG_PATH"])
    settings = ["talk.microphone=true", f"talk.microphone_device={DEVICE}"]
    config = config_of(*settings, f"control.socket={tmp_path / 'none.sock'}")
    assert words in str(check_microphone(config))
    microphone.unplug()
    with pytest.raises(SoundError) as refused:
        check_microphone(config)
    assert str(refused.value) == (
        f"the microphone {DEVICE!r} cannot be used: there is no such device; arecord -L lists "
        "those that there are, and the doorbell's user must be in the group audio"
    )
    assert "nobody can listen" in str(check_microphone(config_of()))


@pytest.mark.parametrize("language", ["en", "de"])
def test_speech_is_tried(language: str) -> None:
    assert check_speech(config_of(f"device.language={language}")) == f"speaks {language}"


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        (["announcements.enabled=true"], "announcements.enabled needs it"),
        (["replies.after_seconds=20"], "replies.unanswered needs it"),
    ],
)
def test_where_it_is_needed_and_missing_it_is_said_how_to_install_it(
    settings: list[str], key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no program is there
    with pytest.raises(SoundError, match="sudo apt install espeak-ng.*" + key):
        check_speech(config_of(*settings))


def test_where_it_would_only_be_good_it_is_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = check_speech(config_of())
    assert not isinstance(found, str)
    assert "sudo apt install espeak-ng" in found[1][0]
    recording = config_of("replies.after_seconds=20", "replies.unanswered=recording-0123abcd")
    assert not isinstance(check_speech(recording), str)
    assert check_speech(config_of("talk.enabled=false")).startswith("nothing is spoken")  # type: ignore[union-attr]
