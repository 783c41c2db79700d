"""Who is told of the door elsewhere, and the answers that come back from there."""

from __future__ import annotations

import math
import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from doorbell.console.control_errors import STATUSES
from doorbell.console.doorbell_client import doorbell_of
from doorbell.console.refusals import refuse, wants_page
from doorbell.console.rendering import done, gettext_of, render
from doorbell.console.words import without_commands
from doorbell.control.requests.notifications import SILENT_SECONDS
from doorbell.control.wire import Document
from doorbell.errors import RefusedError

# Of an answer by a page of somebody else's, as ntfy's is: it reads whether that was done.
ANY_ORIGIN = {"access-control-allow-origin": "*"}


async def notifications(request: Request) -> Response:
    """The page: who is told of what, where pictures go, and what does not arrive."""
    status = (await doorbell_of(request).ask("status")).document["notifications"]
    return render(
        request,
        "notifications.html",
        told=status,
        is_silent=status["enabled"] and status["silent_seconds"] > SILENT_SECONDS,
    )


async def test(request: Request) -> Response:
    """Have one target told, to try it."""
    _ = gettext_of(request)
    target = request.state.form.get("target", "")
    await doorbell_of(request).ask("notices.test", target=target)
    summary = _("%(target)s is told. See whether it arrives.")
    return done(request, {}, "/notifications", summary=summary % {"target": target})


async def look(request: Request) -> Response:
    """What an answer would do, and a button for it; changes nothing, as whoever previews links."""
    token, found = _token(request), await _found(request)
    if isinstance(found, Response):
        return found
    return render(request, "act.html", answer=found, token=token, given=False)


async def act(request: Request) -> Response:
    """Do what an answer says, once."""
    found = await _found(request)
    answer = found if isinstance(found, Response) else await _given(request, found)
    answer.headers.update(ANY_ORIGIN)
    return answer


async def _given(request: Request, found: Document) -> Response:
    token = _token(request)
    try:
        outcome = (await doorbell_of(request).ask("notices.act", token=token)).document
    except RefusedError as exc:
        if exc.kind == "used":
            return _used_up(request)
        return refuse(request, STATUSES.get(exc.kind, 422), without_commands(str(exc)))
    request.state.subject = f"visit {outcome['visit_id'] or 'none'}"
    if request.state.device is None:  # the middleware notes what devices do
        request.app.state.access.audit.note(None, "act", request.state.subject)
    if wants_page(request):
        return render(request, "act.html", answer=found, token=token, given=True)
    return JSONResponse({"summary": outcome["summary"]})


def _token(request: Request) -> str:
    return request.query_params.get("token", "")


async def _found(request: Request) -> Document | Response:
    """What is known of a token that can be used, or why nothing can be done with it.

    Whatever is wrong with one that is none of ours, the same is said; and only so often to one
    address.
    """
    _ = gettext_of(request)
    who, now = request.scope["client"][0], time.monotonic()
    wrong = request.app.state.traffic.wrong_tokens
    wait = wrong.wait_seconds(who, now)
    if wait > 0:
        sentence = _("That was a lot at once. Wait a little.")
        return refuse(request, 429, sentence, {"retry-after": str(math.ceil(wait))})
    try:
        found = (await doorbell_of(request).ask("notices.look", token=_token(request))).document
    except RefusedError as exc:
        if exc.kind == "too_fast":
            raise
        wrong.take(who, now)
        return refuse(request, 404, _("This link leads to nothing."))
    return found if found["usable"] else _used_up(request)


def _used_up(request: Request) -> Response:
    _ = gettext_of(request)
    return refuse(request, 410, _("This answer was given already, or is older than a day."))
