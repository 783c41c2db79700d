"""Everything that is held on a person, in a file to give to them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from doorbell.config import StorageSection
from doorbell.domain import Person, is_visit_id
from doorbell.errors import UsageError
from doorbell.gallery.gallery import Gallery
from doorbell.outputs.pictures import picture_path, read_picture
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
    numbers, every visit) and the pictures of the visits.

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
    cipher = open_cipher(storage.key_file)
    pictures = 0
    try:
        with (
            whole_file(path, replace=False) as partial,
            ZipFile(partial, "w", ZIP_DEFLATED) as archive,
        ):
            text = json.dumps(held.document, indent=2, ensure_ascii=False)
            archive.writestr("person.json", text)
            for visit_id in filter(is_visit_id, held.visit_ids):
                picture = picture_path(storage.pictures_directory, visit_id)
                if (jpeg := _jpeg(picture, cipher)) is not None:
                    archive.writestr(f"pictures/{picture.name}", jpeg)
                    pictures += 1
    except OSError as exc:
        raise UsageError(
            f"cannot write {path}: {exc.strerror}; give the path of a new file with --output"
        ) from exc
    samples = len(held.document["samples"])
    return PersonalDataExport(person, path, samples, len(held.visit_ids), pictures)


def _jpeg(picture: Path, cipher: Cipher) -> bytes | None:
    """A visit's picture; None where there is none."""
    try:
        return read_picture(picture, cipher)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise UsageError(
            f"cannot read {picture}: {exc.strerror}; check who may read it, or delete it"
        ) from exc
