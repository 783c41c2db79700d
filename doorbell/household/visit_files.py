"""What is kept of visits in files beside the gallery: pictures, events and notices that wait."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing

from doorbell.config import Config
from doorbell.domain import UNSTORED, Person
from doorbell.errors import GalleryError, UsageError
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.lock import only_daemon
from doorbell.outputs.mqtt.image_record import ImageRecord
from doorbell.outputs.mqtt.messages import EventSubject
from doorbell.outputs.mqtt.outbox import Outbox
from doorbell.outputs.mqtt.waiting_pictures import WaitingPictures
from doorbell.outputs.notices.output import Notices
from doorbell.outputs.picture_files import forget_in_pictures
from doorbell.status import VisitsForgotten
from doorbell.storage.encryption import open_cipher


def forget_in_files(gallery: Gallery, config: Config, forgotten: VisitsForgotten) -> None:
    """Delete pictures, waiting events and notices in their files, beside a daemon or without one.

    In pictures of others whoever was forgotten is painted over. A daemon that runs drops the events
    itself, once it finds who is gone. Without one, those go too
    that name somebody who is gone and belong to a visit that was corrected since.

    Args:
        gallery: who is known and which visit is whose, after the forgetting.
        config: where the files are, and the limits of what waits.
        forgotten: the visits, and those of the same time.

    Raises:
        GalleryError: the gallery does not answer.
        EncryptionError: what waits was encrypted with another key.
    """
    storage = config.storage
    cipher = open_cipher(storage.key_file)
    forget_in_pictures(storage.pictures_directory, forgotten, cipher)
    with ExitStack() as stack:
        try:
            stack.enter_context(only_daemon(storage.directory))
        except GalleryError:  # one is running
            return
        if storage.notices_path.exists():  # switched off or not
            with closing(Notices(storage.notices_path, cipher)) as notices:
                notices.handle(forgotten)  # the notifier hears of it when the doorbell runs
        is_forgotten = _whoever_is_gone(gallery)
        for path in storage.outbox_paths:
            if config.mqtt.enabled and config.mqtt.publish_images:
                ImageRecord.beside(path, cipher).forget(forgotten)
            if path.exists():
                with closing(Outbox(path, config.mqtt, cipher)) as outbox:
                    outbox.forget_visits(forgotten.visit_ids)
                    WaitingPictures(outbox).forget(forgotten)
                    told_of = outbox.subjects().values()
                    gone = {s.visit_id for s in told_of if s.visit_id and is_forgotten(s)}
                    outbox.forget_visits(gone)


def waits_for_daemon(config: Config) -> bool:
    """Whether what the broker shows stays until the doorbell starts: it alone takes that back."""
    if not config.mqtt.enabled:
        return False
    try:
        with only_daemon(config.storage.directory):
            return True
    except GalleryError:
        return False


def is_kept(gallery: Gallery, subject: EventSubject) -> bool:
    """Whether a visit that names nobody of the household is theirs all the same.

    Two people became one, or a stranger was named, or found to be somebody known. A visit that was
    taken for somebody else's may name the person to be forgotten.
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
