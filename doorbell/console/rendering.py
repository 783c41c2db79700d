"""Pages from templates: language, theme, addresses below a prefix, and what every page shows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from doorbell.console import moments
from doorbell.console.doors import door_in, path_at_door, path_of_door
from doorbell.console.languages import LANGUAGES, PSEUDO, language_of, locale_of, translations
from doorbell.console.notices import Notices
from doorbell.console.static_files import static_path
from doorbell.console.words import hint_in_words, initials, strength_in_words

TEMPLATES = Path(__file__).parent / "templates"
THEMES = ("light", "dark")
THEME_COOKIE = "theme"


@lru_cache(maxsize=len(LANGUAGES) + 1)
def environment(language: str) -> jinja2.Environment:
    """The templates of one language: everything escaped, nothing undefined."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = translations(language)
    templates.install_gettext_callables(  # type: ignore[attr-defined]
        words.gettext, words.ngettext, newstyle=True
    )
    locale = locale_of(language)

    def gettext(message: str) -> str:
        return words.gettext(message)

    def now() -> datetime:
        return datetime.now().astimezone()

    def time_element(text: str, shown: str) -> Markup:
        return Markup('<time datetime="{}">{}</time>').format(text, shown)

    def when(text: str) -> Markup:
        return time_element(text, moments.when(moments.parse(text), now(), locale, gettext))

    def day(text: str) -> str:
        return moments.day(moments.parse(text), now(), locale, gettext)

    def clock(text: str) -> Markup:
        return time_element(text, moments.clock(moments.parse(text), locale))

    templates.filters.update(when=when, day=day, clock=clock)
    templates.filters.update(
        initials=initials,
        of_door=path_of_door,
        strength_word=lambda strength: strength_in_words(strength, gettext),
        hint=lambda hint: hint_in_words(hint, gettext),
    )
    return templates


def gettext_of(request: Request) -> Any:
    """``_`` for sentences that are made outside of templates: ``_(message) % {...}``."""
    return translations(language_of(request)).gettext


def url_of(request: Request, path: str) -> str:
    """An address of the console, below the prefix that it is served under."""
    return f"{request.scope.get('root_path', '')}{path}"


def render(request: Request, template: str, *, status_code: int = 200, **context: Any) -> Response:
    """A page of ``templates/``, for the device that asks."""
    language = language_of(request)
    theme = request.cookies.get(THEME_COOKIE)
    device = getattr(request.state, "device", None)
    here = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    text = (
        environment(language)
        .get_template(template)
        .render(
            url=lambda path: url_of(request, path),
            static=lambda name: url_of(request, static_path(name)),
            csrf=getattr(request.state, "csrf", ""),
            language="en" if language == PSEUDO else language,
            languages=LANGUAGES,
            theme=theme if theme in THEMES else "",
            device=device,
            role="" if device is None else device.role.name.lower(),
            here=here,
            back=path_at_door(request, here),
            door=_door_of(request, context.get("status")),
            notice=None if device is None else notices_of(request).take(device.device_id),
            **context,
        )
    )
    return Response(text, status_code=status_code, media_type="text/html")


def _door_of(request: Request, status: Mapping[str, Any] | None) -> str | None:
    """The door whose page is looked at, if the doorbell has it: others are of other machines."""
    named = door_in(request)
    if status is None or any(each["id"] == named for each in status.get("doors", ())):
        return named
    return None


def notices_of(request: Request) -> Notices:
    """The notices of this process."""
    notices: Notices = request.app.state.notices
    return notices


def own_path(to: str) -> str:
    """Where to go on: a path of the console; anything else could lead to another site."""
    path = r"/(?:[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*)?"
    return to if re.fullmatch(rf"{path}(?:\?door=[A-Za-z0-9_-]{{1,64}})?", to) else "/"


def wants_json(request: Request) -> bool:
    """Whether a script asked, which stays on its page."""
    return "application/json" in request.headers.get("accept", "")


def done(
    request: Request,
    outcome: Mapping[str, Any],
    to: str,
    *,
    summary: str | None = None,
) -> Response:
    """Answer a form: the next page, which says what was done, or for a script ``{summary, undo}``.

    Args:
        request: the form's.
        outcome: of the change, as the daemon answered: ``summary`` and perhaps ``undo``.
        to: the path of the next page.
        summary: said in place of the daemon's own sentence, in the reader's language.
    """
    said = summary if summary is not None else str(outcome.get("summary", ""))
    undo = outcome.get("undo")
    if isinstance(undo, str):  # a token for the request of that name
        undo = {"do": "undo", "token": undo}
    by_script = wants_json(request)
    notice = notices_of(request).say(
        request.state.device.device_id, said, undo, on_next_page=not by_script
    )
    if by_script:
        return JSONResponse({"summary": said, "undo": notice.key if undo else None})
    return RedirectResponse(url_of(request, to), status_code=303)
