"""The headers of every answer, and the answer to a fault of ours: around everything."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from doorbell.config.console import ConsoleSection

log = logging.getLogger(__name__)

_FEATURES = (
    "accelerometer", "autoplay", "browsing-topics", "camera", "display-capture",
    "encrypted-media", "gamepad", "geolocation", "gyroscope", "hid", "magnetometer", "midi",
    "payment", "publickey-credentials-get", "serial", "usb", "xr-spatial-tracking",
)  # fmt: skip


def security_headers(section: ConsoleSection) -> dict[str, str]:
    """What every answer carries."""
    ancestors = " ".join(section.frame_ancestors) or "'none'"
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; media-src 'self' blob:; manifest-src 'self'; worker-src 'self'; "
        f"form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}; "
        "require-trusted-types-for 'script'; trusted-types door"
    )
    headers = {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        # Not "no-referrer": with that a browser says "Origin: null" of a form, and without HTTPS
        # there is nothing else to tell our own pages' forms by. To others nothing is sent.
        "referrer-policy": "same-origin",
        # Talking at the door is by the microphone; a page that frames ours has to allow it as well.
        "permissions-policy": ", ".join(
            [*(f"{each}=()" for each in _FEATURES), "microphone=(self)"]
        ),
        "cross-origin-resource-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "x-robots-tag": "noindex",
        "cache-control": "no-store",
    }
    if not section.frame_ancestors:
        headers["x-frame-options"] = "DENY"
    return headers


class SecurityHeaders:
    """Give every answer its headers, and answer where the rest has failed.

    Args:
        app: the rest.
        headers: what every answer carries.
    """

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                found = scope.get("state", {}).get("entry")
                for name, value in self._headers.items():
                    if not (name == "cache-control" and found is not None and found.cached):
                        headers[name] = value
                if not _is_trustworthy(scope):
                    del headers["cross-origin-opener-policy"]
                headers.setdefault("cache-control", self._headers["cache-control"])
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            log.exception("the console failed at %s %s", scope["method"], scope["path"])
            if started:
                raise
            answer = PlainTextResponse("The console has failed at this. Its log says why.", 500)
            await answer(scope, receive, sending)


def _is_trustworthy(scope: Scope) -> bool:
    """Whether browsers heed a policy of the opener here; elsewhere they complain of it."""
    context = scope.get("state", {}).get("context")
    return context is None or context.is_secure or context.names_this_machine
