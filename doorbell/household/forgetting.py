"""Forgetting: a person, a stranger, what is older than the configuration keeps.

Whoever is forgotten goes from the gallery first, in one transaction; then whatever else is held of
their visits: pictures, and events that wait for the broker. Where that lies is the caller's to say:
in files (``forget_in_files``), or with a daemon's outputs. Backups stay, and are told of.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TypeAlias

from doorbell.config import Config, StorageSection
from doorbell.domain import UNSTORED, Person, Visitor
from doorbell.errors import GalleryError, UsageError
from doorbell.outputs.messages import EventSubject
from doorbell.outputs.outbox import Outbox
from doorbell.outputs.pictures import SECONDS_PER_DAY, delete_pictures
from doorbell.recognition.gallery import Forgotten, Gallery
from doorbell.recognition.gallery_copies import Backup, backups
from doorbell.recognition.gallery_lock import only_daemon
from doorbell.sealing import open_seal

# Deletes what is held of visits outside the gallery; what cannot be deleted is said in the log.
ForgetVisits: TypeAlias = Callable[[tuple[str, ...]], None]


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
    return _finish([gallery.people.forget(name)], (), storage, forget_visits)


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
    return _finish([gallery.strangers.forget(stranger_id)], (), storage, forget_visits)


def forget_older(
    gallery: Gallery, wall_time: float, storage: StorageSection, forget_visits: ForgetVisits
) -> ForgettingOutcome:
    """Delete strangers and visits older than ``storage.strangers_days`` and ``.visits_days``.

    Args:
        gallery: where they are.
        wall_time: now, by a clock that is right.
        storage: for how long they are kept; where backups of the gallery are.
        forget_visits: deletes what else is held of visits.

    Raises:
        GalleryError: the gallery cannot be written. What it deleted before is gone elsewhere too.
    """
    strangers: list[Forgotten] = []
    visit_ids: tuple[str, ...] = ()
    if storage.strangers_days:
        before = wall_time - storage.strangers_days * SECONDS_PER_DAY
        strangers = gallery.strangers.forget_before(before)
    try:
        if storage.visits_days:
            before = wall_time - storage.visits_days * SECONDS_PER_DAY
            visit_ids = gallery.visits.forget_before(before)
    finally:
        outcome = _finish(strangers, visit_ids, storage, forget_visits)
    return outcome


def forget_in_files(gallery: Gallery, config: Config, visit_ids: Collection[str]) -> None:
    """Delete pictures and waiting events in their files, beside a daemon or without one.

    A daemon that runs drops the events itself, once it finds who is gone. Without one, those go too
    that name somebody who is gone and belong to a visit that was corrected since.

    Args:
        gallery: who is known and which visit is whose, after the forgetting.
        config: where the files are, and the limits of what waits.
        visit_ids: of the visits that were forgotten.

    Raises:
        GalleryError: the gallery does not answer.
        SealError: what waits was encrypted with another key.
    """
    storage = config.storage
    delete_pictures(storage.pictures_directory, visit_ids)
    if not storage.outbox_path.exists():
        return
    with ExitStack() as stack:
        try:
            stack.enter_context(only_daemon(storage.directory))
        except GalleryError:  # one is running
            return
        outbox = Outbox(storage.outbox_path, config.mqtt, open_seal(storage.key_file))
        stack.enter_context(closing(outbox))
        outbox.forget_visits(visit_ids)
        is_forgotten = _whoever_is_gone(gallery)
        told_of = outbox.subjects().values()
        outbox.forget_visits({s.visit_id for s in told_of if s.visit_id and is_forgotten(s)})


def is_kept(gallery: Gallery, subject: EventSubject) -> bool:
    """Whether a visit that names nobody of the household is theirs all the same.

    Two people became one, or a stranger was named, or found to be somebody known. A visit that was
    taken for somebody else's may tell of whom to forget.
    """
    if subject.visit_id is None:
        return False
    try:
        visit = gallery.visits.get(subject.visit_id)
    except (UsageError, GalleryError):  # what cannot be looked up is taken as forgotten
        return False
    return subject.person_id is None or (isinstance(visit.visitor, Person) and not visit.corrected)


def _whoever_is_gone(gallery: Gallery) -> Callable[[EventSubject], bool]:
    """What tells whether an event names somebody who is gone."""
    person_ids = {person.person_id for person in gallery.people.all()}
    labels = {stranger.label for stranger in gallery.strangers.all()}

    def is_forgotten(subject: EventSubject) -> bool:
        if subject.person_id is not None:
            is_known = subject.person_id in person_ids
        else:  # who has no lasting identifier yet cannot have been forgotten by it
            label = subject.stranger
            is_known = label is None or label in labels or label.startswith(UNSTORED)
        return not (is_known or is_kept(gallery, subject))

    return is_forgotten


def _finish(
    forgotten: list[Forgotten],
    other_visit_ids: tuple[str, ...],
    storage: StorageSection,
    forget_visits: ForgetVisits,
) -> ForgettingOutcome:
    """Delete elsewhere what the gallery has forgotten."""
    visit_ids = (*(v for each in forgotten for v in each.visit_ids), *other_visit_ids)
    if forgotten or visit_ids:
        forget_visits(visit_ids)
    return ForgettingOutcome(
        tuple(each.visitor for each in forgotten),
        sum(each.samples for each in forgotten),
        visit_ids,
        tuple(backups(storage.gallery_path)),
    )
