"""Access: the devices, invitations and audit of one console, over its file."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from doorbell.console.audit import Audit
from doorbell.console.devices import Devices
from doorbell.console.pairing import Invitations
from doorbell.console.store import open_access_file

log = logging.getLogger(__name__)


class Access:
    """What is kept of who has access.

    Args:
        directory: the console's own; made if missing.
        now: seconds since the epoch.

    Attributes:
        devices, invitations, audit: the tables.

    Raises:
        AccessFileError: the file cannot be used.
    """

    def __init__(self, directory: Path, *, now: Callable[[], float] = time.time) -> None:
        self._connection = open_access_file(directory)
        self.devices = Devices(self._connection, now)
        self.invitations = Invitations(self._connection, self.devices, now)
        self.audit = Audit(self._connection, now)

    def tidy(self) -> None:
        """Drop what is kept no longer; where the disk is full, another time."""
        try:
            self.devices.tidy()
            self.audit.tidy()
        except sqlite3.OperationalError as exc:
            log.warning("what is kept no longer cannot be dropped yet: %s", exc)

    def close(self) -> None:
        """Release the file; idempotent."""
        self._connection.close()
