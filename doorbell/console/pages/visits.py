"""Who came: the list of visits, one visit, and what the household says of it."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from itertools import groupby
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from doorbell.console import moments
from doorbell.console.forms import form_of
from doorbell.console.pages.asking import ask, change, note, whole_number
from doorbell.console.rendering import done, gettext_of, notices_of, render, url_of
from doorbell.console.words import likeness_in_words
from doorbell.errors import RefusedError

PAGE_VISITS = 50
PICTURE_WIDTHS = (96, 192, 640, 1280, 1920)
KINDS = ("person", "stranger", "undecided")


async def visits(request: Request) -> Response:
    """The list, newest first, by day: of somebody, of a kind or of a day, page by page."""
    who, day = request.query_params.get("who", ""), _day(request.query_params.get("day", ""))
    before = request.query_params.get("before", "")[:120]
    wanted: dict[str, Any] = {**_of_whom(who), **_of_day(day)}
    if before:
        wanted["before"] = before
    listed = (await ask(request, "visits.list", limit=PAGE_VISITS, **wanted)).document
    people = (await ask(request, "people.list")).document["people"]
    by_day = [
        (key, list(group))
        for key, group in groupby(
            listed["visits"], key=lambda visit: moments.parse(visit["started_at"]).date()
        )
    ]
    return render(
        request,
        "visits.html",
        days=by_day,
        more=listed["more"],
        people=sorted(people, key=lambda person: person["name"].casefold()),
        who=who if _of_whom(who) else "",
        day=day.isoformat() if day else "",
        today=datetime.now().astimezone().date().isoformat(),
        older=bool(before),
    )


async def visit(request: Request) -> Response:
    """One visit: the picture, who it was, and how to put it right."""
    visit_id = request.path_params["visit"]
    found = (await ask(request, "visits.get", visit=visit_id)).document
    people = (await ask(request, "people.list")).document["people"]
    likely = {each["person_id"] for each in found["likely"]}
    is_of = found["visit"]["visitor"]
    known = {each["person_id"]: each for each in people}
    offered = [
        known[each["person_id"]]
        for each in found["likely"]
        if each["person_id"] in known and not _is_person(is_of, each["person_id"])
    ]
    others = sorted(
        (
            each
            for each in people
            if each["person_id"] not in likely and not _is_person(is_of, each["person_id"])
        ),
        key=lambda person: person["name"].casefold(),
    )
    return render(
        request,
        "visit.html",
        visit=found["visit"],
        picture=found["picture"],
        person=known.get(is_of["id"]) if is_of["kind"] == "person" else None,
        likely=offered,
        others=others,
        likeness=likeness_in_words(found["visit"]["similarity"], gettext_of(request)),
    )


async def picture(request: Request) -> Response:
    """A visit's picture without boxes, whole or the visitor's face."""
    crop = "face" if request.query_params.get("crop") == "face" else "whole"
    asked = whole_number(request.query_params.get("w", ""), 1280)
    width = next((each for each in PICTURE_WIDTHS if each >= asked), PICTURE_WIDTHS[-1])
    reply = await ask(
        request, "visits.picture", visit=request.path_params["visit"], crop=crop, max_width=width
    )
    return Response(reply.blob, media_type="image/jpeg")


async def correct(request: Request) -> Response:
    """Say who a visit was of: ``person_id``, empty for nobody the household knows."""
    visit_id, form = request.path_params["visit"], await form_of(request)
    person_id = whole_number(form.get("person_id", ""), None)
    reply = await change(
        request,
        "visits.correct",
        visit=visit_id,
        person_id=person_id,
        learn=person_id is not None and form.get("learn") == "1",
    )
    note(request, "visit corrected", visit_id)
    return done(request, reply, f"/visits/{visit_id}")


async def no_face(request: Request) -> Response:
    """Say that there was nobody; the visit is no longer listed."""
    visit_id = request.path_params["visit"]
    reply = await change(request, "visits.no_face", visit=visit_id)
    note(request, "visit was no face", visit_id)
    return done(request, reply, "/visits")


async def ignore(request: Request) -> Response:
    """Never ring again for whoever a visit was of, or ring again: ``ignored`` 1 or 0."""
    visit_id, form = request.path_params["visit"], await form_of(request)
    ignored = form.get("ignored", "1") == "1"
    reply = await change(request, "visits.ignore", visit=visit_id, ignored=ignored)
    note(request, "visitor ignored" if ignored else "visitor rings again", visit_id)
    return done(request, reply, f"/visits/{visit_id}")
