"""The daemon of the soak, and a sound card that keeps every sound.

Knows nothing of the script.
"""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from household import DOORBELL

_EVENT_LINE = re.compile(
    r"(arrived|recognized|unrecognized|ring|left) visit=(\w+) visitor=(\S+)(?: similarity=.*)?$"
)
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0


class SoundRecorder:
    """An ALSA device that writes each sound into a file of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "sounds"
        self._folder.mkdir()
        self._config = folder / "asound.conf"
        self._config.write_text(
            'pcm.!default { type file slave.pcm "null" '
            f'file "{self._folder}/sound.wav" format "wav" truncate false }}\n'
            "pcm.null { type null }\n"
        )

    @property
    def environment(self) -> Mapping[str, str]:
        """For a process that is to be heard."""
        return {**os.environ, "ALSA_CONFIG_PATH": str(self._config)}

    @property
    def sounds(self) -> list[bytes]:
        """What was heard, in order: 16-bit samples."""
        return [path.read_bytes()[44:] for path in sorted(self._folder.iterdir())]


@dataclass(frozen=True, slots=True)
class Said:
    """A line of the daemon's log that tells of a visit."""

    what: str
    visit_id: str
    visitor: str


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the daemon holds.

    Attributes:
        resident_megabytes: VmRSS.
        own_megabytes: of that, memory that is no file's.
        swapped_megabytes: of its own memory, what is paged out.
        threads: how many.
        descriptors: how many.
    """

    resident_megabytes: float
    own_megabytes: float
    swapped_megabytes: float
    threads: int
    descriptors: int


class Doorbell:
    """One life of the daemon.

    Args:
        words: of the command line, after ``doorbell run``.
        environment: its clock and its sound.
        log: what it says is added there.
    """

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._process = subprocess.Popen(
            [DOORBELL, "run", *words],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._log = log
        self._watching = threading.Event()
        self._connections = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._watching.wait(_START_SECONDS):
            self.end(signal.SIGKILL)
            raise RuntimeError(f"the doorbell does not start; see {log}")

    def next_said(self, seconds: float) -> Said | None:
        """The next line about a visit; None if there is none in time."""
        try:
            found = _EVENT_LINE.search(self._lines.get(timeout=max(seconds, 0.0)))
        except queue.Empty:
            return None
        return Said(*found.groups()) if found else None

    @property
    def has_said_more(self) -> bool:
        """Whether there is a line about a visit that was not read yet."""
        return not self._lines.empty()

    @property
    def connections(self) -> int:
        """How often it has been connected to the broker."""
        return self._connections

    def footprint(self) -> Footprint:
        """Measure it; of three looks the one with the fewest files open for a moment."""
        folder = Path(f"/proc/{self._process.pid}")
        looks = []
        for _ in range(3):
            looks.append(len(list((folder / "fd").iterdir())))
            time.sleep(0.01)
        status = dict(
            line.split(":", 1)
            for line in (folder / "status").read_text().splitlines()
            if ":" in line
        )
        resident, own, swapped = (
            int(status[key].split()[0]) / 1024 for key in ("VmRSS", "RssAnon", "VmSwap")
        )
        return Footprint(resident, own, swapped, int(status["Threads"]), min(looks))

    def end(self, number: int) -> int:
        """Send it a signal, wait until it has ended, and return the exit code."""
        self._process.send_signal(number)
        try:
            code = self._process.wait(_STOP_SECONDS)
        finally:
            self._process.kill()
        self._reader.join()
        return code

    def _read(self) -> None:
        with self._log.open("a") as log:
            for line in self._process.stderr or ():
                log.write(line)
                log.flush()
                if "watching the door" in line:
                    self._watching.set()
                elif "connected to the broker" in line:
                    self._connections += 1
                elif _EVENT_LINE.search(line):
                    self._lines.put(line.rstrip())
