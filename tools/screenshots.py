"""Takes a picture of every web page: ``.venv/bin/python tools/screenshots.py FOLDER``.

At three widths, light and dark, in English and German where asked for, of the house that the tests
of the pages have. Whoever would be seen is a silhouette that is drawn here: nobody's face is in it.
With ``--page`` it takes those of some pages only, and with ``--readme`` the two of the README
instead, in docs/.
"""

from __future__ import annotations

import argparse
import json
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Page, Route, sync_playwright
from readme_pictures import DOCS, draw_silhouette

from doorbell.camera.simulated.background import draw_porch
from doorbell.config import InferenceSection, load_config
from doorbell.console.access import Access
from doorbell.console.routing import Role
from doorbell.control.client import Client
from doorbell.imaging.annotation import encode_jpeg
from doorbell.models.store import models_directory
from doorbell.outputs.sound.synthesis import chime_wav
from doorbell.pipeline.perception import open_perception
from doorbell.testbed.console_process import ConsoleProcess
from doorbell.testbed.scenes import KNOWN, STRANGER

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from console_house import KNOWN_NAME, PLAIN, House
from console_pages import PAGES

SIZES = ((360, 740), (768, 1024), (1440, 900))
THEMES = ("light", "dark")
CHROMIUM = "/usr/bin/chromium"
WIDTH, HEIGHT = 1280, 720
HEAD = 230  # of the silhouette, in pixels
HEAD_AT = (520, 230)
TARGETS = (
    '[{name="phone", address_file="/nowhere", picture=true, actions=true, '
    'tell=["ring", "stranger"], quiet_from="22:00", quiet_to="06:30"}, '
    '{name="work", webhook="https://example.org/door", secret_file="/nowhere", tell=["camera"]}]'
)
SETTINGS = {"talk.microphone": "true", "notifications.targets": TARGETS}
REPLIES = ("Please leave the parcel under the bench", "Grandmother", "At the back")


@dataclass(frozen=True)
class Silhouette:
    """Somebody without a face on a porch.

    Attributes:
        whole, face: JPEGs.
        box: of the head, in fractions of the picture.
    """

    whole: bytes
    face: bytes
    box: tuple[float, float, float, float]


def draw() -> Silhouette:
    """Draw somebody."""
    pixels = draw_porch(WIDTH, HEIGHT, 3)
    (left, top), size = HEAD_AT, HEAD
    draw_silhouette(pixels, left, top, size)
    around = pixels[top - 60 : top + size + 90, left - 75 : left + size + 75]
    small = cv2.resize(around, (192, 192), interpolation=cv2.INTER_AREA)
    box = (left / WIDTH, top / HEIGHT, (left + size) / WIDTH, (top + size) / HEIGHT)
    return Silhouette(encode_jpeg(pixels), encode_jpeg(np.asarray(small, np.uint8)), box)


def stand_in(page: Page, somebody: Silhouette) -> None:
    """Let nobody's face reach a page: silhouettes stand in, in pictures and in the live one."""

    def picture(route: Route) -> None:
        content = somebody.face if "crop=face" in route.request.url else somebody.whole
        route.fulfill(body=content, content_type="image/jpeg")

    def live(route: Route) -> None:
        face = {
            "box": somebody.box,
            "visit_id": "seed-0",
            "label": PLAIN[0],
            "kind": "person",
            "pixels": HEAD,
            "recognizable": True,
        }
        head = json.dumps(
            {
                "seq": round(time.time() * 10),
                "captured_at": time.time(),
                "age_ms": 90,
                "sent_at": 0,
                "w": WIDTH,
                "h": HEIGHT,
                "faces": [face],
            }
        ).encode()
        parts = struct.pack(">I", len(head)), head, struct.pack(">I", len(somebody.whole))
        route.fulfill(body=b"".join((*parts, somebody.whole)), content_type="application/x-door")

    page.route("**/picture?*", picture)
    page.route("**/portrait*", picture)
    page.route("**/live", live)


