"""Asking the running doorbell over its control socket."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from doorbell.clock import iso_utc
from doorbell.control.client import Client
from doorbell.control.requests.notifications import SHORT_CHARACTERS
from doorbell.notifier.notices import Notice, Taken, TargetState

# The doorbell answers as soon as there is something to tell.
WAIT_SECONDS = 20.0
AT_ONCE = 20
# How much longer than that an answer may take; and any other answer.
PATIENCE_SECONDS = 10.0
# What a phone shows of a picture.
PICTURE_WIDTH = 1280

log = logging.getLogger(__name__)


class ControlledDoorbell:
    """``Doorbell`` over the control socket.

    Args:
        path: of the socket.
        wait_seconds: how long to wait for something to tell.
    """

    def __init__(self, path: Path, wait_seconds: float = WAIT_SECONDS) -> None:
        self._path = path
        self._wait_seconds = wait_seconds

    def take(self, journal: str | None, after: int, *, wait: bool = True) -> Taken:
        """See ``Doorbell``."""
        with Client.connect(self._path, self._wait_seconds + PATIENCE_SECONDS) as client:
            told = client.ask(
                "notices.take",
                journal=journal,
                after=after,
                wait_seconds=self._wait_seconds if wait else 0.0,
                limit=AT_ONCE,
            ).document
        notices, last = [], None
        for document in told["notices"]:
            last = max(int(document["number"]), last or 0)
            try:
                notices.append(Notice.read(document))
            except ValueError as exc:  # it would be handed over for ever
                log.error("a notice of the doorbell is left out: %s", exc)
        return Taken(str(told["journal"]), tuple(notices), last)

    def picture(self, number: int) -> bytes:
        """See ``Doorbell``."""
        with Client.connect(self._path, PATIENCE_SECONDS) as client:
            return client.ask("notices.picture", number=number, max_width=PICTURE_WIDTH).blob

    def act(self, token: str) -> str:
        """See ``Doorbell``."""
        with Client.connect(self._path, PATIENCE_SECONDS) as client:
            return str(client.ask("notices.act", token=token).document["summary"])

    def report(self, targets: Sequence[TargetState]) -> None:
        """See ``Doorbell``."""
        told = [
            {
                "name": each.name,
                "to": each.to[:SHORT_CHARACTERS],
                "pictures": each.pictures,
                "waiting": each.waiting,
                "problem": each.problem and each.problem[:SHORT_CHARACTERS],
                "last_at": iso_utc(each.last_at),
            }
            for each in targets
        ]
        with Client.connect(self._path, PATIENCE_SECONDS) as client:
            client.ask("notices.report", targets=told)
