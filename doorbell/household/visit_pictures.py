"""Pictures of visits as people are shown them: with the names that the gallery has now."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from pathlib import Path

from doorbell.config import StorageSection
from doorbell.config.zones import Zone
from doorbell.domain import Person, PicturedFace, Visit, VisitPicture
from doorbell.errors import GalleryError, UsageError
from doorbell.gallery.gallery import Gallery
from doorbell.imaging.visit_picture import cover_faces, decode_jpeg, draw_picture, told_by
from doorbell.outputs.picture_files import picture_path, read_visit_picture
from doorbell.storage.encryption import Cipher, open_cipher
from doorbell.storage.files import write_whole


def write_drawn_picture(
    gallery: Gallery, words: str, path: Path | None, storage: StorageSection
) -> tuple[Visit, Path]:
    """Write the picture of a visit into a new file, with boxes and with the names of now.

    Args:
        gallery: where the visit is.
        words: which is meant: its identifier, the beginning of it, or ``last``.
        path: of the file; None for ``visit-IDENTIFIER.jpg``.
        storage: where the pictures are, and the key that they are encrypted with.

    Returns:
        The visit, and where its picture is.

    Raises:
        UsageError: no visit or several are meant, there is no picture, or it cannot be read or
            written.
        EncryptionError: it was encrypted with another key, or altered.
    """
    visit = gallery.visits.find(words)
    picture = read_picture_of(visit.visit_id, storage, open_cipher(storage.key_file))
    if picture is None:
        raise UsageError(
            f"no picture of the visit {visit.visit_id} is kept; storage.pictures says of whom "
            "pictures are made, and storage.pictures_days for how long they are kept"
        )
    path = path or Path(f"visit-{visit.visit_id}.jpg")
    try:
        write_whole(path, draw_picture(as_known_now(gallery, picture, storage)), replace=False)
    except OSError as exc:
        raise UsageError(
            f"cannot write {path}: {exc.strerror}; give the path of a new file with --output"
        ) from exc
    return visit, path


def place_of_face(visit_id: str, storage: StorageSection) -> Zone | None:
    """Where the face of a visit was in its picture, as ``detection.ignore`` takes it.

    Args:
        visit_id: of the visit.
        storage: where the pictures are, and the key that they are encrypted with.

    Returns:
        The corners of its box, in hundredths of the width and height; None where no picture shows
        for certain where it was.

    Raises:
        UsageError, EncryptionError: the picture cannot be read.
    """
    picture = read_picture_of(visit_id, storage, open_cipher(storage.key_file))
    own = own_faces(picture, visit_id)
    pixels = decode_jpeg(picture.jpeg) if picture and len(own) == 1 else None
    if pixels is None:
        return None
    height, width = pixels.shape[:2]
    left, top, right, bottom = own[0].box_xyxy
    first, last = (min(max(round(x / width, 2), 0.0), 1.0) for x in (left, right))
    upper, lower = (min(max(round(y / height, 2), 0.0), 1.0) for y in (top, bottom))
    return (first, upper), (last, upper), (last, lower), (first, lower)


def own_faces(picture: VisitPicture | None, visit_id: str) -> list[PicturedFace]:
    """The faces that show the visitor of a visit for certain, the largest first."""
    own = [
        face
        for face in (picture and picture.faces) or ()
        if face.is_certain and face.visit_id == visit_id
    ]
    return sorted(own, key=lambda face: face.box_xyxy[0] - face.box_xyxy[2])


def read_picture_of(visit_id: str, storage: StorageSection, cipher: Cipher) -> VisitPicture | None:
    """The clean picture of a visit and who is in it; None where there is none.

    Raises:
        UsageError: it cannot be read.
        EncryptionError: it was encrypted with another key, or altered.
    """
    path = picture_path(storage.pictures_directory, visit_id)
    try:
        return read_visit_picture(path, cipher)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise UsageError(
            f"cannot read {path}: {exc.strerror}; check who may read it, or delete it"
        ) from exc


def has_picture(visit_id: str, storage: StorageSection) -> bool:
    """Whether a picture of a visit is kept."""
    return picture_path(storage.pictures_directory, visit_id).is_file()


def as_known_now(gallery: Gallery, picture: VisitPicture, storage: StorageSection) -> VisitPicture:
    """The same picture with whose each face is now, as the gallery says of its visit.

    Where pictures are made of enrolled people only, whoever is found to be none is painted over; in
    the picture that is kept they stay, as a correction can be undone.
    """
    if picture.faces is None:
        return picture
    told = replace(picture, faces=_told_now(gallery, picture.faces)[0])
    if storage.pictures != "people":
        return told
    covered = cover_faces(told, lambda face: not isinstance(face.visitor, Person))
    return told if covered is None else covered


def faces_now(
    gallery: Gallery, storage: StorageSection, faces: tuple[PicturedFace, ...]
) -> tuple[PicturedFace, ...]:
    """Whose faces are now, without those of visits that are gone, and who is not to be shown.

    A gallery that does not answer has nothing to say.
    """
    try:
        told, there = _told_now(gallery, faces)
        shown = {face.visitor.person_id for face in faces if isinstance(face.visitor, Person)}
        people = {person.person_id for person in gallery.people.those(shown)}
    except GalleryError:
        return faces

    def is_gone(before: PicturedFace, now: PicturedFace) -> bool:
        if before.visit_id is not None and before.visit_id not in there:
            return True
        # A visit that goes on begins anew, of nobody, where its person was forgotten.
        who = before.visitor
        is_forgotten = isinstance(who, Person) and who.person_id not in people
        if is_forgotten and not isinstance(now.visitor, Person):
            return True
        return storage.pictures != "all" and not isinstance(now.visitor, Person)

    return tuple(now for before, now in zip(faces, told, strict=True) if not is_gone(before, now))


def _told_now(
    gallery: Gallery, faces: tuple[PicturedFace, ...]
) -> tuple[tuple[PicturedFace, ...], Set[str]]:
    """Faces with whose they are now, and which of their visits are there."""
    ids = {face.visit_id for face in faces if face.visit_id is not None}
    visits = {visit.visit_id: visit for visit in gallery.visits.those(ids)} if ids else {}
    told = tuple(told_by(face, visits.get(face.visit_id or "")) for face in faces)
    return told, visits.keys()
