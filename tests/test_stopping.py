"""Stopping by signals: whatever comes in whatever order, the process ends."""

import signal
import subprocess
import sys
import time

import pytest

FOLLOWS_SIGNALS = """\
import time
from doorbell.daemon.signals import following_signals
from doorbell.stopping import Stop

stop = Stop()
with following_signals(stop, lambda: None):
    print("ready", flush=True)
    until = time.monotonic() + 1.0
    while not stop.is_set() or time.monotonic() < until:
        pass
"""


def test_signals_in_the_middle_of_signals_end_the_process() -> None:
    """An event of threading, set in a handler, waits for the one whose setting it interrupts."""
    process = subprocess.Popen(
        [sys.executable, "-c", FOLLOWS_SIGNALS], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        end = time.monotonic() + 0.9
        while time.monotonic() < end and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGINT)
        try:
            assert process.wait(20) == 0
        except subprocess.TimeoutExpired:
            process.kill()
            pytest.fail("it does not end")
