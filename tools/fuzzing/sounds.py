"""Recordings that are sent as replies: what FFmpeg reads of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from doorbell.errors import SoundError
from doorbell.outputs.sound.decoding import SAMPLE_RATES, decode_sound
from doorbell.outputs.sound.synthesis import LONGEST_SECONDS, Sound
from doorbell.testbed.recordings import KINDS, encoded

MAX_BYTES = 8192
MAX_SECONDS = 2.0


def seeds() -> Iterator[bytes]:
    """A short tone as a file of every kind, in one channel and in two."""
    time = np.arange(2400) / 8000
    tone = np.rint(8000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)[:, np.newaxis]
    for kind in KINDS:
        for channels in (1, 2):
            content = encoded(Sound(tone, 8000), kind, channels=channels)
            yield content[:MAX_BYTES]


def check(content: bytes) -> None:
    """Decode it: a sound within its bounds, or a refusal in words."""
    try:
        sound = decode_sound(content)
    except (SoundError, MemoryError):  # a process of its own has little memory
        return
    if sound.samples.dtype != np.int16 or sound.samples.shape[1:] != (1,):
        raise AssertionError(f"decoded to {sound.samples.dtype} of shape {sound.samples.shape}")
    if sound.sample_rate not in SAMPLE_RATES or not 0 < sound.seconds <= LONGEST_SECONDS:
        raise AssertionError(f"decoded to {sound.seconds} s at {sound.sample_rate} Hz")
