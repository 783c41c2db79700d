"""Which machines follow the gallery on a server, and how far each has come."""

from __future__ import annotations

import time
from dataclasses import dataclass

from doorbell.gallery.sql import GalleryDatabase

# How long machines are waited for that are about to forget somebody.
FOLLOW_SECONDS = 2.0

# How often machines are looked at that are about to follow.
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Machine:
    """One that has a copy of the gallery.

    Attributes:
        name: of the machine.
        seen_at: wall time when it was last in touch.
    """

    name: str
    seen_at: float


def latest_change(server: GalleryDatabase) -> int:
    """The number of the last change that machines have to follow."""
    [row] = server.rows(
        "SELECT greatest((SELECT coalesce(max(revision), 0) FROM template_changes), "
        "(SELECT coalesce(max(revision), 0) FROM visit_changes)) AS latest"
    )
    return int(row["latest"])


def behind(database: GalleryDatabase, seconds: float = 0.0) -> list[Machine]:
    """The machines that have not followed what has changed up to now, by name.

    Args:
        database: the gallery; one in a file has no copies.
        seconds: how long to wait for those that are about to.
    """
    if not database.has_copies:
        return []
    revision, end = latest_change(database), time.monotonic() + seconds
    while True:
        rows = database.rows(
            "SELECT name, seen_at FROM machines WHERE followed_revision < ? ORDER BY name, id",
            revision,
        )
        if not rows or time.monotonic() >= end:
            return [Machine(row["name"], row["seen_at"]) for row in rows]
        time.sleep(_POLL_SECONDS)
