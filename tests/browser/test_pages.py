"""Every page, with hostile names in it: for whom it can be used, at any width, and what it does."""

from __future__ import annotations

import pytest
from console_browsers import BEHIND_NGINX_TOO, Console, Enter, Visitor
from console_everybody import SIZES, TOO_WIDE, suits_everybody
from console_house import LONG, MARKUP, RIGHT_TO_LEFT, House
from console_pages import PAGES, of_pages

from doorbell.console.routing import Role
from doorbell.control.client import Client
from doorbell.errors import RefusedError
from doorbell.testbed.scenes import STRANGER

pytestmark = pytest.mark.system

# Words of ours that are broken in the middle, or cut at the end; names may be.
BROKEN = """() => {
  const broken = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text; (text = texts.nextNode()); ) {
    const inside = text.parentElement;
    if (inside.closest("bdi, .name, code, script, noscript") || !inside.checkVisibility()) continue;
    for (const { index, 0: word } of text.data.matchAll(/\\p{L}+/gu)) {
      const range = new Range();
      range.setStart(text, index);
      range.setEnd(text, index + word.length);
      const tops = new Set([...range.getClientRects()].map((each) => Math.round(each.top)));
      if (tops.size > 1) broken.push(word);
    }
  }
  const named = [...document.querySelectorAll(".nav a span")];
  return broken.concat(named.filter((each) => each.scrollWidth > each.clientWidth)
    .map((each) => each.textContent));
}"""
# A name that was read as markup would have made one of these.
MADE_OF_NAMES = "document.querySelectorAll('img[src=x], main i, main b, [onerror]').length"


def test_every_page_of_the_table_is_looked_at() -> None:
    assert {each.path for each in of_pages()} == set(PAGES)


@pytest.mark.parametrize("path", PAGES.values())
def test_a_page_is_for_everybody_at_any_width_light_and_dark(
    enter: Enter, console: Console, path: str
) -> None:
    # Whoever is paired is led on from there.
    visitor = enter(Role.PUBLIC if path == "/pair" else Role.OWNER)
    page = visitor.open(path)
    page.wait_for_load_state("load")
    suits_everybody(page)
    assert page.evaluate(MADE_OF_NAMES) == 0
    assert page.url == console.address + path
    visitor.watch.check(page)


@pytest.mark.parametrize("path", ["/visits", "/people"])
def test_names_are_shown_as_they_were_typed(owner: Visitor, path: str) -> None:
    page = owner.open(path)
    for name in (MARKUP, RIGHT_TO_LEFT, LONG):
        page.locator("main bdi").get_by_text(name, exact=True).first.wait_for()


@pytest.mark.parametrize("language", ["de-DE", "en-GB"])
def test_pages_speak_the_reader_s_language(enter: Enter, language: str) -> None:
    owner = enter(Role.OWNER, locale=language)
    for path in PAGES.values():
        page = owner.open(path)
        assert page.evaluate("document.documentElement.lang") == language[:2]
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate(TOO_WIDE) == [], path
            assert page.evaluate(BROKEN) == [], f"{path} at {width} px"
    word = "Besuche" if language == "de-DE" else "Visits"
    assert page.locator("nav a", has_text=word).count() == 1


@BEHIND_NGINX_TOO
def test_a_link_out_of_a_notification_answers_it_by_one_button_without_access(
    house: House, enter: Enter
) -> None:
    visit = house.comes(STRANGER)["visit_id"]
    house.goes()
    with Client.connect(house.control) as client:
        told = client.ask("notices.take", wait_seconds=5.0).document["notices"]
        [notice] = [n for n in told if n["visit_id"] == visit and n["kind"] == "stranger"]
        label, token = next(
            (each["label"], each["token"])
            for each in notice["answers"]
            if each["label"].startswith("It's ")
        )
        page = enter(Role.PUBLIC).open(f"/act?token={token}")
        suits_everybody(page)
        page.get_by_role("button", name=label).click()
        page.get_by_text("Done.").wait_for()
        visitor = client.ask("visits.get", visit=visit).document["visit"]["visitor"]
        assert label == f"It's {visitor['label']}"
        with pytest.raises(RefusedError, match="given already"):
            client.ask("notices.act", token=token)
