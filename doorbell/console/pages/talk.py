"""Talking and listening at the door, and telling that somebody answers by looking."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from doorbell.console.doorbell_client import doorbell_of
from doorbell.console.doors import at_door, door_in
from doorbell.console.rendering import gettext_of
from doorbell.console.streams import Stream, of_blocking, part_of
from doorbell.console.words import Gettext, without_commands
from doorbell.errors import ControlError, NotRunningError

# Who takes no sound for so long is not listening.
TAKE_SECONDS = 3.0


async def say(request: Request) -> Response:
    """Say at the door what is sent: 16 kHz mono, 16-bit little-endian, at most 15 s."""
    _ = gettext_of(request)
    await doorbell_of(request).ask("talk.say", await request.body(), **at_door(request))
    return JSONResponse({"summary": _("It is said at the door.")})


async def listen(request: Request) -> Response:
    """What the microphone at the door hears, in parts as ``streams.part_of`` writes them.

    JSON: ``event``, as ``requests.Listen`` has it.
    """
    source = of_blocking(_heard(request))
    return Stream(source, "application/octet-stream", take_seconds=TAKE_SECONDS)


async def answered(request: Request) -> Response:
    """Tell that somebody who opened the page sees the door: so no reply is said by itself."""
    await doorbell_of(request).ask("door.answer", how="watched", **at_door(request))
    return Response(status_code=204)


def _heard(request: Request) -> Generator[bytes, None, None]:
    doorbell, _ = doorbell_of(request), gettext_of(request)
    try:
        with closing(doorbell.listen(door_in(request))) as told:
            for each in told:
                yield part_of(_in_words(each.document, _), each.blob)
    except NotRunningError:
        yield part_of({"event": "failed", "error": _("The doorbell is not running.")})
    except ControlError as error:
        yield part_of(_in_words({"event": "failed", "error": str(error)}, _))


def _in_words(told: dict[str, Any], _: Gettext) -> dict[str, Any]:
    """What the daemon tells, in the reader's language where it is known."""
    if told.get("event") != "failed":
        return told
    known = {
        "has given nothing": _(
            "The microphone at the door gives nothing. Is its cable plugged in?"
        ),
        "cannot be used": _("The microphone at the door does not work. Is it plugged in?"),
        "too many listen": _("Too many listen at the door at once."),
    }
    sentence = str(told["error"])
    words = next((words for part, words in known.items() if part in sentence), None)
    return {**told, "error": words or without_commands(sentence)}
