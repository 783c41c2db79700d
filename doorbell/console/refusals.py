"""How a request is refused: a page for people, JSON for a script, a line for the rest."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from doorbell.console.rendering import gettext_of, render, wants_json

TITLES = {
    400: "This cannot be understood",
    401: "This device has no access yet",
    403: "This is not allowed",
    404: "There is nothing here",
    405: "There is nothing here",
    408: "That took too long",
    413: "That is too large",
    415: "That cannot be read",
    421: "The console is not known by this name",
    422: "That cannot be done",
    429: "Too much at once",
    500: "The console has failed",
    503: "Not now",
}


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
        title = gettext_of(request)(TITLES.get(status, TITLES[500]))
        answer = render(request, "error.html", status_code=status, title=title, message=sentence)
    else:
        answer = PlainTextResponse(sentence, status_code=status)
    answer.headers.update(headers or {})
    return answer


def wants_page(request: Request) -> bool:
    """Whether a browser is about to show the answer as a page."""
    return "text/html" in request.headers.get("accept", "")
