"""The sounds of the bell: synthesized ones, and WAV files.

A note is a struck bar: a fundamental with weaker, faster fading partials (the first three modes of
a tuned marimba bar are near 1 : 4 : 10), so that the documented pitch is the strongest in the
spectrum.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from doorbell.config.paths import expand
from doorbell.errors import ConfigError, SoundError
from doorbell.storage.files import open_regular

SAMPLE_RATE = 44100
LONGEST_SECONDS = 20.0
SAMPLE_RATES = range(8000, 48001)
# Twenty seconds in stereo take 3.84 MB; some programs write pictures and texts beside the sound.
MAX_WAV_BYTES = 16_000_000

Int16Array: TypeAlias = NDArray[np.int16]

# Equal temperament, A4 = 440 Hz.
E3, B3 = 164.81, 246.94
E4, F_SHARP4, G4, G_SHARP4, A4, B4 = 329.63, 369.99, 392.00, 415.30, 440.00, 493.88
C5, D5, E5, G5, A5, B5 = 523.25, 587.33, 659.26, 783.99, 880.00, 987.77
C6, E6, G6 = 1046.50, 1318.51, 1567.98

# (ratio to the fundamental, strength, decay in 1/s relative to the note's own)
PARTIALS = ((1.0, 1.0, 1.0), (2.0, 0.18, 1.6), (4.0, 0.12, 3.0), (10.0, 0.03, 6.0))
ATTACK_SECONDS = 0.004
PEAK = 0.89  # 1 dB under full scale


class Note(NamedTuple):
    """One stroke."""

    frequency_hz: float
    start_seconds: float
    ring_seconds: float  # until it has faded by 30 dB


@dataclass(frozen=True, eq=False, slots=True)
class Sound:
    """Samples ready to be played.

    Attributes:
        samples: (frames, channels) int16, one or two channels.
        sample_rate: frames a second.
    """

    samples: Int16Array
    sample_rate: int

    @classmethod
    def of_pcm(cls, data: bytes, sample_rate: int, channels: int = 1) -> Sound:
        """Of 16-bit little-endian samples; what is no whole frame at their end is left out."""
        whole = len(data) - len(data) % (2 * channels)
        samples = np.frombuffer(data[:whole], "<i2").astype(np.int16)
        return cls(samples.reshape(-1, channels), sample_rate)

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.sample_rate

    def at_volume(self, volume: float) -> Sound:
        """The same, its samples times 0 to 1."""
        return Sound(np.rint(self.samples * volume).astype(np.int16), self.sample_rate)


CHIMES: dict[str, tuple[Note, ...]] = {
    # The first quarter's four notes of the Westminster bells, in E.
    "westminster": (
        Note(G_SHARP4, 0.0, 1.0),
        Note(F_SHARP4, 0.6, 1.0),
        Note(E4, 1.2, 1.0),
        Note(B3, 1.8, 1.8),
    ),
    # The descending major third of a two-bar mechanical bell.
    "ding-dong": (Note(E5, 0.0, 1.0), Note(C5, 0.6, 1.6)),
    # Two quick rising fourths: noticed, not frightening.
    "alert": (
        Note(B5, 0.0, 0.3),
        Note(E6, 0.18, 0.5),
        Note(B5, 0.7, 0.3),
        Note(E6, 0.88, 0.9),
    ),
    # One low temple bell with its fifth.
    "gong": (Note(E3, 0.0, 2.6), Note(B3, 0.0, 1.6)),
    # A C major arpeggio upwards.
    "sunrise": (
        Note(C5, 0.0, 0.8),
        Note(E5, 0.2, 0.8),
        Note(G5, 0.4, 0.8),
        Note(C6, 0.6, 1.6),
    ),
    # The same from A minor, downwards.
    "cascade": (
        Note(A5, 0.0, 0.8),
        Note(E5, 0.2, 0.8),
        Note(C5, 0.4, 0.8),
        Note(A4, 0.6, 1.6),
    ),
    # High and light.
    "crystal": (Note(G6, 0.0, 0.6), Note(C6, 0.25, 0.6), Note(G6, 0.5, 1.2)),
    # A call on the fourth: G, G, D.
    "horn": (Note(G4, 0.0, 0.5), Note(G4, 0.3, 0.5), Note(D5, 0.6, 1.6)),
}

# Two notes upwards, half a second.
ATTENTION = (Note(G5, 0.0, 0.25), Note(C6, 0.14, 0.36))


def chime_names() -> tuple[str, ...]:
    """Names of the built-in chimes."""
    return tuple(CHIMES)


def load_chime(name_or_path: str) -> Sound:
    """Synthesize a built-in chime, or read a WAV file.

    Raises:
        SoundError: neither a built-in name nor a usable WAV file, with the reason.
    """
    if name_or_path in CHIMES:
        return synthesize(name_or_path)
    if not name_or_path.lower().endswith(".wav"):
        raise SoundError(
            f"there is no chime {name_or_path!r}: give one of {', '.join(CHIMES)}, "
            "or the path of a WAV file"
        )
    try:
        return read_wav(expand(name_or_path))
    except ConfigError as exc:  # the home of a user who is none
        raise SoundError(f"{name_or_path!r} is no path of a chime: {exc}") from exc


@cache
def synthesize(name: str) -> Sound:
    """Synthesize a built-in chime: 44.1 kHz, 16 bit, mono."""
    return _play(CHIMES[name])


@cache
def attention() -> Sound:
    """Two short notes before somebody speaks at the door, so that nobody is startled."""
    return _play(ATTENTION)


def _play(notes: Sequence[Note]) -> Sound:
    seconds = max(note.start_seconds + note.ring_seconds for note in notes)
    mix = np.zeros(round(seconds * SAMPLE_RATE) + 1)
    for note in notes:
        start = round(note.start_seconds * SAMPLE_RATE)
        bar = _strike(note)
        mix[start : start + len(bar)] += bar
    mix *= PEAK * np.iinfo(np.int16).max / np.abs(mix).max()
    samples = np.rint(mix).astype(np.int16)[:, np.newaxis]
    samples.flags.writeable = False
    return Sound(samples, SAMPLE_RATE)


def joined(sounds: Sequence[Sound]) -> Sound:
    """Sounds one right after the other, as one.

    Each is brought to the highest rate of samples and the most channels among them.
    """
    if len(sounds) == 1:
        return sounds[0]
    rate = max(sound.sample_rate for sound in sounds)
    channels = max(sound.samples.shape[1] for sound in sounds)
    parts = [
        np.repeat(p, channels // p.shape[1], axis=1) for p in (resampled(s, rate) for s in sounds)
    ]
    return Sound(np.concatenate(parts), rate)


def resampled(sound: Sound, sample_rate: int) -> Int16Array:
    """A sound's samples at another rate: the same frequencies, none above either's limit.

    By its Fourier transform, cut off or continued by zeros, with a quarter of a second of silence
    after it, so that its end does not sound into its beginning.
    """
    if sound.sample_rate == sample_rate:
        return sound.samples
    frames, rest = len(sound.samples), sound.sample_rate // 4
    # Whole seconds, so that both rates have a whole number of frames.
    padded = -(-(frames + rest) // sound.sample_rate) * sound.sample_rate
    wanted = padded // sound.sample_rate * sample_rate
    spectrum = np.fft.rfft(sound.samples.astype(np.float64), padded, axis=0)
    samples = np.fft.irfft(spectrum[: wanted // 2 + 1], wanted, axis=0) * (wanted / padded)
    limits = np.iinfo(np.int16)
    kept = samples[: round(frames * sample_rate / sound.sample_rate)]
    return np.rint(np.clip(kept, limits.min, limits.max)).astype(np.int16)


def chime_wav(name: str) -> bytes:
    """A built-in chime as a WAV file, for who listens to it elsewhere.

    Raises:
        SoundError: there is none of that name.
    """
    return wav_of(synthesize(name))


def wav_of(sound: Sound) -> bytes:
    """A sound as a WAV file of 16-bit PCM."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(sound.samples.shape[1])
        written.setsampwidth(2)
        written.setframerate(sound.sample_rate)
        written.writeframes(sound.samples.astype("<i2").tobytes())
    return file.getvalue()


