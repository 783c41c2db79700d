"""What the output asks the gallery: in its own time, never under a lock, on the main thread."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeAlias

from doorbell.domain import PicturedFace
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


def visits_now(visit_ids: Collection[str], faces_now: FacesNow) -> set[str]:
    """Which of some visits are still there."""
    nowhere = (0.0, 0.0, 0.0, 0.0)
    faces = tuple(PicturedFace(nowhere, (), each, is_certain=True) for each in sorted(visit_ids))
    return {face.visit_id for face in faces_now(faces) if face.visit_id is not None}
