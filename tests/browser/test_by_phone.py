"""Teaching the doorbell a person by phone: photos with their verdicts, and the next visit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from console_browsers import BEHIND_NGINX_IF_LONG, Visitor
from console_house import KNOWN_NAME, House
from photographs import blurred, jpeg, portrait_pixels, side_by_side

from doorbell.camera.simulated.script import STRANGER_PORTRAIT
from doorbell.control.client import Client
from doorbell.testbed.scenes import STRANGER

if TYPE_CHECKING:
    from playwright.sync_api import FilePayload

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

NAME = "Emma <b>"
LOOKS_MS = 60_000  # where everything else runs beside it


@pytest.fixture
def photos(models_directory: Path) -> dict[str, FilePayload]:
    """By what they show, files as a browser takes them; the stranger's portrait is the good one."""
    who = STRANGER_PORTRAIT.partition(".")[0]
    stranger = portrait_pixels(who, models_directory)
    made = {
        "good": jpeg(stranger),
        "two": jpeg(side_by_side(portrait_pixels("ardern", models_directory), stranger)),
        "blurred": jpeg(blurred(portrait_pixels("biden", models_directory))),
    }
    return {
        name: {"name": f"{name}.jpg", "mimeType": "image/jpeg", "buffer": content}
        for name, content in made.items()
    }


@pytest.fixture
def forgotten(house: House) -> Iterator[None]:
    """Nobody of that name is left at the end."""
    yield
    with Client.connect(house.control) as client:
        for person in client.ask("people.list").document["people"]:
            if person["name"] == NAME:
                number = person["person_id"]
                client.ask("people.forget", person_id=number, name=NAME)


@BEHIND_NGINX_IF_LONG
@pytest.mark.usefixtures("forgotten")
def test_by_phone_and_known_at_the_next_visit(
    owner: Visitor, house: House, photos: dict[str, FilePayload]
) -> None:
    page = owner.open("/people/new")
    page.locator("#name").fill(NAME)
    page.locator("#consent").check()
    page.locator("#portrait").check()
    album = page.locator("input[type=file][multiple]")
    album.set_input_files(list(photos.values()))
    rows = page.locator("#photos > li")
    good, two, blur = (rows.nth(place) for place in range(3))
    good.locator(".said", has_text="Good.").wait_for(timeout=LOOKS_MS)
    two.locator(".said", has_text="Several faces are found.").wait_for(timeout=LOOKS_MS)
    blur.locator(".said", has_text="The face is blurred.").wait_for(timeout=LOOKS_MS)
    assert blur.locator(".muted", has_text="Take a sharper photo.").is_visible()

    assert two.locator("svg rect").count() == 2
    boxes = [two.locator("svg rect").nth(place).bounding_box() for place in range(2)]
    right = max(range(2), key=lambda place: (boxes[place] or {"x": 0})["x"])
    two.get_by_role("button", name=f"Face {right + 1}").click()
    two.locator(".said", has_text="Good.").wait_for()
    page.locator("#enroll-now").click()
    page.locator("#result-title", has_text=f"{NAME} is enrolled.").wait_for(timeout=LOOKS_MS)
    assert page.locator("#result-helps li").count() >= 1
    owner.watch.check(page)

    page.locator("#result-person").click()
    page.wait_for_url("**/people/*")
    assert page.locator(".person-head img").evaluate("each => each.naturalWidth") == 256

    recognized = house.comes(STRANGER)
    house.goes()
    assert recognized["event_type"] == "recognized"
    assert recognized["person"] == NAME

    with Client.connect(house.control) as client:
        people = client.ask("people.list").document["people"]
        (emma,) = (each for each in people if each["name"] == NAME)
        assert emma["portrait"]
        assert emma["consent"]["words"] == "agreed to be known at the door, and to a portrait"
        portrait = client.ask("portrait.get", person_id=emma["person_id"]).blob
        client.ask("people.forget", person_id=emma["person_id"], name=NAME)
    held = b"".join(path.read_bytes() for path in house.storage.rglob("*") if path.is_file())
    assert portrait[-300:] not in held
    assert NAME.encode() not in held


def test_what_is_no_photo_is_said_and_nothing_is_left_in_the_way(owner: Visitor) -> None:
    page = owner.open("/people/new")
    page.locator("#name").fill("Emma")
    album = page.locator("input[type=file][multiple]")
    wrong: list[FilePayload] = [
        {"name": "empty.jpg", "mimeType": "image/jpeg", "buffer": b""},
        {"name": "<img src=x>.svg", "mimeType": "image/svg+xml", "buffer": b"<svg/>"},
        {"name": "large.jpg", "mimeType": "image/jpeg", "buffer": bytes(12_000_001)},
    ]
    album.set_input_files(wrong)
    rows = page.locator("#photos > li")
    for place, words in enumerate(("is empty", "is not a picture", "larger than 12 megabytes")):
        rows.nth(place).locator(".said", has_text=words).wait_for(timeout=LOOKS_MS)
    assert page.locator("#enroll-now").is_disabled()
    rows.nth(0).get_by_role("button").click()
    assert rows.count() == 2
    owner.watch.check(page)


def test_a_face_is_searched_for_by_a_picture_and_by_a_visit(
    owner: Visitor, photos: dict[str, FilePayload], house: House, models_directory: Path
) -> None:
    page = owner.open("/visits")
    page.get_by_role("link", name="Search for a face").click()
    page.wait_for_url("**/visits/search")
    picture = page.locator("input[type=file]")
    known = jpeg(portrait_pixels("obama", models_directory))
    picture.set_input_files({"name": "k.jpg", "mimeType": "image/jpeg", "buffer": known})
    found = page.locator("#found")
    found.get_by_role("link", name=KNOWN_NAME).wait_for(timeout=LOOKS_MS)
    assert found.get_by_text("the same", exact=True).is_visible()
    assert page.locator("#chosen").evaluate("each => each.naturalWidth") == 480
    picture.set_input_files(photos["two"])
    found.get_by_text("Face 2 of 2, from the left").wait_for(timeout=LOOKS_MS)
    picture.set_input_files({"name": "no.jpg", "mimeType": "image/jpeg", "buffer": b"milk, bread"})
    found.get_by_text("is not a picture").wait_for(timeout=LOOKS_MS)
    assert not found.get_by_role("link").count()

    visit = house.comes(STRANGER)["visit_id"]
    house.goes()
    page = owner.open(f"/visits/{visit}")
    page.get_by_role("link", name="Visits of a face like this").click()
    page.wait_for_url(f"**/visits/{visit}/search")
    page.locator("#found").get_by_text("the same", exact=True).wait_for()
    owner.watch.check(page)


def test_a_name_comes_first(owner: Visitor, photos: dict[str, FilePayload]) -> None:
    page = owner.open("/people/new")
    page.locator("input[type=file][multiple]").set_input_files(photos["good"])
    assert page.locator("#photos > li").count() == 0
    assert page.locator("#name").evaluate("each => each === document.activeElement")


def test_without_scripts_it_says_how_else(owner: Visitor) -> None:
    context = owner.context.browser
    assert context is not None
    plain = context.new_context(
        java_script_enabled=False,
        ignore_https_errors=True,
        storage_state=owner.context.storage_state(),
    )
    page = plain.new_page()
    page.goto(f"{owner.address}/people/new")
    assert page.locator("code", has_text="doorbell enroll NAME PHOTO").is_visible()
    assert not page.locator("#enroll").is_visible()
    plain.close()
