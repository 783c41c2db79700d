"""Which test files go to which of pytest-xdist's workers, and in which order.

A file goes to one worker, as with ``--dist loadfile``. Those that mostly wait (for pauses,
time-outs, key frames) are taken first and all by one worker, one after the other: the processors
are left to the files that compute, which the other workers take at the same time. What waits is
timed, and does little: it gets a processor as soon as it wants one. System tests come before the
rest, so that the files at the end are short ones.
"""

import os
from pathlib import PurePath

import pytest
from xdist.scheduler import LoadFileScheduling

# Files of tests/system that take little of a processor, the daemons and cameras that they start
# included: less than 30 % of their time, 2026-11-30.
WAITING = frozenset(
    {
        "test_door_sounds.py",
        "test_mosquitto.py",
        "test_mosquitto_image.py",
        "test_network_streams.py",
        "test_refusals.py",
        "test_signals.py",
        "test_sound.py",
        "test_tls.py",
        "test_twins.py",
        "test_two_loudspeakers.py",
        "test_watchdog.py",
    }
)

# Files that share fixtures which take seconds, and the word for both.
TOGETHER = {
    "test_enrollment.py": "enrollment",
    "test_enrollment_videos.py": "enrollment",
    "test_evaluation.py": "evaluation",
    "test_evaluation_command.py": "evaluation",
}

# So much lower is the priority of files that compute.
_NICE = 5


class WaitingApart(LoadFileScheduling):  # type: ignore[misc]  # it ships no types
    """Hands out files in the order in which they were collected, the waiting ones as one."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        name = PurePath(file).name
        return "waiting" if name in WAITING else TOGETHER.get(name, file)


def order(items: list[pytest.Item]) -> None:
    """Put the waiting files first, then other system tests."""
    items.sort(key=_turn)


def give_way(item: pytest.Item) -> None:
    """Let a worker that computes leave the processors to the one that waits; from now on."""
    if item.path.name not in WAITING and os.nice(0) == 0:
        os.nice(_NICE)


def _turn(item: pytest.Item) -> int:
    if item.path.name in WAITING:
        return 0
    return 1 if item.get_closest_marker("system") else 2
