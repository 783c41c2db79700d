"""Quick replies: say one at the door, listen to it here, and keep recordings of one's own."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from doorbell.console.doorbell_client import doorbell_of
from doorbell.console.doors import at_door, path_at_door
from doorbell.console.refusals import refuse
from doorbell.console.rendering import done, gettext_of, own_path, render, wants_json
from doorbell.console.words import Gettext, without_commands
from doorbell.control.wire import MAX_PHOTO_BYTES
from doorbell.errors import RefusedError

# What reads recordings is started by the first one, and a slow board takes its time.
ADD_SECONDS = 60.0
PATH = "/replies"


async def replies(request: Request) -> Response:
    """The page."""
    return await _page(request)


async def say(request: Request) -> Response:
    """Say a ``reply`` at the door."""
    _ = gettext_of(request)
    form = request.state.form
    doorbell = doorbell_of(request)
    try:
        await doorbell.ask("replies.play", reply_id=form.get("reply", ""), **at_door(request))
        said = _("It is said at the door.")
    except RefusedError as error:
        if wants_json(request) or error.kind != "refused":
            raise
        said = without_commands(str(error))  # whoever tries replies goes on with the next one
    to = own_path(form.get("to", path_at_door(request, PATH)))
    return done(request, {}, to, summary=said)


async def sound(request: Request) -> Response:
    """What a reply sounds like."""
    doorbell = doorbell_of(request)
    reply = await doorbell.ask("replies.sound", reply_id=request.path_params["reply"])
    return Response(reply.blob, media_type="audio/wav")


async def add(request: Request) -> Response:
    """Keep a recording, the body: a file of whatever kind, called ``?name=``."""
    _ = gettext_of(request)
    doorbell = doorbell_of(request)
    name = request.query_params.get("name", "").strip()
    if not name:
        return refuse(request, 422, _("Write a name."))
    try:
        reply = await doorbell.ask(
            "replies.add", await request.body(), timeout_seconds=ADD_SECONDS, label=name[:200]
        )
    except RefusedError as error:
        if error.kind != "refused":
            raise
        return refuse(request, 422, _refusal_in_words(str(error), _))
    return done(request, reply.document, PATH, summary=_("The recording is kept."))


async def rename(request: Request) -> Response:
    """Give a recording another ``name``."""
    _ = gettext_of(request)
    name = request.state.form.get("name", "").strip()
    if not name:
        return await _page(request, wrong=_("Write a name."))
    return await _change(request, "replies.rename", _("The name is changed."), label=name[:200])


async def delete(request: Request) -> Response:
    """Delete a recording."""
    _ = gettext_of(request)
    return await _change(request, "replies.delete", _("The recording is deleted."))


async def _change(request: Request, verb: str, summary: str, **arguments: Any) -> Response:
    """Change a recording; what is refused is said on the page."""
    doorbell, _ = doorbell_of(request), gettext_of(request)
    try:
        await doorbell.ask(verb, reply_id=request.path_params["reply"], **arguments)
    except RefusedError as error:
        if wants_json(request) or error.kind != "refused":
            raise
        return await _page(request, wrong=_refusal_in_words(str(error), _))
    return done(request, {}, path_at_door(request, PATH), summary=summary)


async def _page(request: Request, *, wrong: str = "") -> Response:
    doorbell = doorbell_of(request)
    status = (await doorbell.ask("status", **at_door(request))).document
    told = (await doorbell.ask("replies.list")).document
    own = [each for each in told["replies"] if each["is_recording"]]
    return render(
        request,
        "replies.html",
        status_code=422 if wrong else 200,
        status=status,
        built_in=[each for each in told["replies"] if not each["is_recording"]],
        own=own,
        is_full=len(own) >= told["most_recordings"],
        limits=told,
        max_bytes=MAX_PHOTO_BYTES,
        wrong=wrong,
    )


def _refusal_in_words(sentence: str, _: Gettext) -> str:
    """What the daemon says of a recording, in the reader's language where it is known."""
    known = {
        "is not a WAV": _("This is no WAV, MP3, M4A or Ogg file, or it is damaged."),
        "lasts longer": _("The recording is longer than 20 seconds. Make it shorter."),
        "holds no sound": _("There is no sound in this recording. Record it anew."),
        "already; delete one": _("There are as many recordings as can be kept. Delete one first."),
        "already; give it another name": _("There is a reply of this name already."),
        "is no name of a reply": _("Write a shorter name, of characters that can be seen."),
    }
    for part, words in known.items():
        if part in sentence:
            return words
    return without_commands(sentence)
