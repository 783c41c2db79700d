"""What is answered where the doorbell says no, does not answer, or does not run."""

from __future__ import annotations

import logging

from starlette.requests import Request
from starlette.responses import Response

from doorbell.console.refusals import refuse, wants_page
from doorbell.console.rendering import gettext_of, render, wants_json
from doorbell.console.words import without_commands
from doorbell.errors import NotRunningError, RefusedError

# By what a refusal says of itself; see ``RefusedError``.
STATUSES = {
    "refused": 422,
    "not_found": 404,
    "used": 410,
    "too_fast": 429,
    "stopping": 503,
    "failed": 502,
}
RETRY_SECONDS = 3

log = logging.getLogger(__name__)


async def control_failed(request: Request, error: Exception) -> Response:
    """The answer to a ``ControlError`` that an endpoint lets through."""
    _ = gettext_of(request)
    if isinstance(error, RefusedError):
        sentence = without_commands(str(error))
        return refuse(request, STATUSES.get(error.kind, 422), sentence)
    retry = {"retry-after": str(RETRY_SECONDS)}
    if not isinstance(error, NotRunningError):
        log.warning("%s %s: %s", request.method, request.scope["path"], error)
        return refuse(request, 503, str(error), retry)
    sentence = _("The doorbell is not running.")
    if wants_json(request) or not wants_page(request):
        return refuse(request, 503, sentence, retry)
    # Only what changes nothing is tried again by itself.
    seconds = RETRY_SECONDS if request.method == "GET" else None
    answer = render(request, "not_running.html", status_code=503, retry_seconds=seconds)
    answer.headers.update(retry)
    return answer
