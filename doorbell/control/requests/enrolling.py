"""What is asked of photos, enrolling and portraits."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from doorbell.control.schema import (
    Arguments,
    DoorId,
    Id,
    Name,
    PhotoId,
    Request,
    VisitId,
    Width,
    Words,
)


class ChosenFace(Arguments):
    """A face of a photo that was examined."""

    photo_id: PhotoId
    face: Annotated[int, Field(ge=0, lt=100)] = 0


class PreparePhotos(Request):
    """Get ready to look at photos, so that the first one waits for nothing; answers at once."""

    verb = "photo.prepare"
    only_reads = True


class ExaminePhoto(Request):
    """Look at a photo, in the bytes that come along; nothing is enrolled.

    Answers with photo_id (for ten minutes), width and height, accepted, reason (see
    ``household.photo_store``), message, hint, who (whom it looks like, or null), and faces,
    each with face (its number), box (in parts of the picture), accepted, reason, message, hint, who
    and checks (by name, each with passed and value).
    """

    verb = "photo.examine"
    takes_blob = True
    name: Name | None = None
    person_id: Id | None = None


class SearchPhoto(Request):
    """Who has come with a face like those of a photo, in the bytes that come along.

    Nothing of it is kept. Answers with accepted, reason, message, hint and who as
    ``photo.examine``, every_visit as ``visits.search``, and faces, from left to right, each with
    alike as there.
    """

    verb = "photo.search"
    takes_blob = True


class PhotoPreview(Request):
    """An examined photo, upright, in the blob: a JPEG no wider than ``max_width`` if there is one.

    The narrowest that is kept has 320 pixels on its longer side.
    """

    verb = "photo.preview"
    only_reads = True
    photo_id: PhotoId
    max_width: Width | None = None


class EnrollPhotos(Request):
    """Enroll somebody, new or known, by examined photos.

    Answers with person (or null), added, strength, missing and results, each with photo_id, face,
    accepted, reason, message and hint.
    """

    verb = "photo.enroll"
    name: Name | None = None
    person_id: Id | None = None
    photos: Annotated[list[ChosenFace], Field(max_length=20)]
    consent: Words | None = None
    portrait: ChosenFace | None = None
    force: bool = False


class EnrollAtDoor(Request):
    """Enroll whoever stands before the door's camera; a subscription.

    Tells ``pose`` (seen, missing and say, in words) whenever that changes, and ends with ``done``
    (as ``photo.enroll``) or ``failed`` (error).
    """

    verb = "door_enroll"
    name: Name | None = None
    person_id: Id | None = None
    consent: Words | None = None
    door_id: DoorId | None = None


class GetPortrait(Request):
    """The portrait of a person, in the blob: a JPEG."""

    verb = "portrait.get"
    only_reads = True
    person_id: Id
    max_width: Width | None = None


class ChoosePortrait(Request):
    """Give a person who agreed a portrait, of a visit of theirs or of an examined photo."""

    verb = "portrait.set"
    person_id: Id
    visit: VisitId | None = None
    photo_id: PhotoId | None = None
    face: Annotated[int, Field(ge=0, lt=100)] = 0


class DeletePortrait(Request):
    """Delete the portrait of a person."""

    verb = "portrait.delete"
    person_id: Id
