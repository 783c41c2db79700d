"""What a hostile page or network can do to the console: nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from console_server import FORM, PAGE, Console, address

from doorbell.console.routes import ROUTES
from doorbell.console.routing import Role
from doorbell.control.requests import REQUESTS

# What may be asked of the doorbell to show something; everything else changes something. The last
# ones change nothing either, but are not cheap.
LOOKING = {verb for verb, kind in REQUESTS.items() if kind.only_reads} | {"check", "visits.search"}


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with Console(tmp_path_factory.mktemp("console"), viewers=16) as running:
        yield running


@pytest.fixture(scope="module")
def owner(console: Console) -> dict[str, str]:
    return console.device(Role.OWNER)


def state(console: Console) -> list[object]:
    """All that the console keeps, but when a device was last there."""
    with sqlite3.connect(console.section.state_directory / "access.sqlite") as file:
        rows = [
            *file.execute("SELECT device_id, name, role, token_sha256, revoked_at FROM devices"),
            *file.execute("SELECT * FROM invitations"),
            *file.execute("SELECT * FROM audit"),
        ]
    file.close()
    return rows


# Names: DNS rebinding


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "127.0.0.1.nip.io", "localhost.evil.example", "house.local.evil.example",
        "evil.example:8480", "8.8.8.8", "192.0.2.77", "[::2]", "0.0.0.1", "127.1", "2130706433",
        "localhost@evil.example", "", "localhost/", "xn--", "house.local:99999999",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/healthz", "/", "/static/0/x.css", "/nowhere"])
def test_a_request_for_another_name_is_misdirected(console: Console, host: str, path: str) -> None:
    for headers in ({}, console.device(Role.OWNER)):
        answered = console.get(path, {"host": host, **headers})
        assert answered.status == 421, host
        assert b"doorbell" not in answered.body.replace(b"the doorbell", b"")


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1", "house", "house.local:8480", "House.Local."]
)
def test_the_names_of_this_machine_are_ours(console: Console, host: str) -> None:
    assert console.get("/healthz", {"host": host}).status == 200


def test_a_request_names_one_host_whatever_its_target_says(console: Console) -> None:
    two = console.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
    none = console.send(b"GET /healthz HTTP/1.0\r\n\r\n")
    absolute = console.send(
        b"GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )

    assert two.startswith(b"HTTP/1.1 400 ")
    assert none.startswith(b"HTTP/1.1 421 ")
    assert absolute.startswith(b"HTTP/1.1 404 ")


# Other sites


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "https://127.0.0.1:{port}"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "http://127.0.0.1:{port}.evil.example"},
        {"origin": "http://localhost:{port}"},
        {"origin": "{origin}", "sec-fetch-site": "cross-site"},
        {"origin": "{origin}", "sec-fetch-site": "same-site"},
        {"origin": "{origin}", "sec-fetch-site": "none"},
        {"sec-fetch-site": "cross-site"},
        {"referer": "{origin}/"},
        {},
    ],
)
@pytest.mark.parametrize("path", ["/ring", "/pair", "/devices/invite", "/people/1/forget"])
def test_a_write_from_another_site_is_refused_also_on_this_machine(
    console: Console, owner: dict[str, str], headers: dict[str, str], path: str
) -> None:
    before, asked = state(console), len(console.doorbell.asked)
    sent = {k: v.format(port=console.port, origin=console.origin) for k, v in headers.items()}

    answered = console.ask(
        "POST", path, {**owner, "x-door": "1", "content-type": FORM, **sent}, b"role=owner"
    )

    assert answered.status == 403
    assert state(console) == before
    assert len(console.doorbell.asked) == asked


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "{origin}"},
        {"sec-fetch-site": "same-origin"},
        {"origin": "HTTP://127.0.0.1:{port}"},
    ],
)
def test_a_write_from_our_own_pages_passes(
    console: Console, owner: dict[str, str], headers: dict[str, str]
) -> None:
    sent = {k: v.format(port=console.port, origin=console.origin) for k, v in headers.items()}

    answered = console.ask("POST", "/devices/invite", {**owner, "x-door": "1", **sent}, b"")

    assert answered.status == 200


def token_in(page: str) -> str:
    return page.partition('name="csrf" value="')[2].partition('"')[0]


def test_a_form_needs_the_token_of_its_own_device(console: Console, owner: dict[str, str]) -> None:
    own = token_in(console.get("/devices", {**owner, **PAGE}).text)
    others = token_in(console.get("/devices", {**console.device(Role.OWNER), **PAGE}).text)
    nobodys = token_in(console.get("/pair", PAGE).text)
    answers = {}
    for token in (own, others, nobodys, "", "é", own[:-1]):
        body = f"role=viewer&csrf={token}".encode()
        headers = {**owner, "origin": console.origin, "content-type": FORM}
        answers[token] = console.ask("POST", "/devices/invite", headers, body).status

    assert len({own, others, nobodys}) == 3
    assert answers.pop(own) == 200
    assert set(answers.values()) == {403}


def test_a_page_of_another_site_embeds_nothing(console: Console, owner: dict[str, str]) -> None:
    before = len(console.doorbell.asked)
    for site in ("cross-site", "same-site"):
        for mode, dest in (("no-cors", "image"), ("cors", "empty"), ("navigate", "object")):
            fetched = {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": dest}
            for entry in ROUTES:
                if entry.method == "GET":
                    answered = console.get(address(entry), {**owner, **fetched})
                    assert answered.status == 403, (entry.path, fetched)
                    assert answered.headers["cross-origin-resource-policy"] == "same-origin"

    assert len(console.doorbell.asked) == before


def test_a_link_from_another_site_leads_here(console: Console, owner: dict[str, str]) -> None:
    fetched = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", **PAGE}

    arriving = console.get("/people", {**fetched, "sec-fetch-dest": "document"})
    paired = console.get("/devices", {**owner, **fetched, "sec-fetch-dest": "document"})

    # Its strict cookie comes with what our own page leads to.
    assert arriving.status == 200
    assert 'content="0; url=/pair?to=/people"' in arriving.text
    assert console.get("/pair?to=/people", {**owner, **PAGE}).headers["location"] == "/people"
    assert paired.status == 200


@pytest.mark.parametrize(
    "to",
    [
        "//evil.example", "https://evil.example", "/\\evil.example", "/%2fevil.example",
        "javascript:alert(1)", "/people?x=//evil", "/ evil", "",
    ],
)  # fmt: skip
def test_pairing_leads_to_no_other_site(console: Console, owner: dict[str, str], to: str) -> None:
    assert console.get(f"/pair?to={to.replace(' ', '%20')}", owner).headers["location"] == "/"


def test_no_answer_lets_another_site_read_or_frame_it(
    console: Console, owner: dict[str, str]
) -> None:
    asked = [("/", {}), ("/", owner), ("/nowhere", owner), ("/healthz", {"host": "evil.example"})]
    asked += [("/static/0/x.css", {}), ("/people/1", owner), ("/devices", {**owner, **PAGE})]
    for path, headers in asked:
        answered = console.get(path, {"origin": "http://evil.example", **headers})
        policy = answered.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "script-src 'self';" in policy
        assert "require-trusted-types-for 'script'" in policy
        assert "unsafe" not in policy
        assert "*" not in policy
        assert answered.headers["x-frame-options"] == "DENY"
        assert answered.headers["x-content-type-options"] == "nosniff"
        opener = None if "host" in headers else "same-origin"  # elsewhere browsers ignore it
        assert answered.headers.get("cross-origin-opener-policy") == opener
        assert answered.headers["cache-control"] == "no-store"
        assert {name for name in answered.headers if "access-control" in name} == set()
        assert "server" not in answered.headers


def test_a_frame_is_for_the_pages_that_are_named(tmp_path: Path) -> None:
    home = "https://home.example.org:8123"
    with Console(tmp_path, frame_ancestors=[home]) as console:
        headers = console.get("/pair", PAGE).headers

    assert f"frame-ancestors {home};" in headers["content-security-policy"]
    assert "x-frame-options" not in headers


def test_nothing_that_is_only_looked_at_changes_anything(
    console: Console, owner: dict[str, str]
) -> None:
    before, asked = state(console), len(console.doorbell.asked)
    for entry in ROUTES:
        path = address(entry)
        for query in ("", "?minutes=5&muted=true&name=x&person_id=1&_method=POST&csrf=1&code=AAAA"):
            for headers in ({}, owner, {**owner, **PAGE, "x-http-method-override": "POST"}):
                for method in ("GET", "HEAD"):
                    console.ask(method, path + query, headers, whole=False)

    assert state(console) == before
    assert {request["do"] for request in console.doorbell.asked[asked:]} <= LOOKING


# What others have learned, each once


def test_no_request_brings_a_command_or_an_address_to_the_doorbell(
    console: Console, owner: dict[str, str]
) -> None:
    """go2rtc CVE-2024-29192, motionEye, Frigate #23478: settings that run what they are given."""
    fields = {
        "exec": "rm", "camera.uri": "exec:id", "uri": "rtsp://evil", "models_directory": "/opt",
        "command": "id", "volume": "0.5", "mqtt.host": "evil.example", "key_file": "/etc/shadow",
    }  # fmt: skip
    asked = len(console.doorbell.asked)

    console.post("/settings", owner, fields)

    told = repr(console.doorbell.asked[asked:])
    assert {
        word for word in ("exec", "rtsp", "evil", "/opt", "shadow", "uri") if word in told
    } == set()
