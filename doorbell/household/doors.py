"""At which door a visit was, in a house whose gallery may be older than its second door.

A doorbell that knew one door only has stored no door with its visits: they were at the first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from doorbell.config import StorageSection
from doorbell.domain import Visit
from doorbell.errors import DoorbellError
from doorbell.gallery.gallery import Gallery

log = logging.getLogger(__name__)


def stored_as(door_id: str, first_door_id: str) -> tuple[str, ...]:
    """What visits at a door are stored with, as ``VisitStore`` takes it."""
    return (door_id, "") if door_id == first_door_id else (door_id,)


def with_door(visit: Visit, first_door_id: str) -> Visit:
    """The visit, at the first door where none is stored."""
    return visit if visit.door_id else replace(visit, door_id=first_door_id)


def doors_visited(gallery: Gallery, first_door_id: str) -> set[str]:
    """Every door that a visit was at."""
    return {door_id or first_door_id for door_id in gallery.visits.doors()}


def doors_by_visit(
    storage: StorageSection,
) -> Callable[[Collection[str]], Mapping[str, str] | None]:
    """What tells at which door visits were, as they are stored, on whatever thread it is asked.

    Of a visit that is gone it says nothing; where the gallery does not answer, it gives None.

    Args:
        storage: where the gallery is; it is opened anew for each question.
    """

    def ask(visit_ids: Collection[str]) -> Mapping[str, str] | None:
        try:
            with Gallery.of(storage) as gallery:
                return {each.visit_id: each.door_id for each in gallery.visits.those(visit_ids)}
        except DoorbellError as exc:
            log.error("cannot tell at which door %d visits were: %s", len(visit_ids), exc)
            return None

    return ask
