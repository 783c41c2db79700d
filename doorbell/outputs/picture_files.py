"""Pictures of visits on the disk: one clean JPEG a visit, and beside it who is in it.

The faces of a picture lie in a file of their own, in a folder beside that of the pictures, kept in
the same way. It names the picture by its hash, so that the two are of one moment or not believed:
where it is missing, damaged or of another moment, nobody knows who is in the picture, as of those
of earlier versions. A face is of a visit, and whose the visit is stands in the gallery alone, so
that naming, merging and correcting change what every picture shows.

``write_picture`` is the one place where the bytes of a picture reach the disk, and ``read_picture``
the one where they come back.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Collection
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from doorbell.domain import PicturedFace, Visitor, VisitPicture, is_visit_id
from doorbell.errors import EncryptionError, GalleryError
from doorbell.imaging.visit_picture import cover_faces
from doorbell.status import VisitsForgotten
from doorbell.storage.encryption import Cipher, is_encrypted
from doorbell.storage.files import make_private_directory, remove_left_behind, write_whole

FACES_VERSION = 1

log = logging.getLogger(__name__)


def picture_path(directory: Path, visit_id: str) -> Path:
    """Where the picture of a visit lies, if there is one.

    Raises:
        GalleryError: that is no identifier of a visit, and might lead anywhere.
    """
    if not is_visit_id(visit_id):
        raise GalleryError(f"{visit_id!r} is no identifier of a visit; no file is touched for it")
    return directory / f"{visit_id}.jpg"


def faces_path(picture: Path) -> Path:
    """Where it says who is in a picture, if that is known."""
    return picture.parent.with_name(f"{picture.parent.name}-faces") / f"{picture.stem}.json"


def read_picture(path: Path, cipher: Cipher) -> bytes:
    """The clean JPEG of a visit; one that was kept before pictures were encrypted is read too.

    Raises:
        OSError: the file cannot be read.
        EncryptionError: it was encrypted with another key, or altered.
    """
    return _opened(path.read_bytes(), _about(path), cipher)


def read_visit_picture(path: Path, cipher: Cipher) -> VisitPicture:
    """The picture of a visit and who is in it; whose each face is, the gallery knows.

    Raises:
        OSError, EncryptionError: as ``read_picture``; of the faces nothing is raised.
    """
    jpeg = read_picture(path, cipher)
    try:
        data = faces_path(path).read_bytes()
        document = json.loads(_opened(data, _about_faces(path), cipher))
        if document["picture"] == sha256(jpeg).hexdigest():
            return VisitPicture(jpeg, tuple(face_from(each) for each in document["faces"]))
    except (OSError, EncryptionError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return VisitPicture(jpeg, None)


def write_picture(path: Path, jpeg: bytes) -> None:
    """Put a picture in place, for the owner alone; a fault or a power cut leaves the earlier one.

    Raises:
        OSError: the disk refuses.
    """
    make_private_directory(path.parent)
    write_whole(path, jpeg)


def write_visit_picture(path: Path, picture: VisitPicture, cipher: Cipher) -> int:
    """Put a picture in place and who is in it; how many bytes they take.

    The picture comes first: whatever happens between, no faces are believed of another one.

    Raises:
        OSError: the disk refuses.
    """
    encrypted = cipher.encrypt(picture.jpeg, _about(path))
    write_picture(path, encrypted)
    place = faces_path(path)
    if picture.faces is None:
        place.unlink(missing_ok=True)
        return len(encrypted)
    document = {
        "version": FACES_VERSION,
        "picture": sha256(picture.jpeg).hexdigest(),
        "faces": [face_document(face) for face in picture.faces],
    }
    faces = cipher.encrypt(json.dumps(document).encode(), _about_faces(path))
    make_private_directory(place.parent)
    write_whole(place, faces)
    return len(encrypted) + len(faces)


def remove_picture(path: Path) -> None:
    """Delete a picture and who is in it; nothing where there is none.

    Raises:
        OSError: it cannot be deleted.
    """
    path.unlink(missing_ok=True)
    faces_path(path).unlink(missing_ok=True)


def seal_pictures(directory: Path, before: Cipher, after: Cipher) -> int:
    """Keep every picture in another way, with the time when it was written; how many there are.

    Raises:
        OSError: one cannot be read or written; those before it are done.
        EncryptionError: one is kept in neither way.
    """
    paths = sorted(directory.glob("*.jpg"))
    for path in paths:
        _seal(path, _about(path), before, after)
        with suppress(FileNotFoundError):
            try:
                _seal(faces_path(path), _about_faces(path), before, after)
            except EncryptionError:  # damaged: it tells nobody anything
                faces_path(path).unlink()
    return len(paths)


def forget_in_pictures(directory: Path, forgotten: VisitsForgotten, cipher: Cipher) -> None:
    """Delete the pictures of visits that were forgotten, and paint their faces over in others.

    A picture of the same time of which nobody knows who is in it is deleted. One that cannot be
    changed is deleted too, and one that cannot be deleted is logged.
    """
    gone = set(forgotten.visit_ids)
    for visit_id in (*forgotten.visit_ids, *forgotten.beside):
        try:
            path = picture_path(directory, visit_id)
        except GalleryError as exc:
            log.error("%s", exc)
            continue
        if visit_id in gone:
            _delete(path)
        else:
            _forget_in(path, gone, cipher)


def is_shown(face: PicturedFace, visit_ids: Collection[str]) -> bool:
    """Whether a face in a picture of the same time may be a visitor's, by their visits.

    Whoever nobody can tell may be.
    """
    return face.visit_id in visit_ids or not face.is_certain


def _forget_in(path: Path, visit_ids: set[str], cipher: Cipher) -> None:
    try:
        picture = read_visit_picture(path, cipher)
        changed = cover_faces(picture, lambda face: is_shown(face, visit_ids))
        if changed is not None and changed is not picture:
            status = path.stat()
            write_visit_picture(path, changed, cipher)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    except FileNotFoundError:
        faces_path(path).unlink(missing_ok=True)
        return
    except (OSError, EncryptionError):
        changed = None
    if changed is None:
        _delete(path)


def _delete(path: Path) -> None:
    try:
        remove_picture(path)
    except OSError as exc:
        log.error("the picture %s stays: %s; delete it", path, exc.strerror)


def oldest_first(directory: Path) -> list[tuple[float, int, Path]]:
    """When each picture was last written, its bytes, and where it is."""
    kept = []
    for path in directory.glob("*.jpg"):
        with suppress(FileNotFoundError):  # forgotten by another process meanwhile
            status = path.stat()
            kept.append((status.st_mtime, status.st_size, path))
    return sorted(kept)


def make_room(directory: Path, room_bytes: int) -> bool:
    """Delete the oldest pictures of a disk that is full, until so much is free; whether any was."""
    count = 0
    with suppress(OSError):  # what cannot be deleted makes no room
        for _, _, path in oldest_first(directory):
            disk = os.statvfs(directory)
            if disk.f_bavail * disk.f_frsize >= room_bytes:
                break
            remove_picture(path)
            count += 1
    if count:
        log.warning("the disk is full: deleted the %d oldest pictures in %s", count, directory)
    return count > 0


def remove_unfinished(directory: Path) -> None:
    """Delete what a process that was killed has left: halves of files, faces without a picture.

    Raises:
        OSError: it cannot be deleted.
    """
    faces = faces_path(picture_path(directory, "any")).parent
    for folder in (directory, faces):
        remove_left_behind(folder)
    for path in faces.glob("*.json"):
        if not picture_path(directory, path.stem).exists():
            path.unlink(missing_ok=True)


def _seal(path: Path, about: str, before: Cipher, after: Cipher) -> None:
    data, status = path.read_bytes(), path.stat()
    try:
        plain = after.decrypt(data, about)
    except EncryptionError:
        plain = _opened(data, about, before)
    if (encrypted := after.encrypt(plain, about)) != data:
        write_whole(path, encrypted)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _opened(data: bytes, about: str, cipher: Cipher) -> bytes:
    return cipher.decrypt(data, about) if is_encrypted(data) else data


def _about(path: Path) -> str:
    return f"the picture of visit {path.stem}"


def _about_faces(path: Path) -> str:
    return f"the faces in the picture of visit {path.stem}"


def face_document(face: PicturedFace) -> dict[str, Any]:
    """Describe a face, without whose it is."""
    return {
        "box": face.box_xyxy,
        "keypoints": face.keypoints_xy,
        "visit_id": face.visit_id,
        "certain": face.is_certain,
        "drawn": face.is_drawn,
    }


def face_from(
    document: dict[str, Any], visitor: Visitor | None = None, similarity: float | None = None
) -> PicturedFace:
    """Read one.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    left, top, right, bottom = (float(edge) for edge in document["box"])
    visit_id = document["visit_id"]
    return PicturedFace(
        (left, top, right, bottom),
        tuple((float(x), float(y)) for x, y in document["keypoints"]),
        None if visit_id is None else str(visit_id),
        is_certain=bool(document["certain"]),
        visitor=visitor,
        similarity=similarity,
        is_drawn=bool(document["drawn"]),
    )
