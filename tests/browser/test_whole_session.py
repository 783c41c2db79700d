"""A whole session of an owner: one origin, a clean console; and a console that is killed in it."""

from __future__ import annotations

import re
import time

import pytest
from console_browsers import BEHIND_NGINX_IF_LONG, Console, Enter, Visitor, pair
from console_house import House
from console_pages import PAGES

from doorbell.console.routing import Role
from doorbell.control.client import Client
from doorbell.testbed.scenes import KNOWN, STRANGER
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

KINDS = ["arrived", "recognized", "ring", "left"]


@BEHIND_NGINX_IF_LONG
def test_the_link_of_the_terminal_pairs_a_browser_by_one_tap(
    enter: Enter, console: Console
) -> None:
    stranger = enter(Role.PUBLIC)
    stranger.page.goto(console.address + "/visits")
    stranger.page.wait_for_url(re.compile(re.escape(f"{console.address}/pair") + "([?]|$)"))
    code = console.process.pair("owner").partition("#")[2]
    stranger.page.goto(f"{console.address}/pair#{code}")
    assert code not in stranger.page.url
    stranger.page.locator("#pair button").click()
    stranger.page.wait_for_url(f"{console.address}/")
    stranger.page.goto(f"{console.address}/devices")
    assert stranger.page.locator("main form").count() > 0
    assert code not in stranger.page.content()


@BEHIND_NGINX_IF_LONG
def test_a_whole_session_talks_to_one_origin(enter: Enter, console: Console, house: House) -> None:
    """``enter`` fails at the end for any other origin, and for every word of the browser."""
    owner = enter(Role.PUBLIC)
    pair(owner.page, console, Role.OWNER)
    page = owner.page
    page.wait_for_selector("#live-view[data-state=live]")
    visit = str(house.comes(STRANGER)["visit_id"])
    house.goes()
    page.locator(f'article[data-visit="{visit}"] form.chips button').first.click()
    toast = page.locator("#toasts .toast")
    toast.wait_for()
    assert "Undo" in toast.inner_text()
    toast.get_by_text("Undo").click()
    page.locator(f'article[data-visit="{visit}"]').wait_for()
    for link in page.locator("nav a").all():
        link.click()
        page.wait_for_load_state("load")
        owner.watch.check(page)
    for path in PAGES.values():
        owner.open(path)
        page.wait_for_load_state("load")
        # Whoever is paired is led on from there.
        assert page.url == console.address + ("/" if path == "/pair" else path)
        owner.watch.check(page)
    for theme in ("dark", "light"):
        page.emulate_media(color_scheme=theme)
        owner.open("/wall")
        page.wait_for_selector("[data-state=live]")
    owner.watch.check(page)


@BEHIND_NGINX_IF_LONG
def test_a_console_that_is_killed_costs_no_event_and_no_chime_and_comes_back(
    viewer: Visitor, console: Console, house: House
) -> None:
    viewer.watch.expected += ["ERR_", "502", "Failed to load resource"]
    page = viewer.open("/")
    page.wait_for_selector("#live-view[data-state=live]")
    page.evaluate("window.same = true")
    house.card.recording.unlink(missing_ok=True)
    heard = len(house.subscriber.heard("event"))
    with Client.connect(house.control) as client, client.frames() as frames:
        house.camera.comes(KNOWN)
        console.process.kill()
        sequences = []
        end = time.monotonic() + 3.0
        while time.monotonic() < end:
            frame = frames.next(1.0)
            assert frame is not None
            sequences.append(frame.captured_at)
    house.goes()
    told = [each["event_type"] for each in house.subscriber.documents("event")[heard:]]
    assert sorted(told) == sorted(KINDS)
    assert eventually(house.card.recording.exists)
    # Ten a second were asked for; the camera's own pace and a machine that is busy leave some out.
    assert len(sequences) >= 20
    console.process.start()
    page.wait_for_selector("#live-view[data-state=live]", timeout=20_000)
    assert page.evaluate("window.same")
