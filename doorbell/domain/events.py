"""What happens at the door: visits, their pictures, and the events that tell of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from doorbell.domain.faces import Attention
from doorbell.domain.visitors import Visitor


@dataclass(frozen=True, slots=True)
class Visit:
    """One visitor's stay, as it stood when the event left.

    Attributes:
        visit_id: unique for ever.
        started_at, last_seen_at: wall time, seconds since the epoch.
        ended_at: None while it lasts.
        visitor: who; None while undecided.
        similarity: cosine behind the name or identifier; 0 while undecided.
        frames_used: number of embeddings behind the decision.
        seconds_to_decision: stream time from the first frame with the face to the decision; None
            while undecided.
        continued_by: the visit that goes on in its place, where one visitor was taken for two.
        attention: not kept in the gallery.
        corrected: whether the household said who it was; the faces have no more say then.
        live: how likely the face is that of somebody standing there and not a picture held up, 0 to
            1; None where nothing was measured; not kept in the gallery.
        door_id: at which door, as configured; empty where an earlier doorbell has stored it.
    """

    visit_id: str
    started_at: float
    last_seen_at: float
    ended_at: float | None = None
    visitor: Visitor | None = None
    similarity: float = 0.0
    frames_used: int = 0
    seconds_to_decision: float | None = None
    continued_by: str | None = None
    attention: Attention | None = None
    corrected: bool = False
    live: float | None = None
    door_id: str = ""


@dataclass(frozen=True, slots=True)
class PicturedFace:
    """A face in a picture, and whose it is.

    The picture itself is clean: boxes and names are drawn when it is shown, as they are then.

    Attributes:
        box_xyxy: left, top, right, bottom, in pixels of the picture.
        keypoints_xy: in the order of ``KEYPOINT_NAMES``; as the box.
        visit_id: of the visit that the face is followed in; None where in none.
        is_certain: whether the picture itself shows that it is that visit's visitor; whoever has
            taken the visitor's place is not named, and may be anybody who was there at the time.
        visitor: of that visit, as it stood; None while undecided.
        similarity: cosine behind the name or identifier; None where there is none to be shown.
        is_drawn: whether it is drawn at all; not what is believed only if it is found again.
    """

    box_xyxy: tuple[float, float, float, float]
    keypoints_xy: tuple[tuple[float, float], ...]
    visit_id: str | None = None
    is_certain: bool = False
    visitor: Visitor | None = None
    similarity: float | None = None
    is_drawn: bool = True


@dataclass(frozen=True, slots=True)
class VisitPicture:
    """A clean picture and who is in it.

    Attributes:
        jpeg: its bytes.
        faces: all that were found; None where nobody knows, as of pictures of earlier versions.
    """

    jpeg: bytes = field(repr=False)
    faces: tuple[PicturedFace, ...] | None = None


def is_visit_id(text: str) -> bool:
    """Whether that can be the identifier of a visit, which also names files: nothing leaves there.

    The gallery may come from anywhere, so it is asked where one is read and where a path is made.
    """
    return re.fullmatch("[0-9A-Za-z_-]{1,64}", text, re.ASCII) is not None


def is_door_id(text: str) -> bool:
    """Whether that can be the identifier of a door, as a configuration has it."""
    return is_visit_id(text)


class UnknownReason(Enum):
    """Why nobody can be named."""

    NO_USABLE_FACE = "no_usable_face"  # dark, far away, covered


@dataclass(frozen=True, slots=True)
class VisitEvent:
    """What every event of a visit carries.

    Attributes:
        event_id: unique for ever; a subscriber drops one it has seen.
        occurred_at: wall time, seconds since the epoch.
        visit: the visit as it stands.
        picture_jpeg: the visit's best picture, clean; None where there is none or pictures are off.
        door_id: at which door, as configured; empty until the pipeline of that door has put it in.
        picture_faces: who is in the picture; None where nobody knows.
    """

    event_id: str
    occurred_at: float
    visit: Visit
    picture_jpeg: bytes | None = field(default=None, repr=False)
    door_id: str = ""
    picture_faces: tuple[PicturedFace, ...] | None = field(default=None, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Arrived(VisitEvent):
    """Somebody is at the door; who is not known yet."""


@dataclass(frozen=True, slots=True)
class Recognized(VisitEvent):
    """The visitor is a person of the household's gallery."""


@dataclass(frozen=True, slots=True)
class Unknown(VisitEvent):
    """The visitor is nobody the household has enrolled, or cannot be told.

    Attributes:
        reason: why the visitor cannot be told; None where a face was compared, and is a stranger's.
    """

    reason: UnknownReason | None = None


@dataclass(frozen=True, slots=True)
class Left(VisitEvent):
    """The visitor has gone."""


@dataclass(frozen=True, slots=True)
class Ring:
    """The bell rings: for a visitor just announced, or because somebody pressed.

    Attributes:
        event_id: unique for ever.
        occurred_at: wall time, seconds since the epoch.
        visit: whose bell it is; None when it was pressed with nobody in sight.
        picture_jpeg: as in ``VisitEvent``; of a press with nobody in sight what the camera saw.
        pressed: whether somebody pressed, at the door or in home automation.
        door_id: as in ``VisitEvent``.
        reason: why the visitor cannot be told, where that was announced; see ``Unknown``.
        picture_faces: as in ``VisitEvent``.
    """

    event_id: str
    occurred_at: float
    visit: Visit | None = None
    picture_jpeg: bytes | None = field(default=None, repr=False)
    pressed: bool = False
    door_id: str = ""
    reason: UnknownReason | None = None
    picture_faces: tuple[PicturedFace, ...] | None = field(default=None, repr=False, kw_only=True)


Event: TypeAlias = Arrived | Recognized | Unknown | Left | Ring


def picture_of(event: Event) -> VisitPicture | None:
    """The picture of an event with who is in it; None where there is none."""
    if event.picture_jpeg is None:
        return None
    return VisitPicture(event.picture_jpeg, event.picture_faces)
