"""What a browser said and did while it was looked at: nothing of it may be a complaint."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Page, Request

# Before any script of a page: what its policy refuses is kept where a test finds it.
KEEP_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""
LOUD = ("error", "warning", "assert")


class Watch:
    """Listens to every page of a context.

    Args:
        context: whose pages are watched, those that it has not opened yet too.
        origin: the only one that may be talked to.

    Attributes:
        complaints: messages of the console, errors of scripts, dialogs.
        elsewhere: what was asked of other origins.
        expected: what a complaint may hold, where a test provokes it.
    """

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self._origin = origin
        self._context = context
        self.complaints: list[str] = []
        self.elsewhere: list[str] = []
        self.expected: list[str] = []
        context.add_init_script(KEEP_VIOLATIONS)
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.complaints.append(f"script: {error.error}"))
        context.on("request", self._note)
        context.on("dialog", self._close)

    def found(self) -> list[str]:
        """Everything that was wrong."""
        told = [
            each for each in self.complaints if not any(words in each for words in self.expected)
        ]
        return [*told, *(f"asked {each}" for each in self.elsewhere)]

    def check(self, page: Page) -> None:
        """Fail for whatever was wrong, on this page or before."""
        assert page.evaluate("window.violations") == []
        assert self.found() == []

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in LOUD:
            self.complaints.append(f"{message.type}: {message.text} ({message.location['url']})")

    def _close(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _note(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("data", "blob", "about"):
            return
        if f"{parts.scheme}://{parts.netloc}" != self._origin:
            self.elsewhere.append(request.url)
