"""A real MQTT broker, as a process: mosquitto, or the embedded broker where there is none."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from typing_extensions import Self

from doorbell.errors import BrokerError
from doorbell.testbed.embedded_broker import HOST, EmbeddedBroker
from doorbell.testbed.waiting import eventually

# Beside PATH: Debian and Homebrew put it where only root looks.
MOSQUITTO_FOLDERS = "/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"
START_SECONDS = 30.0


def find_mosquitto() -> str | None:
    """The program's path; None where it is not installed."""
    folders = os.pathsep.join([os.environ.get("PATH", ""), MOSQUITTO_FOLDERS])
    return shutil.which("mosquitto", path=folders)


# What this process has given out may not be listened on yet.
_given_ports: set[int] = set()


def free_port() -> int:
    """A port of the loopback device that nobody listens on, and that was not given out before."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    if port in _given_ports:
        return free_port()
    _given_ports.add(port)
    return port


class Mosquitto:
    """A mosquitto on a free port of the loopback device, or of a network of its own.

    As a context manager it runs inside the block.

    Args:
        folder: for its files.
        settings: lines of its configuration.
        host: the address that it listens on.
        enter: a command that leads into its network.

    Attributes:
        host, port: where it listens once it is started.
    """

    def __init__(
        self, folder: Path, *settings: str, host: str = HOST, enter: Sequence[str] = ()
    ) -> None:
        self.host = host
        self.port = free_port()
        self._enter = tuple(enter)
        self._config = folder / "mosquitto.conf"
        lines = [f"listener {self.port} {host}", f"user {getpass.getuser()}", *settings]
        self._config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it listens.

        Raises:
            BrokerError: it is not installed, or does not listen.
        """
        program = find_mosquitto()
        if program is None:
            raise BrokerError("mosquitto is not installed; `apt-get install mosquitto`")
        process = subprocess.Popen(
            [*self._enter, program, "-c", str(self._config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._process = process
        eventually(lambda: self._listens() or process.poll() is not None, START_SECONDS)
        if process.poll() is not None or not self._listens():
            self.stop()
            raise BrokerError(
                f"mosquitto does not listen on {self.host}:{self.port}; "
                f"try `{program} -c {self._config}`"
            )

    def freeze(self) -> None:
        """Leave connections open and answer nothing."""
        self._signal(signal.SIGSTOP)

    def terminate(self) -> None:
        """Let it end in order, as for an update; it saves what it keeps."""
        self._signal(signal.SIGTERM)
        if self._process is not None:
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Kill it; idempotent."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            raise ProcessLookupError("mosquitto does not run; start it")
        self._process.send_signal(number)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.host, self.port)) == 0


def keeps_sessions(folder: Path) -> tuple[str, ...]:
    """Settings of a mosquitto whose sessions outlive it in a folder, however it ends.

    What it has acknowledged then reaches a subscriber with a ``client_id``, whoever starts anew.
    """
    return (
        "persistence true",
        f"persistence_location {folder}/",
        "autosave_on_changes true",
        "autosave_interval 1",
        "max_queued_messages 0",  # none is too many
        "max_inflight_messages 0",
    )


@contextmanager
def open_broker(folder: Path) -> Iterator[tuple[int, str]]:
    """Start mosquitto where it is installed, else the embedded broker; anybody may connect.

    Yields:
        The port at 127.0.0.1, and the broker's name.

    Raises:
        BrokerError: neither can be started.
    """
    if find_mosquitto() is None:
        with closing(EmbeddedBroker()) as broker:
            yield broker.port, "amqtt, embedded"
    else:
        with Mosquitto(folder, "allow_anonymous true") as mosquitto:
            yield mosquitto.port, "mosquitto"
