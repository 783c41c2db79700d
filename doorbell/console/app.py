"""The console as an ASGI application: the table of routes behind one gate."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from doorbell.config.console import ConsoleSection
from doorbell.console.access import Access
from doorbell.console.arrival import Doorstep
from doorbell.console.gate import Gate
from doorbell.console.headers import SecurityHeaders, security_headers
from doorbell.console.limits import Traffic
from doorbell.console.refusing import refuse, wants_page
from doorbell.console.rendering import gettext_of, render
from doorbell.console.routes import ROUTES
from doorbell.console.routing import Entry, Table
from doorbell.errors import ControlError, RefusedError

if TYPE_CHECKING:
    from doorbell.console.link import Doorbell

# How a refusal of the daemon is called on the web.
_STATUS = {"refused": 422, "not_found": 404, "too_fast": 429, "stopping": 503, "failed": 500}

log = logging.getLogger(__name__)


def make_app(
    section: ConsoleSection,
    doorbell: Doorbell,
    access: Access,
    *,
    routes: Sequence[Entry] = ROUTES,
    machine: str | None = None,
    authority: bytes | None = None,
) -> Starlette:
    """The application.

    Endpoints find in ``request.app.state`` the ``section``, ``doorbell``, ``access`` and
    ``traffic``.

    Args:
        section: of the configuration.
        doorbell: the way to the daemon.
        access: who has access.
        routes: the table.
        machine: this machine's own name.
        authority: the certificate of our own authority, for devices to trust; None without one.
    """
    traffic = Traffic(section.viewers)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await doorbell.close()

    app = Starlette(
        lifespan=lifespan,
        routes=[Route(each.path, each.endpoint, methods=[each.method]) for each in routes],
        middleware=[
            Middleware(SecurityHeaders, headers=security_headers(section)),
            Middleware(
                Gate,
                table=Table(routes),
                doorstep=Doorstep(section, machine),
                access=access,
                traffic=traffic,
            ),
        ],
        exception_handlers={HTTPException: _refused, ControlError: _not_done},
    )
    app.router.redirect_slashes = False
    app.state.section = section
    app.state.doorbell = doorbell
    app.state.access = access
    app.state.traffic = traffic
    app.state.authority = authority
    return app


async def _not_done(request: Request, exc: Exception) -> Response:
    """What the daemon refuses, in its own words; or that there is none."""
    if isinstance(exc, RefusedError):
        return refuse(request, _STATUS.get(exc.kind, 500), str(exc))
    _ = gettext_of(request)
    log.warning("the doorbell cannot be asked: %s", exc)
    sentence = _("The doorbell is not running, or does not answer.")
    headers = {"retry-after": "3"}
    if wants_page(request):
        return render(request, "not_running.html", status_code=503, message=sentence, again=3)
    return refuse(request, 503, sentence, headers)


async def _refused(request: Request, exc: Exception) -> Response:
    """What an endpoint says by Starlette's own exception."""
    if not isinstance(exc, HTTPException):
        raise exc
    sentence = (
        exc.detail if exc.status_code != 404 else gettext_of(request)("There is nothing here")
    )
    return refuse(request, exc.status_code, sentence, exc.headers)
