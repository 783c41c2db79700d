"""The pages of a house with two doors in a browser: where it rings, and what is done where."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest
from console_browsers import PATIENCE_MS
from console_everybody import SIZES, suits_everybody
from console_server import Console
from console_two_doors import TwoDoors
from console_watch import Watch

from doorbell.console.routing import Role
from doorbell.testbed.waiting import eventually

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def two_doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with Console(tmp_path_factory.mktemp("console"), answers=TwoDoors().answers()) as serving:
        serving.picture = np.full((72, 128, 3), 90, np.uint8)
        yield serving


@pytest.fixture
def page(browser: Browser, two_doors: Console) -> Iterator[Page]:
    """Of a phone that is paired; at the end nothing may have been wrong in it."""
    _, secret = two_doors.access.devices.add("phone", Role.MEMBER)
    with closing(browser.new_context(locale="en-GB")) as context:
        context.set_default_timeout(PATIENCE_MS)
        context.add_cookies([{"name": "door", "value": secret, "url": two_doors.origin}])
        watch = Watch(context, two_doors.origin)
        opened = context.new_page()
        yield opened
        watch.check(opened)


@pytest.mark.parametrize("path", ["/", "/wall"])
def test_a_ring_at_the_other_door_is_said_with_a_link_to_it(
    two_doors: Console, page: Page, path: str
) -> None:
    two_doors.doorbell.answers["door.answer"] = lambda _: {}
    page.goto(f"{two_doors.origin}{path}?door=garden")
    page.locator('#live-view[data-state="live"]').wait_for()
    line = page.locator('[data-rings="front"]')

    def rings() -> bool:
        """Once the page listens."""
        for door_id in ("garden", "front"):
            two_doors.doorbell.tell({"event": "ring", "event_id": "e", "door_id": door_id})
        page.wait_for_timeout(100)
        return line.is_visible()

    assert eventually(rings)
    assert line.inner_text().strip() == "It rings: Front door"
    assert page.locator("[data-rings]").count() == 1
    line.locator("a").click()
    page.wait_for_url(f"{two_doors.origin}{path}?door=front")
    if path == "/":
        answered = [e for e in two_doors.doorbell.asked if e["do"] == "door.answer"]
        assert answered[0]["door_id"] == "garden"


def test_a_chime_is_tried_at_the_door_that_was_looked_at_until_another_is_chosen(
    two_doors: Console, page: Page
) -> None:
    def tried() -> list[object]:
        asked = two_doors.doorbell.asked
        return [each.get("door_id") for each in asked if each["do"] == "chime.play"]

    page.goto(f"{two_doors.origin}/?door=garden")
    page.locator('nav a[href^="/people"]').click()
    page.locator('a[href^="/people/1?"]').click()
    try_it = page.locator('button[formaction$="/chime/play"]').first
    try_it.click()
    assert eventually(lambda: tried() == ["garden"])
    page.locator("#door").select_option("front")
    try_it.click()
    assert eventually(lambda: tried() == ["garden", "front"])


@pytest.mark.parametrize(
    "path",
    [
        "/?door=garden",
        "/wall",
        "/settings?door=garden",
        "/visits",
        "/visits/anna/search",
        "/people/1",
    ],
)
def test_a_page_of_two_doors_is_for_everybody(two_doors: Console, page: Page, path: str) -> None:
    page.goto(f"{two_doors.origin}{path}", wait_until="load")
    page.evaluate(
        "document.querySelectorAll('[data-rings]').forEach((line) => line.hidden = false)"
    )
    suits_everybody(page, SIZES[:2])
