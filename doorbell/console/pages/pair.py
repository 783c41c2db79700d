"""Giving a browser access by a code, and giving that up again."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from doorbell.console.access import Access
from doorbell.console.credentials import give_cookie, take_cookie
from doorbell.console.devices import clean_name
from doorbell.console.refusals import refuse
from doorbell.console.rendering import gettext_of, own_path, render, url_of, wants_json
from doorbell.console.routing import Role

# The browsers and machines that a name is made of where none is typed.
_MACHINES = ("iPhone", "iPad", "Android", "Windows", "Macintosh", "CrOS", "Linux")
_BROWSERS = (("Edg", "Edge"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))


async def page(request: Request) -> Response:
    """The form for a code; whoever has access already is led on."""
    to = own_path(request.query_params.get("to", "/"))
    device = request.state.device
    if device is not None and device.role != Role.STREAM:
        return RedirectResponse(url_of(request, to), status_code=303)
    return _form(request, to)


async def pair(request: Request) -> Response:
    """Take a code, and give the browser its secret."""
    _ = gettext_of(request)
    access: Access = request.app.state.access
    traffic = request.app.state.traffic
    form, who, now = request.state.form, request.scope["client"][0], time.monotonic()
    to = own_path(form.get("to", "/"))
    wait = max(
        traffic.wrong_codes.wait_seconds(who, now), traffic.all_wrong_codes.wait_seconds("", now)
    )
    if wait > 0:
        minutes = int(wait // 60) + 1
        sentence = _("Too many wrong codes. Try again in %(minutes)d min.") % {"minutes": minutes}
        return _again(request, to, sentence, 429)
    name = clean_name(form.get("name", "")) or _guessed_name(request)
    found = access.invitations.accept(form.get("code", ""), name)
    if found is None:
        traffic.wrong_codes.take(who, now)
        traffic.all_wrong_codes.take("", now)
        access.audit.note(None, "wrong code", f"address {who}")
        sentence = _("This code is not valid, or not any more. Ask for a new one.")
        return _again(request, to, sentence, 403)
    device, secret = found
    access.audit.note(device.device_id, "pair", f"role {device.role.name.lower()}")
    answer: Response
    if wants_json(request):
        answer = JSONResponse({"to": url_of(request, to)})
    else:
        answer = RedirectResponse(url_of(request, to), status_code=303)
    give_cookie(answer, request.state.context, secret)
    return answer


async def leave(request: Request) -> Response:
    """Give up the access of the very device that asks."""
    access: Access = request.app.state.access
    access.devices.revoke(request.state.device.device_id)
    answer = RedirectResponse(url_of(request, "/pair"), status_code=303)
    take_cookie(answer, request.state.context)
    return answer


def _form(request: Request, to: str, sentence: str = "", status: int = 200) -> Response:
    return render(
        request,
        "pair.html",
        status_code=status,
        to=to,
        wrong=sentence,
        suggested_name=_guessed_name(request),
        secure=request.state.context.is_secure,
        has_authority=request.app.state.authority is not None,
    )


def _again(request: Request, to: str, sentence: str, status: int) -> Response:
    if wants_json(request):
        return refuse(request, status, sentence)
    return _form(request, to, sentence, status)


def _guessed_name(request: Request) -> str:
    """What the device may be called, from what the browser says it is."""
    agent = request.headers.get("user-agent", "")
    machine = next((each for each in _MACHINES if each in agent), "")
    browser = next((name for mark, name in _BROWSERS if mark in agent), "")
    words = {"Macintosh": "Mac", "CrOS": "Chromebook"}.get(machine, machine)
    return " ".join(each for each in (words, browser) if each) or "Browser"
