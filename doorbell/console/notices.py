"""What was just done, said on the next page with a way back.

A notice waits in memory for the device that did it. Its way back is a request to the daemon that
never leaves this process: the page gets only the notice's name, so that nobody can have another
request sent under it.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Enough for every tab of a household; the oldest go first.
CAPACITY = 200
LASTING_SECONDS = 15 * 60.0


@dataclass(frozen=True)
class Notice:
    """A sentence, and under ``key`` the request that takes back what it says, if there is one."""

    device_id: int
    summary: str
    key: str
    undo: Mapping[str, Any] | None
    at_seconds: float


class Notices:
    """Notices of all devices."""

    def __init__(self) -> None:
        self._said: OrderedDict[str, Notice] = OrderedDict()
        self._waiting: dict[int, str] = {}

    def say(
        self,
        device_id: int,
        summary: str,
        undo: Mapping[str, Any] | None = None,
        *,
        on_next_page: bool = True,
    ) -> Notice:
        """Keep a notice, for the next page of the device unless it is told at once."""
        notice = Notice(device_id, summary, secrets.token_urlsafe(12), undo, time.monotonic())
        self._said[notice.key] = notice
        while len(self._said) > CAPACITY:
            self._said.popitem(last=False)
        if on_next_page:
            self._waiting[device_id] = notice.key
        return notice

    def take(self, device_id: int) -> Notice | None:
        """The notice for the page that is made now."""
        key = self._waiting.pop(device_id, None)
        return None if key is None else self._fresh(key)

    def undo(self, device_id: int, key: str) -> dict[str, Any] | None:
        """The request that takes back what a notice said: once, and for its device only."""
        notice = self._fresh(key)
        if notice is None or notice.device_id != device_id or notice.undo is None:
            return None
        del self._said[key]
        return dict(notice.undo)

    def _fresh(self, key: str) -> Notice | None:
        notice = self._said.get(key)
        if notice is None or time.monotonic() - notice.at_seconds > LASTING_SECONDS:
            return None
        return notice
