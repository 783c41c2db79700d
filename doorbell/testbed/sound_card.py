"""A sound card that is a file: an ALSA device, and what can happen to it."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

WAV_HEADER_BYTES = 44
# Where a WAV file of one plain format says how many bytes a second has.
BYTES_PER_SECOND = struct.Struct("<28xI")
INTO_FILE = """\
pcm.!{device} {{
    type file
    slave.pcm "null"
    file "{path}"
    format "wav"
    truncate {truncate}
}}
pcm.null {{ type null }}
"""


class SoundCard:
    """An ALSA device for processes that run in ``environment``; plugged in at first.

    Args:
        folder: for its files.
        device: its name; ``default`` is what is played on where none is asked for.
        keep_all: write each sound into a file of its own, for ``sounds``; otherwise the last one
            is in ``recording``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        device: str = "default",
        keep_all: bool = False,
    ) -> None:
        self._device = device
        name = "" if device == "default" else f"{device}-"
        self._folder = folder / f"{name}sounds"
        self._folder.mkdir()
        self.recording = self._folder / "sound.wav"
        self._truncate = "false" if keep_all else "true"
        self.config = folder / f"{name}asound.conf"
        self.plug()

    @property
    def environment(self) -> Mapping[str, str]:
        """This process's own, with what leads ALSA here."""
        return environment_of(self)

    def plug(self) -> None:
        """Put it in its place."""
        self._write_into(self.recording)

    def unplug(self) -> None:
        """Take it away."""
        self.config.write_text(f"pcm.!{self._device} {{ type hw card 29 }}\n", encoding="utf-8")

    def hang(self) -> None:
        """Block whoever opens the device, for ever: a pipe that nobody reads."""
        pipe = self._folder.with_suffix(".pipe")
        if not pipe.exists():
            os.mkfifo(pipe)
        self._write_into(pipe)

    def has_recorded(self, seconds: float) -> bool:
        """Whether so much of a sound was played."""
        if not self.recording.exists():
            return False
        data = self.recording.read_bytes()
        if len(data) < WAV_HEADER_BYTES:
            return False
        per_second: int = BYTES_PER_SECOND.unpack_from(data)[0]
        return len(data) - WAV_HEADER_BYTES >= round(seconds * per_second) // 2 * 2

    def take(self) -> NDArray[np.float64]:
        """Samples of the last sound, mono, as 16-bit values; the device is ready for the next."""
        data = self.recording.read_bytes()[WAV_HEADER_BYTES:]
        self.recording.unlink()
        return np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float64)

    @property
    def sounds(self) -> list[bytes]:
        """Every sound so far, in order: 16-bit samples."""
        return [path.read_bytes()[WAV_HEADER_BYTES:] for path in sorted(self._folder.iterdir())]

    def _write_into(self, path: Path) -> None:
        config = INTO_FILE.format(device=self._device, path=path, truncate=self._truncate)
        self.config.write_text(config, encoding="utf-8")


def environment_of(*cards: SoundCard) -> Mapping[str, str]:
    """This process's environment, with what leads ALSA to these cards alone."""
    paths = ":".join(str(card.config) for card in cards)
    return {**os.environ, "ALSA_CONFIG_PATH": paths}
