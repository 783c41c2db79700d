"""Requests that read and change people: beside the main thread, as the command line does it."""

from __future__ import annotations

import io
import time
from collections.abc import Callable

from typing_extensions import Buffer

from doorbell.config import StorageSection
from doorbell.control import requests
from doorbell.control.wire import MAX_BLOB_BYTES
from doorbell.daemon.control.documents import person_document
from doorbell.daemon.control.gallery_executor import GalleryExecutor
from doorbell.daemon.control.server import Answer
from doorbell.daemon.control.visits import VisitRequests
from doorbell.domain import CHIME_NAMES
from doorbell.errors import RefusedError, UsageError
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.names import clean_consent
from doorbell.household.chimes import give_chime
from doorbell.household.ignoring import ignore_person
from doorbell.household.listing import known_people, known_person
from doorbell.household.naming import merge_people, rename_person
from doorbell.household.personal_data import write_personal_data
from doorbell.household.undoing import newest_change

NEWEST_VISITS = 20


class _Bounded(io.BytesIO):
    """A file in memory that takes no more than can be sent."""

    def write(self, part: Buffer) -> int:
        """Write some more.

        Raises:
            RefusedError: it would be too much.
        """
        if self.tell() + memoryview(part).nbytes > MAX_BLOB_BYTES:
            raise RefusedError(
                f"the export has more than the {MAX_BLOB_BYTES / 1e6:.0f} MB that can be sent "
                "here; make it with: doorbell people export"
            )
        return super().write(part)


class PeopleRequests:
    """Answers what is asked of people.

    Args:
        storage: where pictures are, and their key.
        executor: reads and changes the gallery.
        visits: describes visits.
    """

    def __init__(
        self,
        storage: StorageSection,
        executor: GalleryExecutor,
        visits: VisitRequests,
    ) -> None:
        self._storage = storage
        self._executor = executor
        self._visits = visits

    def listed(self, _request: requests.ListPeople) -> Answer:
        """Everybody enrolled."""

        def everybody(gallery: Gallery) -> Answer:
            owners = gallery.portraits.owners()
            return Answer(
                {
                    "people": [
                        person_document(known, portrait=known.summary.person.person_id in owners)
                        for known in known_people(gallery)
                    ]
                }
            )

        return self._executor.read(everybody)

    def get(self, request: requests.GetPerson) -> Answer:
        """One of them."""

        def got(gallery: Gallery) -> Answer:
            name = gallery.people.by_id(request.person_id).name
            portrait = request.person_id in gallery.portraits.owners()
            visits = gallery.visits.newest(NEWEST_VISITS, name=name)
            return Answer(
                {
                    "person": person_document(known_person(gallery, name), portrait=portrait),
                    "visits": [self._visits.document(visit) for visit in visits],
                }
            )

        return self._executor.read(got)

    def rename(self, request: requests.RenamePerson) -> Answer:
        """Another name."""

        def renamed(gallery: Gallery, name: str) -> str:
            now = rename_person(gallery, name, request.name).now
            return f"{name} is now {now.label}"

        return self._change(request.person_id, renamed)

    def chime(self, request: requests.PersonChime) -> Answer:
        """A chime of their own; files are for the command line to name."""
        if request.chime is not None and request.chime not in CHIME_NAMES:
            raise UsageError(f"there is no built-in chime {request.chime!r}")

        def given(gallery: Gallery, name: str) -> str:
            person = give_chime(gallery, name, request.chime)
            return f"{person.name} has the chime {person.chime or 'of everybody'}"

        return self._change(request.person_id, given)

    def preferences(self, request: requests.PersonPreferences) -> Answer:
        """Their preferences."""

        def preferred(gallery: Gallery, name: str) -> str:
            gallery.people.set_preferences(name, request.preferences)
            return f"the preferences of {name} are changed"

        return self._change(request.person_id, preferred)

    def consent(self, request: requests.PersonConsent) -> Answer:
        """What they agreed to."""

        def noted(gallery: Gallery, name: str) -> str:
            gallery.people.note_consent(name, clean_consent(request.words), time.time())
            return f"it is noted what {name} agreed to"

        return self._change(request.person_id, noted)

    def ignore(self, request: requests.IgnorePerson) -> Answer:
        """Never ring for them, or ring again."""

        def ignored(gallery: Gallery, name: str) -> str:
            ignore_person(gallery, name, ignored=request.ignored)
            return f"{name} {'never rings' if request.ignored else 'rings again'}"

        return self._change(request.person_id, ignored)

    def merge(self, request: requests.MergePeople) -> Answer:
        """Make two people one."""

        def merged(gallery: Gallery) -> Answer:
            name = gallery.people.by_id(request.person_id).name
            into = gallery.people.by_id(request.into).name
            done = merge_people(gallery, name, into, force=request.force)
            summary = f"{name} is now {done.now.label}"
            return Answer({"summary": summary, "undo": f"change-{newest_change(gallery)}"})

        return self._executor.run(merged)

    def export(self, request: requests.ExportPerson) -> Answer:
        """Everything that is held on them."""

        def exported(gallery: Gallery) -> Answer:
            name = gallery.people.by_id(request.person_id).name
            # In memory alone: nothing of it is encrypted, and a file would outlast a kill.
            file = _Bounded()
            held = gallery.personal_data(request.person_id)
            write_personal_data(gallery, held, file, self._storage)
            return Answer({"type": "application/zip", "name": name}, file.getvalue())

        return self._executor.run(exported)

    def _change(self, person_id: int, change: Callable[[Gallery, str], str]) -> Answer:
        def changed(gallery: Gallery) -> Answer:
            return Answer({"summary": change(gallery, gallery.people.by_id(person_id).name)})

        return self._executor.run(changed)
