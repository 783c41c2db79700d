"""For whom a page of the console can be used: WCAG 2.2 A and AA, and nothing is wider than it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from axe_playwright_python.sync_playwright import Axe

if TYPE_CHECKING:
    from playwright.sync_api import Page

SIZES = ((360, 740), (768, 1024), (1440, 900))
SCHEMES = ("light", "dark")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
RUN = "tags => axe.run(document, {runOnly: tags, resultTypes: ['violations']})"
# What is wider than the page, outermost first.
TOO_WIDE = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  return [...document.body.querySelectorAll("*")]
    .filter((each) => each.getBoundingClientRect().right > width + 1)
    .slice(0, 4)
    .map((each) => each.outerHTML.slice(0, 160));
}"""


def suits_everybody(page: Page, sizes: Sequence[tuple[int, int]] = SIZES) -> None:
    """Whether a page can be used by everybody, at any width, light and dark."""
    page.evaluate(Axe().axe_script)
    for width, height in sizes:
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate(TOO_WIDE) == [], f"{page.url} at {width} px"
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
            found = page.evaluate(RUN, TAGS)["violations"]
            told = [
                (each["id"], node["target"], node["failureSummary"])
                for each in found
                for node in each["nodes"]
            ]
            assert told == [], f"{page.url} at {width} px, {scheme}"
