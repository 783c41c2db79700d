"""What is asked of visits and strangers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from doorbell.control.schema import DoorId, Id, Name, Request, VisitId, Width


class ListVisits(Request):
    """Visits, newest first: ``visits``, and ``more``, what to give as ``before`` for older ones."""

    verb = "visits.list"
    only_reads = True
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    before: Annotated[str, StringConstraints(max_length=120)] | None = None
    person_id: Id | None = None
    stranger_id: Id | None = None
    kind: Literal["person", "stranger", "undecided"] | None = None
    since: Annotated[AwareDatetime, Field(strict=False)] | None = None
    until: Annotated[AwareDatetime, Field(strict=False)] | None = None
    door_id: DoorId | None = None


class Today(Request):
    """Who came since then (``visitors``), and whom somebody should name (``waiting``)."""

    verb = "visits.today"
    only_reads = True
    since: Annotated[AwareDatetime, Field(strict=False)]
    door_id: DoorId | None = None


class GetVisit(Request):
    """One visit: ``visit``, ``picture`` (its size and faces, or null), ``likely`` people."""

    verb = "visits.get"
    only_reads = True
    visit: VisitId


class SearchVisits(Request):
    """Who has come, at whichever door, with a face like those kept with a visit.

    Answers with visit, has_faces (whether any is kept with it), every_visit (whether visits at
    every door of the house are seen here) and alike, the most alike first: each with visitor,
    similarity, is_same (whether the doorbell would take them for one) and visits, their last ones.
    """

    verb = "visits.search"
    visit: VisitId


class VisitPicture(Request):
    """The picture of a visit, clean, whole or its visitor's face: a JPEG in the blob."""

    verb = "visits.picture"
    only_reads = True
    visit: VisitId
    crop: Literal["whole", "face"] = "whole"
    max_width: Width = 1280


class CorrectVisit(Request):
    """Say who a visit was of: of a person, or (null) of nobody whom the household knows."""

    verb = "visits.correct"
    visit: VisitId
    person_id: Id | None
    learn: bool = False


class NoFace(Request):
    """Say that a visit was of no face."""

    verb = "visits.no_face"
    visit: VisitId


class IgnoreVisitor(Request):
    """Never ring for whoever a visit was of, or ring again."""

    verb = "visits.ignore"
    visit: VisitId
    ignored: bool = True


class NameStranger(Request):
    """Say who a stranger is: a new name, or somebody enrolled."""

    verb = "strangers.name"
    stranger_id: Id
    name: Name | None = None
    person_id: Id | None = None
    force: bool = False


class Undo(Request):
    """Take back what was answered with this token, unless something newer stands in its way."""

    verb = "undo"
    token: Annotated[str, StringConstraints(max_length=120)]
