"""Who did what, when, and with whom: only ever added to, and kept for a year."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

KEPT_SECONDS = 365 * 86400.0


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A line of the audit.

    Attributes:
        at: seconds since the epoch.
        device_id: of the device; None for the command line, and whoever has no access.
        device_name: of the device; empty where it is not known any more.
        action: what was done, as the route or a word.
        subject: with what: numbers, never a name, a face or a picture.
    """

    at: float
    device_id: int | None
    device_name: str
    action: str
    subject: str


class Audit:
    """The table of what was done.

    Args:
        connection: to the console's file.
        now: seconds since the epoch.
    """

    def __init__(self, connection: sqlite3.Connection, now: Callable[[], float]) -> None:
        self._connection = connection
        self._now = now

    def note(self, device_id: int | None, action: str, subject: str = "") -> None:
        """Add a line."""
        self._connection.execute(
            "INSERT INTO audit (at, device_id, action, subject) VALUES (?, ?, ?, ?)",
            (self._now(), device_id, action, subject),
        )

    def newest(self, limit: int = 100) -> list[AuditEntry]:
        """The last lines, newest first."""
        rows = self._connection.execute(
            "SELECT at, audit.device_id, coalesce(name, ''), action, subject FROM audit"
            " LEFT JOIN devices USING (device_id) ORDER BY number DESC LIMIT ?",
            (limit,),
        )
        return [AuditEntry(*row) for row in rows]

    def tidy(self) -> None:
        """Drop what is older than a year, counted from the last line."""
        self._connection.execute(
            "DELETE FROM audit WHERE at <= (SELECT max(at) FROM audit) - ?", (KEPT_SECONDS,)
        )
