"""The console as an ASGI application: the table of routes behind one gate."""

from __future__ import annotations

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
from doorbell.console.failing import control_failed
from doorbell.console.gate import Gate
from doorbell.console.headers import SecurityHeaders, security_headers
from doorbell.console.limits import Traffic
from doorbell.console.refusing import refuse
from doorbell.console.rendering import gettext_of
from doorbell.console.routes import ROUTES
from doorbell.console.routing import Entry, Table
from doorbell.errors import ControlError

if TYPE_CHECKING:
    from doorbell.console.link import Doorbell


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
    doorstep = Doorstep(section, machine)

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
                doorstep=doorstep,
                access=access,
                traffic=traffic,
            ),
        ],
        exception_handlers={HTTPException: _refused, ControlError: control_failed},
    )
    app.router.redirect_slashes = False
    app.state.section = section
    app.state.doorstep = doorstep
    app.state.doorbell = doorbell
    app.state.access = access
    app.state.traffic = traffic
    app.state.authority = authority
    return app


async def _refused(request: Request, exc: Exception) -> Response:
    """What an endpoint says by Starlette's own exception."""
    if not isinstance(exc, HTTPException):
        raise exc
    sentence = (
        exc.detail if exc.status_code != 404 else gettext_of(request)("There is nothing here")
    )
    return refuse(request, exc.status_code, sentence, exc.headers)
