"""Which machines follow the gallery on a server, and how far each has come."""

# ruff: noqa: S608 - the words put into statements are written here

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from doorbell.errors import GalleryError, UsageError
from doorbell.gallery.sql import GalleryDatabase

# A machine that runs is in touch every ten seconds.
IN_TOUCH_SECONDS = 60
# How long machines are waited for that are about to forget somebody.
FOLLOW_SECONDS = 2.0

# Whoever may tidies once an hour.
UNTIDIED_DAYS = 1

# How often machines are looked at that are about to follow.
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Machine:
    """One that has a copy of the gallery.

    Attributes:
        name: of the machine.
        seen_at: wall time of the server when it was last in touch.
        account: by which it is.
        doors: that it watches.
        behind: how many visitors and visits it has not as they are.
    """

    name: str
    seen_at: float
    account: str
    doors: tuple[str, ...]
    behind: int


def latest_change(server: GalleryDatabase) -> int:
    """The number of the last change that machines have to follow."""
    [row] = server.rows("SELECT latest_change() AS latest")
    return int(row["latest"])


def last_applied(server: GalleryDatabase, identity: str) -> int:
    """The number of the last write that the server has of a machine.

    Raises:
        GalleryError: it was removed; the next connection makes it known again.
    """
    for row in server.rows("SELECT applied_sequence FROM machines WHERE id = ?", identity):
        return int(row["applied_sequence"])
    raise GalleryError("this machine was removed from those of the gallery; it comes back at once")


def all_machines(server: GalleryDatabase) -> list[Machine]:
    """Every one that was ever in touch and was not removed, by name."""
    return _machines(server, "TRUE")


def unwatched_doors(server: GalleryDatabase, doors: Iterable[str]) -> set[str]:
    """Those of some doors that no machine watches, as far as each has said which it does.

    As long as one has not, whose doorbell is of an earlier version, that is the one without name.
    """
    rows = server.rows("SELECT doors FROM machines")
    if all(row["doors"] for row in rows):
        return set(doors).difference(*(row["doors"] for row in rows))
    return {""}.intersection(doors)


def require_doors_apart(database: GalleryDatabase) -> None:
    """See that each door is one machine's, which deletes visits there by its own configuration.

    Raises:
        GalleryError: it is several machines'. The account of a door sees only its own.
    """
    if not database.has_copies:
        return
    shared = database.rows(
        "SELECT door_id, string_agg(name, ', ' ORDER BY name) AS names "
        "FROM (SELECT name, unnest(doors) AS door_id FROM machines) AS watched "
        "GROUP BY door_id HAVING count(*) > 1 ORDER BY door_id"
    )
    for row in shared:
        raise GalleryError(
            f"the door {row['door_id']!r} is watched by several machines ({row['names']}), and "
            "each deletes visits there as it is configured: give each door a device.id of its own; "
            "one that is gone is taken out by: doorbell gallery machines --remove"
        )


def remove(server: GalleryDatabase, name: str) -> int:
    """Expect nothing more of a machine that is gone; how many of that name there were.

    One that comes back all the same is known again, and compares its copy with all that is there.

    Raises:
        UsageError: there is none, or it is in touch.
    """
    with server.writing():
        removed = server.execute(
            "DELETE FROM machines WHERE name = ? AND seen_at < extract(epoch FROM now()) - ?",
            name,
            IN_TOUCH_SECONDS,
        )
        names = [each.name for each in all_machines(server)]
    if removed:
        return removed
    if name in names:
        raise UsageError(f"the machine {name} is in touch; stop its doorbell first")
    known = f"; there are {', '.join(names)}" if names else ""
    raise UsageError(f"there is no machine {name!r}{known}")


def prune(server: GalleryDatabase) -> None:
    """Delete changes that every machine has followed: one for each visit and visitor that ever was.

    Those of people and strangers who are there stay, so that a new copy can be made by them.
    """
    with server.writing():
        [row] = server.rows(
            "SELECT coalesce(min(followed_revision), latest_change()) AS revision FROM machines"
        )
        deleted = [
            server.execute(f"DELETE FROM {changes}", row["revision"])
            for changes in (
                "visit_changes WHERE revision <= ?",
                "template_changes WHERE revision <= ? AND kind = 'person' "
                "AND NOT EXISTS (SELECT 1 FROM people WHERE id = visitor_id)",
                "template_changes WHERE revision <= ? AND kind = 'stranger' "
                "AND NOT EXISTS (SELECT 1 FROM strangers WHERE id = visitor_id)",
            )
        ]
        if any(deleted):
            server.execute("UPDATE gallery SET pruned_revision = ?", row["revision"])


def require_tidied(database: GalleryDatabase) -> None:
    """See that old strangers are deleted; a gallery in a file has this machine for that.

    Raises:
        GalleryError: no machine has done so for a day. The account of a door may not.
    """
    if not database.has_copies:
        return
    [row] = database.rows(
        "SELECT extract(epoch FROM now() - tidied_at) / 86400 AS days, "
        "EXISTS (SELECT 1 FROM machines) AS is_shared FROM gallery"
    )
    since = "ever" if row["days"] is None else f"for {24 * row['days']:.0f} hours"
    if row["is_shared"] and (row["days"] is None or row["days"] > UNTIDIED_DAYS):
        raise GalleryError(
            f"no machine has deleted old strangers {since}: one that runs has to have the "
            "household's account; see: doorbell gallery roles --help"
        )


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
        machines = _machines(database, "followed_revision < ?", revision)
        if not machines or time.monotonic() >= end:
            return machines
        time.sleep(_POLL_SECONDS)


def _machines(server: GalleryDatabase, where: str, *parameters: object) -> list[Machine]:
    rows = server.rows(
        "SELECT name, seen_at, account, doors, (SELECT count(*) FROM template_changes "
        "WHERE revision > followed_revision) + (SELECT count(*) FROM visit_changes "
        f"WHERE revision > followed_revision) AS behind FROM machines WHERE {where} "
        "ORDER BY name, account, id",
        *parameters,
    )
    return [
        Machine(row["name"], row["seen_at"], row["account"], tuple(row["doors"]), row["behind"])
        for row in rows
    ]
