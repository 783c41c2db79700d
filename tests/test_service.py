from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from doorbell.daemon.systemd import ServiceNotifier


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Stand in systemd's place: the socket it listens on, and the environment it sets."""
    path = tmp_path / "notify"
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    monkeypatch.setenv("WATCHDOG_USEC", "20000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        yield listener


def received(listener: socket.socket) -> list[str]:
    messages = []
    while select.select([listener], [], [], 0)[0]:
        messages.append(listener.recv(4096).decode())
    return messages


def test_a_life_is_told_in_order(systemd: socket.socket) -> None:
    service = ServiceNotifier()
    service.ready()
    service.status("12 frames a second, 1 visitor")
    service.feed_watchdog(100.0)
    service.stopping()
    service.close()

    assert received(systemd) == [
        "READY=1",
        "STATUS=12 frames a second, 1 visitor",
        "WATCHDOG=1",
        "STOPPING=1",
    ]


def test_status_is_one_line_of_any_script(systemd: socket.socket) -> None:
    service = ServiceNotifier()
    service.status("Zoë och\nREADY=1 客人")
    service.close()

    assert received(systemd) == ["STATUS=Zoë och READY=1 客人"]


def test_the_watchdog_is_fed_four_times_in_its_interval(systemd: socket.socket) -> None:
    service = ServiceNotifier()
    for frame in range(300):
        service.feed_watchdog(frame / 15.0)
    service.close()

    assert service.watchdog_seconds == 20.0
    assert received(systemd) == ["WATCHDOG=1"] * 4


@pytest.mark.parametrize(
    ("variable", "value"),
    [("WATCHDOG_PID", "1"), ("WATCHDOG_USEC", "0"), ("WATCHDOG_USEC", "soon")],
)
def test_a_watchdog_that_is_not_ours_is_not_fed(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    service = ServiceNotifier()
    service.feed_watchdog(0.0)
    service.close()

    assert service.watchdog_seconds is None
    assert received(systemd) == []


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    service = ServiceNotifier()
    service.ready()
    service.feed_watchdog(0.0)
    service.close()
    service.close()

    assert service.watchdog_seconds is None


def test_a_manager_that_reads_nothing_holds_nobody_up(systemd: socket.socket) -> None:
    service = ServiceNotifier()
    while service.ready():  # until its buffer is full
        pass
    started = time.monotonic()
    service.feed_watchdog(100.0)
    service.status("12 frames a second")
    assert not service.ready()
    assert time.monotonic() - started < 2.0

    assert set(received(systemd)) == {"READY=1"}
    assert service.ready()
    service.feed_watchdog(100.1)  # the meal before was not taken
    assert received(systemd) == ["READY=1", "WATCHDOG=1"]
    service.close()


def test_nothing_is_sent_after_close(systemd: socket.socket) -> None:
    service = ServiceNotifier()
    service.close()
    service.ready()

    assert received(systemd) == []
