"""A page of somebody else in the browser of somebody who is paired: it reads and writes nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from console_browsers import BEHIND_NGINX_TOO, Console, Visitor
from console_house import House

pytestmark = [pytest.mark.system, BEHIND_NGINX_TOO]

# What it can try, each with what came of it: what it could read, or "" for nothing.
TRY = """
async ({ door, writes }) => {
  const read = {};
  const source = new EventSource(door + "/events", { withCredentials: true });
  source.onmessage = () => { read.events = "heard"; };
  const paths = ["/", "/visits", "/people", "/devices", "/frame.jpg", "/live", "/events"];
  for (const path of paths) {
    for (const credentials of ["include", "omit"]) {
      try {
        const answer = await fetch(door + path, { credentials, signal: AbortSignal.timeout(1500) });
        read[`fetch ${path} ${credentials}`] = await answer.text();
      } catch { }
    }
    const opaque = await fetch(door + path, {
      mode: "no-cors", credentials: "include", signal: AbortSignal.timeout(1500),
    }).catch(() => null);
    if (opaque && (opaque.type !== "opaque" || opaque.status !== 0)) read[`opaque ${path}`] = "yes";
  }
  const loads = (tag, attribute, path) => new Promise((resolve) => {
    const made = document.createElement(tag);
    made.onload = () => resolve(true);
    made.onerror = () => resolve(false);
    try { made[attribute] = door + path; } catch { resolve(false); }
    document.body.append(made);
    setTimeout(() => resolve(false), 1500);
  });
  if (await loads("img", "src", "/frame.jpg")) read.img = "shown";
  if (await loads("img", "src", "/visits/seed-0/picture")) read.picture = "shown";
  if (await loads("script", "src", "/visits")) read.script = "ran";
  const frame = document.createElement("iframe");
  frame.src = door + "/";
  document.body.append(frame);
  await new Promise((resolve) => { frame.onload = resolve; setTimeout(resolve, 2000); });
  try { read.frame = frame.contentDocument.body.innerText; } catch { }
  for (const [path, fields] of Object.entries(writes)) {
    const form = document.createElement("form");
    Object.assign(form, { method: "post", action: door + path, target: "sink" });
    for (const [name, value] of Object.entries(fields)) {
      const field = document.createElement("input");
      Object.assign(field, { name, value });
      form.append(field);
    }
    document.body.append(form);
    form.submit();
    await new Promise((resolve) => setTimeout(resolve, 60));
    for (const headers of [{}, { "X-Door": "1" }, { "Content-Type": "text/plain" }]) {
      for (const mode of ["cors", "no-cors"]) {
        const body = new URLSearchParams(fields).toString();
        try {
          const answer = await fetch(door + path, {
            method: "POST", mode, credentials: "include", headers, body,
          });
          read[`post ${path}`] = await answer.text();
        } catch { }
      }
    }
  }
  await new Promise((resolve) => setTimeout(resolve, 500));
  source.close();
  return Object.entries(read).filter(([, text]) => text);
}
"""

WRITES: dict[str, dict[str, str]] = {
    "/ring": {},
    "/mute": {"muted": "on", "minutes": "60"},
    "/people/1/forget": {"name": "Barack Obama"},
    "/people/1/rename": {"name": "Mallory"},
    "/visits/seed-0/correct": {"person_id": "1"},
    "/visits/seed-0/no-face": {},
    "/devices/invite": {"role": "owner"},
    "/settings": {"volume": "0"},
    "/undo": {},
    "/leave": {},
    "/chime/play": {"chime": "horn"},
}


class Page(BaseHTTPRequestHandler):
    """An empty page with a frame that forms can be sent into."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Prizes</title><iframe name=sink></iframe>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        del format, args


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """A page on another port of the same machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def state(house: House, console: Console) -> list[Any]:
    """Everything that somebody could have changed."""
    settings = house.storage / "settings.json"
    return [
        house.contents(),
        settings.read_text() if settings.exists() else "",
        len(house.subscriber.heard("event")),
        house.subscriber.of("mute/state")[-1:],
        console.devices(),
    ]


def test_a_page_on_another_port_reads_and_writes_nothing(
    owner: Visitor, house: House, console: Console, elsewhere: str
) -> None:
    own = owner.open("/people").evaluate(TRY, {"door": console.address, "writes": {}})
    assert {"fetch /people include", "fetch /frame.jpg include", "events"} <= {
        what for what, _ in own
    }
    before = state(house, console)
    foreign = owner.context.new_page()
    foreign.goto(elsewhere)
    found = foreign.evaluate(TRY, {"door": console.address, "writes": WRITES})

    assert found == []
    assert state(house, console) == before
    owner.open("/people")  # still paired
    # What the browser said was about what was tried; that nobody else is asked holds for our pages.
    owner.watch.complaints.clear()
    assert {url for url in owner.watch.elsewhere if not url.startswith(elsewhere)} == set()
    owner.watch.elsewhere.clear()


def test_a_name_that_was_made_to_lead_here_is_answered_nothing(
    owner: Visitor, console: Console
) -> None:
    owner.open("/")
    page = owner.context.new_page()
    other = console.address.replace("localhost", "prizes.localhost")
    other = other.replace("127.0.0.1", "prizes.localhost")
    answer = page.goto(f"{other}/visits")
    assert answer is not None
    assert answer.status == 421
    assert "Barack" not in page.content()
    owner.watch.complaints.clear()
    owner.watch.elsewhere.clear()
