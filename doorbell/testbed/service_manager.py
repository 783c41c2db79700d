"""The side of a service manager that a daemon speaks to, after sd_notify(3)."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from typing_extensions import Self

from doorbell.testbed.waiting import eventually


class ServiceManager:
    """The socket that systemd listens on, and the variables that it sets.

    As a context manager it listens inside the block.

    Args:
        folder: gets the socket; its path must be shorter than 100 characters.
        watchdog_seconds: how often the daemon is to give a sign of life; None for never.

    Attributes:
        messages: the wall time of each, and its text.
    """

    def __init__(self, folder: Path, *, watchdog_seconds: float | None = None) -> None:
        self._path = folder / "notify"
        self._watchdog_seconds = watchdog_seconds
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._path))
        self.messages: list[tuple[float, str]] = []
        self._reader = threading.Thread(target=self._read, name="service-manager", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def environment(self) -> Mapping[str, str]:
        """What a daemon's environment is to have of it."""
        variables = {"NOTIFY_SOCKET": str(self._path)}
        if self._watchdog_seconds is not None:
            variables["WATCHDOG_USEC"] = str(round(self._watchdog_seconds * 1e6))
        return variables

    @property
    def names(self) -> list[str]:
        """Of the variables sent so far, in order, such as ``READY``."""
        return [text.partition("=")[0] for _, text in self.messages]

    def ready_at(self, seconds: float) -> float | None:
        """Wait for the daemon to be ready; the wall time at which it said so, None if never."""
        if not eventually(lambda: "READY" in self.names, seconds):
            return None
        return next(at for at, text in self.messages if text.startswith("READY="))

    def close(self) -> None:
        """Stop listening."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", str(self._path))
        self._reader.join()
        self._socket.close()
        self._path.unlink()

    def _read(self) -> None:
        while message := self._socket.recv(4096):
            self.messages.append((time.time(), message.decode()))
