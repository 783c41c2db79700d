"""Recordings of people's own: WAV, MP3, M4A or Ogg files to samples, by PyAV (FFmpeg).

A file may come from anybody, so it is decoded in a process that can do nothing else
(``household.sound_process``); what is decoded is bounded here.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from doorbell.errors import SoundError
from doorbell.outputs.sound.synthesis import LONGEST_SECONDS, Sound, wav_of

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext
    from av.container import InputContainer

# FFmpeg's demuxers and decoders that are let at a file, of the hundreds that it has.
FORMATS = ("wav", "mp3", "mov", "mp4", "m4a", "ogg")
CODECS = (
    *("pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"),
    *("mp3", "mp3float", "aac", "alac", "flac", "vorbis", "opus", "libopus"),
)
# What everything is brought to: the one of the two that is nearer.
SAMPLE_RATES = (44100, 48000)
# Of a file; beyond there is nothing that anybody hears, but much to compute.
READABLE_RATES = range(4000, 192_001)
SHORTEST_SECONDS = 0.1
# Parts of a file that cannot be decoded and are left out, such as what tools write into MP3.
BROKEN_PARTS = 10
PROBE_BYTES = 500_000

_KINDS = "a WAV, MP3, M4A or Ogg file"
NO_SOUND = f"this recording is not {_KINDS}, or is damaged; save it anew as one of these"
TOO_LONG = (
    f"this recording lasts longer than the {LONGEST_SECONDS:.0f} s that are allowed; shorten it"
)
TOO_SHORT = "this recording holds no sound; record it anew"
NOT_INSTALLED = (
    "recordings cannot be read here: PyAV is not installed; install it with: "
    "pip install 'doorbell[sounds]'"
)


def decode_sound(content: bytes) -> Sound:
    """Decode a recording: mono, 16 bit, 44.1 or 48 kHz, at most 20 seconds.

    Args:
        content: of its file, whatever that is.

    Raises:
        SoundError: it is none, too long, or too short; why, in a sentence.
        MemoryError: it takes more than there is.
    """
    try:
        import av
        import av.error
    except ImportError as exc:
        raise SoundError(NOT_INSTALLED) from exc
    options = {
        "format_whitelist": ",".join(FORMATS),
        "codec_whitelist": ",".join(CODECS),
        "probesize": str(PROBE_BYTES),
    }
    try:
        with av.open(io.BytesIO(content), "r", options=options) as container:
            return _sound(container)
    except MemoryError:
        raise
    except (av.error.FFmpegError, ValueError, ArithmeticError) as exc:
        raise SoundError(NO_SOUND) from exc


def _sound(container: InputContainer) -> Sound:
    import av
    import av.error

    if not container.streams.audio:
        raise SoundError(NO_SOUND)
    stream = container.streams.audio[0]
    context: AudioCodecContext | None = stream.codec_context
    if context is None or context.name not in CODECS:  # FFmpeg knows no decoder, or we none
        raise SoundError(NO_SOUND)
    if context.sample_rate not in READABLE_RATES:
        raise SoundError(NO_SOUND)
    context.thread_count = 1
    rate = SAMPLE_RATES[1] if context.sample_rate % 8000 == 0 else SAMPLE_RATES[0]
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
    parts, samples = [], 0

    def decoded() -> Iterator[av.AudioFrame | None]:
        broken = 0
        for packet in container.demux(stream):
            try:
                yield from packet.decode()
            except av.error.InvalidDataError:  # noqa: PERF203 - of one part alone
                broken += 1
                if broken > BROKEN_PARTS:
                    raise
        yield None  # what the resampler still holds

    for frame in decoded():
        for resampled in resampler.resample(frame):
            part = resampled.to_ndarray().reshape(-1)
            parts.append(part)
            samples += len(part)
            if samples > LONGEST_SECONDS * rate:
                raise SoundError(TOO_LONG)
    if samples < SHORTEST_SECONDS * rate:
        raise SoundError(TOO_SHORT)
    whole = np.concatenate(parts).astype(np.int16)[:, np.newaxis]
    return Sound(whole, rate)


def warm_up() -> None:
    """Load everything that decoding takes: what is loaded later could not be.

    Raises:
        SoundError: PyAV is not installed.
    """
    silence = Sound(np.zeros((SAMPLE_RATES[0] // 2, 1), np.int16), 22050)
    decode_sound(wav_of(silence))
