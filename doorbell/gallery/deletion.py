"""What goes when a visitor or a visit is deleted, and which others were of its time and door.

Called within ``GalleryDatabase.writing``.
"""

# ruff: noqa: S608 - the words put into statements are table and column names written here

from __future__ import annotations

from collections.abc import Sequence

from doorbell.domain import Visit, Visitor
from doorbell.gallery.change_log import IS_LONG, LONG_SECONDS, OPEN_SECONDS, UNTIL
from doorbell.gallery.queries import place_of
from doorbell.gallery.records import Forgotten
from doorbell.gallery.sql import GalleryDatabase

# A face is followed for a moment before its visit begins, and is to be seen that long.
BESIDE_SECONDS = 1.0


def delete_visitor(
    file: GalleryDatabase, visitor: Visitor, beside: tuple[str, ...] | None = None
) -> Forgotten:
    """Delete somebody with every sample and every visit.

    What corrections of these visits hid goes too: samples of the same faces, taken for another's,
    and strangers who were seen in these visits alone.

    Args:
        file: the gallery.
        visitor: who.
        beside: visits of the same time as theirs, where the caller knows them.
    """
    table, column, visitor_id = place_of(visitor)
    if beside is None:
        beside = visits_beside(file, f"{column} = ?", visitor_id)
    visits = file.rows(f"SELECT id FROM visits WHERE {column} = ?", visitor_id)
    _delete_hidden(file, column, visitor_id)
    file.execute(f"DELETE FROM visits WHERE {column} = ?", visitor_id)
    samples = file.execute(f"DELETE FROM samples WHERE {column} = ?", visitor_id)
    # With what was noted of whoever became them: nothing of it comes back.
    file.execute(
        "DELETE FROM corrections WHERE id IN "
        f"(SELECT correction_id FROM namings WHERE {column} = ?)",
        visitor_id,
    )
    file.execute(f"DELETE FROM {table} WHERE id = ?", visitor_id)
    return Forgotten(visitor, samples, tuple(row["id"] for row in visits), beside)


def delete_some_visits(
    file: GalleryDatabase, visitor: Visitor, at_most: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Delete the oldest visits of somebody who has more than so many and is to go.

    Returns:
        Which, and the other visits of their time.
    """
    _, column, visitor_id = place_of(visitor)
    [row] = file.rows(
        f"SELECT count(*) AS n FROM (SELECT 1 FROM visits WHERE {column} = ? LIMIT ?)",
        visitor_id,
        at_most + 1,
    )
    if row["n"] <= at_most:
        return (), ()
    _delete_hidden(file, column, visitor_id)
    gone = file.rows(
        f"SELECT id FROM visits WHERE {column} = ? ORDER BY started_at LIMIT ?",
        visitor_id,
        max(at_most, 1),
    )
    return tuple(row["id"] for row in gone), delete_visits(file, [row["id"] for row in gone])


def delete_visits(file: GalleryDatabase, visit_ids: Sequence[str]) -> tuple[str, ...]:
    """Delete some visits with what they consist of; which others were of their time."""
    listed = file.listed(visit_ids)
    among = f"id {file.among}"
    beside = visits_beside(file, among, listed)
    file.execute(f"DELETE FROM visits WHERE {among}", listed)
    return beside


def _delete_hidden(file: GalleryDatabase, column: str, visitor_id: int) -> None:
    """Delete what corrections of somebody's visits hid."""
    hidden = (
        "hidden_by IN (SELECT corrections.id FROM corrections JOIN visits "
        f"ON visits.id = corrections.visit_id WHERE visits.{column} = ?)"
    )
    file.execute(f"DELETE FROM samples WHERE {hidden}", visitor_id)
    file.execute(f"DELETE FROM strangers WHERE visits <= 0 AND {hidden}", visitor_id)


def visits_beside(file: GalleryDatabase, where: str, *parameters: object) -> tuple[str, ...]:
    """Identifiers of all other visits of the time and door of one of some visits.

    Where no door is stored, it may have been any. It looks at each visit once, and again only at
    those that began about the time of one of these.

    Args:
        file: the gallery.
        where: which these are; may be NULL of others.
        parameters: of that.
    """
    spans = f"SELECT id, door_id, started_at, {UNTIL} AS until FROM visits WHERE"
    ones, others = f"({spans} {where}) AS a", f"({spans} ({where}) IS NOT TRUE) AS b"
    long_others = f"({spans} {IS_LONG} AND ({where}) IS NOT TRUE) AS b"
    overlaps = f"b.until >= a.started_at - {BESIDE_SECONDS}"
    overlaps += f" AND b.started_at <= a.until + {BESIDE_SECONDS}"
    overlaps += " AND (b.door_id = a.door_id OR '' IN (a.door_id, b.door_id))"
    if not file.rows(f"SELECT 1 FROM visits WHERE {where} LIMIT 1", *parameters):
        return ()
    # Most begin shortly before, which one index finds; the few long ones have another.
    shortly_before = file.rows(
        f"SELECT b.id FROM {ones} CROSS JOIN {others} "
        f"WHERE b.started_at >= a.started_at - {LONG_SECONDS} AND {overlaps}",
        *(2 * parameters),
    )
    long_before = file.rows(
        f"SELECT b.id FROM {long_others} WHERE EXISTS (SELECT 1 FROM {ones} WHERE {overlaps})",
        *(2 * parameters),
    )
    return tuple(sorted({row["id"] for row in (*shortly_before, *long_before)}))


def is_beside(one: Visit, other: Visit) -> bool:
    """Whether two visits were going on at one time and door, as ``visits_beside`` finds them."""
    return (
        ("" in (one.door_id, other.door_id) or one.door_id == other.door_id)
        and _until(one) >= other.started_at - BESIDE_SECONDS
        and _until(other) >= one.started_at - BESIDE_SECONDS
    )


def _until(visit: Visit) -> float:
    ended_at = visit.last_seen_at + OPEN_SECONDS if visit.ended_at is None else visit.ended_at
    return max(visit.last_seen_at, ended_at)
