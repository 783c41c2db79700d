"""At which door a visit was, in a house whose gallery may be older than its second door.

A doorbell that knew one door only has stored no door with its visits: they were at the first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from doorbell.config import Config
from doorbell.domain import Visit
from doorbell.errors import DoorbellError
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.link.copy import open_own

log = logging.getLogger(__name__)


def stored_as(door_id: str, first_door_id: str) -> tuple[str, ...]:
    """What visits at a door are stored with, as ``VisitStore`` takes it."""
    return (door_id, "") if door_id == first_door_id else (door_id,)


def stored_doors(config: Config, door_id: str) -> tuple[str, ...] | None:
    """What visits at a door are stored with; None where it is the only door, for every visit.

    Args:
        config: of the house.
        door_id: of one of its doors.
    """
    return stored_as(door_id, config.doors[0].device.id) if config.door else None


def with_door(visit: Visit, first_door_id: str) -> Visit:
    """The visit, at the first door where none is stored."""
    return visit if visit.door_id else replace(visit, door_id=first_door_id)


def doors_visited(gallery: Gallery, first_door_id: str) -> set[str]:
    """Every door that a visit was at."""
    return {door_id or first_door_id for door_id in gallery.visits.doors()}


def doors_by_visit(
    config: Config,
) -> Callable[[Collection[str]], Mapping[str, str] | None]:
    """What tells at which door visits were, on whatever thread it is asked.

    Of a visit that is gone it says nothing; where the gallery does not answer, it gives None.

    Args:
        config: of the house: where this machine's gallery is, which is opened anew for each
            question, and the first door, where they were whose door is not stored.
    """
    first_door_id = config.doors[0].device.id

    def ask(visit_ids: Collection[str]) -> Mapping[str, str] | None:
        try:
            with open_own(config.storage, config.gallery) as gallery:
                visits = gallery.visits.those(visit_ids)
                return {each.visit_id: each.door_id or first_door_id for each in visits}
        except DoorbellError as exc:
            log.error("cannot tell at which door %d visits were: %s", len(visit_ids), exc)
            return None

    return ask
