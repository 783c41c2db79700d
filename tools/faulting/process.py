"""What happens to the daemon itself, to its clock and to its commands."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from paho.mqtt import publish

from faulting.door import KNOWN, PATIENCE_SECONDS, STRANGER, Door, NotRecoveredError

FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
HOUR_SECONDS = 3600
FLOOD = 10_000
MALFORMED = (b"?" * 2000, b"{", b'{"name": 7}', b"\x00\xff", b"[" * 900)
VERBS = ("ring", "mute", "enroll", "forget")
# After a flood of `ring` the next one is obeyed once there is a token for it.
RING_SECONDS = 2.5
HELD_BY_ANOTHER = 3


def killed(door: Door) -> float:
    """The daemon is killed during a visit, with its events waiting for the broker."""
    door.broker.stop()
    door.comes(KNOWN, stays=True)
    door.kill()
    door.camera.goes()
    door.broker.start()
    began = time.monotonic()
    door.start()
    seconds = door.seconds_until_told(began)
    door.visit(STRANGER)
    return seconds


def terminated(door: Door) -> float:
    """The daemon is restarted during a visit."""
    door.comes(KNOWN)
    door.terminate()
    door.camera.goes()
    seconds = door.start()
    door.visit(STRANGER)
    return seconds


def second_daemon(door: Door) -> float:
    """A second daemon is started during a visit; how long it takes to refuse."""
    door.comes(KNOWN)
    began = time.monotonic()
    second = subprocess.run(
        door.command(),
        env=door.environment,
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    seconds = time.monotonic() - began
    if second.returncode != HELD_BY_ANOTHER:
        raise NotRecoveredError(f"the second daemon ended with {second.returncode}")
    door.goes()
    return seconds


def flood(door: Door) -> float:
    """10,000 malformed commands come during a visit; then a good one is obeyed."""
    door.comes(STRANGER)
    messages: publish.MessagesList = [
        (f"doorbell/front-door/{VERBS[n % len(VERBS)]}", MALFORMED[n % len(MALFORMED)], 0, False)
        for n in range(FLOOD)
    ]
    publish.multiple(messages, hostname=door.broker.host, port=door.broker.port)
    ended = time.monotonic()
    door.goes()
    time.sleep(max(0.0, ended + RING_SECONDS - time.monotonic()))
    began = time.monotonic()
    door.press()
    return door.seconds_until_told(began)


def no_clock() -> str | None:
    """Why no clock can be set here."""
    return None if FAKETIME else "takes libfaketime"


def prepare_clock(door: Door) -> None:
    """Give the daemon a clock of its own."""
    door.environment.update(
        LD_PRELOAD=str(FAKETIME[0]),
        FAKETIME_TIMESTAMP_FILE=str(door.folder / "clock"),
        FAKETIME_CACHE_DURATION="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )
    _set_clock(door, 0)


def clock_ahead(door: Door) -> float:
    """The clock is set an hour ahead during a visit, and back after another."""
    return _step(door, HOUR_SECONDS)


def clock_back(door: Door) -> float:
    """The clock is set an hour back during a visit, and ahead after another."""
    return _step(door, -HOUR_SECONDS)


def _step(door: Door, seconds: int) -> float:
    said = door.log.count("the clock was set")
    door.comes(KNOWN)
    _set_clock(door, seconds)
    began = time.monotonic()
    noticed = door.seconds_until(lambda: door.log.count("the clock was set") > said, since=began)
    door.goes()
    door.visit(STRANGER)
    _set_clock(door, 0)
    door.visit(KNOWN)
    return noticed


def _set_clock(door: Door, seconds: int) -> None:
    part = door.folder / "clock.part"
    part.write_text(f"{seconds:+d}\n")
    part.replace(door.folder / "clock")
