"""The console as an ASGI application: the table of routes behind one middleware for access."""

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
from doorbell.console.access_middleware import AccessMiddleware
from doorbell.console.control_errors import control_failed
from doorbell.console.headers import SecurityHeaders, security_headers
from doorbell.console.limits import Traffic
from doorbell.console.notices import Notices
from doorbell.console.refusals import refuse
from doorbell.console.rendering import gettext_of
from doorbell.console.request_context import HostPolicy
from doorbell.console.routes import ROUTES
from doorbell.console.routing import Entry, Table
from doorbell.errors import ControlError

if TYPE_CHECKING:
    from doorbell.console.doorbell_client import Doorbell


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

    Endpoints find in ``request.app.state`` the ``section``, ``doorbell``, ``access``, ``traffic``,
    ``authority``, ``notices`` and ``last_check`` (what ``check`` found and when, or None).

    Args:
        section: of the configuration.
        doorbell: the way to the daemon.
        access: who has access.
        routes: the table.
        machine: this machine's own name.
        authority: the certificate of our own authority, for devices to trust; None without one.
    """
    traffic = Traffic(section.viewers)
    host_policy = HostPolicy(section, machine)

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
                AccessMiddleware,
                table=Table(routes),
                host_policy=host_policy,
                access=access,
                traffic=traffic,
            ),
        ],
        exception_handlers={HTTPException: _refused, ControlError: control_failed},
    )
    app.router.redirect_slashes = False
    app.state.section = section
    app.state.host_policy = host_policy
    app.state.doorbell = doorbell
    app.state.access = access
    app.state.traffic = traffic
    app.state.authority = authority
    app.state.notices = Notices()
    app.state.last_check = None
    return app


async def _refused(request: Request, exc: Exception) -> Response:
    """What an endpoint says by Starlette's own exception."""
    if not isinstance(exc, HTTPException):
        raise exc
    _ = gettext_of(request)
    sentence = exc.detail if exc.status_code != 404 else _("There is nothing here")
    return refuse(request, exc.status_code, sentence, exc.headers)
