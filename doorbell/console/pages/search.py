"""Searching for a face: who has come with one like that of a picture, or of a visit."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from doorbell.console.doorbell_client import doorbell_of
from doorbell.console.rendering import gettext_of, render
from doorbell.console.words import likeness_in_words, verdict_in_words
from doorbell.control.wire import MAX_PHOTO_BYTES
from doorbell.errors import ControlError

# What looks at photos is started by the first one, and a slow board takes its time.
PHOTO_SECONDS = 180.0


async def page(request: Request) -> Response:
    """Where a picture is chosen."""
    doorbell = doorbell_of(request)
    with suppress(ControlError):  # the picture itself will say what is wrong
        await doorbell.ask("photo.prepare")
    return await _page(request, None)


async def by_photo(request: Request) -> Response:
    """The same page with who has come with a face like those of a photo, the body."""
    _ = gettext_of(request)
    doorbell = doorbell_of(request)
    reply = await doorbell.ask("photo.search", await request.body(), timeout_seconds=PHOTO_SECONDS)
    told = reply.document
    wrong = {} if told["accepted"] else verdict_in_words(told, _)
    return await _page(request, told, wrong=wrong)


async def by_visit(request: Request) -> Response:
    """Who has come with a face like those kept with a visit."""
    doorbell = doorbell_of(request)
    reply = await doorbell.ask("visits.search", visit=request.path_params["visit"])
    told = reply.document
    return await _page(request, {**told, "faces": [told]}, visit=told["visit"])


async def _page(
    request: Request,
    told: dict[str, Any] | None,
    *,
    wrong: dict[str, Any] | None = None,
    visit: dict[str, Any] | None = None,
) -> Response:
    """The page.

    Args:
        request: that is answered.
        told: what was found; None where nothing was searched for yet.
        wrong: why the photo could not be searched by, in words.
        visit: that was searched by.
    """
    gettext = gettext_of(request)
    status = (await doorbell_of(request).ask("status")).document
    return render(
        request,
        "search.html",
        status=status,
        told=told,
        wrong=wrong or {},
        visit=visit,
        likeness=lambda similarity: likeness_in_words(similarity, gettext),
        max_bytes=MAX_PHOTO_BYTES,
    )
