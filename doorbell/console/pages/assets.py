"""What belongs to the look: style, scripts, icons, manifest, a device's language and theme."""

from __future__ import annotations

import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from doorbell.console import icons, languages, rendering
from doorbell.console.static_files import TYPES, static_files, static_path

YEAR_SECONDS = 365 * 24 * 3600
DAY_SECONDS = 24 * 3600


async def static(request: Request) -> Response:
    """A file; one of another version is answered with that of this one, but not to be kept."""
    files = static_files()
    name = request.path_params["name"]
    content = files.contents.get(name)
    if content is None:
        return Response(status_code=404)
    current = request.path_params["version"] == files.version
    keep = f"public, max-age={YEAR_SECONDS}, immutable" if current else "no-cache"
    media_type = TYPES[Path(name).suffix]
    return Response(content, media_type=media_type, headers={"Cache-Control": keep})


async def icon(request: Request) -> Response:
    """The console's icon, such as ``192.png`` or ``maskable-512.png``."""
    found = re.fullmatch(r"(maskable-)?(\d{2,3})\.png", request.path_params["name"])
    if found is None or int(found[2]) not in icons.SIZES:
        return Response(status_code=404)
    return Response(
        icons.icon_png(int(found[2]), maskable=found[1] is not None),
        media_type="image/png",
        headers={"Cache-Control": f"public, max-age={DAY_SECONDS}"},
    )


async def manifest(request: Request) -> Response:
    """What a phone needs to install the console."""
    _ = rendering.gettext_of(request)

    def address(path: str) -> str:
        return rendering.url_of(request, path)

    return JSONResponse(
        {
            "id": address("/"),
            "name": _("Doorbell"),
            "short_name": _("Doorbell"),
            "start_url": address("/"),
            "scope": address("/"),
            "display": "standalone",
            "background_color": "#f6f6f2",
            "theme_color": "#0e6655",
            "icons": [
                {"src": address("/icons/192.png"), "sizes": "192x192", "type": "image/png"},
                {"src": address("/icons/512.png"), "sizes": "512x512", "type": "image/png"},
                {
                    "src": address("/icons/maskable-512.png"),
                    "sizes": "512x512",
                    "type": "image/png",
                    "purpose": "maskable",
                },
            ],
        },
        media_type="application/manifest+json",
    )


async def worker(request: Request) -> Response:
    """The script that shows a page of ours where the house cannot be reached.

    It lies beside the pages, because it works for what is below its own address.
    """
    addresses = {
        "PAGE": rendering.url_of(request, "/offline"),
        "STYLE": rendering.url_of(request, static_path("console.css")),
        "VERSION": static_files().version,
    }
    script = static_files().contents["worker.js"].decode()
    for name, value in addresses.items():
        script = script.replace(f"{{{name}}}", value)
    return Response(script, media_type=TYPES[".js"], headers={"Cache-Control": "no-cache"})


async def offline(request: Request) -> Response:
    """The page for when the house cannot be reached.

    A browser keeps it, also after its access has ended: it is made for nobody, with no notice of
    what was just done, and with nothing by which forms are known.
    """
    request.state.device, request.state.csrf = None, ""
    return rendering.render(request, "offline.html")


async def language(request: Request) -> Response:
    """Show the pages in another language on this device."""
    chosen = request.state.form.get("language", "")
    known = chosen in languages.LANGUAGES or chosen == languages.PSEUDO
    return _chosen(request, languages.COOKIE, chosen if known else "")


async def theme(request: Request) -> Response:
    """Show the pages light or dark on this device, or as it is itself."""
    chosen = request.state.form.get("theme", "")
    return _chosen(request, rendering.THEME_COOKIE, chosen if chosen in rendering.THEMES else "")


def _chosen(request: Request, cookie: str, value: str) -> Response:
    answer = RedirectResponse(
        rendering.url_of(request, rendering.own_path(request.state.form.get("to", "/"))),
        status_code=303,
    )
    path = rendering.url_of(request, "") or "/"
    if value:
        secure = request.url.scheme == "https"
        answer.set_cookie(
            cookie, value, max_age=YEAR_SECONDS, path=path, samesite="strict", secure=secure,
            httponly=True,
        )  # fmt: skip
    else:
        answer.delete_cookie(cookie, path=path)
    return answer
