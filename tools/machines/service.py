"""The installed service in a booted system: what systemd says of it, and changes for a while."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from doorbell.testbed.waiting import eventually
from machines.booted import BootedSystem
from machines.step import StepFailedError

UNIT = "doorbell.service"
RETRY = "doorbell-retry.service"
CONFIG = "/etc/doorbell/doorbell.toml"
COMMAND = "/opt/doorbell/.venv/bin/doorbell"
# From the start of its process until the daemon watches the door, on a slow machine.
START_SECONDS = 60.0
# The pause of the retry unit, in the short form: the real sleep first sees whether it would wait.
SHORT_SLEEP = """#!/bin/sh
timeout 0.2 /usr/bin/sleep "$@"
test $? -eq 124 || exit 1
exec /usr/bin/sleep {seconds}
"""


class Service:
    """The installed service in a booted system.

    Args:
        system: booted, with the doorbell installed.
        short: whether what takes a minute is shortened.
    """

    def __init__(self, system: BootedSystem, *, short: bool) -> None:
        self.system = system
        self.short = short
        self.watchdog_seconds = 5.0 if short else 60.0
        self.pause_seconds = 3.0 if short else 120.0

    def run(self, *command: str, answer: str = "") -> str:
        """Run a command in there that must succeed; what it printed."""
        try:
            done = self.system.run(*command, answer=answer)
        except subprocess.TimeoutExpired as exc:
            raise StepFailedError(
                f"`{' '.join(command)}` did not end in {exc.timeout:.0f} s"
            ) from exc
        if done.returncode:
            said = (done.stderr or done.stdout).strip()[-1500:]
            raise StepFailedError(f"`{' '.join(command)}` ended with {done.returncode}: {said}")
        return done.stdout

    def as_user(self, *words: str) -> str:
        """Run ``doorbell`` as docs/service.md says."""
        return self.run("sudo", "-u", "doorbell", "-H", COMMAND, *words)

    def show(self, unit: str = UNIT) -> dict[str, str]:
        """What systemd knows of a unit."""
        lines = self.run("systemctl", "show", unit).splitlines()
        return {key: value for key, _, value in (line.partition("=") for line in lines)}

    def is_active(self) -> bool:
        """Whether the daemon has said that it watches the door, and systemd has heard it."""
        return self.active_process() is not None

    def active_process(self) -> str | None:
        """The process that is active, by its number; None while there is none."""
        now = self.show()
        return now["MainPID"] if now["ActiveState"] == "active" and now["MainPID"] != "0" else None

    def wait(self, what: str, condition: Callable[[], bool], seconds: float) -> float:
        """Wait until something is so; how long it took."""
        began = time.monotonic()
        if not eventually(condition, seconds):
            now = self.show()
            end = self.system.run("journalctl", "-u", UNIT, "-n", "8", "-o", "cat").stdout
            raise StepFailedError(
                f"{what}: not within {seconds:.0f} s; {now['ActiveState']} ({now['Result']}); {end}"
            )
        return time.monotonic() - began

    def wait_for_new_process(self, before: str, seconds: float) -> float:
        """Wait until another process than that is active."""
        return self.wait(
            "a new start",
            lambda: self.active_process() not in (None, before),
            seconds + START_SECONDS,
        )

    def here(self) -> str:
        """The end of what it has written, for ``said_since``.

        Its own: after a line of another unit, journalctl leaves out the first that follows.
        """
        last = self.run("journalctl", "-u", UNIT, "-n", "1", "-o", "cat", "--show-cursor")
        return last.rpartition("cursor: ")[2].strip()

    def said_since(self, here: str) -> list[str]:
        """What the daemon, and systemd of it, has written since."""
        command = ("journalctl", "-u", UNIT, f"--after-cursor={here}", "-o", "cat")
        return self.run(*command).splitlines()

    @contextmanager
    def drop_in(self, unit: str, text: str) -> Iterator[None]:
        """Change a unit as ``systemctl edit`` does, for a while."""
        path = self.system.path(f"/etc/systemd/system/{unit}.d/trial.conf")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        self.run("systemctl", "daemon-reload")
        try:
            yield
        finally:
            path.unlink()
            path.parent.rmdir()
            self.run("systemctl", "daemon-reload")

    @contextmanager
    def configured(self, change: Callable[[str], str]) -> Iterator[None]:
        """Edit the configuration, for a while; its owner and mode stay."""
        path = self.system.path(CONFIG)
        before = path.read_text(encoding="utf-8")
        path.write_text(change(before), encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(before, encoding="utf-8")

    @contextmanager
    def short_pause(self) -> Iterator[None]:
        """Shorten the pause of the retry unit, where the form is short."""
        if not self.short:
            yield
            return
        program = self.system.path("/usr/local/bin/sleep")  # where systemd looks first
        program.write_text(SHORT_SLEEP.format(seconds=self.pause_seconds), encoding="utf-8")
        program.chmod(0o755)
        try:
            yield
        finally:
            program.unlink()
