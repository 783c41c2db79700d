"""Forgetting: a person, a stranger, what is older than the configuration keeps.

Whoever is forgotten goes from the gallery first, in one transaction; then whatever else is held of
their visits: pictures, their face in pictures of others, and events that wait for the broker. Where
that lies is the caller's to say: in files (``household.visit_files``), or with a daemon's outputs.
Backups stay, and are listed in the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from doorbell.clock import SECONDS_PER_DAY
from doorbell.config import StorageSection
from doorbell.domain import Visitor
from doorbell.gallery.gallery import Forgotten, Gallery
from doorbell.gallery.vector_place import delete_left_behind
from doorbell.status import VisitsForgotten
from doorbell.storage.sqlite_copies import Backup, backups, found

# Deletes what is held of visits outside the gallery; what cannot be deleted is logged.
ForgetVisits: TypeAlias = Callable[[VisitsForgotten], None]

# Visits, or strangers, deleted in one step of what is done beside watching the door; some 10 ms.
FORGOTTEN_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class ForgettingOutcome:
    """What is gone, and what is not.

    Attributes:
        visitors: who was forgotten.
        samples: of theirs, deleted.
        visit_ids: of the visits that are deleted, with pictures and waiting events.
        backups: of the gallery, which may still hold them; the newest first.
    """

    visitors: tuple[Visitor, ...]
    samples: int
    visit_ids: tuple[str, ...]
    backups: tuple[Backup, ...]


def forget_person(
    gallery: Gallery, name: str, storage: StorageSection, forget_visits: ForgetVisits
) -> ForgettingOutcome:
    """Delete a person, with every sample, visit, picture and waiting event.

    Args:
        gallery: where they are enrolled.
        name: theirs.
        storage: where backups of the gallery are.
        forget_visits: deletes what else is held of visits.

    Raises:
        UnknownPersonError: nobody has that name; the nearest names are offered.
        GalleryError: the gallery cannot be written; nothing is deleted.
    """
    return _finish(gallery, [gallery.people.forget(name)], storage, forget_visits)


def forget_stranger(
    gallery: Gallery, stranger_id: int, storage: StorageSection, forget_visits: ForgetVisits
) -> ForgettingOutcome:
    """Delete a stranger, with every sample, visit, picture and waiting event.

    Args:
        gallery: where they are.
        stranger_id: theirs.
        storage: where backups of the gallery are.
        forget_visits: deletes what else is held of visits.

    Raises:
        UnknownStrangerError: there is none of that identifier.
        GalleryError: the gallery cannot be written; nothing is deleted.
    """
    return _finish(gallery, [gallery.strangers.forget(stranger_id)], storage, forget_visits)


def forget_older(
    gallery: Gallery,
    wall_time: float,
    storage: StorageSection,
    forget_visits: ForgetVisits,
    visits_days_by_door: Mapping[str, int] | None = None,
) -> ForgettingOutcome:
    """Delete strangers and visits older than ``storage.strangers_days`` and ``.visits_days``.

    Args:
        gallery: where they are.
        wall_time: now, by a clock that is right.
        storage: for how long they are kept; where backups of the gallery are.
        forget_visits: deletes what else is held of visits.
        visits_days_by_door: instead of ``storage.visits_days``, for visits at these doors as they
            are stored, the empty one too; 0 for ever.

    Raises:
        GalleryError: the gallery cannot be written. What it deleted before is gone elsewhere too.
    """
    outcome = ForgettingOutcome((), 0, (), ())
    steps = forgetting_older(
        gallery, wall_time, storage, forget_visits, visits_days_by_door, at_most=-1
    )
    for step in steps:
        outcome = ForgettingOutcome(
            (*outcome.visitors, *step.visitors),
            outcome.samples + step.samples,
            (*outcome.visit_ids, *step.visit_ids),
            step.backups,
        )
    return outcome


def forgetting_older(
    gallery: Gallery,
    wall_time: float,
    storage: StorageSection,
    forget_visits: ForgetVisits,
    visits_days_by_door: Mapping[str, int] | None = None,
    *,
    at_most: int = FORGOTTEN_AT_ONCE,
) -> Iterator[ForgettingOutcome]:
    """Forget what is old in steps, none of which keeps the door waiting; see ``forget_older``.

    Args:
        gallery: where it is.
        wall_time: now, by a clock that is right.
        storage: for how long it is kept; where backups of the gallery are.
        forget_visits: deletes what else is held of visits.
        visits_days_by_door: as in ``forget_older``.
        at_most: visits, or strangers, in one step; all where negative.

    Yields:
        What each step deleted.

    Raises:
        GalleryError: the gallery cannot be written; what was yielded before is gone.
    """
    yield from forgetting_strangers(gallery, wall_time, storage, forget_visits, at_most=at_most)
    by_door = visits_days_by_door or {}
    days = {each: by_door.get(each, storage.visits_days) for each in gallery.visits.doors()}
    yield from forgetting_visits(gallery, wall_time, storage, forget_visits, days, at_most=at_most)


def forgetting_strangers(
    gallery: Gallery,
    wall_time: float,
    storage: StorageSection,
    forget_visits: ForgetVisits,
    *,
    at_most: int = FORGOTTEN_AT_ONCE,
) -> Iterator[ForgettingOutcome]:
    """Of ``forgetting_older``, strangers alone, with their visits."""
    before = wall_time - storage.strangers_days * SECONDS_PER_DAY
    while storage.strangers_days:
        strangers, visit_ids, beside = gallery.strangers.forget_some_before(before, at_most)
        if not strangers and not visit_ids:
            break
        yield _finish(
            gallery,
            strangers,
            storage,
            forget_visits,
            other_visit_ids=visit_ids,
            beside_others=beside,
        )


def forgetting_visits(
    gallery: Gallery,
    wall_time: float,
    storage: StorageSection,
    forget_visits: ForgetVisits,
    days_by_door: Mapping[str, int],
    *,
    at_most: int = FORGOTTEN_AT_ONCE,
) -> Iterator[ForgettingOutcome]:
    """Of ``forgetting_older``, visits alone, at the doors that are given and no others.

    Args:
        gallery: where they are.
        wall_time: now, by a clock that is right.
        storage: where backups of the gallery are.
        forget_visits: deletes what else is held of visits.
        days_by_door: for how long they are kept; 0 for ever.
        at_most: visits in one step; all where negative.
    """
    for door_id, days in days_by_door.items():
        before = wall_time - days * SECONDS_PER_DAY
        while days:
            visit_ids, beside = gallery.visits.forget_before(before, at_most, (door_id,))
            if not visit_ids:
                break
            yield _finish(
                gallery,
                [],
                storage,
                forget_visits,
                other_visit_ids=visit_ids,
                beside_others=beside,
            )


def _finish(
    gallery: Gallery,
    forgotten: list[Forgotten],
    storage: StorageSection,
    forget_visits: ForgetVisits,
    *,
    other_visit_ids: tuple[str, ...] = (),
    beside_others: tuple[str, ...] = (),
) -> ForgettingOutcome:
    """Delete elsewhere what the gallery has forgotten."""
    visit_ids = (*(v for each in forgotten for v in each.visit_ids), *other_visit_ids)
    if forgotten or visit_ids:
        beside = {*(v for each in forgotten for v in each.beside), *beside_others}
        forget_visits(VisitsForgotten(visit_ids, tuple(sorted(beside - set(visit_ids)))))
    if forgotten:
        delete_left_behind(storage.directory)
    kept = backups(storage.gallery_path)
    if gallery.file.has_copies:  # on a server, to which the file may have been moved
        kept = [*found(storage.gallery_path), *kept]
    return ForgettingOutcome(
        tuple(each.visitor for each in forgotten),
        sum(each.samples for each in forgotten),
        visit_ids,
        tuple(kept),
    )
