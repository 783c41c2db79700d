import os
import wave
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest

from doorbell.domain import CHIME_NAMES
from doorbell.errors import SoundError
from doorbell.outputs.sound.synthesis import (
    CHIMES,
    SAMPLE_RATE,
    Note,
    chime_names,
    load_chime,
    read_wav,
    synthesize,
)


def pitch_at(samples: np.ndarray, note: Note, until_seconds: float) -> float:
    """Frequency of the strongest line between a note's start and the next note's."""
    start = round((note.start_seconds + 0.01) * SAMPLE_RATE)
    end = round(min(until_seconds, note.start_seconds + note.ring_seconds) * SAMPLE_RATE)
    piece = samples[start:end] * np.hanning(end - start)
    spectrum = np.abs(np.fft.rfft(piece, 1 << 18))
    return float(np.argmax(spectrum)) * SAMPLE_RATE / (1 << 18)


@pytest.mark.parametrize("name", chime_names())
def test_every_note_sounds_at_its_documented_pitch(name: str) -> None:
    samples = synthesize(name).samples[:, 0].astype(np.float64)
    notes = CHIMES[name]
    starts = [*sorted({note.start_seconds for note in notes}), len(samples) / SAMPLE_RATE]
    for start, following in pairwise(starts):
        struck = [note for note in notes if note.start_seconds == start]
        measured = pitch_at(samples, struck[0], following)
        assert min(abs(measured / note.frequency_hz - 1) for note in struck) < 0.01


@pytest.mark.parametrize("name", chime_names())
def test_a_chime_is_short_loud_enough_and_starts_and_ends_without_a_click(name: str) -> None:
    sound = synthesize(name)
    assert sound.sample_rate == 44100
    assert sound.samples.shape[1] == 1
    assert 1.0 < sound.seconds < 4.0
    assert 28000 < np.abs(sound.samples).max() < 30000
    assert abs(int(sound.samples[0, 0])) < 50
    assert abs(int(sound.samples[-1, 0])) < 50


def test_eight_chimes_no_two_with_the_same_melody() -> None:
    assert chime_names() == CHIME_NAMES
    assert {"westminster", "ding-dong", "alert"} <= set(chime_names())
    for one, other in combinations(CHIMES.values(), 2):
        assert [note.frequency_hz for note in one] != [note.frequency_hz for note in other]


def write_wav(
    path: Path, *, depth: int = 16, channels: int = 1, rate: int = 44100, frames: int = 441
) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setsampwidth(depth // 8)
        file.setnchannels(channels)
        file.setframerate(rate)
        file.writeframes(b"\x01" * (frames * channels * depth // 8))
    return path


@pytest.mark.parametrize(("channels", "rate"), [(1, 44100), (2, 48000), (1, 8000)])
def test_a_wav_file_comes_back_as_written(tmp_path: Path, channels: int, rate: int) -> None:
    path = write_wav(tmp_path / "own.WAV", channels=channels, rate=rate)
    sound = load_chime(str(path))
    assert sound.sample_rate == rate
    assert sound.samples.shape == (441, channels)
    assert (sound.samples == 0x0101).all()


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"depth": 8}, "8 bits"),
        ({"depth": 24}, "24 bits"),
        ({"channels": 6}, "6 channels"),
        ({"rate": 96000}, "96000 samples"),
        ({"rate": 8000, "frames": 8000 * 21}, "lasts 21 s"),
        ({"frames": 0}, "no sound"),
    ],
)
def test_a_wav_file_of_another_form_is_refused_with_its_name_and_a_remedy(
    tmp_path: Path, form: dict[str, int], words: str
) -> None:
    path = write_wav(tmp_path / "own.wav", **form)
    with pytest.raises(SoundError, match=words) as caught:
        read_wav(path)
    assert str(path) in str(caught.value)
    assert "sox" in str(caught.value)


def test_what_is_no_wav_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.wav"
    for content in (b"", b"RIFF", b"ID3 not a wave file at all", b"RIFF\x10\0\0\0WAVEjunk"):
        path.write_bytes(content)
        with pytest.raises(SoundError, match="no usable WAV file"):
            read_wav(path)


def test_a_truncated_wav_file_plays_as_far_as_it_goes(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "own.wav")
    path.write_bytes(path.read_bytes()[:-101])
    assert 0 < len(read_wav(path).samples) < 441


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SoundError, match="No such file"):
        load_chime(str(tmp_path / "missing.wav"))
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(SoundError, match="Is a directory"):
        load_chime(str(tmp_path / "folder.wav"))


def test_an_unknown_name_lists_the_names() -> None:
    with pytest.raises(SoundError, match="westminster, ding-dong") as caught:
        load_chime("big-ben")
    assert "'big-ben'" in str(caught.value)


def test_a_pipe_and_a_device_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "device.wav").symlink_to("/dev/zero")
    for name in ("pipe.wav", "device.wav"):
        with pytest.raises(SoundError, match="it is not a regular file"):
            load_chime(str(tmp_path / name))
    with pytest.raises(SoundError, match="is no path of a chime"):
        load_chime("a\0b.wav")
    with pytest.raises(SoundError, match="is no path of a chime"):
        load_chime("~nobody-of-that-name/bell.wav")
