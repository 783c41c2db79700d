"""The gallery: whom the household knows, which strangers came, every visit, every correction.

One SQLite file, one transaction a call, several processes at a time. It decides nobody's
identity and deletes no picture: it says which visits' pictures are to go.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from typing_extensions import Self

from doorbell.config import StorageSection
from doorbell.recognition.gallery_corrections import CorrectionStore
from doorbell.recognition.gallery_disclosure import PersonalData, personal_data
from doorbell.recognition.gallery_file import GalleryFile
from doorbell.recognition.gallery_index import SampleIndex
from doorbell.recognition.gallery_people import PeopleStore
from doorbell.recognition.gallery_records import (
    Correction,
    EnrolledSample,
    EnrollmentOutcome,
    Forgotten,
    PersonSummary,
)
from doorbell.recognition.gallery_store import Changes
from doorbell.recognition.gallery_strangers import StrangerStore
from doorbell.recognition.gallery_templates import build_templates
from doorbell.recognition.gallery_visits import VisitStore
from doorbell.recognition.templates import Templates
from doorbell.sealing import PLAIN, Seal, open_seal

__all__ = [
    "Correction",
    "EnrolledSample",
    "EnrollmentOutcome",
    "Forgotten",
    "Gallery",
    "PersonSummary",
    "PersonalData",
    "Templates",
]


class Gallery:
    """The open gallery; used by the one thread that opened it.

    Every method, here and of the stores, raises ``GalleryError`` where the file fails. Names are
    matched without regard to letter case and Unicode composition.

    Attributes:
        people: whom the household knows.
        strangers: who came and has no name.
        visits: who came when.
        corrections: what the household says of visits.
    """

    def __init__(self, file: GalleryFile) -> None:
        self._file = file
        self._changes = changes = Changes(file)
        self.people = PeopleStore(changes)
        self.strangers = StrangerStore(changes)
        self.visits = VisitStore(changes, self.people)
        self.corrections = CorrectionStore(changes, self.people, self.strangers, self.visits)
        self._templates: dict[str, tuple[tuple[int, int], Templates]] = {}
        self._told: set[str] = set()  # of what is left out of them

    @classmethod
    def open(cls, path: Path, seal: Seal = PLAIN) -> Self:
        """Open the gallery's file, creating it where there is none.

        Raises:
            GalleryError: the file is damaged, not a gallery, of a later version, or out of reach;
                it is left as it was.
            SealError: it is encrypted with another key, or is not and should be.
        """
        return cls(GalleryFile(path, seal))

    @classmethod
    def of(cls, storage: StorageSection) -> Self:
        """Open the gallery that the configuration names, with the key that it names.

        Raises:
            GalleryError, SealError: see ``open``.
            ConfigError: the key is a credential of systemd, and none were passed to this process.
        """
        return cls.open(storage.gallery_path, open_seal(storage.key_file))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file; idempotent."""
        self._file.close()

    def wait_at_most(self, seconds: float) -> None:
        """Give up on a gallery that another process keeps locked for longer than this."""
        self._file.rows(f"PRAGMA busy_timeout = {round(seconds * 1000)}")

    def personal_data(self, person_id: int) -> PersonalData:
        """Everything that is held on somebody enrolled, for that person.

        Raises:
            GalleryError: a sample has not the size of an embedding.
        """
        return personal_data(self._file, person_id)

    def templates(self, model_id: str) -> Templates:
        """All samples of one embedder; kept until this or another process changes the gallery.

        A sample that is damaged is left out, and its person is named in the log.

        Raises:
            SealError: another process encrypted the gallery, decrypted it or changed its key.
        """
        version = (self._file.foreign_version(), self._changes.count)
        kept = self._templates.get(model_id)
        if kept is None or kept[0] != version:
            kept = version, build_templates(self._file, model_id, self._told)
            self._templates[model_id] = kept
        return kept[1]

    def index(self, model_id: str) -> SampleIndex:
        """All samples of one embedder to search in, as they are now, in little memory.

        Raises:
            GalleryError: a sample has not the size of an embedding.
        """
        return SampleIndex(self._file, model_id)
