"""Who has access: the list, invitations, tokens for other systems, and what was done."""

from __future__ import annotations

from typing import Any

import segno
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from doorbell.clock import iso_utc
from doorbell.config.console import address_of
from doorbell.console.access import Access
from doorbell.console.devices import clean_name
from doorbell.console.fields import number_in
from doorbell.console.pages.audit_words import action_words
from doorbell.console.refusals import refuse
from doorbell.console.rendering import done, gettext_of, render, url_of
from doorbell.console.routing import Role

ROLES = {"viewer": Role.VIEWER, "member": Role.MEMBER, "owner": Role.OWNER}
ENTRIES_SHOWN = 100


async def page(request: Request) -> Response:
    """The list."""
    return _page(request)


async def invite(request: Request) -> Response:
    """Make a code for one more device, and show it."""
    _ = gettext_of(request)
    access: Access = request.app.state.access
    form = request.state.form
    role = ROLES.get(form.get("role", "member"))
    if role is None:
        return refuse(request, 422, _("There is no such role."))
    invitation = access.invitations.invite(role, clean_name(form.get("name", "")))
    request.state.subject = f"role {role.name.lower()}"
    address = f"{_reached_by_others(request)}{url_of(request, '/pair')}"
    code = segno.make(f"{address}#{invitation.code}", error="m")
    picture = Markup(code.svg_inline(scale=5, border=2, dark="#000", light="#fff", omitsize=True))  # noqa: S704 - made of our own address and code
    return _page(request, invitation=invitation, address=address, picture=picture)


async def revoke(request: Request) -> Response:
    """Take access away from a device or a system."""
    _ = gettext_of(request)
    access: Access = request.app.state.access
    number = number_in(request.state.form.get("device", ""))
    device = None if number is None else access.devices.revoke(number)
    if device is None:
        return refuse(request, 404, _("There is no such device, or it has no access any more."))
    request.state.subject = f"device {device.device_id}"
    said = _("%(name)s has no access any more") % {"name": device.name}
    to = "/pair" if device.device_id == request.state.device.device_id else "/devices"
    return done(request, {}, to, summary=said)


async def make_token(request: Request) -> Response:
    """Make a token with which another system sees the door, and show it once."""
    _ = gettext_of(request)
    access: Access = request.app.state.access
    name = clean_name(request.state.form.get("name", ""))
    if not name:
        return refuse(request, 422, _("Say what the token is for, as in Home Assistant."))
    device, secret = access.devices.add(name, Role.STREAM)
    request.state.subject = f"device {device.device_id}"
    base = f"{request.state.context.origin}{url_of(request, '')}"
    return _page(request, token=secret, token_name=device.name, base=base)


def _page(request: Request, **shown: Any) -> Response:
    access: Access = request.app.state.access
    devices = access.devices.all()
    once: dict[str, Any] = {
        "invitation": None,
        "address": "",
        "picture": "",
        "token": "",
        "token_name": "",
        "base": "",
    }
    return render(
        request,
        "devices.html",
        devices=[each for each in devices if each.role != Role.STREAM],
        systems=[each for each in devices if each.role == Role.STREAM],
        entries=access.audit.newest(ENTRIES_SHOWN),
        words=action_words(gettext_of(request)),
        iso=iso_utc,
        roles=list(ROLES),
        **{**once, **shown},
    )


def _reached_by_others(request: Request) -> str:
    """The origin for a new device: as this one came, unless that leads to itself."""
    section, context = request.app.state.section, request.state.context
    inside = context.names_this_machine and not context.by_proxy
    return address_of(section) if inside and not section.is_loopback else str(context.origin)
