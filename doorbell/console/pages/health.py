"""How the doorbell is: what it says of itself now, and what a check of every part finds."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from doorbell.clock import iso_utc
from doorbell.console.doorbell_client import Doorbell, doorbell_of
from doorbell.console.doors import path_of_door
from doorbell.console.rendering import gettext_of, render, url_of, wants_json
from doorbell.console.words import Gettext
from doorbell.control.requests.notifications import SILENT_SECONDS

# It looks through the camera and lets a simulated visitor come; at each door.
CHECK_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Line:
    """How one part is.

    Attributes:
        state: ``good``, ``warn`` or ``bad``.
        title: the part, in the reader's language.
        words: how it is, in the reader's language.
        said: what the daemon says of it, which is English.
        to: the page where something can be done about it; empty for none.
    """

    state: str
    title: str
    words: str
    said: str = ""
    to: str = ""


async def health(request: Request) -> Response:
    """The page: now, and the last check that was made here."""
    doors = await _doors(doorbell_of(request))
    return render(
        request,
        "health.html",
        status=doors[0],
        doors=doors,
        now=[*_parts_of_doors(request, doors), *_nobody(request, doors[0])],
        check=request.app.state.last_check,
    )


async def check(request: Request) -> Response:
    """Check every part, which takes some seconds and plays the chime."""
    doorbell = doorbell_of(request)
    _ = gettext_of(request)
    doors = (await doorbell.ask("status")).document["doors"]
    reply = await doorbell.ask("check", timeout_seconds=CHECK_SECONDS * len(doors))
    findings = reply.document["findings"]
    request.app.state.last_check = {"at": iso_utc(time.time()), "findings": findings}
    if wants_json(request):
        return JSONResponse({"summary": _("Checked."), "findings": findings})
    return RedirectResponse(url_of(request, "/health") + "#checked", status_code=303)


def parts_now(request: Request, status: dict[str, Any]) -> list[Line]:
    """How each part is of a door and of the house.

    What the daemon says of it may name an address of the house, or a file.
    """
    return [*_parts_of_door(request, status), *_parts_of_house(request, [status])]


async def _doors(doorbell: Doorbell) -> list[dict[str, Any]]:
    """How each door is, the first one first."""
    first = (await doorbell.ask("status")).document
    others = [each["id"] for each in first["doors"][1:]]
    told = await asyncio.gather(*(doorbell.ask("status", door_id=each) for each in others))
    return [first, *(each.document for each in told)]


def _parts_of_doors(request: Request, doors: list[dict[str, Any]]) -> list[Line]:
    """How each part of each door is, and of the house; with the door's name where it takes one."""
    if len(doors) == 1:
        return parts_now(request, doors[0])
    lines = [
        replace(
            line,
            title=f"{line.title} ({status['device']['name']})",
            to=line.to and path_of_door(line.to, status["device"]["id"]),
        )
        for status in doors
        for line in _parts_of_door(request, status)
    ]
    return [*lines, *_parts_of_house(request, doors)]


def _parts_of_door(request: Request, status: dict[str, Any]) -> list[Line]:
    _ = gettext_of(request)
    lines = [_camera(_, status["camera"]), _sound(_, status["sound"])]
    if status["door_speaker"] is not None:
        lines.append(_door_speaker(_, status["door_speaker"]))
    return [*lines, _broker(_, status["broker"])]


def _parts_of_house(request: Request, doors: list[dict[str, Any]]) -> list[Line]:
    """Who is told, and the disk: what cannot be written may be of some door alone."""
    _ = gettext_of(request)
    lines = []
    if doors[0]["notifications"]["enabled"]:
        lines.append(_notifications(_, doors[0]["notifications"]))
    failing = {part["part"]: part["reason"] for status in doors for part in status["storage"]}
    for part, reason in failing.items():
        title = _("Disk, for %(part)s") % {"part": part}
        lines.append(Line("bad", title, _("cannot be written"), reason, "/settings#keeping"))
    if not failing:
        lines.append(Line("good", _("Disk"), _("can be written")))
    return lines


def _nobody(request: Request, status: dict[str, Any]) -> list[Line]:
    """What there is to do first."""
    _ = gettext_of(request)
    if status["people"] != 0:
        return []
    return [Line("warn", _("People"), _("nobody is enrolled yet"), "", "/people/new")]


def _camera(_: Gettext, camera: dict[str, Any] | None) -> Line:
    if camera is None:
        return Line("warn", _("Camera"), _("has not given a picture yet"))
    if not camera["gives_frames"]:
        words = _("gives no picture")
        return Line("bad", _("Camera"), words, camera["reason"] or "", "/settings/aim")
    if camera["reason"]:
        words = _("works, but not well")
        return Line("warn", _("Camera"), words, camera["reason"], "/settings/aim")
    return Line("good", _("Camera"), _("gives pictures"))


def _sound(_: Gettext, sound: dict[str, Any] | None) -> Line:
    if sound is None:
        return Line("warn", _("Sound"), _("is switched off in the configuration"))
    if sound["works"]:
        return Line("good", _("Sound"), _("works"))
    if sound["works"] is None:
        return Line("good", _("Sound"), _("no chime was played yet"))
    return Line("bad", _("Sound"), _("does not work"), sound["reason"] or "", "/settings")


def _door_speaker(_: Gettext, speaker: dict[str, Any]) -> Line:
    title = _("Loudspeaker at the door")
    if speaker["works"]:
        return Line("good", title, _("works"))
    if speaker["works"] is None:
        return Line("good", title, _("nothing was said yet"))
    return Line("bad", title, _("does not work"), speaker["reason"] or "")


def _notifications(_: Gettext, told: dict[str, Any]) -> Line:
    title, to = _("Notifications"), "/notifications"
    if told["silent_seconds"] > SILENT_SECONDS:
        return Line("bad", title, _("the notifier does not run"), "", to)
    problems = [each["problem"] for each in told["targets"] if each["problem"]]
    if problems:
        return Line("bad", title, _("do not arrive"), problems[0], to)
    return Line("good", title, _("are sent"), "", to)


def _broker(_: Gettext, broker: dict[str, Any]) -> Line:
    title = _("Home automation")
    if not broker["enabled"]:
        return Line("good", title, _("is switched off in the configuration"))
    if broker["problem"]:
        return Line("bad", title, _("cannot be reached"), broker["problem"])
    if broker["connected"]:
        return Line("good", title, _("is connected"))
    return Line("warn", title, _("is being connected"))
