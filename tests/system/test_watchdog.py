"""A doorbell that hangs is started again: the real daemon under a manager that acts as systemd.

The manager does what systemd.service(5), sd_notify(3) and sd_watchdog_enabled(3) say of a unit with
``Type=notify``, ``NotifyAccess=main``, ``WatchdogSec`` and ``Restart=on-failure``.
"""

import os
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from doorbell.testbed.daemon_process import run_command
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

HANGING_CAMERA = Path(__file__).with_name("hanging_camera")
WATCHDOG_SECONDS = 1.5
RESTART_SECONDS = 0.2
CREDENTIALS = struct.Struct("3i")  # ucred of unix(7): pid, uid, gid


class Manager:
    """Starts the daemon, listens to it, and kills and restarts it as systemd would."""

    def __init__(self, folder: Path, *settings: str, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._path = folder / "notify"
        self._log = folder / "log"
        self._command = run_command(*settings)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind(str(self._path))
        self._socket.settimeout(0.05)
        self._stopping = threading.Event()
        self.lives: list[list[str]] = []
        """What was heard in each life of the daemon."""
        self.ends: list[int] = []
        """How each life ended, as ``Popen.returncode`` tells."""
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def heard(self) -> list[str]:
        """In this life."""
        return self.lives[-1] if self.lives else []

    @property
    def log(self) -> str:
        return self._log.read_text()

    def close(self) -> None:
        """Stop the daemon, as ``systemctl stop`` does."""
        self._stopping.set()
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._live()
            if self.ends[-1] == 0:  # Restart=on-failure
                return
            self._stopping.wait(RESTART_SECONDS)

    def _live(self) -> None:
        heard: list[str] = []
        self.lives.append(heard)
        environment = {
            **os.environ,
            **self._environment,
            "NOTIFY_SOCKET": str(self._path),
            "WATCHDOG_USEC": str(round(WATCHDOG_SECONDS * 1e6)),
        }
        with self._log.open("ab") as log:
            process = subprocess.Popen(self._command, env=environment, stdout=log, stderr=log)
        fed_at = None  # the watchdog begins with READY=1
        while process.poll() is None:
            for message in self._receive(process.pid):
                heard.append(message)
                if message == "WATCHDOG=1" or (message == "READY=1" and fed_at is None):
                    fed_at = time.monotonic()
            if self._stopping.is_set():
                process.terminate()
                process.wait(10)
            elif fed_at is not None and time.monotonic() - fed_at > WATCHDOG_SECONDS:
                process.send_signal(signal.SIGABRT)  # WatchdogSignal=
                process.wait(10)
        heard += self._receive(process.pid)
        self.ends.append(process.returncode)

    def _receive(self, main_pid: int) -> Iterator[str]:
        """Lines of the datagrams that wait; those of other processes are dropped."""
        while True:
            try:
                data, ancillary, _, _ = self._socket.recvmsg(4096, 256)
            except TimeoutError:
                return
            [pid] = [CREDENTIALS.unpack(payload)[0] for _, _, payload in ancillary]
            if pid == main_pid:
                yield from data.decode().splitlines()


def test_a_camera_whose_driver_hangs_for_ever_gets_the_daemon_a_new_start(
    tmp_path: Path, models_directory: Path
) -> None:
    hangs = tmp_path / "hangs"
    with closing(
        Manager(
            tmp_path,
            "camera.uri=csi://0",
            "camera.timeout_seconds=0.1",
            "camera.stuck_seconds=0.2",
            f"storage.directory={tmp_path}",
            f"inference.models_directory={models_directory}",
            "chime.enabled=false",
            environment={"PYTHONPATH": str(HANGING_CAMERA), "HANGS_WHILE": str(hangs)},
        )
    ) as manager:
        assert eventually(lambda: "WATCHDOG=1" in manager.heard, 30), manager.log
        hangs.touch()
        assert eventually(lambda: len(manager.ends) == 1, 30), manager.log
        hangs.unlink()  # the camera is well again
        assert eventually(
            lambda: len(manager.lives) == 2 and manager.lives[1].count("WATCHDOG=1") > 8, 30
        ), manager.log
        hangs.touch()  # and hangs once more while it is asked to stop
        assert eventually(lambda: manager.log.count("left behind and opened anew") == 4, 10)
    hung, well = manager.lives
    assert hung[0] == "READY=1"
    assert manager.ends == [-signal.SIGABRT, 0]
    assert well[0] == "READY=1"
    assert "STOPPING=1" in well
    assert "STOPPING=1" not in hung
    assert manager.log.count("hangs in 3 threads") == 1
