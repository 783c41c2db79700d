"""Who may be seen in the picture that the broker keeps: a small file, for the next run.

Whoever is forgotten while no doorbell runs is then found in that picture, and it is taken back at
the next start.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from doorbell.domain import VisitPicture
from doorbell.errors import EncryptionError
from doorbell.status import VisitsForgotten
from doorbell.storage.encryption import Cipher, is_encrypted
from doorbell.storage.files import write_whole

_ABOUT = "who is in the picture at the broker"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ShownPicture:
    """A picture that the broker has.

    Attributes:
        visit_id: whose it is; None of a press with nobody in sight.
        visit_ids: of everybody who can be told in it.
        has_others: whether somebody else is in it, for all that is known.
    """

    visit_id: str | None
    visit_ids: tuple[str, ...]
    has_others: bool

    @classmethod
    def of(cls, picture: VisitPicture, visit_id: str | None) -> ShownPicture:
        """Who is in a picture of a visit."""
        faces = picture.faces
        told = {face.visit_id for face in faces or () if face.visit_id is not None}
        others = faces is None or not all(face.is_certain for face in faces)
        return cls(visit_id, tuple(sorted(told)), others)

    def may_show(self, forgotten: VisitsForgotten) -> bool:
        """Whether it may show whoever was forgotten."""
        if {self.visit_id, *self.visit_ids} & set(forgotten.visit_ids):
            return True
        return self.has_others and (self.visit_id is None or self.visit_id in forgotten.beside)


class ImageRecord:
    """The file.

    Args:
        path: where it is, if anything was published.
        cipher: how it is kept.
    """

    def __init__(self, path: Path, cipher: Cipher) -> None:
        self._path = path
        self._cipher = cipher

    @classmethod
    def beside(cls, outbox_path: Path, cipher: Cipher) -> ImageRecord:
        """The one that belongs to the events that wait."""
        return cls(outbox_path.with_name("image.json"), cipher)

    def read(self) -> tuple[ShownPicture, ...] | None:
        """What the broker may show, and none of it may be shown where that is empty.

        Returns:
            None where there is nothing to be known.
        """
        try:
            document = json.loads(self._opened(self._path.read_bytes()))
            return tuple(
                ShownPicture(
                    None if each["visit_id"] is None else str(each["visit_id"]),
                    tuple(map(str, each["visit_ids"])),
                    bool(each["has_others"]),
                )
                for each in document["shown"]
            )
        except (OSError, EncryptionError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def write(self, shown: Sequence[ShownPicture]) -> None:
        """Note what the broker may show from now on; a disk that refuses is no reason to stop."""
        document = {
            "version": 1,
            "shown": [
                {"visit_id": s.visit_id, "visit_ids": s.visit_ids, "has_others": s.has_others}
                for s in shown
            ],
        }
        content = self._cipher.encrypt(json.dumps(document).encode(), _ABOUT)
        try:
            write_whole(self._path, content, durable=False)
        except OSError as exc:
            log.debug("cannot note whom the broker shows: %s", exc)
            self.remove()  # rather nothing than what is no longer so

    def remove(self) -> None:
        """The broker shows nothing."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def forget(self, forgotten: VisitsForgotten) -> None:
        """Without a doorbell: let the next one take the picture back, if it may show them."""
        shown = self.read()
        if shown is None or any(each.may_show(forgotten) for each in shown):
            self.write(())

    def reseal(self, after: Cipher) -> None:
        """Keep it in another way."""
        try:
            plain = self._opened(self._path.read_bytes())
        except FileNotFoundError:
            return
        except EncryptionError:  # kept so already, by a run that was interrupted, or damaged
            return
        write_whole(self._path, after.encrypt(plain, _ABOUT))

    def _opened(self, data: bytes) -> bytes:
        return self._cipher.decrypt(data, _ABOUT) if is_encrypted(data) else data
