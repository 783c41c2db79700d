"""Recordings as people send them: real files of each format, made by FFmpeg."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Sound(Protocol):
    """Samples, as ``outputs.sound.synthesis`` has them."""

    @property
    def samples(self) -> NDArray[np.int16]:
        """(frames, channels); of several channels the first is taken."""

    @property
    def sample_rate(self) -> int:
        """Frames a second."""


# By how they are called: the container and the encoder that FFmpeg makes them with, and their rate.
KINDS: Mapping[str, tuple[str, str, int]] = {
    "voice.wav": ("wav", "pcm_s16le", 44100),
    "wide.wav": ("wav", "pcm_s24le", 48000),
    "float.wav": ("wav", "pcm_f32le", 22050),
    "voice.mp3": ("mp3", "libmp3lame", 44100),
    "voice.m4a": ("ipod", "aac", 44100),
    "lossless.m4a": ("ipod", "alac", 48000),
    "voice.ogg": ("ogg", "libopus", 48000),
}


def encoded(sound: Sound, kind: str, *, channels: int = 1) -> bytes:
    """A sound as a file of one of ``KINDS``."""
    container, codec, rate = KINDS[kind]
    return encoded_as(sound, container, codec, rate, channels=channels)


def encoded_as(sound: Sound, container: str, codec: str, rate: int, *, channels: int = 1) -> bytes:
    """A sound as a file of any container and codec that FFmpeg makes."""
    import av

    layout = "mono" if channels == 1 else "stereo"
    file = io.BytesIO()
    with av.open(file, "w", format=container) as written:
        stream = written.add_stream(codec, rate=rate, layout=layout)
        resampler = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(sound.samples[:, :1].T), format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts = sound.sample_rate, 0
        waiting = av.AudioFifo()
        for source in (frame, None):
            for resampled in resampler.resample(source):
                waiting.write(resampled)
        size = stream.codec_context.frame_size or 1024
        while (part := waiting.read(size) or waiting.read()) is not None:
            written.mux(stream.encode(part))
        written.mux(stream.encode(None))
    return file.getvalue()
