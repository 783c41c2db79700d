"""What happens to the daemon itself, to its clock and to its commands."""

from __future__ import annotations

import shutil
import subprocess
import time

from doorbell.testbed.scenes import KNOWN, STRANGER
from doorbell.testbed.subscriber import Subscriber
from faulting.door import PATIENCE_SECONDS, Door, NotRecoveredError

HOUR_SECONDS = 3600
FLOOD = 10_000
MALFORMED = (b"?" * 2000, b"{", b'{"name": 7}', b"\x00\xff", b"[" * 900)
VERBS = ("ring", "mute", "enroll", "forget")
# After a flood of `ring` the next one is carried out once there is a token for it.
RING_SECONDS = 2.5
HELD_BY_ANOTHER = 3
# Long enough for whoever stands there to be told, and announced.
STAYS_SECONDS = 6.0


def killed(door: Door) -> float:
    """The daemon is killed during a visit, with its events waiting for the broker."""
    door.broker.stop()
    door.comes(KNOWN)
    door.kill()
    door.camera.empties()
    door.broker.start()
    began = time.monotonic()
    door.start()
    seconds = door.seconds_until_told(began)
    door.visit(STRANGER)
    return seconds


def at_the_door(door: Door) -> float:
    """The daemon is killed, then restarted in order, with somebody at the door who stays on.

    It rings for nobody again; who goes and comes anew has it ring. So with somebody it knows and
    with a stranger.
    """
    longest = 0.0
    for who in (KNOWN, STRANGER):
        door.comes(who)
        door.kill()
        longest = max(longest, door.start())
        time.sleep(STAYS_SECONDS)
        door.goes()
        door.comes(who)
        door.terminate()
        door.expect(who, rings=False)
        longest = max(longest, door.start())
        time.sleep(STAYS_SECONDS)
        door.goes()
        door.visit(who)
    return longest


def terminated(door: Door) -> float:
    """The daemon is restarted during a visit."""
    door.comes(KNOWN)
    door.terminate()
    door.camera.empties()
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
    """10,000 malformed commands come during a visit; then a good one is carried out."""
    door.comes(STRANGER)
    with Subscriber(door.broker.port, door.broker.host) as other:
        for number in range(FLOOD):
            verb, payload = VERBS[number % len(VERBS)], MALFORMED[number % len(MALFORMED)]
            other.send(f"doorbell/front-door/{verb}", payload)
        other.publish("doorbell/front-door/mute", b"the last")
    ended = time.monotonic()
    door.goes()
    time.sleep(max(0.0, ended + RING_SECONDS - time.monotonic()))
    return door.press()


def no_clock() -> str | None:
    """Why no clock can be set here."""
    return None if shutil.which("cc") else "takes a C compiler"


def prepare_clock(door: Door) -> None:
    """Give the daemon a wall clock of its own."""
    door.own_clock()


def clock_ahead(door: Door) -> float:
    """The clock is set an hour ahead during a visit, and back after another."""
    return _step(door, HOUR_SECONDS)


def clock_back(door: Door) -> float:
    """The clock is set an hour back during a visit, and ahead after another."""
    return _step(door, -HOUR_SECONDS)


def clock_set_without_broker(door: Door) -> float:
    """The clock is set an hour ahead, and two back, while events wait for the broker."""
    door.broker.stop()
    for seconds in (HOUR_SECONDS, -HOUR_SECONDS, 0):
        door.comes(KNOWN)
        door.set_clock(seconds)
        door.goes()
    began = time.monotonic()
    door.broker.start()
    return door.seconds_until_told(began)


def _step(door: Door, seconds: int) -> float:
    said = door.log.count("the clock was set")
    door.comes(KNOWN)
    door.set_clock(seconds)
    began = time.monotonic()
    noticed = door.seconds_until(lambda: door.log.count("the clock was set") > said, since=began)
    door.goes()
    door.visit(STRANGER)
    door.set_clock(0)
    door.visit(KNOWN)
    return noticed
