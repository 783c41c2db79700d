"""What a device shows to be let in: its cookie; for another system, a token in the request."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from starlette.requests import Request
from starlette.responses import Response

from doorbell.console.devices import ABSENCE_SECONDS, Device, Devices
from doorbell.console.request_context import RequestContext
from doorbell.console.routing import Role

# A browser takes a cookie of this name only from this very host, encrypted, for all paths.
STRICT_COOKIE, COOKIE = "__Host-door", "door"


def cookie_name(context: RequestContext) -> str:
    """By which name the cookie goes, as the console was reached."""
    return STRICT_COOKIE if context.is_secure and not context.prefix else COOKIE


def secret_of(request: Request, context: RequestContext) -> str:
    """The secret in a browser's cookie; empty without one."""
    return request.cookies.get(cookie_name(context), "")


def known_device(request: Request, context: RequestContext, devices: Devices) -> Device | None:
    """Who asks: a paired device by its cookie, or another system by its token."""
    device = devices.find(secret_of(request, context))
    if device is not None and device.role != Role.STREAM:
        return device
    device = devices.find(_token_of(request.headers.get("authorization", "")))
    return device if device is not None and device.role == Role.STREAM else None


def give_cookie(response: Response, context: RequestContext, secret: str) -> None:
    """Let the browser keep its secret, for as long as it may stay away."""
    response.set_cookie(
        cookie_name(context),
        secret,
        max_age=int(ABSENCE_SECONDS),
        path=context.prefix or "/",
        secure=context.is_secure,
        httponly=True,
        samesite="strict",
    )


def take_cookie(response: Response, context: RequestContext) -> None:
    """Let the browser forget its secret."""
    response.delete_cookie(
        cookie_name(context),
        path=context.prefix or "/",
        secure=context.is_secure,
        httponly=True,
        samesite="strict",
    )


def form_token(secret: str, anonymous_key: bytes) -> str:
    """What the forms of a device carry: only who has the cookie, or reads our pages, knows it."""
    key = hashlib.sha256(secret.encode()).digest() if secret else anonymous_key
    return hmac.new(key, b"a form of the console", hashlib.sha256).hexdigest()


def _token_of(authorization: str) -> str:
    """The token in ``Bearer TOKEN``, or the password of ``Basic``, whoever the user is."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        words = base64.b64decode(value.strip(), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return ""
    return words.partition(":")[2]
