"""Signals to the real daemon: it ends in order, reads its configuration anew, or goes on."""

import os
import pty
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from doorbell.testbed.daemon_process import WATCHING, DaemonProcess, run_command
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

# The doorbell, in a process whose end takes three seconds more: what else ends then, ends in them.
SLOW_END = """
import ctypes

class Slow:
    def __init__(self):
        self.usleep = ctypes.CDLL(None).usleep

    def __del__(self):
        self.usleep(3_000_000)

slow = Slow()
from doorbell.cli import main
main()
"""
# How long its driver lets a silent camera hang, and how long closing one waits.
HANGING_SECONDS = 9.0
CLOSING_SECONDS = 2.0


@contextmanager
def silent_camera() -> Iterator[tuple[str, threading.Event]]:
    """An RTSP server that accepts and says nothing; its address, and whether it was called."""
    called, calls = threading.Event(), []

    def accept() -> None:
        with suppress(OSError):
            while True:
                calls.append(server.accept()[0])
                called.set()

    with socket.create_server(("127.0.0.1", 0)) as server:
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield f"rtsp://127.0.0.1:{server.getsockname()[1]}/door", called
        finally:
            server.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for call in calls:
                call.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_camera_that_does_not_answer_does_not_make_the_end_an_abort(
    number: signal.Signals, tmp_path: Path
) -> None:
    # On a busy machine the camera may answer before closing has given up on it: once more then.
    assert any(ended_beside_a_silent_camera(number, tmp_path) for _ in range(4))


def ended_beside_a_silent_camera(number: signal.Signals, folder: Path) -> bool:
    """End a doorbell whose camera answers just when closing gives up on it; whether it did."""
    with silent_camera() as (uri, called):
        _, _, *words = run_command(
            f"storage.directory={folder / 'storage'}",
            f"camera.uri={uri}",
            f"camera.timeout_seconds={HANGING_SECONDS}",
        )
        command = [sys.executable, "-c", SLOW_END, *words[1:]]
        with DaemonProcess(command, folder / "log") as daemon:
            assert called.wait(20.0)
            time.sleep(HANGING_SECONDS - CLOSING_SECONDS - 1.0)
            daemon.signal(number)
            assert daemon.wait() == 0, daemon.log
            assert "terminate called" not in daemon.log
            return "left behind" in daemon.log


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    config = tmp_path / "doorbell.toml"
    config.write_text("[chime]\nvolume = 0.5\n")
    command = run_command(
        f"storage.directory={tmp_path / 'storage'}", "camera.loop=true", config=config
    )
    with DaemonProcess(command, tmp_path / "log") as running:
        assert running.says(WATCHING)
        yield running


def test_stray_signals_end_nothing_and_a_hang_up_reads_the_configuration(
    daemon: DaemonProcess, tmp_path: Path
) -> None:
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGPIPE):
        daemon.signal(number)
        time.sleep(0.1)
    (tmp_path / "doorbell.toml").write_text("[chime]\nvolume = 0.25\n")
    daemon.signal(signal.SIGHUP)
    assert daemon.says("took chime.volume", 5.0)
    (tmp_path / "doorbell.toml").write_text("[chime]\nvolume = 25\n")
    daemon.signal(signal.SIGHUP)
    assert daemon.says("the configuration stays as it was", 5.0)
    assert daemon.exit_code is None
    assert daemon.terminate() == 0


def test_a_terminal_that_is_closed_ends_the_doorbell_that_runs_in_it(tmp_path: Path) -> None:
    command = run_command(f"storage.directory={tmp_path / 'storage'}", "camera.loop=true")
    log = tmp_path / "log"
    log.touch()
    process, terminal = pty.fork()
    if process == 0:
        with log.open("wb") as said:
            os.dup2(said.fileno(), 2)
        os.execvp(command[0], command)  # noqa: S606 - as a shell does
    assert eventually(lambda: WATCHING in log.read_text(), 30.0)
    os.close(terminal)
    ended: list[int] = []

    def has_ended() -> bool:
        ended.extend([status for pid, status in [os.waitpid(process, os.WNOHANG)] if pid])
        return bool(ended)

    try:
        assert eventually(has_ended, 10.0), log.read_text()
    finally:
        if not ended:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(ended[0]) == 0


def test_the_unit_reloads_by_the_signal_that_the_daemon_takes() -> None:
    unit = Path(__file__).parents[2] / "systemd" / "doorbell.service"
    [line] = [each for each in unit.read_text().splitlines() if each.startswith("ExecReload=")]
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        command = line.removeprefix("ExecReload=").replace("$MAINPID", str(sleeper.pid))
        subprocess.run(shlex.split(command), check=True)
        assert sleeper.wait(5.0) == -signal.SIGHUP
