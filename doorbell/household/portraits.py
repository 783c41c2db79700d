"""Portraits chosen from what there is: the picture of a visit, or a photo that was examined."""

from __future__ import annotations

from doorbell.config import StorageSection
from doorbell.errors import UsageError
from doorbell.gallery.gallery import Gallery
from doorbell.household.photo_store import StoredPhoto
from doorbell.household.visit_pictures import own_faces, read_picture_of
from doorbell.imaging.portrait import crop_portrait
from doorbell.imaging.visit_picture import cover_faces, decode_jpeg
from doorbell.storage.encryption import open_cipher


def portrait_of_visit(
    gallery: Gallery, person_id: int, visit_id: str, storage: StorageSection
) -> bytes:
    """Cut a person's face out of the picture of a visit of theirs; everybody else is painted over.

    Raises:
        UsageError: it was not their visit, or no picture shows them for certain.
        EncryptionError: the picture was encrypted with another key, or altered.
    """
    person, visit = gallery.people.by_id(person_id), gallery.visits.get(visit_id)
    if visit.visitor != person:
        raise UsageError(f"that visit was not {person.name}'s; choose one that was")
    picture = read_picture_of(visit.visit_id, storage, open_cipher(storage.key_file))
    own = own_faces(picture, visit.visit_id)
    if picture is None or not own:
        raise UsageError(f"no picture of that visit is for certain of {person.name}; take another")
    alone = cover_faces(picture, lambda face: face not in own)
    pixels = decode_jpeg(alone.jpeg) if alone is not None else None
    if pixels is None:
        raise UsageError("the picture of that visit cannot be read; choose another one")
    return crop_portrait(pixels, own[0].box_xyxy)


def portrait_of_photo(photo: StoredPhoto, face: int) -> bytes:
    """The portrait that was cut out of an examined photo.

    Raises:
        UsageError: it has no such face.
    """
    if not 0 <= face < len(photo.seen.portraits):
        raise UsageError(f"that photo has no face {face + 1}")
    return photo.seen.portraits[face]
