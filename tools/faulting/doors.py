"""What happens at one of two doors, while visitors come to the other one too."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from doorbell.testbed.camera_processes import camera_process
from doorbell.testbed.network_camera import NetworkCamera
from doorbell.testbed.scenes import KNOWN, STRANGER, Who
from doorbell.testbed.sound_card import SoundCard, environment_of
from faulting.door import Door, NotRecoveredError
from faulting.truth import Judgement, Scripted, judge, scripted

BACK = "back-door"
CHIME_SECONDS = 0.1
# A frame of the other door may take so many times as long as without the fault, 99 in 100.
SLOWER_AT_MOST = 1.5
CRASHES = (signal.SIGSEGV, signal.SIGKILL, signal.SIGSTOP)
# The module ``jetson_utils`` before a driver that hangs, in C and for ever.
HANGING_CAMERA = Path(__file__).parents[2] / "tests" / "system" / "hanging_camera"


class SecondDoor:
    """Another door of the daemon, with a camera and a loudspeaker of its own.

    Args:
        door: the first one, before it opens.
    """

    def __init__(self, door: Door) -> None:
        self._door = door
        folder = door.folder / "back"
        folder.mkdir()
        self.camera = NetworkCamera(folder, door.faces)
        self.card = SoundCard(door.folder, device="back")
        self.script: list[Scripted] = []

    def visit(self, who: Who) -> None:
        """Somebody comes, is heard to ring inside, and goes."""
        door = self._door
        self.script.append(scripted(who))
        self.card.recording.unlink(missing_ok=True)
        rings, left = door.told("ring"), door.told("left")
        self.camera.comes(who)
        rang = time.monotonic()
        door.seconds_until(lambda: door.told("ring") > rings, since=rang)
        door.seconds_until(lambda: self.card.has_recorded(CHIME_SECONDS), since=rang)
        self.camera.goes()
        door.seconds_until(lambda: door.told("left") > left, since=rang)

    def judgement(self) -> Judgement:
        """What the subscriber has heard of it so far, against the script."""
        return judge(self.script, self._door.subscriber.documents(f"doorbell/{BACK}/event"))

    def statuses(self) -> list[dict[str, Any]]:
        """What the daemon has said of its frames, minute by minute."""
        return self._door.subscriber.documents(f"doorbell/{BACK}/status")


def prepare(door: Door) -> None:
    """Give the daemon a second door."""
    _configure(door, str(door.settings.pop("camera.uri")))


def prepare_hanging(door: Door) -> None:
    """Give it a second door, and the first one a camera whose driver hangs when it is told to."""
    del door.settings["camera.uri"]
    _configure(door, "csi://0")
    door.environment |= {
        "PYTHONPATH": os.pathsep.join([str(HANGING_CAMERA), os.environ.get("PYTHONPATH", "")]),
        "HANGS_WHILE": str(_hangs_while(door)),
    }


def camera_hangs(door: Door) -> float:
    """A camera's driver does not answer for minutes; the other door's frames take no longer.

    How long the camera takes to come back, once the driver is well again.
    """
    back = second(door)
    visit_for_a_minute(back)  # in which everything is looked at for the first time
    without = visit_for_a_minute(back)
    _hangs_while(door).touch()
    door.await_condition("camera", "stuck")
    visit_for_a_minute(back)  # of which a part was before
    refuse_slower(without, visit_for_a_minute(back), "beside the camera that hangs")
    began = time.monotonic()
    _hangs_while(door).unlink()
    seconds = door.await_condition("camera", "live", began)
    back.visit(KNOWN)
    return seconds


def camera_crashes(door: Door) -> float:
    """What reads a camera crashes, is killed and stops, again and again, at any moment.

    How long the camera is away, at most.
    """
    back = second(door)
    visit_for_a_minute(back)  # in which everything is looked at for the first time
    without = visit_for_a_minute(back)
    heard, longest = len(back.statuses()), 0.0
    visits = 0
    while len(back.statuses()) < heard + 2:  # a part of the first one was before
        with ThreadPoolExecutor(1) as pool:
            visit = pool.submit(back.visit, (KNOWN, STRANGER)[visits % 2])
            time.sleep(random.uniform(0.0, 2.0))  # noqa: S311 - no secret
            longest = max(longest, _crash(door, CRASHES[visits % len(CRASHES)]))
            visit.result()
        visits += 1
    refuse_slower(without, float(back.statuses()[-1]["latency_ms_p99"]), "beside the crashes")
    if door.daemon.exit_code is not None:
        raise NotRecoveredError("the daemon has ended")
    door.visit(KNOWN)
    return longest


def camera_lost(door: Door) -> float:
    """A camera is unplugged while somebody is there, and others come to the other door."""
    return _camera_fails(door, door.camera.unplug, door.camera.plug, "lost")


def camera_frozen(door: Door) -> float:
    """A camera sends one picture again and again, and others come to the other door."""
    show = door.camera.set
    return _camera_fails(door, partial(show, "frozen"), partial(show, "live"), "frozen")


def sound_dead(door: Door) -> float:
    """What plays one door's chimes blocks for ever; the other door's are heard."""
    back = second(door)
    door.card.hang()
    door.visit(KNOWN)
    door.await_condition("sound", "failed")
    back.visit(KNOWN)
    back.visit(STRANGER)
    door.card.plug()
    door.card.recording.unlink(missing_ok=True)
    door.comes(STRANGER)
    rang = time.monotonic()
    seconds = door.await_condition("sound", "playing", rang)
    door.seconds_until(lambda: door.card.has_recorded(CHIME_SECONDS), since=rang)
    door.goes()
    return seconds


def broker_away(door: Door) -> float:
    """The broker is down while visitors come to both doors."""
    back = second(door)
    door.comes(KNOWN)
    door.broker.stop()
    door.goes()
    back.visit(STRANGER)
    door.visit(STRANGER)
    back.visit(KNOWN)
    began = time.monotonic()
    door.broker.start()
    return door.seconds_until_told(began)


def _configure(door: Door, uri: str) -> None:
    back = SecondDoor(door)
    door.second = back
    door.watching = "watching Back door"
    door.environment |= environment_of(door.card, back.card)
    door.config = door.folder / "doorbell.toml"
    door.config.write_text(
        f'[[door]]\nid = "front-door"\nname = "Front door"\ncamera.uri = "{uri}"\n'
        f'[[door]]\nid = "{BACK}"\nname = "Back door"\ncamera.uri = "{back.camera.uri}"\n'
        'chime.device = "back"\n'
    )
    door.stack.callback(back.camera.unplug)
    back.camera.plug()


def _camera_fails(
    door: Door, fail: Callable[[], None], mend: Callable[[], None], condition: str
) -> float:
    back = second(door)
    door.comes(KNOWN)
    fail()
    door.await_condition("camera", condition)
    door.goes()
    back.visit(KNOWN)
    back.visit(STRANGER)
    began = time.monotonic()
    mend()
    seconds = door.await_condition("camera", "live", began)
    door.visit(STRANGER)
    return seconds


def visit_for_a_minute(back: SecondDoor) -> float:
    """Let visitors come until the daemon says how its minute was: its p99 in milliseconds."""
    heard = len(back.statuses())
    visits = 0
    while len(back.statuses()) == heard:
        back.visit((KNOWN, STRANGER)[visits % 2])
        visits += 1
    return float(back.statuses()[-1]["latency_ms_p99"])


def _crash(door: Door, number: signal.Signals) -> float:
    """Hit what reads the first door's camera; seconds until the camera is back."""
    process = _process(door)
    began = time.monotonic()
    os.kill(process, number)
    door.await_condition("camera", "stuck" if number == signal.SIGSTOP else "lost")
    return door.await_condition("camera", "live", began)


def _process(door: Door) -> int:
    """What reads the first door's camera."""
    found: list[int] = []

    def is_found() -> bool:
        process = camera_process(door.daemon.pid, "front-door")
        found.extend([] if process is None else [process])
        return bool(found)

    door.seconds_until(is_found, since=time.monotonic())
    return found[0]


def refuse_slower(without: float, beside: float, what: str) -> None:
    """Complain where 99 in 100 frames take much longer, in milliseconds, than without a fault."""
    if beside > SLOWER_AT_MOST * without:
        raise NotRecoveredError(
            f"{what} 99 in 100 frames take {beside:.0f} ms instead of {without:.0f}"
        )


def _hangs_while(door: Door) -> Path:
    return door.folder / "hangs"


def second(door: Door) -> SecondDoor:
    """The other door, which was prepared."""
    if not isinstance(door.second, SecondDoor):
        raise TypeError("prepare the door first")
    return door.second
