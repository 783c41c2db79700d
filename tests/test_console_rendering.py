"""Pages from templates: the reader's language, the house's clock, prefixes, and what was done."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from babel.core import Locale
from console_server import Console
from scripted_doorbell import Answer
from starlette.applications import Starlette
from starlette.requests import Request

from doorbell.console import moments
from doorbell.console.icons import SIZES, icon_png
from doorbell.console.languages import PSEUDO, language_of, translations
from doorbell.console.notices import CAPACITY, Notices
from doorbell.console.rendering import environment, own_path
from doorbell.console.routing import Role
from doorbell.console.static_files import static_files, static_path


def asking(language: str = "auto", **headers: str) -> Request:
    """A request as a browser sends it, to a console of that language."""
    app = Starlette()
    app.state.section = SimpleNamespace(language=language)
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": pairs, "app": app}
    return Request(scope)


@pytest.mark.parametrize(
    ("house", "headers", "language"),
    [
        ("auto", {}, "en"),
        ("auto", {"accept_language": "de-AT,de;q=0.9,en;q=0.8"}, "de"),
        ("auto", {"accept_language": "fr,de;q=0.5"}, "de"),
        ("auto", {"accept_language": "fr, nl"}, "en"),
        ("auto", {"accept_language": ";;,=,\t"}, "en"),
        ("de", {"accept_language": "en"}, "de"),
        ("de", {"cookie": "language=en"}, "en"),
        ("auto", {"cookie": "language=xx", "accept_language": "de"}, "de"),
        ("auto", {"cookie": f"language={PSEUDO}"}, PSEUDO),
    ],
)
def test_the_language_is_that_of_the_device_the_house_or_the_browser(
    house: str, headers: dict[str, str], language: str
) -> None:
    assert language_of(asking(house, **headers)) == language


NOW = datetime(2026, 11, 28, 14, 30).astimezone()


@pytest.mark.parametrize(
    ("moment", "english", "german"),
    [
        (NOW.replace(hour=14, minute=3), "today 14:03", "heute 14:03"),
        (NOW - timedelta(days=1), "yesterday 14:30", "gestern 14:30"),
        (NOW - timedelta(days=5), "Monday 14:30", "Montag 14:30"),
        (NOW - timedelta(days=7), "21 Nov 14:30", "21. Nov. 14:30"),
        (datetime(2025, 1, 2, 3, 4).astimezone(), "2 Jan 2025 03:04", "2. Jan. 2025 03:04"),
    ],
)
def test_moments_are_said_as_people_do(moment: datetime, english: str, german: str) -> None:
    parsed = moments.parse(moment.astimezone(timezone.utc).isoformat().replace("+00:00", "Z"))
    for language, locale, words in (("en", "en_GB", english), ("de", "de", german)):
        gettext = translations(language).gettext
        assert moments.when(parsed, NOW, Locale.parse(locale), gettext) == words


@pytest.mark.parametrize(("seconds", "words"), [(0, "0:00"), (41, "0:41"), (3729, "1:02:09")])
def test_how_long_something_took(seconds: float, words: str) -> None:
    assert moments.lasting(seconds) == words


def test_nothing_from_outside_is_markup() -> None:
    for language in ("en", "de", PSEUDO):
        template = environment(language).from_string(
            "{{ name }} {{ _('%(name)s is at the door', name=name) }}"
        )
        shown = template.render(name="<script>alert(1)</script>")
        assert "<script>" not in shown
        assert shown.count("&lt;script&gt;") == 2


def test_the_made_up_language_is_longer_and_keeps_values() -> None:
    words = translations(PSEUDO)
    for message in ("Save", "%(name)s is at the door", "%(num)s visits and 40 %% more"):
        made = words.gettext(message)
        assert len(made) >= 1.4 * len(message)
        assert re.findall(r"%\(\w+\)s|%%", made) == re.findall(r"%\(\w+\)s|%%", message)
        assert message not in made


def test_what_was_done_is_said_once_and_taken_back_once_by_its_device() -> None:
    notices = Notices()
    kept = notices.say(1, "named Ben", {"do": "undo", "token": "7"})
    assert notices.take(2) is None
    assert notices.take(1) == kept
    assert notices.take(1) is None
    assert notices.undo(2, kept.key) is None
    assert notices.undo(1, "7") is None
    assert notices.undo(1, kept.key) == {"do": "undo", "token": "7"}
    assert notices.undo(1, kept.key) is None


def test_notices_are_not_kept_without_end() -> None:
    notices = Notices()
    keys = [notices.say(1, "done", {"do": "undo"}).key for _ in range(CAPACITY + 1)]
    assert notices.undo(1, keys[0]) is None
    assert notices.undo(1, keys[1]) is not None


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil", "/a?b=c", "", "/a//b", "/../a"]
)
def test_no_form_leads_to_another_site(to: str) -> None:
    assert own_path(to) == "/"


def test_scripts_load_from_their_own_version() -> None:
    path = static_path("console.js")
    assert path == f"/static/{static_files().version}/console.js"
    for name, content in static_files().contents.items():
        for imported in re.findall(rb'from "\./([^"]+)"|import "\./([^"]+)"', content):
            assert b"".join(imported).decode() in static_files().contents, name


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("maskable", [False, True])
def test_icons_have_their_size(size: int, *, maskable: bool) -> None:
    png = icon_png(size, maskable=maskable)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(png[16:20], "big") == int.from_bytes(png[20:24], "big") == size
    assert len(png) < 30_000


def test_the_shell_is_served_and_kept(tmp_path: Path) -> None:
    with Console(tmp_path) as console:
        style = console.get(static_path("console.css"))
        assert style.headers["content-type"].startswith("text/css")
        assert "immutable" in style.headers["cache-control"]
        old = console.get("/static/0123456789ab/console.css")
        assert (old.body, old.headers["cache-control"]) == (style.body, "no-cache")
        assert console.get(f"/static/{static_files().version}/nothing.css").status == 404
        icon = console.get("/icons/192.png")
        assert (icon.status, icon.headers["content-type"]) == (200, "image/png")
        assert console.get("/icons/193.png").status == 404
        assert console.get("/icons/999999.png").status == 404
        worker = console.get("/worker.js").text
        assert static_path("console.css") in worker
        assert not re.search(r"\{[A-Z]+\}", worker)
        manifest = console.get("/manifest.webmanifest")
        assert manifest.headers["content-type"] == "application/manifest+json"


def test_language_and_theme_are_of_the_device(tmp_path: Path) -> None:
    with Console(tmp_path) as console:
        device = console.device(Role.VIEWER)
        for path, form, cookie in (
            ("/language", {"language": "de"}, "language=de"),
            ("/theme", {"theme": "dark"}, "theme=dark"),
        ):
            answer = console.post(path, device, {**form, "to": "/wall"})
            assert (answer.status, answer.headers["location"]) == (303, "/wall")
            assert answer.headers["set-cookie"].startswith(cookie)
        page = console.get(
            "/offline", {**device, "cookie": f"{device['cookie']}; language=de; theme=dark"}
        ).text
        assert '<html lang="de" data-theme="dark">' in page
        assert (
            console.post("/theme", device, {"theme": "x;y"})
            .headers["set-cookie"]
            .startswith('theme=""')
        )


def test_the_page_that_a_browser_keeps_is_made_for_nobody(tmp_path: Path) -> None:
    said: dict[str, Any] = {"summary": "", "undo": "change-1"}
    person: dict[str, Any] = {"person": {"name": "Berta"}, "visits": []}
    answers: dict[str, Answer] = {
        "visits.correct": lambda _: said,
        "people.get": lambda _: person,
    }
    with Console(tmp_path, answers=answers) as console:
        owner = console.device(Role.OWNER)
        assert console.post("/visits/v1/correct", owner, {"person_id": "1"}).status == 303

        kept = console.get("/offline", owner).text  # as the service worker fetches it
        assert "Berta" not in kept
        assert 'data-csrf=""' in kept
        assert "data-device" not in kept
        # The notice waits for the page that is looked at.
        assert "Berta" in console.get("/devices", owner).text
