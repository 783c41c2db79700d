"""The middleware that decides who reaches which endpoint; what it refuses is answered here.

In this order: the name that was asked for, the way here, the route, whose page it is, who asks,
what that role may do, how often, and how much.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from doorbell.console.access import Access
from doorbell.console.bodies import (
    FORM_SECONDS,
    PHOTO_SECONDS,
    BodyError,
    again,
    read_body,
    read_form,
    says_it_has_a_body,
)
from doorbell.console.credentials import form_token, give_cookie, known_device, secret_of
from doorbell.console.devices import Device
from doorbell.console.fetch_metadata import SCRIPT_HEADER, is_from_our_pages, may_be_read
from doorbell.console.limits import RateLimit, Traffic
from doorbell.console.refusals import refuse, wants_page
from doorbell.console.rendering import gettext_of, render
from doorbell.console.request_context import BadRequestError, HostPolicy, RequestContext
from doorbell.console.routing import Entry, Role, Table

log = logging.getLogger(__name__)

# How soon the open streams of a device that lost its access end.
WATCH_SECONDS = 1.0
# How often one address of the internet is told of.
WARN_SECONDS = 3600.0
# Of a request, together; a cookie and what browsers say of themselves have two.
HEADER_BYTES = 32 * 1024
BY_TOKEN = {"www-authenticate": 'Basic realm="doorbell", charset="UTF-8"'}


class RejectedRequestError(Exception):
    """A request that does not pass.

    Attributes:
        status: of HTTP.
        headers: of the answer.
    """

    def __init__(
        self, status: int, sentence: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = headers or {}


class AccessMiddleware:
    """Let through what the table of routes and the role of who asks allow.

    An endpoint finds in ``request.state`` who asks (``device``, None where everybody may), how
    (``context``), the fields of a POSTed ``form``, and ``csrf`` for its own forms.

    Args:
        app: what is behind it.
        table: of routes.
        host_policy: whose names are ours.
        access: who has access.
        traffic: what is borne.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        table: Table,
        host_policy: HostPolicy,
        access: Access,
        traffic: Traffic,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._table = table
        self._host_policy = host_policy
        self._access = access
        self._traffic = traffic
        self._clock = clock
        self._warned = RateLimit(1, WARN_SECONDS)
        self._anonymous_key = secrets.token_bytes(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        request.state.device = None
        request.state.csrf = ""
        try:
            entry = self._check(request)
        except RejectedRequestError as exc:
            await refuse(request, exc.status, str(exc), exc.headers)(scope, receive, send)
            return
        if entry is None:
            await self._unauthenticated(request)(scope, receive, send)
            return
        if entry.stream is not None and scope["method"] == "HEAD":
            await Response()(scope, receive, send)  # what has no end has no length to tell
            return
        try:
            async with self._admit(request, entry):
                receive = await self._read(request, entry)
                await self._forward(request, entry, receive, send)
        except RejectedRequestError as exc:
            await refuse(request, exc.status, str(exc), exc.headers)(scope, receive, send)

    def _check(self, request: Request) -> Entry | None:
        """What was asked for, by somebody who may; None for somebody who is not known."""
        _ = gettext_of(request)
        scope = request.scope
        if sum(len(k) + len(v) for k, v in scope["headers"]) > HEADER_BYTES:
            raise RejectedRequestError(431, _("The request has too many headers."))
        context = self._context(request)
        found = self._table.find(_below(scope["path"], context.prefix), scope["method"])
        scope["root_path"] = context.prefix
        scope["path"] = context.prefix + _below(scope["path"], context.prefix)
        entry = found.entry
        if entry is None:
            if not found.methods:
                raise RejectedRequestError(404, _("There is no such page."))
            allowed = {"allow": ", ".join(found.methods)}
            raise RejectedRequestError(405, _("This page takes no such request."), allowed)
        request.state.entry = entry
        if entry.method == "POST":
            if not (entry.by_token or is_from_our_pages(request, context)):
                raise RejectedRequestError(
                    403, _("This did not come from the console's own pages.")
                )
        elif not may_be_read(request):
            raise RejectedRequestError(403, _("Pages of others may not show this."))
        elif says_it_has_a_body(request):
            raise RejectedRequestError(
                413, _("Nothing is to be sent here."), {"connection": "close"}
            )
        device = known_device(request, context, self._access.devices)
        request.state.device = device
        secret = "" if device is None else secret_of(request, context)
        request.state.csrf = form_token(secret, self._anonymous_key)
        role = Role.PUBLIC if device is None else device.role
        if role >= entry.role:
            if device is not None:
                self._note_seen(device)
            return entry
        if device is None:
            return None
        raise RejectedRequestError(
            403, _("This device may not do that. Ask an owner of the doorbell.")
        )

    def _context(self, request: Request) -> RequestContext:
        _ = gettext_of(request)
        try:
            context = self._host_policy.context(request.scope)
        except BadRequestError as exc:
            raise RejectedRequestError(400, str(exc)) from exc
        request.state.context = context
        request.scope["client"] = (context.client, 0)
        request.scope["scheme"] = context.scheme
        if not self._host_policy.is_ours(context, request.scope):
            raise RejectedRequestError(
                421, _("Add this name to console.names if it is to lead to the doorbell.")
            )
        if context.is_from_outside and not self._warned.take(context.client, self._clock()):
            log.warning(
                "the console is asked from the internet, by %s: is a port of the router open to "
                "it? From outside, use home automation or a VPN",
                context.client,
            )
        if not self._host_policy.is_safe_enough(context):
            raise RejectedRequestError(403, _("The console is only shown over HTTPS."))
        return context

    def _unauthenticated(self, request: Request) -> Response:
        """The answer to somebody who is not known."""
        _ = gettext_of(request)
        entry: Entry = request.state.entry
        if entry.role == Role.STREAM:
            return refuse(request, 401, _("A token is needed to see the door."), BY_TOKEN)
        if entry.method == "GET" and wants_page(request):
            to = _below(request.scope["path"], request.scope["root_path"])
            return render(request, "continue.html", to=to)  # perhaps it is known in a moment
        return refuse(request, 401, _("This device has no access yet."))

    @asynccontextmanager
    async def _admit(self, request: Request, entry: Entry) -> AsyncIterator[None]:
        """A place among those who watch or send pictures, and one more write."""
        _ = gettext_of(request)
        device: Device | None = request.state.device
        who = f"device {device.device_id}" if device else f"address {request.scope['client'][0]}"
        if entry.method == "POST":
            limit = self._traffic.uploads if entry.body == "photo" else self._traffic.writes
            require_few(limit, who, self._clock(), _("That was a lot at once. Wait a little."))
        places, watcher = None, None
        if entry.stream is not None:
            places, watcher = self._traffic.streams[entry.stream], who
        elif entry.body == "photo":
            places = self._traffic.uploading
        if places is not None and not places.enter(watcher):
            raise RejectedRequestError(
                503, _("Too many do this at the same time."), {"retry-after": "10"}
            )
        try:
            yield
        finally:
            if places is not None:
                places.leave(watcher)

    async def _read(self, request: Request, entry: Entry) -> Receive:
        """Read what is sent, and require that one of our pages has made it."""
        if entry.method == "GET":
            return request.receive
        _ = gettext_of(request)
        request.state.form = {}
        try:
            seconds = PHOTO_SECONDS if entry.body == "photo" else FORM_SECONDS
            body = await read_body(request, entry.max_body_bytes, seconds)
            if entry.body == "form" and not entry.by_token:
                request.state.form = read_form(request, body)
        except BodyError as exc:
            raise RejectedRequestError(exc.status, _(str(exc)), {"connection": "close"}) from exc
        if entry.by_token:
            return again(body, request.receive)
        token = request.state.form.pop("csrf", "")
        by_form = hmac.compare_digest(token.encode(), request.state.csrf.encode())
        if not (by_form or request.headers.get(SCRIPT_HEADER) == "1"):
            raise RejectedRequestError(
                403, _("This page is too old. Load it again, then try once more.")
            )
        return again(body, request.receive)

    async def _forward(self, request: Request, entry: Entry, receive: Receive, send: Send) -> None:
        device: Device | None = request.state.device
        started = done = False

        async def sending(message: Message) -> None:
            nonlocal started, done
            if message["type"] == "http.response.start":
                started = True
                self._note(request, entry, message["status"])
                if device is not None and device.role != Role.STREAM and wants_page(request):
                    self._renew(request, message)
            done = message["type"] == "http.response.body" and not message.get("more_body")
            await send(message)

        answering = self._app(request.scope, receive, sending)
        if entry.stream is None or device is None:
            await answering
        elif not await self._watched(answering, device) and started and not done:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _watched(self, answering: Awaitable[None], device: Device) -> bool:
        """Let a stream go on for as long as its device has access; whether it ended by itself."""
        task = asyncio.ensure_future(answering)
        try:
            while not (await asyncio.wait({task}, timeout=WATCH_SECONDS))[0]:
                has_access = self._access.devices.still_has_access(device.device_id)
                if self._traffic.ending or not has_access:
                    return False
            task.result()
            return True
        finally:
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    def _note(self, request: Request, entry: Entry, status: int) -> None:
        """Write down what was changed, and by whom."""
        device: Device | None = request.state.device
        if entry.method == "POST" and entry.is_noted and status < 400 and device is not None:
            found = " ".join(f"{k} {v}" for k, v in request.scope.get("path_params", {}).items())
            subject = getattr(request.state, "subject", found)
            try:
                self._access.audit.note(device.device_id, entry.action, subject)
            except sqlite3.OperationalError as exc:  # it is done already
                log.error(
                    "device %d: %s (%s) cannot be noted: %s",
                    *(device.device_id, entry.action, subject, exc),
                )

    def _note_seen(self, device: Device) -> None:
        """Remember that a device was there; one is let in on a full disk too."""
        try:
            self._access.devices.note_seen(device)
        except sqlite3.OperationalError as exc:
            log.warning("it cannot be noted that device %d was there: %s", device.device_id, exc)

    def _renew(self, request: Request, message: Message) -> None:
        """Give the cookie another ninety days, unless the endpoint has said what becomes of it."""
        headers = MutableHeaders(raw=message["headers"])
        if "set-cookie" in headers:
            return
        renewed = Response()
        context: RequestContext = request.state.context
        give_cookie(renewed, context, secret_of(request, context))
        headers.append("set-cookie", renewed.headers["set-cookie"])


def require_few(limit: RateLimit, who: str, now_seconds: float, sentence: str) -> None:
    """Count one time more.

    Raises:
        RejectedRequestError: it is one too many.
    """
    wait = limit.take(who, now_seconds)
    if wait > 0:
        raise RejectedRequestError(429, sentence, {"retry-after": str(math.ceil(wait))})


def _below(path: str, prefix: str) -> str:
    """A path without the prefix that a proxy may or may not have taken away."""
    if prefix and (path == prefix or path.startswith(f"{prefix}/")):
        return path[len(prefix) :] or "/"
    return path
