"""Enrolling: photos from a phone or an album, or at the door, with a verdict as they come."""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from contextlib import closing, suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from doorbell.console.doorbell_client import doorbell_of
from doorbell.console.doors import at_door
from doorbell.console.fields import number_in
from doorbell.console.refusals import refuse
from doorbell.console.rendering import done, gettext_of, render, wants_json
from doorbell.console.streams import Stream, of_blocking
from doorbell.console.words import (
    Gettext,
    hint_in_words,
    sentence,
    strength_in_words,
    verdict_in_words,
    without_commands,
)
from doorbell.control.wire import MAX_PHOTO_BYTES
from doorbell.errors import ControlError

# What looks at photos is started by the first one, and a slow board takes its time.
PHOTO_SECONDS = 180.0
DOOR_SECONDS = 180.0
PREVIEW_WIDTH = 960
MAX_PHOTOS = 20

_CHOSEN = re.compile(r"([0-9a-f]{32}):([0-9]{1,2})", re.ASCII)


async def new(request: Request) -> Response:
    """Somebody new, or with ``?person=`` more photos of somebody who is there."""
    doorbell, _ = doorbell_of(request), gettext_of(request)
    asked, known = request.query_params.get("person", ""), None
    if asked:
        person_id = number_in(asked)
        if person_id is None:
            return refuse(request, 404, _("There is no such person."))
        known = (await doorbell.ask("people.get", person_id=person_id)).document["person"]
    status: dict[str, Any] = {"doors": []}
    with suppress(ControlError):  # the photo itself will say what is wrong
        await doorbell.ask("photo.prepare")
        status = (await doorbell.ask("status", **at_door(request))).document
    return render(request, "enroll.html", status=status, person=known, max_bytes=MAX_PHOTO_BYTES)


async def examine(request: Request) -> Response:
    """Say what is to be said of a photo, the body; ``?name=`` or ``?person=`` whose it is."""
    _ = gettext_of(request)
    body = await request.body()
    if len(body) > MAX_PHOTO_BYTES:
        most = MAX_PHOTO_BYTES // 1_000_000
        said = _("The photo is larger than %(most)s megabytes.") % {"most": most}
        return JSONResponse(_refused(said, _("Send it smaller.")))
    doorbell = doorbell_of(request)
    reply = await doorbell.ask(
        "photo.examine",
        body,
        timeout_seconds=PHOTO_SECONDS,
        **_whom(request.query_params.get("name", ""), request.query_params.get("person", "")),
    )
    told = reply.document
    return JSONResponse(
        {
            **verdict_in_words(told, _),
            "photo_id": told["photo_id"],
            "width": told["width"],
            "height": told["height"],
            "faces": [
                {"face": each["face"], "box": each["box"], **verdict_in_words(each, _)}
                for each in told["faces"]
            ],
        }
    )


async def preview(request: Request) -> Response:
    """An examined photo, upright."""
    doorbell = doorbell_of(request)
    reply = await doorbell.ask(
        "photo.preview", photo_id=request.path_params["photo"], max_width=PREVIEW_WIDTH
    )
    return Response(reply.blob, media_type="image/jpeg")


async def enroll(request: Request) -> Response:
    """Enroll by photos ``photo-N``, each ``ID:FACE``; ``consent`` and ``portrait`` where ``on``."""
    _ = gettext_of(request)
    doorbell = doorbell_of(request)
    form = request.state.form
    chosen = [_CHOSEN.fullmatch(form.get(f"photo-{number}", "")) for number in range(MAX_PHOTOS)]
    photos = [{"photo_id": each[1], "face": int(each[2])} for each in chosen if each]
    whom = _whom(form.get("name", ""), form.get("person", ""))
    if not whom:
        return refuse(request, 422, _("Write a name."))
    if not photos:
        return refuse(request, 422, _("Choose a photo that is good enough first."))
    portrait = form.get("portrait") == "on"
    reply = await doorbell.ask(
        "photo.enroll",
        timeout_seconds=PHOTO_SECONDS,
        photos=photos,
        consent=_consent(form, _),
        portrait=photos[0] if portrait else None,
        **whom,
    )
    told = reply.document
    if told["person"] is None:
        wrong = next((each for each in told["results"] if not each["accepted"]), None)
        said = verdict_in_words(wrong, _)["said"] if wrong else _("Nobody was enrolled.")
        return refuse(request, 422, said)
    if wants_json(request):
        return JSONResponse(_finished(told, _))
    said = _("%(name)s is enrolled.") % {"name": told["person"]["name"]}
    return done(request, {}, f"/people/{told['person']['person_id']}", summary=said)


async def door(request: Request) -> Response:
    """Enroll whoever stands before the camera: one JSON object a line, as they come."""
    _ = gettext_of(request)
    doorbell = doorbell_of(request)
    form = request.state.form
    whom = _whom(form.get("name", ""), form.get("person", ""))
    if not whom:
        return refuse(request, 422, _("Write a name."))

    def lines() -> Generator[bytes, None, None]:
        followed = doorbell.follow(
            "door_enroll",
            timeout_seconds=DOOR_SECONDS,
            consent=_consent(form, _),
            **whom,
            **at_door(request),
        )
        try:
            with closing(followed):
                for told in followed:
                    yield json.dumps(_at_the_door(told, _)).encode() + b"\n"
        except ControlError as error:
            failed = {"event": "failed", "error": str(error)}
            yield json.dumps(_at_the_door(failed, _)).encode() + b"\n"

    return Stream(of_blocking(lines()), "application/x-ndjson")


def _whom(name: str, person: str) -> dict[str, Any]:
    person_id = number_in(person)
    if person_id is not None:
        return {"person_id": person_id}
    return {"name": name.strip()[:200]} if name.strip() else {}


def _consent(form: dict[str, str], _: Gettext) -> str | None:
    if form.get("consent") != "on":
        return None
    if form.get("portrait") == "on":
        return _("agreed to be known at the door, and to a portrait")
    return _("agreed to be known at the door")


def _refused(said: str, helps: str) -> dict[str, Any]:
    return {
        "accepted": False,
        "reason": "picture",
        "said": said,
        "helps": helps,
        "photo_id": None,
        "faces": [],
    }


def _finished(told: dict[str, Any], _: Gettext) -> dict[str, Any]:
    person = told["person"]
    return {
        "person_id": person["person_id"],
        "said": _("%(name)s is enrolled.") % {"name": person["name"]},
        "strength": person["strength"],
        "strength_said": strength_in_words(person["strength"], _),
        "helps": [hint_in_words(hint, _) for hint in told["missing"]],
    }


def _at_the_door(told: dict[str, Any], _: Gettext) -> dict[str, Any]:
    match told.get("event"):
        case "pose":
            return {"event": "pose", "seen": told["seen"], "say": _pose_in_words(told, _)}
        case "done" if told["person"] is not None:
            return {"event": "done", **_finished(told, _)}
        case "failed":
            return {"event": "failed", "error": sentence(without_commands(str(told["error"])))}
        case _:
            return {"event": "failed", "error": _("Nobody was enrolled.")}


def _pose_in_words(told: dict[str, Any], _: Gettext) -> str:
    words = {
        "straight": _("Look at the camera."),
        "left": _("Turn a little to the left."),
        "right": _("Turn a little to the right."),
        "up": _("Look up a little."),
        "down": _("Look down a little."),
    }
    return words.get(told["missing"][0], "") if told["missing"] else _("Thank you, that is all.")
