"""The clocks of another process: hours that pass at once, and a wall clock that is wrong.

A library that is preloaded answers what the process asks of its clocks. Needs a C compiler.
"""

from __future__ import annotations

import mmap
import struct
import subprocess
import time
from pathlib import Path

# struct setting and struct clocks of process_clock.c.
_SETTING = struct.Struct("4d")
_CURRENT = struct.Struct("I")
_BYTES = 2 * _SETTING.size + 8
# A machine that has been on for a while.
_BOOTED_SECONDS = 1000.0


class Clock:
    """What time it is for whoever runs in ``environment``.

    Attributes:
        error_seconds: by how much the wall clock is ahead of the true time.

    Args:
        folder: where the library and the setting are put.
        start: the true time at first, seconds since 1970.
        rate: seconds that pass in a second while the clock goes.
    """

    def __init__(self, folder: Path, start: float, rate: float) -> None:
        library, setting = folder / "clock.so", folder / "clock"
        source = Path(__file__).with_suffix(".c")
        words = ["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
        subprocess.run(words, check=True)
        setting.write_bytes(bytes(_BYTES))
        with setting.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _BYTES)
        self._library, self._setting = library, setting
        self._start, self._rate = start, rate
        self._true, self._since, self._going = start, time.monotonic(), 0.0
        self._slot = 0
        self.error_seconds = 0.0
        self._write()

    @property
    def environment(self) -> dict[str, str]:
        """For a process that is to have this clock, beside what else its environment has."""
        return {"LD_PRELOAD": str(self._library), "DOORBELL_CLOCK": str(self._setting)}

    @property
    def now(self) -> float:
        """The true time, seconds since 1970."""
        return self._true + self._going * (time.monotonic() - self._since)

    def hold_at(self, moment: float) -> None:
        """Let the time pass until then at once, and stand still."""
        self._true, self._going = max(moment, self.now), 0.0
        self._write()

    def go(self) -> None:
        """Let the time pass."""
        self._true, self._going = self.now, self._rate
        self._write()

    def set_error(self, seconds: float) -> None:
        """Set the wall clock, right or wrong; no time passes."""
        self._true, self.error_seconds = self.now, seconds
        self._write()

    def _write(self) -> None:
        self._since = time.monotonic()
        wall = self._true + self.error_seconds
        boot = self._true - self._start + _BOOTED_SECONDS
        self._slot = 1 - self._slot
        _SETTING.pack_into(
            self._shared, self._slot * _SETTING.size, self._since, wall, boot, self._going
        )
        _CURRENT.pack_into(self._shared, 2 * _SETTING.size, self._slot)
