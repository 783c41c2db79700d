"""``doorbell console`` as a process of its own."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from typing_extensions import Self

from doorbell.errors import DoorbellError
from doorbell.testbed.broker import free_port
from doorbell.testbed.daemon_process import DOORBELL, DaemonProcess
from doorbell.testbed.embedded_broker import HOST
from doorbell.testbed.waiting import eventually

START_SECONDS = 20.0
# The camera may be opened meanwhile.
PICTURE_SECONDS = 20.0
JPEG_BEGINS = b"\xff\xd8\xff"


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
        self._token: str | None = None
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
        link: str = self._ask("pair", "--role", role)["url"]
        return link

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Let somebody watch the picture of now, who has seen one when the block begins.

        Raises:
            DoorbellError: they are refused, or see nothing.
        """
        if self._token is None:
            self._token = self._ask("token", "somebody who watches")["token"]
        link = http.client.HTTPConnection(HOST, self.port, timeout=PICTURE_SECONDS)
        link.request("GET", "/stream.mjpeg", headers={"Authorization": f"Bearer {self._token}"})
        answer = link.getresponse()
        if answer.status != http.client.OK:
            raise DoorbellError(f"the picture is refused: {answer.status}")
        seen = threading.Event()

        def read() -> None:
            with suppress(OSError, http.client.HTTPException):  # the console may be killed
                while chunk := answer.read1(1 << 16):
                    if JPEG_BEGINS in chunk:
                        seen.set()

        watching = threading.Thread(target=read)
        watching.start()
        try:
            if not seen.wait(PICTURE_SECONDS):
                raise DoorbellError("nobody sees a picture")
            yield
        finally:
            with suppress(OSError):
                link.sock.shutdown(socket.SHUT_RDWR)
            watching.join()
            link.close()

    def kill(self) -> None:
        """End it as the kernel does, short of memory."""
        self._process.kill()

    def close(self) -> None:
        """End it in order; idempotent."""
        self._process.close()

    def _ask(self, *words: str) -> dict[str, Any]:
        """What the command line says of ``doorbell console``.

        Raises:
            DoorbellError: it refuses.
        """
        command = [*DOORBELL, "console", *words, "--json", *self._options]
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        if asked.returncode != 0:
            raise DoorbellError(asked.stderr.strip())
        told: dict[str, Any] = json.loads(asked.stdout)
        return told

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0
