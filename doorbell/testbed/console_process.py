"""``doorbell console`` as a process of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

from typing_extensions import Self

from doorbell.errors import DoorbellError
from doorbell.testbed.broker import free_port
from doorbell.testbed.daemon_process import DOORBELL, DaemonProcess
from doorbell.testbed.embedded_broker import HOST
from doorbell.testbed.waiting import eventually

START_SECONDS = 20.0


class ConsoleProcess:
    """The web pages of a doorbell, listening once this is made.

    As a context manager they are ended with the block.

    Args:
        folder: for its log, and the console's own directory ``console`` in it.
        control: the daemon's control socket.
        settings: more of the configuration, ``section.key=value``.

    Attributes:
        port: of the loopback device.
        directory: where it keeps who has access.

    Raises:
        DoorbellError: it does not come to listen.
    """

    def __init__(self, folder: Path, control: Path, *settings: str) -> None:
        self.port = free_port()
        self.directory = folder / "console"
        self._log = folder / "console.log"
        given = (
            "console.enabled=true",
            f"console.listen={HOST}:{self.port}",
            f"control.socket={control}",
            f"console.directory={self.directory}",
            *settings,
        )
        sets = [word for each in given for word in ("--set", each)]
        self._options = ["--config", os.devnull, *sets]
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def origin(self) -> str:
        """Where it is reached, as in ``http://127.0.0.1:8480``."""
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._process.log

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._process = DaemonProcess([*DOORBELL, "console", *self._options], self._log)
        eventually(lambda: self._listens() or self._process.exit_code is not None, START_SECONDS)
        if not self._listens():
            self._process.kill()
            raise DoorbellError(f"the console does not listen; {self._process.log_end}")

    def pair(self, role: str) -> str:
        """Let one more device in; the link that it opens for it, valid for ten minutes.

        Raises:
            DoorbellError: the console has no code for it.
        """
        words = [*DOORBELL, "console", "pair", "--role", role, "--json", *self._options]
        asked = subprocess.run(words, capture_output=True, text=True, check=False)
        if asked.returncode != 0:
            raise DoorbellError(asked.stderr.strip())
        link: str = json.loads(asked.stdout)["url"]
        return link

    def kill(self) -> None:
        """End it as the kernel does, short of memory."""
        self._process.kill()

    def close(self) -> None:
        """End it in order; idempotent."""
        self._process.close()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0
