"""A microphone that is a file: what it hears, and what can happen to it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DEVICE = "door_microphone"
FROM_FILE = """\
pcm.{device} {{
    type file
    slave.pcm {{ type null }}
    file "/dev/null"
    infile "{path}"
    format "raw"
}}
"""


class MicrophoneFile:
    """The ALSA device ``DEVICE`` for processes that run in ``environment``; plugged in at first.

    Who opens it hears what was said from its beginning, then its end over and over.

    Args:
        folder: for its files.
        samples: what is said, 16 kHz mono.
    """

    def __init__(self, folder: Path, samples: NDArray[np.int16]) -> None:
        self._said = folder / "said.raw"
        self._pipe = folder / "microphone.pipe"
        self._config = folder / "microphone.conf"
        self._said.write_bytes(samples.astype("<i2").tobytes())
        self.plug()

    @property
    def environment(self) -> Mapping[str, str]:
        """This process's own, with what leads ALSA here."""
        return self.beside(os.environ)

    def beside(self, environment: Mapping[str, str]) -> Mapping[str, str]:
        """An environment with what leads ALSA here as well."""
        others = environment.get("ALSA_CONFIG_PATH")
        paths = f"{others}:{self._config}" if others else str(self._config)
        return {**environment, "ALSA_CONFIG_PATH": paths}

    def plug(self) -> None:
        """Put it in its place."""
        self._read_from(self._said)

    def unplug(self) -> None:
        """Take it away."""
        self._config.write_text("", encoding="utf-8")

    def hang(self) -> None:
        """Block whoever opens the device, for ever: a pipe that nobody writes."""
        if not self._pipe.exists():
            os.mkfifo(self._pipe)
        self._read_from(self._pipe)

    def _read_from(self, path: Path) -> None:
        self._config.write_text(FROM_FILE.format(device=DEVICE, path=path), encoding="utf-8")
