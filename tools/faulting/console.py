"""What happens to the web pages; the door is not to notice."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np

from doorbell.errors import DoorbellError
from doorbell.testbed.console_process import ConsoleProcess
from doorbell.testbed.scenes import KNOWN, STRANGER
from faulting.door import Door, NotRecoveredError

KILLS = 6
PAUSE_SECONDS = (0.2, 3.0)
CHIME_SECONDS = 0.1


def killed(door: Door) -> float:
    """The console is killed at any moment, again and again, while somebody watches and others come.

    How long it takes until somebody sees the live picture again.
    """
    seconds: list[float] = []
    problems: list[str] = []

    def kill() -> None:
        try:
            seconds.extend(_kill(door))
        except DoorbellError as exc:
            problems.append(str(exc))

    killing = threading.Thread(target=kill)
    killing.start()
    visits = 0
    while killing.is_alive():
        door.card.recording.unlink(missing_ok=True)
        door.comes((KNOWN, STRANGER)[visits % 2])
        rang = time.monotonic()
        door.seconds_until(lambda: door.card.has_recorded(CHIME_SECONDS), since=rang)
        door.goes()
        visits += 1
    if problems:
        raise NotRecoveredError("; ".join(problems))
    return max(seconds)


def _kill(door: Door) -> Iterator[float]:
    """How long it takes each time until there is a live picture again."""
    moments = np.random.default_rng(1)
    with ConsoleProcess(door.folder, door.storage / "doorbell.sock") as console:
        for _ in range(KILLS):
            with console.watched():
                time.sleep(moments.uniform(*PAUSE_SECONDS))
                console.kill()
            began = time.monotonic()
            console.start()
            with console.watched():
                yield time.monotonic() - began
