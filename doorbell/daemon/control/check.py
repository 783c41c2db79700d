"""The request to examine every part of the doorbell."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

from doorbell.config import Config
from doorbell.control import requests
from doorbell.control.wire import Document
from doorbell.daemon.control.server import Answer
from doorbell.errors import RefusedError

# What examining everything of one door may take on a slow machine.
CHECK_SECONDS = 180.0
CHECK_COMMAND = (sys.executable, "-m", "doorbell.diagnostics")
_SILENT = {"volume": 0.0}


class CheckRequests:
    """Answers what is wrong, by a process of its own: it opens what takes time and memory.

    Args:
        config: of the daemon.
        is_silent: whether nobody is to be woken now.
        command: examines every part; told the configuration on its standard input.
    """

    def __init__(
        self,
        config: Config,
        is_silent: Callable[[], bool],
        command: Sequence[str] = CHECK_COMMAND,
    ) -> None:
        self._config = config
        self._is_silent = is_silent
        self._command = tuple(command)
        self._checking = threading.Lock()

    def check(self, _request: requests.Check) -> Answer:
        """Examine every part."""
        if not self._checking.acquire(blocking=False):  # each is as large as the daemon itself
            raise RefusedError("a check goes on already; wait for its end", "too_fast")
        try:
            return self._check()
        finally:
            self._checking.release()

    def _check(self) -> Answer:
        # Sound is tried all the same where nobody is to be woken.
        config = _silenced(self._config) if self._is_silent() else self._config
        try:
            done = subprocess.run(
                self._command,
                input=config.model_dump_json(),
                capture_output=True,
                text=True,
                timeout=CHECK_SECONDS * len(config.doors),
                check=False,
            )
            findings: list[Document] = json.loads(done.stdout)
        except subprocess.TimeoutExpired as exc:
            raise RefusedError("the check takes too long; look at the log", "failed") from exc
        except (OSError, ValueError) as exc:
            raise RefusedError("the check could not be made; look at the log", "failed") from exc
        return Answer({"findings": findings})


def _silenced(config: Config) -> Config:
    """The same, so that it makes no sound at any door."""
    chime, talk = (each.model_copy(update=_SILENT) for each in (config.chime, config.talk))
    doors = tuple(
        door.model_copy(update={"chime": door.chime | _SILENT, "talk": door.talk | _SILENT})
        for door in config.door
    )
    return config.model_copy(update={"chime": chime, "talk": talk, "door": doors})
