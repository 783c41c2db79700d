"""Every page of the console that people look at, by a path that leads to one."""

from doorbell.console.routes import ROUTES
from doorbell.console.routing import Entry

# By route, a path of it in ``console_house.House``: the visit and people that are there from the
# beginning.
PAGES = {
    "/": "/",
    "/wall": "/wall",
    "/pair": "/pair",
    "/offline": "/offline",
    "/visits": "/visits",
    "/visits/search": "/visits/search",
    "/visits/{visit:id}": "/visits/seed-0",
    "/visits/{visit:id}/search": "/visits/seed-0/search",
    "/people": "/people",
    "/people/{person:number}": "/people/2",
    "/people/new": "/people/new",
    "/replies": "/replies",
    "/settings": "/settings",
    "/settings/aim": "/settings/aim",
    "/health": "/health",
    "/notifications": "/notifications",
    "/devices": "/devices",
}
# What is no page: pictures, sounds, streams, files; and what takes a token.
OTHERS = {
    "/healthz",
    "/ca.crt",
    "/static/{version:id}/{name:file}",
    "/icons/{name:file}",
    "/manifest.webmanifest",
    "/worker.js",
    "/act",
    "/frame.jpg",
    "/stream.mjpeg",
    "/live",
    "/events",
    "/visits/{visit:id}/picture",
    "/people/{person:number}/portrait",
    "/enroll/photo/{photo:id}",
    "/chimes/{chime:id}.wav",
    "/replies/{reply:id}.wav",
}


def of_pages() -> set[Entry]:
    """Routes of pages, as the table of routes has them."""
    return {each for each in ROUTES if each.method == "GET" and each.path not in OTHERS}
