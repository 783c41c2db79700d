"""A sound card that takes a sound as fast as it is heard, for what follows, overtakes and cuts.

ALSA's ``file`` plugin writes into a pipe, and waits for whoever reads that: here a thread, a second
of sound a second.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from doorbell.testbed.sound_card import SoundCard

# Linux gives a pipe at least a page: 46 ms of mono at 44.1 kHz, as the buffer of a loudspeaker.
F_SETPIPE_SZ = 1031
PIPE_BYTES = 4096
PIECE_BYTES = 882
PAUSE_SECONDS = 0.05
# What was read a moment ago counts as heard after this.
AFTER_SECONDS = 0.05
# What each sound begins with, in one piece: a WAV header without a length.
HEADER_BYTES = 44
MARK = b"RIFF"
MARK_BEGINNINGS = (b"R", b"RI", b"RIF")
RATE = struct.Struct("<24xI")


@dataclass(slots=True)
class Heard:
    """One sound, as it was heard.

    Attributes:
        began_at, ended_at: wall time, seconds since the epoch; the end moves on while it sounds.
        sample_rate: frames a second; it is mono.
    """

    began_at: float
    ended_at: float
    sample_rate: int
    data: bytearray = field(default_factory=bytearray, repr=False)

    @property
    def samples(self) -> NDArray[np.float64]:
        """As 16-bit values."""
        return np.frombuffer(bytes(self.data[: len(self.data) // 2 * 2]), "<i2").astype(np.float64)


class PacedSoundCard(SoundCard):
    """An ALSA device that is listened to; as a context manager until the end of the block.

    Args:
        folder: for its files.
        device: its name, as of ``SoundCard``.

    Attributes:
        heard: every sound so far, in order.
    """

    def __init__(self, folder: Path, *, device: str = "default") -> None:
        super().__init__(folder, device=device)
        self.heard: list[Heard] = []
        self._is_stuck = threading.Event()
        os.mkfifo(self.recording)
        # Also open for writing, so that it has no end between two sounds.
        self._pipe = os.open(self.recording, os.O_RDWR)
        fcntl.fcntl(self._pipe, F_SETPIPE_SZ, PIPE_BYTES)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="listener", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def plug(self) -> None:
        """Put it in its place, and let it go on where it is stuck."""
        super().plug()
        if hasattr(self, "_is_stuck"):
            self._is_stuck.clear()

    @property
    def is_silent(self) -> bool:
        """Whether all that was played has been heard."""
        waits = bool(select.select([self._pipe], [], [], 0)[0])
        return not waits and (
            not self.heard or self.heard[-1].ended_at < time.time() - AFTER_SECONDS
        )

    def stick(self) -> None:
        """Take nothing any more, in the middle of a sound too, until it is plugged in again."""
        self._is_stuck.set()

    def close(self) -> None:
        """Listen no more; idempotent."""
        if not self._closing.is_set():
            self._closing.set()
            self._thread.join()
            os.close(self._pipe)

    def _listen(self) -> None:
        unread = b""
        while not self._closing.is_set():
            if self._is_stuck.is_set() or not select.select([self._pipe], [], [], PAUSE_SECONDS)[0]:
                self._closing.wait(PAUSE_SECONDS if self._is_stuck.is_set() else 0.0)
                continue
            unread = self._hear(unread + os.read(self._pipe, PIECE_BYTES))

    def _hear(self, data: bytes) -> bytes:
        """Take in what was read; returns the beginning of a header whose rest is to come."""
        start = data.find(MARK)
        is_cut = start >= 0 and len(data) < start + HEADER_BYTES
        if is_cut or data.endswith(MARK_BEGINNINGS):
            return data
        before, header = (data, b"") if start < 0 else (data[:start], data[start:])
        if before and self.heard:
            self._take(self.heard[-1], before)
        if header:
            now = time.time()
            self.heard.append(Heard(now, now, RATE.unpack_from(header)[0]))
            self._take(self.heard[-1], header[HEADER_BYTES:])
        return b""

    def _take(self, sound: Heard, data: bytes) -> None:
        sound.data += data
        sound.ended_at = sound.began_at + len(sound.data) / (2 * sound.sample_rate)
        self._closing.wait(max(sound.ended_at - time.time(), 0.0))
