"""Who is at the door, and naming them: by one tap, by keyboard alone and without scripts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from console_browsers import BEHIND_NGINX_IF_LONG, BEHIND_NGINX_TOO, Enter, Visitor
from console_house import KNOWN_NAME, STRANGER_NAME, House

from doorbell.console.routing import Role
from doorbell.testbed.scenes import KNOWN, STRANGER
from doorbell.testbed.waiting import eventually

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.system

CARD_SECONDS = 2.0
MOST_TABS = 80
CHIP = "form.chips button"


@pytest.fixture
def stranger(house: House) -> Iterator[str]:
    """The visit of a stranger who has come and gone; named by nobody at the end."""
    visit = str(house.comes(STRANGER)["visit_id"])
    house.goes()
    before = house.contents()
    yield visit
    assert house.contents() == before


def card(page: Page, visit: str) -> Locator:
    return page.locator(f'article[data-visit="{visit}"]')


def names_at_the_broker(house: House) -> list[str | None]:
    """Who the last visitor was, as home automation has been told."""
    told = [json.loads(each) for each in house.subscriber.of("visitor") if each]
    return [each.get("person") for each in told]


def undo(page: Page) -> Locator:
    return page.locator("#toasts button, .notice form button", has_text="Undo").last


@BEHIND_NGINX_TOO
def test_a_stranger_at_the_door_is_on_the_page_at_once(member: Visitor, house: House) -> None:
    page = member.open("/")
    page.wait_for_selector("#live-view[data-state=live]")
    event = house.comes(STRANGER)
    card(page, event["visit_id"]).wait_for()
    assert time.time() - event["heard_at"] < CARD_SECONDS
    assert card(page, event["visit_id"]).locator(CHIP).count() >= 1
    face = card(page, event["visit_id"]).locator("img")
    face.wait_for()
    house.goes()
    assert eventually(lambda: face.evaluate("image => image.naturalWidth > 0"))


def test_one_tap_names_everywhere_and_undo_takes_it_back(
    member: Visitor, house: House, stranger: str
) -> None:
    page = member.open("/")
    chip = card(page, stranger).locator(CHIP).first
    assert chip.inner_text() == STRANGER_NAME
    before, told = house.contents(), names_at_the_broker(house)
    began = time.monotonic()
    chip.click()
    assert eventually(lambda: house.contents() != before)
    assert eventually(lambda: names_at_the_broker(house)[-1:] == [STRANGER_NAME])
    page.locator("#today", has_text=STRANGER_NAME).wait_for()
    assert time.monotonic() - began < CARD_SECONDS
    assert card(page, stranger).count() == 0 or card(page, stranger).is_hidden()

    undo(page).click()
    assert eventually(lambda: house.contents() == before)
    assert eventually(lambda: names_at_the_broker(house)[-1:] == told[-1:])
    card(page, stranger).wait_for()


def test_a_wrong_name_is_mended_by_two_taps_and_undone(member: Visitor, house: House) -> None:
    visit = str(house.comes(KNOWN)["visit_id"])
    house.goes()
    before = house.contents()
    page = member.open("/")
    page.locator("#today a", has_text=KNOWN_NAME).click()
    page.wait_for_url(f"**/visits/{visit}")
    page.locator("details.correction summary").click()
    page.locator("details.correction button", has_text=STRANGER_NAME).click()
    assert eventually(lambda: house.contents() != before)
    undo(page).click()
    assert eventually(lambda: house.contents() == before)


def focus_by_keyboard(page: Page, target: Locator) -> None:
    """Press Tab until it has the focus, and see that this is shown."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            outline = target.evaluate("element => getComputedStyle(element).outlineStyle")
            assert outline != "none"
            return
    pytest.fail(f"Tab does not lead to {target}")


def test_naming_correcting_and_muting_work_by_keyboard_alone(
    member: Visitor, house: House, stranger: str
) -> None:
    page = member.open("/")
    before = house.contents()
    focus_by_keyboard(page, card(page, stranger).locator(CHIP).first)
    page.keyboard.press("Enter")
    assert eventually(lambda: house.contents() != before)
    undo(page).wait_for()
    page.keyboard.press("u")
    assert eventually(lambda: house.contents() == before)

    focus_by_keyboard(page, page.locator("#mute button").first)
    page.keyboard.press("Enter")
    assert eventually(lambda: house.subscriber.of("mute/state")[-1:] == [b"ON"])
    page.locator("#quiet .badge").wait_for()
    focus_by_keyboard(page, page.locator("#mute button").first)
    page.keyboard.press("Enter")
    assert eventually(lambda: house.subscriber.of("mute/state")[-1:] == [b"OFF"])

    member.open(f"/visits/{stranger}")
    focus_by_keyboard(page, page.locator("main form button[name=person_id]").first)
    page.keyboard.press("Enter")
    assert eventually(lambda: house.contents() != before)
    undo(page).wait_for()
    focus_by_keyboard(page, undo(page))
    page.keyboard.press("Enter")
    assert eventually(lambda: house.contents() == before)


@BEHIND_NGINX_IF_LONG
def test_naming_correcting_and_muting_work_without_scripts(
    enter: Enter, house: House, stranger: str
) -> None:
    enter(Role.MEMBER)  # pairing itself may use them
    member = enter(Role.MEMBER, java_script_enabled=False)
    page = member.open("/")
    before = house.contents()
    card(page, stranger).locator(CHIP).first.click()
    assert house.contents() != before
    undo(page).click()
    assert house.contents() == before

    member.open("/")
    page.locator("#mute button").first.click()
    assert eventually(lambda: house.subscriber.of("mute/state")[-1:] == [b"ON"])
    member.open("/")
    page.locator("#mute button").first.click()
    assert eventually(lambda: house.subscriber.of("mute/state")[-1:] == [b"OFF"])

    member.open(f"/visits/{stranger}")
    page.locator("main form button[name=person_id]").first.click()
    assert house.contents() != before
    undo(page).click()
    assert house.contents() == before
