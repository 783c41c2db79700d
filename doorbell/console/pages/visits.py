"""Who came: the list of visits, one visit, and what the household says of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from itertools import groupby
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from doorbell.clock import iso_utc
from doorbell.console import moments
from doorbell.console.doorbell_client import Doorbell, doorbell_of
from doorbell.console.doors import door_in
from doorbell.console.fields import number_in
from doorbell.console.languages import language_of, locale_of
from doorbell.console.refusals import refuse
from doorbell.console.rendering import done, gettext_of, notices_of, own_path, render, wants_json
from doorbell.console.words import by_name, duration_in_words, likeness_in_words, without_commands
from doorbell.errors import RefusedError

PAGE_VISITS = 50
# A few sizes, so that the daemon need not make a picture for every width of a window.
PICTURE_WIDTHS = (96, 192, 320, 640, 1280, 1920)
KINDS = ("person", "stranger", "undecided")
# A name in a box over the picture; the whole of it stands below.
BOX_LABEL_CHARACTERS = 22


async def visits(request: Request) -> Response:
    """The list, newest first, by day: of somebody, of a kind or of a day, page by page."""
    doorbell = doorbell_of(request)
    query = request.query_params
    who = _of_whom(query.get("who", ""))
    day = _day(query.get("day", ""))
    before = query.get("before", "")[:120]
    status, people = await asyncio.gather(doorbell.ask("status"), doorbell.ask("people.list"))
    doors = {each["id"] for each in status.document["doors"]}
    door = door_in(request) if door_in(request) in doors else None
    wanted = {**who, **_of_day(day), **({"before": before} if before else {})}
    if door is not None:
        wanted["door_id"] = door
    listed = await doorbell.ask("visits.list", limit=PAGE_VISITS, **wanted)
    by_day = [
        {"first": group[0]["started_at"], "visits": group}
        for _, found in groupby(listed.document["visits"], key=_date_of)
        for group in [list(found)]
    ]
    return render(
        request,
        "visits.html",
        status=status.document,
        at_door=door,
        days=by_day,
        more=listed.document["more"],
        people=by_name(people.document["people"]),
        who=query.get("who", "") if who else "",
        stranger_id=who.get("stranger_id"),
        day=day.isoformat() if day else "",
        today=datetime.now().astimezone().date().isoformat(),
        is_later_page=bool(before),
    )


async def visit(request: Request) -> Response:
    """One visit: the picture, who it was, and how to put it right."""
    return await _visit_page(request, request.path_params["visit"])


async def _visit_page(
    request: Request,
    visit_id: str,
    *,
    status_code: int = 200,
    wrong: str = "",
    forced: Mapping[str, str] | None = None,
) -> Response:
    """The page of a visit.

    Args:
        request: that is answered.
        visit_id: of the visit.
        status_code: of the answer.
        wrong: why what was asked for was not done.
        forced: the fields with which a stranger is named all the same.
    """
    doorbell = doorbell_of(request)
    got, listed, status = await asyncio.gather(
        doorbell.ask("visits.get", visit=visit_id),
        doorbell.ask("people.list"),
        doorbell.ask("status"),
    )
    found, visitor = got.document["visit"], got.document["visit"]["visitor"]
    known = {each["person_id"]: each for each in listed.document["people"]}
    person = known.pop(visitor["id"], None) if visitor["kind"] == "person" else None
    likely = [
        known.pop(each["person_id"])
        for each in got.document["likely"]
        if each["person_id"] in known
    ]
    picture = got.document["picture"]
    return render(
        request,
        "visit.html",
        status_code=status_code,
        status=status.document,
        wrong=wrong,
        forced=forced,
        visit=found,
        visitor=visitor,
        person=person,
        picture=picture,
        boxes=[] if picture is None else [_box(face) for face in picture["faces"]],
        likely=likely,
        others=by_name(known.values()),
        likeness=likeness_in_words(found["similarity"], gettext_of(request)),
        lasted=duration_in_words(
            found["started_at"],
            found["ended_at"] or found["last_seen_at"],
            locale_of(language_of(request)),
        ),
    )


async def picture(request: Request) -> Response:
    """A visit's picture without boxes, whole or the visitor's face."""
    doorbell = doorbell_of(request)
    asked = request.query_params.get("w", "")
    wanted = int(asked) if re.fullmatch("[0-9]{1,5}", asked, re.ASCII) else 1280
    reply = await doorbell.ask(
        "visits.picture",
        visit=request.path_params["visit"],
        crop="face" if request.query_params.get("crop") == "face" else "whole",
        max_width=next((each for each in PICTURE_WIDTHS if each >= wanted), PICTURE_WIDTHS[-1]),
    )
    return Response(reply.blob, media_type="image/jpeg")


async def correct(request: Request) -> Response:
    """Say who a visit was of: ``person_id``, ``nobody`` for nobody the household knows.

    ``learn`` ``on`` lets the doorbell learn the faces of the visit.
    """
    _ = gettext_of(request)
    doorbell = doorbell_of(request)
    visit_id, form = request.path_params["visit"], request.state.form
    chosen = form.get("person_id", "")
    person_id = number_in(chosen)
    if person_id is None and chosen != "nobody":
        return refuse(request, 422, _("Choose who it was."))
    learn = person_id is not None and form.get("learn") == "on"
    try:
        reply = await doorbell.ask(
            "visits.correct", visit=visit_id, person_id=person_id, learn=learn
        )
    except RefusedError as error:
        if wants_json(request) or error.kind != "refused":
            raise
        wrong = without_commands(str(error))
        return await _visit_page(request, visit_id, status_code=422, wrong=wrong)
    if person_id is None:
        said = _("That was nobody you know.")
    else:
        said = _("That was %(name)s.") % {"name": await _name(doorbell, person_id)}
    to = own_path(form.get("to", f"/visits/{visit_id}"))
    return done(request, reply.document, to, summary=said)


async def no_face(request: Request) -> Response:
    """Say that there was nobody; the visit is no longer listed."""
    _ = gettext_of(request)
    doorbell = doorbell_of(request)
    reply = await doorbell.ask("visits.no_face", visit=request.path_params["visit"])
    said = _("That was no face. The visit is no longer listed.")
    to = own_path(request.state.form.get("to", "/visits"))
    return done(request, reply.document, to, summary=said)


async def ignore(request: Request) -> Response:
    """Never ring again for whoever a visit was of; ``ignored`` ``off`` rings again."""
    _ = gettext_of(request)
    doorbell = doorbell_of(request)
    visit_id, form = request.path_params["visit"], request.state.form
    ignored = form.get("ignored", "on") == "on"
    reply = await doorbell.ask("visits.ignore", visit=visit_id, ignored=ignored)
    said = _("Their coming rings no more.") if ignored else _("Their coming rings again.")
    to = own_path(form.get("to", f"/visits/{visit_id}"))
    return done(request, reply.document, to, summary=said)


async def name_stranger(request: Request) -> Response:
    """Say who a stranger is: a new ``name``, or the ``person_id`` of somebody enrolled."""
    _ = gettext_of(request)
    doorbell = doorbell_of(request)
    form = request.state.form
    person_id, name = number_in(form.get("person_id", "")), form.get("name", "").strip()
    who: dict[str, Any] = {"name": name} if person_id is None else {"person_id": person_id}
    if person_id is None and not name:
        return refuse(request, 422, _("Write a name, or choose one."))
    number, to = request.path_params["stranger"], own_path(form.get("to", "/visits"))
    try:
        reply = await doorbell.ask(
            "strangers.name", stranger_id=number, force=form.get("force") == "on", **who
        )
    except RefusedError as error:
        visit_id = re.fullmatch("/visits/([A-Za-z0-9_-]+)", to)
        if wants_json(request) or error.kind != "refused" or visit_id is None:
            raise
        wrong, forced = without_commands(str(error)), {key: str(who[key]) for key in who}
        return await _visit_page(request, visit_id[1], status_code=422, wrong=wrong, forced=forced)
    named = name if person_id is None else await _name(doorbell, person_id)
    said = _("stranger-%(number)s is now %(name)s.") % {"number": number, "name": named}
    return done(request, reply.document, to, summary=said)


async def undo(request: Request) -> Response:
    """Take back what a notice has said, by its ``key``."""
    _ = gettext_of(request)
    doorbell = doorbell_of(request)
    form = request.state.form
    device_id = request.state.device.device_id
    asked = notices_of(request).undo(device_id, form.get("key", ""))
    if asked is None:
        return refuse(
            request, 422, _("That cannot be taken back any more. Say once more who it was instead.")
        )
    await doorbell.ask(asked.pop("do"), **asked)
    to = own_path(form.get("to", "/visits"))
    return done(request, {}, to, summary=_("That is taken back."))


async def _name(doorbell: Doorbell, person_id: int) -> str:
    got = await doorbell.ask("people.get", person_id=person_id)
    return str(got.document["person"]["name"])


def _of_whom(who: str) -> dict[str, Any]:
    """The request's words for whom a list is of; none for everybody, and what makes no sense."""
    if who in KINDS:
        return {"kind": who}
    kind, _, number = who.partition("-")
    found = number_in(number)
    if found is None or kind not in ("person", "stranger"):
        return {}
    return {f"{kind}_id": found}


