"""THE table of routes: every path and method that the console answers, and the role it takes.

What does not stand here is refused, whoever asks; tests enumerate it.
"""

from __future__ import annotations

import importlib
from typing import cast

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from doorbell.console.pages import devices, pair, public
from doorbell.console.routing import Endpoint, Entry, Role


def _later(name: str) -> Endpoint:
    """An endpoint of ``doorbell.console.pages`` that is found when it is called."""
    module, _, function = name.partition(".")

    async def endpoint(request: Request) -> Response:
        try:
            found = getattr(importlib.import_module(f"doorbell.console.pages.{module}"), function)
        except (ImportError, AttributeError):
            return PlainTextResponse("not there yet", status_code=501)
        return await cast(Endpoint, found)(request)

    return endpoint


PUBLIC, STREAM, VIEWER, MEMBER, OWNER = Role

ROUTES: tuple[Entry, ...] = (
    # Before a device has access.
    Entry("/healthz", "GET", PUBLIC, public.healthz),
    Entry("/ca.crt", "GET", PUBLIC, public.certificate),
    Entry("/pair", "GET", PUBLIC, pair.page),
    Entry("/pair", "POST", PUBLIC, pair.pair),
    Entry("/static/{version:id}/{name:file}", "GET", PUBLIC, _later("assets.static"), cached=True),
    Entry("/icons/{name:file}", "GET", PUBLIC, _later("assets.icon"), cached=True),
    Entry("/manifest.webmanifest", "GET", PUBLIC, _later("assets.manifest")),
    Entry("/worker.js", "GET", PUBLIC, _later("assets.worker")),
    Entry("/offline", "GET", PUBLIC, _later("assets.offline")),
    Entry("/language", "POST", PUBLIC, _later("assets.language")),
    Entry("/theme", "POST", PUBLIC, _later("assets.theme")),
    # The picture of now; the first two also for other systems, by a token.
    Entry("/frame.jpg", "GET", STREAM, _later("live.frame")),
    Entry("/stream.mjpeg", "GET", STREAM, _later("live.mjpeg"), stream="live"),
    Entry("/live", "GET", VIEWER, _later("live.live"), stream="live"),
    Entry("/events", "GET", VIEWER, _later("live.events"), stream="events"),
    # Who is at the door.
    Entry("/", "GET", VIEWER, _later("door.door")),
    Entry("/wall", "GET", VIEWER, _later("door.wall")),
    Entry("/ring", "POST", MEMBER, _later("settings.ring")),
    Entry("/mute", "POST", MEMBER, _later("settings.mute")),
    # Visits, and whose they were.
    Entry("/visits", "GET", MEMBER, _later("visits.visits")),
    Entry("/visits/{visit:id}", "GET", MEMBER, _later("visits.visit")),
    Entry("/visits/{visit:id}/picture", "GET", MEMBER, _later("visits.picture")),
    Entry("/visits/{visit:id}/correct", "POST", MEMBER, _later("visits.correct")),
    Entry("/visits/{visit:id}/no-face", "POST", MEMBER, _later("visits.no_face")),
    Entry("/visits/{visit:id}/ignore", "POST", MEMBER, _later("visits.ignore")),
    Entry("/strangers/{stranger:number}/name", "POST", MEMBER, _later("visits.name_stranger")),
    Entry("/undo", "POST", MEMBER, _later("visits.undo")),
    # People.
    Entry("/people", "GET", MEMBER, _later("people.people")),
    Entry("/people/{person:number}", "GET", MEMBER, _later("people.person")),
    Entry("/people/{person:number}/portrait", "GET", MEMBER, _later("people.portrait")),
    Entry("/people/{person:number}/portrait", "POST", MEMBER, _later("people.set_portrait")),
    Entry(
        "/people/{person:number}/portrait/delete", "POST", MEMBER, _later("people.delete_portrait")
    ),
    Entry("/people/{person:number}/rename", "POST", MEMBER, _later("people.rename")),
    Entry("/people/{person:number}/chime", "POST", MEMBER, _later("people.chime")),
    Entry("/people/{person:number}/preferences", "POST", MEMBER, _later("people.preferences")),
    Entry("/people/{person:number}/consent", "POST", MEMBER, _later("people.consent")),
    Entry("/people/{person:number}/ignore", "POST", MEMBER, _later("people.ignore")),
    Entry("/people/{person:number}/merge", "POST", OWNER, _later("people.merge")),
    Entry("/people/{person:number}/forget", "POST", OWNER, _later("people.forget")),
    Entry("/people/{person:number}/export", "POST", OWNER, _later("people.export")),
    # Enrolling.
    Entry("/people/new", "GET", MEMBER, _later("enroll.new")),
    Entry("/enroll", "POST", MEMBER, _later("enroll.enroll")),
    Entry("/enroll/photo", "POST", MEMBER, _later("enroll.examine"), body="photo"),
    Entry("/enroll/photo/{photo:id}", "GET", MEMBER, _later("enroll.preview")),
    Entry("/enroll/door", "POST", MEMBER, _later("enroll.door"), stream="events"),
    # Chimes, settings and health.
    Entry("/chimes/{chime:id}.wav", "GET", MEMBER, _later("settings.chime_sound")),
    Entry("/chime/play", "POST", MEMBER, _later("settings.play_chime")),
    Entry("/settings", "GET", MEMBER, _later("settings.settings")),
    Entry("/settings", "POST", OWNER, _later("settings.change")),
    Entry("/settings/aim", "GET", MEMBER, _later("settings.aim")),
    Entry("/health", "GET", MEMBER, _later("health.health")),
    Entry("/health/check", "POST", OWNER, _later("health.check")),
    # Who has access.
    Entry("/leave", "POST", VIEWER, pair.leave),
    Entry("/devices", "GET", OWNER, devices.page),
    Entry("/devices/invite", "POST", OWNER, devices.invite),
    Entry("/devices/revoke", "POST", OWNER, devices.revoke),
    Entry("/devices/token", "POST", OWNER, devices.make_token),
)
