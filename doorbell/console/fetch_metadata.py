"""Whether a request comes from our own pages, or was made by those of another site."""

from __future__ import annotations

from starlette.requests import Request

from doorbell.config.console import USUAL_PORTS
from doorbell.console.request_context import RequestContext

SCRIPT_HEADER = "x-door"


def is_from_our_pages(request: Request, context: RequestContext) -> bool:
    """Whether a browser says that one of our pages made a request that changes something.

    Browsers say it in Sec-Fetch-Site where the way is safe, and in Origin always.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return False
    origin = request.headers.get("origin")
    if origin is None:
        return site is not None
    return _plain(origin) == context.origin or (site is not None and origin == "null")


def may_be_read(request: Request) -> bool:
    """Whether a request that changes nothing may be answered: no page of another site embeds ours.

    Following a link to us is fine, and so is showing us in a frame, which Content-Security-Policy
    decides. Whoever shows a token is no browser.
    """
    site = request.headers.get("sec-fetch-site", "none")
    if site in ("same-origin", "none") or "authorization" in request.headers:
        return True
    leads_here = request.headers.get("sec-fetch-mode") == "navigate"
    return leads_here and request.headers.get("sec-fetch-dest") not in ("object", "embed")


def _plain(origin: str) -> str:
    """An origin without the usual port, which some write out."""
    scheme, _, rest = origin.lower().partition("://")
    usual = scheme in USUAL_PORTS and rest
    return origin.lower().removesuffix(f":{USUAL_PORTS[scheme]}") if usual else origin.lower()
