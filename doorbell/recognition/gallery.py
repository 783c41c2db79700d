"""The gallery: whom the household knows, which strangers came, every visit, and what was corrected.

Enters: names, embeddings, visits. Leaves: people, strangers, visits, and templates to compare with.
One SQLite file, one transaction a call, several processes at a time. Decides nobody's identity and
deletes no picture: it says which visits' pictures are to go.
"""

from __future__ import annotations

from doorbell.recognition.gallery_corrections import CorrectionVerbs
from doorbell.recognition.gallery_disclosure import PersonalDataVerbs
from doorbell.recognition.gallery_file import GalleryFile
from doorbell.recognition.gallery_index import SampleIndex
from doorbell.recognition.gallery_rows import (
    Correction,
    EnrolledSample,
    EnrollmentOutcome,
    Forgotten,
    PersonSummary,
    Templates,
)
from doorbell.recognition.gallery_templates import build_templates

__all__ = [
    "Correction",
    "EnrolledSample",
    "EnrollmentOutcome",
    "Forgotten",
    "Gallery",
    "PersonSummary",
    "Templates",
]


class Gallery(CorrectionVerbs, PersonalDataVerbs):
    """The open gallery; used by the one thread that opened it.

    Every method raises ``GalleryError`` where the file fails. Names are matched without regard to
    letter case and Unicode composition.
    """

    def __init__(self, file: GalleryFile) -> None:
        super().__init__(file)
        self._templates: dict[str, tuple[tuple[int, int], Templates]] = {}
        self._told: set[str] = set()  # of what is left out of them

    def templates(self, model_id: str) -> Templates:
        """All samples of one embedder; kept until this or another process changes the gallery.

        A sample that is damaged is left out, and its person is named in the log.

        Raises:
            SealError: another process encrypted the gallery, decrypted it or changed its key.
        """
        version = (self._file.foreign_version(), self._revision)
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
