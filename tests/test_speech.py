"""Speech by the real espeak-ng: what it hears of a text, and what becomes of one that fails."""

import time
from pathlib import Path

import numpy as np
import pytest

from doorbell.errors import SoundError
from doorbell.outputs.sound.speech import LONGEST_TEXT, speak, words_of
from doorbell.outputs.sound.synthesis import LONGEST_SECONDS, Sound
from doorbell.phrases import Language


def same(one: Sound, other: Sound) -> bool:
    return np.array_equal(one.samples, other.samples)


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_sentence_is_spoken_in_its_language(language: Language) -> None:
    spoken = speak("Anna", language)
    assert (spoken.sample_rate, spoken.samples.shape[1]) == (22050, 1)
    assert 0.2 < spoken.seconds < 2.0
    assert np.abs(spoken.samples).max() > 3000
    other: Language = "de" if language == "en" else "en"
    assert not same(spoken, speak("Anna", other))


@pytest.mark.parametrize(
    ("name", "spoken"),
    [
        ("<break time='9s'/>Anna", "break time '9s' Anna"),
        ("[[h@l'oU]] Anna", "h l'oU Anna"),
        ("\x0150p Anna\x00", "50p Anna"),
        ("Anna\nBen", "Anna Ben"),
        ("Zoë O\u2019Neil-Łoś", "Zoë O\u2019Neil-Łoś"),
        ("安娜 & Ben", "安娜 & Ben"),
    ],
)
def test_of_a_name_only_words_are_spoken(name: str, spoken: str) -> None:
    assert words_of(name) == spoken
    assert same(speak(name, "en"), speak(spoken, "en"))


@pytest.mark.parametrize("name", ["--help", "-f /etc/passwd", "-wx.wav", "--stdin"])
def test_a_name_is_no_option(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # What it would be as an option: espeak-ng's help, a file's text, a file that is written.
    spoken = speak(f"{name} Anna", "en")
    assert spoken.seconds > speak("Anna", "en").seconds
    assert not list(tmp_path.iterdir())


def test_a_text_is_spoken_to_some_length() -> None:
    assert len(words_of("Anna " * 1000)) <= LONGEST_TEXT
    assert speak("Anna " * 1000, "en").seconds < 40
    assert speak("محمد عبد الله" * 5, "de").seconds <= LONGEST_SECONDS  # letter by letter


def program(folder: Path, script: str) -> str:
    path = folder / "speaks-not"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_without_espeak_ng_it_is_said_how_to_install_it() -> None:
    with pytest.raises(SoundError, match="install it with: sudo apt install espeak-ng"):
        speak("Anna", "en", program="no-espeak-ng")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'no voice' >&2; exit 1", "no voice"),
        ("cat > /dev/null", "did not speak"),
        ("cat > /dev/null; echo no sound", "did not speak"),
    ],
)
def test_what_does_not_speak_says_why(tmp_path: Path, script: str, reason: str) -> None:
    with pytest.raises(SoundError, match=reason):
        speak("Anna", "en", program=program(tmp_path, script))


def test_what_never_ends_is_given_up(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(SoundError, match="no answer within"):
        speak("Anna", "en", program=program(tmp_path, "exec sleep 60"), wait_seconds=0.2)
    assert time.monotonic() - started < 5.0