def _day(text: str) -> date | None:
    """The day of a date field; None for none."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _of_day(day: date | None) -> dict[str, str | None]:
    """From when until when a day lasts, by the clock of the house."""
    if day is None or not 1970 <= day.year < 9999:
        return {}
    ends = [datetime.combine(each, time()).astimezone() for each in (day, day + timedelta(days=1))]
    since, until = (iso_utc(each.timestamp()) for each in ends)
    return {"since": since, "until": until}


def _date_of(visit: dict[str, Any]) -> date:
    return moments.parse(visit["started_at"]).date()


def _box(face: dict[str, Any]) -> dict[str, Any]:
    """A face as it is drawn over the picture, in percent of its width and height."""
    left, top, right, bottom = (min(max(each, 0.0), 1.0) * 100 for each in face["box"])
    label = face["label"]
    if len(label) > BOX_LABEL_CHARACTERS:
        label = f"{label[: BOX_LABEL_CHARACTERS - 1]}…"
    at_right = left + right > 120
    return {
        "left": f"{left:.2f}%",
        "top": f"{top:.2f}%",
        "width": f"{right - left:.2f}%",
        "height": f"{bottom - top:.2f}%",
        "label_x": f"{right if at_right else left:.2f}%",
        "label_y": f"{top if top > 8 else bottom:.2f}%",
        "label_dy": "-8" if top > 8 else "20",
        "anchor": "end" if at_right else "start",
        "label": label,
        "whole_label": face["label"],
        "kind": face["kind"],
    }
