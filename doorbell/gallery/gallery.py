"""The gallery: whom the household knows, which strangers came, every visit, every correction.

One SQLite file, or a schema on a PostgreSQL server; one transaction a call, several processes at a
time. It decides nobody's identity and deletes no picture: it says which visits' pictures are to go.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import Self

from doorbell.config import GallerySection, StorageSection
from doorbell.domain import Float32Array, Visit
from doorbell.errors import ConfigError
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
from doorbell.gallery.sql import GalleryDatabase
from doorbell.gallery.store import Changes
from doorbell.gallery.strangers import StrangerStore
from doorbell.gallery.templates import TemplateReader
from doorbell.gallery.undecided import undecided_like
from doorbell.gallery.vector_place import VectorPlace
from doorbell.gallery.visits import VisitStore
from doorbell.recognition.templates import Templates
from doorbell.storage.encryption import NO_CIPHER, Cipher, open_cipher

if TYPE_CHECKING:
    from doorbell.gallery.postgres.database import PostgresDatabase

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


def open_server(section: GallerySection, *, moving: bool = False) -> PostgresDatabase:
    """Open the gallery on a server; see ``PostgresDatabase``.

    Raises:
        ConfigError: psycopg is not installed, or the server cannot be spoken to as it is named.
        GalleryError: it is out of reach, not a gallery, or of a later version.
    """
    try:
        from doorbell.gallery.postgres.database import PostgresDatabase
    except ImportError as exc:
        raise ConfigError(
            f"gallery.url needs psycopg ({exc}); install it with: pip install 'doorbell[postgres]'"
        ) from exc
    return PostgresDatabase(section, moving=moving)


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
        file_class: of the file that is opened.
    """

    file_class: ClassVar[type[GalleryFile]] = GalleryFile

    def __init__(self, file: GalleryDatabase, place: VectorPlace | None = None) -> None:
        self.file = file
        self._place = place or VectorPlace()
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
        file = cls.file_class(path, cipher, look_through=look_through)
        try:
            file.keep_change_log()
        except BaseException:
            file.close()
            raise
        on_disk = path.parent if cipher.proof is None else None
        return cls(file, VectorPlace(vectors_in_memory, on_disk))

    @classmethod
    def of(
        cls,
        storage: StorageSection,
        section: GallerySection | None = None,
    ) -> Self:
        """Open the gallery that the configuration names, with the key that it names.

        Args:
            storage: with a file of this machine.
            section: with a server in the place of that, if it names one.

        Raises:
            GalleryError, EncryptionError: see ``open``.
            ConfigError: the key is a credential of systemd, and none were passed to this process;
                or the server cannot be spoken to as it is named.
        """
        if section is not None and section.url is not None:
            return cls(open_server(section))
        cipher = open_cipher(storage.key_file)
        return cls.open(storage.gallery_path, cipher)

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
        self.file.wait_at_most(seconds)

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

    def templates_like(
        self, model_id: str, signature: Float32Array, *, people: int = 0, strangers: int = 0
    ) -> Templates:
        """What a face is compared with once: of a server only those whom it is most like.

        Args:
            model_id: the embedder.
            signature: (128,) float32 of unit length.
            people: how many of them are wanted.
            strangers: likewise.

        Returns:
            At least these; of a server without what is no face, and without variants.

        Raises:
            EncryptionError: see ``templates``.
        """
        with self.file.reading():
            found = TemplateReader(self.file, model_id, self._place).most_alike(
                signature, people, strangers
            )
        return self.templates(model_id) if found is None else found

    def undecided_like(
        self, model_id: str, signature: Float32Array, count: int
    ) -> list[tuple[Visit, float]]:
        """The visits of nobody known whose faces are most like one, and the cosines.

        Args:
            model_id: the embedder.
            signature: (128,) float32 of unit length.
            count: how many visits at most.

        Returns:
            The most alike first; a visit's faces are compared by their mean direction.

        Raises:
            EncryptionError: see ``templates``.
        """
        return undecided_like(self.file, model_id, signature, count)

    def sees_every_visit(self) -> bool:
        """Whether visits at every door of the house are seen here.

        On a server the account of a door sees those at its own doors, and so does a copy.
        """
        return self.file.sees_every_visit()