def _strike(note: Note) -> NDArray[np.float64]:
    count = round(note.ring_seconds * SAMPLE_RATE)
    time = np.arange(count) / SAMPLE_RATE
    decay = np.log(10 ** (30 / 20)) / note.ring_seconds
    bar = np.zeros(count)
    for ratio, strength, fading in PARTIALS:
        frequency = ratio * note.frequency_hz
        if frequency < SAMPLE_RATE / 2:
            bar += strength * np.exp(-fading * decay * time) * np.sin(2 * np.pi * frequency * time)
    # Both ends are eased: a step would click.
    ease = round(ATTACK_SECONDS * SAMPLE_RATE)
    bar[:ease] *= np.linspace(0.0, 1.0, ease)
    tail = 10 * ease
    bar[-tail:] *= np.linspace(1.0, 0.0, tail)
    return bar


def read_wav(path: Path) -> Sound:
    """Read a WAV file of 16-bit PCM, mono or stereo, 8 to 48 kHz, at most 20 seconds.

    Raises:
        SoundError: missing, unreadable, no WAV file, or of another form.
    """
    try:
        with open_regular(path, MAX_WAV_BYTES) as content, wave.open(content, "rb") as file:
            depth, channels = 8 * file.getsampwidth(), file.getnchannels()
            rate, frames = file.getframerate(), file.getnframes()
            _check_form(path, depth=depth, channels=channels, rate=rate, frames=frames)
            data = file.readframes(frames)
    except (wave.Error, EOFError) as exc:
        reason = str(exc) or "it ends too early"
        raise SoundError(f"{path} is no usable WAV file ({reason}); {_ADVICE}") from exc
    except OSError as exc:
        raise SoundError(f"cannot read the chime {path}: {exc.strerror}; check the path") from exc
    except ValueError as exc:  # NUL, or what is no text
        raise SoundError(f"{str(path)!r} is no path of a chime; check it") from exc
    sound = Sound.of_pcm(data, rate, channels)
    if not len(sound.samples):
        raise SoundError(f"{path} holds no sound; {_ADVICE}")
    return sound


_ADVICE = "convert it with: sox IN -b 16 -r 44100 -c 1 OUT.wav"


def _check_form(path: Path, *, depth: int, channels: int, rate: int, frames: int) -> None:
    if depth != 16:
        raise SoundError(f"{path} has {depth} bits a sample where 16 are needed; {_ADVICE}")
    if channels not in (1, 2):
        raise SoundError(f"{path} has {channels} channels where 1 or 2 are needed; {_ADVICE}")
    if rate not in SAMPLE_RATES:
        raise SoundError(f"{path} has {rate} samples a second, not 8000 to 48000; {_ADVICE}")
    if frames > LONGEST_SECONDS * rate:
        raise SoundError(
            f"{path} lasts {frames / rate:.0f} s where {LONGEST_SECONDS:.0f} s are allowed; "
            "shorten it with: sox IN OUT.wav trim 0 20"
        )
