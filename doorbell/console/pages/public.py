"""What everybody may ask for: whether the console runs, and the certificate of its authority."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from doorbell.console.refusals import refuse
from doorbell.console.rendering import gettext_of


async def healthz(_request: Request) -> Response:
    """One word: the console answers."""
    return PlainTextResponse("ok")


async def certificate(request: Request) -> Response:
    """The certificate of the authority that devices have to trust, where it is our own."""
    _ = gettext_of(request)
    content: bytes | None = request.app.state.authority
    if content is None:
        return refuse(request, 404, _("The console has no certificate authority of its own."))
    return Response(
        content,
        media_type="application/x-x509-ca-cert",
        headers={"content-disposition": 'attachment; filename="doorbell-ca.crt"'},
    )
