"""Everything that is held on a person, in a file to give to them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from zipfile import ZIP_DEFLATED, ZipFile

from doorbell.config import StorageSection
from doorbell.domain import Person, PicturedFace, is_visit_id
from doorbell.errors import UsageError
from doorbell.gallery.gallery import Gallery, PersonalData
from doorbell.household.visit_pictures import as_known_now, read_picture_of
from doorbell.imaging.visit_picture import cover_faces, draw_picture
from doorbell.outputs.picture_files import picture_path
from doorbell.storage.encryption import Cipher, open_cipher
from doorbell.storage.files import whole_file


@dataclass(frozen=True, slots=True)
class PersonalDataExport:
    """What was written, and where.

    Attributes:
        person: whose it is.
        path: of the file.
        samples, visits, pictures: how many are in it.
    """

    person: Person
    path: Path
    samples: int
    visits: int
    pictures: int


def export_personal_data(
    gallery: Gallery, name: str, path: Path | None, storage: StorageSection
) -> PersonalDataExport:
    """Write a new ZIP file for its owner alone, whole or not at all, nothing in it encrypted.

    In it are ``person.json`` (the person with chime, preferences and consent, every face as its
    numbers, every visit), their portraits, and the pictures of the visits, also of others' visits
    in which the person can be seen. Everybody else in them is painted over, as far as it is known
    who is to be seen.

    Args:
        gallery: where the person is enrolled.
        name: theirs.
        path: of the file; None for ``doorbell-NUMBER.zip``, by the person's number.
        storage: where the pictures are, and the key that they are encrypted with.

    Raises:
        UnknownPersonError: nobody has that name; the nearest names are offered.
        UsageError: there is such a file, or it cannot be written.
        EncryptionError: a picture was encrypted with another key, or altered.
    """
    person = gallery.people.get(name)
    held = gallery.personal_data(person.person_id)
    path = path or Path(f"doorbell-{person.person_id}.zip")
    try:
        with whole_file(path, replace=False) as partial, partial.open("wb") as file:
            pictures = write_personal_data(gallery, held, file, storage)
    except OSError as exc:
        raise UsageError(
            f"cannot write {path}: {exc.strerror}; give the path of a new file with --output"
        ) from exc
    samples = len(held.document["samples"])
    return PersonalDataExport(person, path, samples, len(held.visit_ids), pictures)


def write_personal_data(
    gallery: Gallery, held: PersonalData, file: IO[bytes], storage: StorageSection
) -> int:
    """Write what is held on a person as a ZIP file; how many pictures are in it.

    Args:
        gallery: where the person is enrolled.
        held: on them.
        file: that is written to.
        storage: where the pictures are, and their key.

    Raises:
        EncryptionError: a picture was encrypted with another key, or altered.
        OSError: it cannot be written.
    """
    pictures = 0
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        text = json.dumps(held.document, indent=2, ensure_ascii=False)
        archive.writestr("person.json", text)
        for number, jpeg in enumerate(held.portraits, start=1):
            archive.writestr(f"portraits/{number}.jpg", jpeg)
        for visit_id, jpeg in _pictures(gallery, held, storage, open_cipher(storage.key_file)):
            name = picture_path(storage.pictures_directory, visit_id).name
            archive.writestr(f"pictures/{name}", jpeg)
            pictures += 1
    return pictures


def _pictures(
    gallery: Gallery, held: PersonalData, storage: StorageSection, cipher: Cipher
) -> Iterator[tuple[str, bytes]]:
    """The pictures that show a person, with nobody else, by the visits that they are of."""
    own = set(held.visit_ids)
    for visit_id in filter(is_visit_id, (*held.visit_ids, *held.beside)):
        picture = read_picture_of(visit_id, storage, cipher)
        if picture is None:
            continue
        faces = picture.faces or ()
        if visit_id not in own and not any(_is_of(face, own) for face in faces):
            continue
        if picture.faces is not None:
            alone = cover_faces(picture, lambda face: not _is_of(face, own))
            if alone is None:  # no JPEG
                continue
            picture = as_known_now(gallery, alone, storage)
        yield visit_id, draw_picture(picture)


def _is_of(face: PicturedFace, visit_ids: Collection[str]) -> bool:
    """Whether a face is for certain that of one of some visits."""
    return face.is_certain and face.visit_id in visit_ids
