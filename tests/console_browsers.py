"""A house, its console directly or behind nginx, and paired browsers: fixtures for all tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from console_house import House
from console_proxy import Nginx
from console_watch import Watch

from doorbell.console.access import Access
from doorbell.console.routing import Role
from doorbell.pipeline.perception import Perception
from doorbell.testbed.console_process import ConsoleProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = "/usr/bin/chromium"
# The same engine without windows, in four fifths of the time; it has no microphone to ask for.
HEADLESS_CHROMIUM = "/usr/bin/chromium-headless-shell"
PATIENCE_MS = 10_000
PHONE = {"width": 360, "height": 740}


@dataclass(frozen=True)
class Console:
    """A console as a browser reaches it.

    Attributes:
        process: it.
        address: of its first page, without the slash at the end.
        kept: what browsers that were paired have kept, by role.
    """

    process: ConsoleProcess
    address: str
    kept: dict[Role, Any] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        parts = urlsplit(self.address)
        return f"{parts.scheme}://{parts.netloc}"

    def devices(self) -> list[int]:
        """Which have access."""
        with closing(Access(self.process.directory)) as access:
            return [each.device_id for each in access.devices.all()]

    def invite(self, role: Role, name: str) -> str:
        """A code for one more device."""
        with closing(Access(self.process.directory)) as access:
            return access.invitations.invite(role, name).code


@dataclass
class Visitor:
    """Somebody with a browser that is paired.

    Attributes:
        context, page: the browser's.
        watch: on it.
        address: of the console.
    """

    context: BrowserContext
    page: Page
    watch: Watch
    address: str

    def open(self, path: str) -> Page:
        """Open a page of the console."""
        answer = self.page.goto(self.address + path, wait_until="domcontentloaded")
        assert answer is not None
        assert answer.ok, f"{path}: {answer.status}"
        return self.page


@pytest.fixture(scope="module")
def house(
    tmp_path_factory: pytest.TempPathFactory, faces: Path, perception: Perception
) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("house"), faces, perception) as house:
        yield house


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # A service worker's script is held to certificates of its own accord.
        options = ["--no-sandbox", "--ignore-certificate-errors"]
        browser = playwright.chromium.launch(executable_path=HEADLESS_CHROMIUM, args=options)
        yield browser
        browser.close()


# For tests of what a proxy may break: streams, links and forms under a prefix, uploads, who asks.
BEHIND_NGINX_TOO = pytest.mark.parametrize(
    "console", [None, Nginx], ids=["direct", "nginx"], indirect=True
)
# For more of the same kind.
BEHIND_NGINX_IF_LONG = pytest.mark.parametrize(
    "console",
    [None, pytest.param(Nginx, marks=pytest.mark.long)],
    ids=["direct", "nginx"],
    indirect=True,
)


@pytest.fixture(scope="module")
def console(
    request: pytest.FixtureRequest, house: House, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Console]:
    """It as a browser reaches it directly; behind the proxy that the test is run for."""
    folder = tmp_path_factory.mktemp("console")
    proxy: type[Nginx] | None = getattr(request, "param", None)
    if proxy is None:
        with ConsoleProcess(folder, house.control) as process:
            yield Console(process, process.origin)
        return
    settings = 'console.trusted_proxies=["127.0.0.1"]'
    with (
        ConsoleProcess(folder, house.control, settings) as process,
        proxy(folder, process.port) as before,
    ):
        yield Console(process, before.address)


Enter = Callable[..., Visitor]


@pytest.fixture
def enter(browser: Browser, console: Console) -> Iterator[Enter]:
    """Open a browser of somebody with a role; at the end nothing may have been wrong in it."""
    entered: list[Visitor] = []
    with ExitStack() as stack:

        def enter_as(role: Role, **options: Any) -> Visitor:
            options = {"viewport": PHONE, "locale": "en-GB", **options}
            context = browser.new_context(
                ignore_https_errors=True, storage_state=console.kept.get(role), **options
            )
            stack.callback(context.close)
            context.set_default_timeout(PATIENCE_MS)
            watch = Watch(context, console.origin)
            visitor = Visitor(context, context.new_page(), watch, console.address)
            entered.append(visitor)
            if role not in console.kept and role != Role.PUBLIC:
                pair(visitor.page, console, role)
                console.kept[role] = context.storage_state()
            return visitor

        yield enter_as
        wrong = [each for visitor in entered for each in visitor.watch.found()]
    assert wrong == []


def pair(page: Page, console: Console, role: Role) -> None:
    """Pair a browser by a code that is typed."""
    page.goto(f"{console.address}/pair")
    page.locator("#code").fill(console.invite(role, f"<i>{role.name.lower()}'s phone</i>"))
    page.locator("#pair button").click()
    page.wait_for_url(f"{console.address}/")


@pytest.fixture
def owner(enter: Enter) -> Visitor:
    return enter(Role.OWNER)


@pytest.fixture
def viewer(enter: Enter) -> Visitor:
    return enter(Role.VIEWER)


@pytest.fixture
def member(enter: Enter) -> Visitor:
    return enter(Role.MEMBER)
