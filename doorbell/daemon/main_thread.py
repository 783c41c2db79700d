"""What the main thread is asked to do, by whatever other thread."""

from __future__ import annotations

import queue
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from doorbell.domain import Command
from doorbell.status import State


@dataclass(frozen=True, slots=True)
class Call:
    """Something to do on the main thread: ``work``, which lets no error out."""

    work: Callable[[], None]


# Commands, states that outputs report, and calls: in order, from any thread.
Inbox: TypeAlias = "queue.SimpleQueue[Command | State | Call]"
