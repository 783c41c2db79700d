"""What the tests of the household's pages share: a console that serves a household."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from console_household import Household
from console_server import PAGE, Answered, Console

from doorbell.console.routing import Role


class Pages:
    """A device that opens pages and sends forms.

    Attributes:
        console: that serves them.
        household: whose they are.
        headers: of the device.
    """

    def __init__(self, console: Console, household: Household, role: Role = Role.OWNER) -> None:
        self.console, self.household = console, household
        self.headers = {**console.device(role), **PAGE}
        console.doorbell.answers.clear()
        console.doorbell.answers.update(household.answers())
        console.doorbell.asked.clear()

    def get(self, path: str, **headers: str) -> Answered:
        return self.console.get(path, {**self.headers, **headers})

    def post(self, path: str, **form: str) -> Answered:
        return self.console.post(path, self.headers, form)

    def post_json(self, path: str, **form: str) -> Answered:
        return self.console.post(path, {**self.headers, "accept": "application/json"}, form)

    def asked(self, verb: str) -> list[dict[str, Any]]:
        """What the doorbell was asked, without the verb."""
        requests = [each for each in self.console.doorbell.asked if each["do"] == verb]
        return [{k: v for k, v in each.items() if k != "do"} for each in requests]


class Seen(HTMLParser):
    """What a browser makes of a page: elements with their attributes, and its text.

    Attributes:
        elements: tag and attributes, in order.
        text: of the whole page, in one line.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._text: list[str] = []
        self.feed(page)
        self.text = " ".join(" ".join(self._text).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self._text.append(data)

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        """The attributes of the elements of a kind that have those."""
        return [
            found
            for kind, found in self.elements
            if kind == tag and attributes.items() <= found.items()
        ]


@contextmanager
def household_console(directory: Path) -> Iterator[Console]:
    with Console(directory, answers=Household().answers()) as console:
        yield console
