"""The daemon of the soak: what it says of visits, and what it holds."""

from __future__ import annotations

import os
import re
import signal
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from doorbell.testbed.daemon_process import DOORBELL, WATCHING, DaemonProcess
from doorbell.testbed.waiting import eventually

_EVENT_LINE = re.compile(
    r"(arrived|recognized|unknown|ring|left) visit=(\w+) visitor=(\S+)(?: similarity=.*)?$"
)
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Said:
    """A line of the daemon's log about a visit."""

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
    """One life of the daemon, and what it says of visits, line by line.

    Args:
        words: of the command line, after ``doorbell run``.
        environment: its clock and its sound.
        log: what it says is added there.

    Raises:
        RuntimeError: it does not start.
    """

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        log.touch()
        self._log = log.open(encoding="utf-8")
        self._log.seek(0, os.SEEK_END)
        self._process = DaemonProcess([*DOORBELL, "run", *words], log, environment=environment)
        self._begun_line = ""
        self._said: deque[Said] = deque()
        self._connections = 0
        if not self._process.says(WATCHING, _START_SECONDS):
            self.end(signal.SIGKILL)
            raise RuntimeError(f"the doorbell does not start; see {log}")

    def next_said(self, seconds: float) -> Said | None:
        """The next line about a visit; None if there is none in time."""
        return self._said.popleft() if eventually(lambda: self.has_said_more, seconds) else None

    @property
    def has_said_more(self) -> bool:
        """Whether there is a line about a visit that was not read yet."""
        self._follow_log()
        return bool(self._said)

    @property
    def connections(self) -> int:
        """How often it has been connected to the broker."""
        self._follow_log()
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
        try:
            self._process.signal(number)
            return self._process.wait(_STOP_SECONDS)
        finally:
            self._process.kill()
            self._follow_log()
            self._log.close()

    def _follow_log(self) -> None:
        *lines, self._begun_line = (self._begun_line + self._log.read()).split("\n")
        for line in lines:
            self._connections += "connected to the broker" in line
            if found := _EVENT_LINE.search(line):
                self._said.append(Said(*found.groups()))
