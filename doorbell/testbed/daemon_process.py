"""``doorbell run`` as a process of its own: started, watched by its log, ended in any way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from typing_extensions import Self

from doorbell.testbed.waiting import eventually

# The command line of the doorbell that this process has imported.
DOORBELL = (sys.executable, "-c", "from doorbell.cli import main; main()")
WATCHING = "watching the door"
STOP_SECONDS = 20.0
SHOWN_LINES = 10


def run_command(*settings: str, config: Path | None = None) -> list[str]:
    """The words of ``doorbell run``.

    Args:
        settings: as ``--set`` takes them, ``section.key=value``.
        config: its configuration file; None for none, so that this machine's own is not read.
    """
    sets = [word for setting in settings for word in ("--set", setting)]
    return [*DOORBELL, "run", "--config", str(config or os.devnull), *sets]


class DaemonProcess:
    """A daemon, running once this is made. As a context manager it is ended with the block.

    Args:
        command: of ``run_command``, or one that leads to it.
        log: a file to which what the daemon says is added.
        environment: beside this process's own.
        umask: of the process; -1 for this process's.

    Attributes:
        started_at: wall time.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        umask: int = -1,
    ) -> None:
        self._log = log
        self._log_begins = log.stat().st_size if log.exists() else 0
        with log.open("ab") as written:
            self.started_at = time.time()
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                umask=umask,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended, as ``Popen.returncode`` tells; None while it runs."""
        return self._process.poll()

    @property
    def log(self) -> str:
        """What this process has said so far."""
        with self._log.open("rb") as written:
            written.seek(self._log_begins)
            return written.read().decode(errors="replace")

    @property
    def log_end(self) -> str:
        """The last lines of the log, for a message."""
        return "\n".join(self.log.splitlines()[-SHOWN_LINES:])

    def says(self, words: str, seconds: float = 30.0) -> bool:
        """Whether it comes to say something before it ends, and in time."""
        eventually(lambda: words in self.log or self.exit_code is not None, seconds)
        return words in self.log

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Wait until it has ended; the exit code.

        Raises:
            subprocess.TimeoutExpired: it has not.
        """
        return self._process.wait(seconds)

    def terminate(self, seconds: float = STOP_SECONDS) -> int:
        """End it as a service manager does; the exit code.

        Raises:
            subprocess.TimeoutExpired: it has not ended in time.
        """
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self) -> None:
        """End it as the kernel does, short of memory; idempotent."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it in order if it still runs and if it can; idempotent."""
        try:
            self.terminate()
        except subprocess.TimeoutExpired:
            self.kill()
