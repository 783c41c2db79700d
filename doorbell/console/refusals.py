"""How a request is refused: a page for people, JSON for a script, a line for the rest."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from doorbell.console.rendering import gettext_of, render, wants_json
from doorbell.console.words import Gettext


def refuse(
    request: Request, status: int, sentence: str, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer that says why not.

    Args:
        request: that is refused.
        status: of HTTP.
        sentence: why, in the language of the reader.
        headers: more of them.
    """
    if wants_json(request):
        answer: Response = JSONResponse({"error": sentence}, status_code=status)
    elif wants_page(request):
        title = _title(status, gettext_of(request))
        answer = render(request, "error.html", status_code=status, title=title, message=sentence)
    else:
        answer = PlainTextResponse(sentence, status_code=status)
    answer.headers.update(headers or {})
    return answer


def wants_page(request: Request) -> bool:
    """Whether a browser is about to show the answer as a page."""
    return "text/html" in request.headers.get("accept", "")


def _title(status: int, _: Gettext) -> str:
    titles = {
        400: _("This cannot be understood"),
        401: _("This device has no access yet"),
        403: _("This is not allowed"),
        404: _("There is nothing here"),
        405: _("There is nothing here"),
        408: _("That took too long"),
        410: _("This answer does nothing any more"),
        413: _("That is too large"),
        415: _("That cannot be read"),
        421: _("The console is not known by this name"),
        422: _("That cannot be done"),
        429: _("Too much at once"),
        503: _("Not now"),
    }
    return titles.get(status) or _("The console has failed")
