"""What people change while the doorbell runs: quiet, chimes, privacy, how long things are kept."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from doorbell.console.doorbell_client import doorbell_of
from doorbell.console.doors import at_door, path_at_door
from doorbell.console.refusals import refuse
from doorbell.console.rendering import done, gettext_of, own_path, render, wants_json
from doorbell.domain import REPLY_ID
from doorbell.errors import RefusedError

# Until when "until the morning" is, where there are no quiet hours that say it.
MORNING = "07:00"
_TIME = re.compile("(?:[01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)
_REPLY = re.compile(REPLY_ID, re.ASCII)
# What the page offers, beside what is set; 0 says none by itself.
REPLY_SECONDS = (0, 5, 10, 15, 20, 30, 45, 60)
_DAYS = ("pictures_days", "visits_days", "strangers_days")


class WrongError(ValueError):
    """A field that cannot be what it is; the sentence says why."""


async def settings(request: Request) -> Response:
    """The page."""
    return await _page(request)


async def aim(request: Request) -> Response:
    """The live picture with how large the faces in it are, for whoever aims the camera."""
    doorbell = doorbell_of(request)
    status = (await doorbell.ask("status", **at_door(request))).document
    return render(request, "aim.html", status=status)


async def change(request: Request) -> Response:
    """Change what stands in one ``section`` of the page."""
    _ = gettext_of(request)
    doorbell = doorbell_of(request)
    section = request.state.form.get("section", "")
    try:
        changes = _changes(request, section)
        await doorbell.ask("settings.change", **changes, **at_door(request))
    except (WrongError, RefusedError) as error:
        is_ours = not isinstance(error, RefusedError) or error.kind == "refused"
        if not is_ours:
            raise
        if wants_json(request) or section not in _SECTIONS:
            return refuse(request, 422, str(error))
        return await _page(request, status_code=422, wrong={section: str(error)})
    return done(request, {}, path_at_door(request, "/settings"), summary=_("Saved."))


async def mute(request: Request) -> Response:
    """Silence the chimes for ``minutes`` or ``until`` a time; ``muted`` ``off`` lets them sound."""
    _ = gettext_of(request)
    doorbell = doorbell_of(request)
    form = request.state.form
    minutes, until = form.get("minutes", ""), form.get("until", "")
    wanted: dict[str, Any] = {"muted": form.get("muted", "on") != "off"}
    if wanted["muted"] and until:
        if _TIME.fullmatch(until) is None:
            return refuse(request, 422, _("Write the time as 07:00."))
        wanted["until"] = until
    elif wanted["muted"] and minutes:
        if re.fullmatch("[1-9][0-9]{0,4}", minutes, re.ASCII) is None:
            return refuse(request, 422, _("Write for how many minutes."))
        wanted["minutes"] = float(minutes)
    await doorbell.ask("mute", **wanted, **at_door(request))
    if not wanted["muted"]:
        said = _("The chimes sound again.")
    elif "until" in wanted:
        said = _("Quiet until %(time)s.") % {"time": until}
    elif minutes == "60":
        said = _("Quiet for an hour.")
    elif minutes:
        said = _("Quiet for %(minutes)s minutes.") % {"minutes": minutes}
    else:
        said = _("Quiet until somebody lets the chimes sound again.")
    to = own_path(form.get("to", path_at_door(request, "/")))
    return done(request, {}, to, summary=said)


async def ring(request: Request) -> Response:
    """Ring, as whoever presses at the door does."""
    _ = gettext_of(request)
    doorbell = doorbell_of(request)
    await doorbell.ask("ring", **at_door(request))
    to = own_path(request.state.form.get("to", path_at_door(request, "/")))
    return done(request, {}, to, summary=_("It rings."))


async def chime_sound(request: Request) -> Response:
    """How a built-in chime sounds."""
    doorbell = doorbell_of(request)
    reply = await doorbell.ask("chime.sound", chime=request.path_params["chime"])
    return Response(reply.blob, media_type="audio/wav")


async def play_chime(request: Request) -> Response:
    """Let a built-in ``chime`` sound at the door."""
    _ = gettext_of(request)
    doorbell = doorbell_of(request)
    form = request.state.form
    chime = form.get("chime", "")
    try:
        await doorbell.ask("chime.play", chime=chime, **at_door(request))
        said = _("%(chime)s sounds at the door.") % {"chime": chime.capitalize()}
    except RefusedError as error:
        if wants_json(request) or error.kind != "refused":
            raise
        # Whoever tries chimes goes on with the next one.
        said = str(error)
    to = path_at_door(request, own_path(form.get("to", "/settings")))
    return done(request, {}, to, summary=said)


async def _page(
    request: Request, *, status_code: int = 200, wrong: dict[str, str] | None = None
) -> Response:
    doorbell = doorbell_of(request)
    status = (await doorbell.ask("status", **at_door(request))).document
    held = status["settings"]
    keeps_nights = held is not None and held["quiet_hours"]
    return render(
        request,
        "settings.html",
        status_code=status_code,
        status=status,
        settings=held,
        reply_seconds=sorted({*REPLY_SECONDS, held["reply_after_seconds"] if held else 0}),
        morning=held["quiet_to"] if keeps_nights and held["quiet_to"] else MORNING,
        wrong=defaultdict(str, wrong or {}),
    )


def _changes(request: Request, section: str) -> dict[str, Any]:  # noqa: PLR0911, PLR0912 - one for each
    """What a section's form asks for, as ``settings.change`` takes it."""
    _, form = gettext_of(request), request.state.form
    match section:
        case "sound":
            volume = form.get("volume", "")
            if re.fullmatch("[0-9]{1,3}", volume, re.ASCII) is None or int(volume) > 100:
                raise WrongError(_("The volume is from 0 to 100."))
            return {"volume": int(volume) / 100}
        case "chime":
            return {"default_chime": form.get("chosen") or None}
        case "quiet":
            times = {key: form.get(key, "") for key in ("quiet_from", "quiet_to")}
            if not all(_TIME.fullmatch(each) for each in times.values()):
                if form.get("quiet_hours") == "on":
                    raise WrongError(_("Write both times, as 22:00 and 07:00."))
                return {"quiet_hours": False}
            return {"quiet_hours": form.get("quiet_hours") == "on", **times}
        case "privacy":
            return {"privacy": form.get("privacy") == "on"}
        case "announcements":
            return {"announcements": form.get("announcements") == "on"}
        case "replies":
            seconds, reply = form.get("reply_after_seconds", ""), form.get("unanswered_reply", "")
            if re.fullmatch("[0-9]{1,2}", seconds, re.ASCII) is None or int(seconds) > 60:
                raise WrongError(_("The reply comes after 0 to 60 seconds."))
            if _REPLY.fullmatch(reply) is None:
                raise WrongError(_("Choose a reply."))
            return {"reply_after_seconds": int(seconds), "unanswered_reply": reply}
        case "keeping":
            days = {key: form.get(key, "") for key in _DAYS}
            if not all(re.fullmatch("[0-9]{1,4}", each, re.ASCII) for each in days.values()):
                raise WrongError(_("Write days as a number; 0 keeps for good."))
            return {key: int(each) for key, each in days.items()}
        case _:
            raise WrongError(_("There is no such setting."))


_SECTIONS = ("sound", "chime", "quiet", "privacy", "replies", "announcements", "keeping")