def furnish(house: House) -> str:
    """Let there be recordings, and news of who is told; an answer to the notification of now."""
    with Client.connect(house.control) as client:
        for label in REPLIES:
            client.ask("replies.add", blob=chime_wav("westminster"), label=label)
        told = {"last_at": "2026-01-05T17:03:00Z", "pictures": True, "to": "ntfy at ntfy.sh"}
        failing = {
            "to": "webhook at example.org",
            "pictures": False,
            "waiting": 3,
            "problem": "example.org refuses: 503 Service Unavailable; it is tried again",
        }
        targets = [{"name": "phone", **told}, {"name": "work", **failing}]
        client.ask("notices.report", targets=targets)
        notices = client.ask("notices.take", wait_seconds=5.0).document["notices"]
        answers = next(each["answers"] for each in notices if each["answers"])
    return f"/act?token={answers[0]['token']}"


def as_stranger(page: Page, address: str, path: str) -> None:
    """Open the page for pairing, from which whoever is paired is led on."""
    kept = page.context.cookies()
    page.context.clear_cookies()
    page.goto(address + path)
    page.context.add_cookies(kept)  # type: ignore[arg-type]


@contextmanager
def opened(locale: str) -> Iterator[tuple[Page, str, dict[str, str]]]:
    """A browser of the owner of a house, the console's address, and paths of it beside PAGES."""
    models = models_directory(InferenceSection())
    with (
        tempfile.TemporaryDirectory(prefix="screenshots-") as folder,
        closing(open_perception(load_config(None))) as perception,
        House(
            Path(folder),
            models / "faces",
            perception,
            people=PLAIN,
            name="Front door",
            settings=SETTINGS,
        ) as house,
        ConsoleProcess(Path(folder), house.control) as console,
        sync_playwright() as playwright,
    ):
        for who in (KNOWN, STRANGER):
            visit = str(house.comes(who)["visit_id"])
            house.goes()
        with closing(Access(console.directory)) as access:
            _, secret = access.devices.add("Tablet in the hall", Role.OWNER)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(locale=locale, reduced_motion="reduce")
        context.add_cookies([{"name": "door", "value": secret, "url": console.origin}])
        page = context.new_page()
        stand_in(page, draw())
        paths = {"stranger": f"/visits/{visit}", "known": "/people/1", "answer": furnish(house)}
        yield page, console.origin, paths
        browser.close()


def shoot(page: Page, file: Path, *, whole: bool = True) -> None:
    """Take a picture of a page once it has everything."""
    page.wait_for_load_state("load")
    live = page.locator("#live-view")
    if live.count():
        live.locator("canvas").wait_for()
        page.wait_for_timeout(700)
    page.screenshot(path=file, full_page=whole)


def every_page(folder: Path, locale: str, only: list[str]) -> None:
    """Take them all, or those of these names."""
    folder.mkdir(parents=True, exist_ok=True)
    with opened(locale) as (page, address, more):
        for route, path in {**PAGES, **more}.items():
            name = route.strip("/").split("{")[0].strip("/").replace("/", "-") or "door"
            name += "-one" if "{" in route else ""
            if only and name not in only:
                continue
            for width, height in SIZES:
                page.set_viewport_size({"width": width, "height": height})
                for theme in THEMES:
                    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
                    if path == "/pair":
                        as_stranger(page, address, path)
                    else:
                        page.goto(address + path)
                    shoot(page, folder / f"{name}-{width}-{theme}.png")


def nameless(page: Page) -> None:
    """The photograph that the tests enroll is of somebody whom the README need not name."""
    page.evaluate(
        "name => document.querySelectorAll('bdi').forEach((each) => {"
        " if (each.textContent === name) each.textContent = 'Emil'; })",
        KNOWN_NAME,
    )


def of_readme() -> None:
    """Take the door on a phone in the dark, and the visits at a desk in the light."""
    with opened("en-GB") as (page, address, _):
        page.set_viewport_size({"width": 400, "height": 860})
        page.emulate_media(color_scheme="dark")
        page.goto(f"{address}/")
        nameless(page)
        shoot(page, DOCS / "console-door.png", whole=False)
        page.set_viewport_size({"width": 1100, "height": 720})
        page.emulate_media(color_scheme="light")
        page.goto(f"{address}/visits")
        nameless(page)
        shoot(page, DOCS / "console-visits.png", whole=False)


def main() -> None:
    """Parse the command line and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("screenshots"))
    parser.add_argument("--locale", default="en-GB", help="of the browser, such as de-DE")
    parser.add_argument("--page", action="append", default=[], help="such as replies; several")
    parser.add_argument("--readme", action="store_true")
    asked = parser.parse_args()
    if asked.readme:
        of_readme()
    else:
        every_page(asked.folder, asked.locale, asked.page)


if __name__ == "__main__":
    main()
