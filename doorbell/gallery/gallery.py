"""The gallery: whom the household knows, which strangers came, every visit, every correction.

One SQLite file, one transaction a call, several processes at a time. It decides nobody's
identity and deletes no picture: it says which visits' pictures are to go.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from typing_extensions import Self

from doorbell.config import StorageSection
from doorbell.gallery.change_log import keep_change_log
from doorbell.gallery.corrections import CorrectionStore
from doorbell.gallery.database import GalleryFile
from doorbell.gallery.index import GalleryIndex
from doorbell.gallery.namings import NamingStore
from doorbell.gallery.people import PeopleStore
from doorbell.gallery.personal_data import PersonalData, personal_data
from doorbell.gallery.portraits import PortraitStore
from doorbell.gallery.records import (
    Correction,
    EnrolledSample,
    EnrollmentOutcome,
    Forgotten,
    PersonSummary,
)
from doorbell.gallery.store import Changes
from doorbell.gallery.strangers import StrangerStore
from doorbell.gallery.vector_place import VectorPlace
from doorbell.gallery.visits import VisitStore
from doorbell.recognition.templates import Templates
from doorbell.storage.encryption import NO_CIPHER, Cipher, open_cipher

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
        file: the database, for what works on all of it.
        people: whom the household knows.
        strangers: who came and has no name.
        visits: who came when.
        corrections: what the household says of visits.
        namings: names and merges that can be taken back.
        portraits: what people look like, of those who agreed.
    """

    def __init__(self, file: GalleryFile, vectors_in_memory: int | None = None) -> None:
        self.file = file
        on_disk = file.path.parent if file.cipher.proof is None else None
        self._place = VectorPlace(vectors_in_memory, on_disk)
        self._changes = changes = Changes(file)
        self.people = PeopleStore(changes)
        self.strangers = StrangerStore(changes)
        self.visits = VisitStore(changes, self.people)
        self.corrections = CorrectionStore(changes, self.people, self.strangers, self.visits)
        self.namings = NamingStore(changes)
        self.portraits = PortraitStore(changes, self.people)
        self._indexes: dict[str, GalleryIndex] = {}  # by embedder

    @classmethod
    def open(
        cls,
        path: Path,
        cipher: Cipher = NO_CIPHER,
        *,
        look_through: bool = False,
        vectors_in_memory: int | None = None,
    ) -> Self:
        """Open the gallery's file, creating it where there is none.

        Args:
            path: of the file.
            cipher: how embeddings are kept in it.
            look_through: whether to look for damage in all of it, however large it is.
            vectors_in_memory: of so many people, or strangers, the templates are held in memory,
                and those of more in mapped files beside it; None for all.

        Raises:
            GalleryError: the file is damaged, not a gallery, of a later version, or out of reach;
                it is left as it was.
            EncryptionError: it is encrypted with another key, or is not and should be.
        """
        file = GalleryFile(path, cipher, look_through=look_through)
        try:
            keep_change_log(file)
        except BaseException:
            file.close()
            raise
        return cls(file, vectors_in_memory)

    @classmethod
    def of(
        cls,
        storage: StorageSection,
        *,
        look_through: bool = False,
        vectors_in_memory: int | None = None,
    ) -> Self:
        """Open the gallery that the configuration names, with the key that it names.

        Raises:
            GalleryError, EncryptionError: see ``open``.
            ConfigError: the key is a credential of systemd, and none were passed to this process.
        """
        cipher = open_cipher(storage.key_file)
        return cls.open(
            storage.gallery_path,
            cipher,
            look_through=look_through,
            vectors_in_memory=vectors_in_memory,
        )

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
        self._place.close()
        self.file.close()

    def wait_at_most(self, seconds: float) -> None:
        """Give up on a gallery that another process keeps locked for longer than this."""
        self.file.rows(f"PRAGMA busy_timeout = {round(seconds * 1000)}")

    def personal_data(self, person_id: int) -> PersonalData:
        """Everything that is held on somebody enrolled, for that person.

        Raises:
            GalleryError: a sample has not the size of an embedding.
        """
        return personal_data(self.file, person_id)

    def templates(self, model_id: str, at_most: int | None = None) -> Templates:
        """Everybody's templates by one embedder, with what this or another process has changed.

        A sample that is damaged is left out, and its person is named in the log.

        Args:
            model_id: the embedder.
            at_most: take over changes of so many visitors, and the others in the calls that follow,
                so that a large import keeps nobody waiting; None for all.

        Returns:
            The same object each time.

        Raises:
            EncryptionError: another process encrypted the gallery, decrypted it or changed its key.
        """
        index = self._indexes.get(model_id)
        if index is None:
            index = self._indexes[model_id] = GalleryIndex(self._changes, model_id, self._place)
        return index.follow(at_most)
