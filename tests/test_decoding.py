"""Recordings that people send: files of each kind become a sound, and all others are refused."""

from __future__ import annotations

import struct
import time

import numpy as np
import pytest

from doorbell.errors import SoundError
from doorbell.outputs.sound.decoding import NO_SOUND, TOO_LONG, TOO_SHORT, decode_sound
from doorbell.outputs.sound.speech import speak
from doorbell.outputs.sound.synthesis import Sound, resampled, wav_of
from doorbell.testbed.hearing import likeness
from doorbell.testbed.recordings import KINDS, encoded, encoded_as


@pytest.fixture(scope="module")
def voice() -> Sound:
    return speak("One moment, please", "en")


def quiet(seconds: float, rate: int = 8000) -> Sound:
    return Sound(np.zeros((round(seconds * rate), 1), np.int16), rate)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_each_kind_is_the_sound_that_was_recorded(
    voice: Sound, kind: str, channels: int
) -> None:
    sound = decode_sound(encoded(voice, kind, channels=channels))
    assert sound.samples.dtype == np.int16
    assert sound.samples.shape[1] == 1
    assert sound.sample_rate == (48000 if KINDS[kind][2] == 48000 else 44100)
    assert sound.seconds == pytest.approx(voice.seconds, abs=0.1)
    sent = resampled(voice, sound.sample_rate)[:, 0]
    heard = np.pad(sound.samples[:, 0], (0, len(sent)))
    assert likeness(heard, sent)[0] > 0.9


def test_other_rates_of_telephones_are_brought_to_48000(voice: Sound) -> None:
    for rate in (8000, 16000, 32000, 96000):
        sound = decode_sound(encoded_as(voice, "wav", "pcm_s16le", rate))
        assert sound.sample_rate == 48000
        assert sound.seconds == pytest.approx(voice.seconds, abs=0.02)


def with_cover(voice: Sound) -> bytes:
    """An MP3 with a picture before its sound, as music has."""
    picture = b"\x00image/png\x00\x03\x00" + b"\x89PNG\r\n\x1a\n" + bytes(2000)
    frame = b"APIC" + struct.pack(">I", len(picture)) + b"\x00\x00" + picture
    size = len(frame)
    synchsafe = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + synchsafe + frame + encoded(voice, "voice.mp3")


def test_a_picture_in_a_recording_is_left_alone(voice: Sound) -> None:
    assert decode_sound(with_cover(voice)).seconds == pytest.approx(voice.seconds, abs=0.1)


def test_what_is_no_recording_gets_a_sentence(voice: Sound) -> None:
    whole = encoded(voice, "voice.m4a")
    refused = {
        "nothing": b"",
        "a text": b"Dear Sir or Madam,\n" * 100,
        "a head": wav_of(quiet(1.0))[:20],
        "half of an M4A, whose table is at its end": whole[: len(whole) // 2],
        "WebM": encoded_as(voice, "matroska", "libopus", 48000),
        "AIFF": encoded_as(voice, "aiff", "pcm_s16be", 44100),
        "an adaptive stream's list": b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:1/secret\n",
        "a list of files": b"ffconcat version 1.0\nfile /etc/passwd\n",
        "ADPCM": encoded_as(voice, "wav", "adpcm_ima_wav", 44100),
        "a codec that nobody knows": _of_codec(wav_of(quiet(1.0)), 0x1234),
        "1 sample a second": _at_rate(wav_of(quiet(1.0)), 1),
        "4 billion samples a second": _at_rate(wav_of(quiet(1.0)), 0xFFFFFFFF),
    }
    for name, content in refused.items():
        with pytest.raises(SoundError) as told:
            decode_sound(content)
        assert str(told.value) == NO_SOUND, name


def _of_codec(wav: bytes, tag: int) -> bytes:
    return wav[:20] + struct.pack("<H", tag) + wav[22:]


def _at_rate(wav: bytes, rate: int) -> bytes:
    return wav[:24] + struct.pack("<I", rate) + wav[28:]


def test_too_much_and_too_little_are_said() -> None:
    with pytest.raises(SoundError) as told:
        decode_sound(encoded(quiet(21.0), "voice.ogg"))
    assert str(told.value) == TOO_LONG
    assert decode_sound(encoded(quiet(19.5), "voice.ogg")).seconds == pytest.approx(19.5, abs=0.1)
    for content in (wav_of(quiet(0.0)), wav_of(quiet(0.05))):
        with pytest.raises(SoundError) as told:
            decode_sound(content)
        assert str(told.value) in (TOO_SHORT, NO_SOUND)


def test_a_part_that_is_none_is_left_out(voice: Sound) -> None:
    content = encoded(voice, "voice.mp3")
    twice = decode_sound(content * 2)  # with a head in the middle
    assert twice.seconds == pytest.approx(2 * voice.seconds, abs=0.2)


def test_what_has_no_end_is_given_up_soon() -> None:
    endless = {
        # 12 MB of WAV whose head promises more than a day of it.
        "sound": wav_of(quiet(1.0))[:40] + b"\xff\xff\xff\xff" + bytes(12_000_000),
        # Silence is packed tightly.
        "silence": encoded(quiet(60.0), "lossless.m4a"),
    }
    for name, content in endless.items():
        began = time.process_time()
        with pytest.raises(SoundError) as told:
            decode_sound(content)
        assert str(told.value) == TOO_LONG, name
        assert time.process_time() - began < 2.0, name
