"""What the output asks the gallery: in its own time, never under a lock, on the main thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from doorbell.domain import Person, PicturedFace
from doorbell.outputs.mqtt.messages import EventSubject

FacesNow: TypeAlias = Callable[[tuple[PicturedFace, ...]], tuple[PicturedFace, ...]]


@dataclass(frozen=True, slots=True)
class GalleryView:
    """Who is who now; a gallery without anybody unless told otherwise.

    Attributes:
        is_kept: whether an event about somebody who is gone is another's now: then events about it
            wait on.
        faces_now: whose faces in a picture are now, without those of visits that are gone.
    """

    is_kept: Callable[[EventSubject], bool] = lambda _subject: False
    faces_now: FacesNow = lambda faces: faces


NO_GALLERY = GalleryView()


Whose: TypeAlias = tuple[str | None, int | None]
"""A visit, and the person whom it was said to be of."""


def whose(face: PicturedFace) -> Whose:
    """Of which visit a face is, and of which person as it was told."""
    return face.visit_id, face.visitor.person_id if isinstance(face.visitor, Person) else None


def of_visit(visit_id: str) -> PicturedFace:
    """A face of a visit, wherever it is, to ask whether the visit is there."""
    return PicturedFace((0.0, 0.0, 0.0, 0.0), (), visit_id, is_certain=True)


def gone_among(faces: Iterable[PicturedFace], faces_now: FacesNow) -> set[Whose]:
    """Whose faces are to be shown no longer; one question for all of them."""
    asked = {whose(face): face for face in faces}
    numbered = tuple(
        replace(face, box_xyxy=(float(number), 0.0, 0.0, 0.0))
        for number, face in enumerate(asked.values())
    )
    left = {int(face.box_xyxy[0]) for face in faces_now(numbered)}
    return {who for number, who in enumerate(asked) if number not in left}
