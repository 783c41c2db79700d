"""Requests that are malformed, or name what they may not: each is answered and hurts nobody."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from console_server import PAGE, Console

from doorbell.console.routing import Role

NAME = "<img src=x onerror=alert(1)>\"'</title>\u202e"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with Console(tmp_path_factory.mktemp("console"), viewers=16) as running:
        yield running


@pytest.fixture(scope="module")
def owner(console: Console) -> dict[str, str]:
    return console.device(Role.OWNER)


@pytest.mark.parametrize(
    "path", ["/pair?to=", "/nowhere", "/visits/", "/pair?code=", "/people/1?q="]
)
def test_what_stands_in_an_address_is_never_markup(console: Console, path: str) -> None:
    """go2rtc CVE-2024-29193 and -29191, jetson-utils: the stream's name in a page."""
    marked = '"><script>alert(1)</script>'.replace(" ", "%20").replace('"', "%22")

    for headers in (PAGE, {**PAGE, **console.device(Role.OWNER)}):
        answered = console.get(path + marked, headers)
        assert b"<script>alert" not in answered.body


def test_a_name_is_never_markup(console: Console) -> None:
    """ZoneMinder CVE-2016-10203: a script in the name of a monitor."""
    owner = console.device(Role.OWNER, NAME)
    console.access.devices.add(NAME, Role.STREAM)
    console.post("/devices/token", owner, {"name": NAME})

    page = console.get("/devices", {**owner, **PAGE}).text

    assert "&lt;img src=x onerror" in page
    assert "<img src=x" not in page
    assert '</title>"' not in page


def test_a_picture_needs_the_role_as_its_page_does(console: Console) -> None:
    """Frigate CVE-2026-33470, ZoneMinder CVE-2026-54258 and -27470: media beside the check."""
    for who in ({}, console.device(Role.VIEWER), console.device(Role.STREAM)):
        for path in ("/visits/v1/picture", "/people/1/portrait", "/enroll/photo/1"):
            assert console.get(path, who).status in (401, 403)


@pytest.mark.parametrize("name", ["/etc/passwd", "../../etc/passwd", "..%2f..%2fgallery.sqlite"])
@pytest.mark.parametrize("before", ["/visits/", "/static/0/", "/icons/", "/chimes/", "/people/"])
def test_media_are_found_by_number_and_never_by_path(
    console: Console, owner: dict[str, str], before: str, name: str
) -> None:
    """MotionEye CVE-2026-55488: an absolute file name reads any file."""
    answered = console.get(before + name.replace("/etc", "%2fetc"), owner)

    assert answered.status == 404
    assert b"root:" not in answered.body


def test_no_part_of_an_answer_can_be_asked_for(console: Console, owner: dict[str, str]) -> None:
    """Starlette CVE-2025-62727: many ranges cost a square of time."""
    ranges = {"range": "bytes=" + ",".join(f"{n}-{n + 1}" for n in range(0, 2000, 2))}

    for path in ("/healthz", "/icons/192.png", "/devices"):
        answered = console.get(path, {**owner, **ranges})
        assert answered.status == 200
        assert "content-range" not in answered.headers
        assert "accept-ranges" not in answered.headers


def test_parts_of_several_kinds_are_not_read(console: Console, owner: dict[str, str]) -> None:
    """python-multipart CVE-2024-53981: a body before its first boundary."""
    kind = {"content-type": "multipart/form-data; boundary=x"}

    assert console.post("/ring", {**owner, **kind}, {"a": "b"}).status == 415
    assert "multipart" not in __import__("sys").modules


def test_nobody_is_an_owner_for_being_on_this_machine(console: Console) -> None:
    """go2rtc and Frigate's port 5000: localhost, and whoever reaches it, without a login."""
    headers = {
        "x-forwarded-for": "127.0.0.1",
        "x-real-ip": "127.0.0.1",
        "forwarded": "for=127.0.0.1",
    }

    for sent in ({}, headers):
        assert {console.get(path, sent).status for path in ("/", "/people", "/devices")} == {401}


# Odd requests


@pytest.mark.parametrize(
    "cookie",
    [
        "door",
        "door=",
        "=",
        ";;;",
        "door=%00",
        "door=1.%s" % ("A" * 43),
        'door="1.\\000"',
        "door=\xff\xfe",
        "door=999999999999999999." + "A" * 43,
        "door=0." + "A" * 43,
        "door=1." + "A" * 5000,
        "door=1.é" + "A" * 42,
        "door=" + "1" * 4000,
        "door=1.A; door=2.B",
        'theme="</script>',
        "language=../../x",
    ],
)
def test_a_malformed_cookie_is_nobody_s(console: Console, cookie: str) -> None:
    assert console.get("/devices", {"cookie": cookie}).status == 401
    page = console.get("/devices", {"cookie": cookie, **PAGE})
    assert 'url=/pair?to=/devices"' in page.text
    assert console.get("/pair", {"cookie": cookie, **PAGE}).status == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Basic " + base64.b64encode(b"user").decode(),
        "Digest a",
        "Bearer 1." + "A" * 43,
        "B" * 9000,
    ],
)
def test_a_malformed_token_is_nobody_s(console: Console, authorization: str) -> None:
    answered = console.get("/frame.jpg", {"authorization": authorization})

    assert answered.status == 401
    assert answered.headers["www-authenticate"].startswith("Basic ")


def test_a_token_is_a_password_of_any_user(console: Console) -> None:
    _, secret = console.access.devices.add("Home Assistant", Role.STREAM)
    basic = base64.b64encode(f"anybody:{secret}".encode()).decode()

    for words in (f"Basic {basic}", f"Bearer {secret}", f"bearer  {secret} "):
        assert console.get("/frame.jpg", {"authorization": words}).status not in (401, 403)


@pytest.mark.parametrize(
    "request_line",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nA"
        + b"a" * 70000
        + b": b\r\n\r\n",
        b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"POST /ring HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /ring HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nBad Header: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_hurts_nobody(
    console: Console, request_line: bytes
) -> None:
    answered = console.send(request_line)

    assert answered.startswith(b"HTTP/1.1 4")
    assert b"content-security-policy: default-src 'none'" in answered.lower()
    assert b"Traceback" not in answered
    assert console.get("/healthz").status == 200


def test_one_request_is_not_two(console: Console) -> None:
    """Smuggling: a length and chunks at once, and a second request in the body of the first."""
    smuggled = console.send(
        b"POST /pair HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n"
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b"0\r\n\r\nGET /devices HTTP/1.1\r\n\r\n"
    )

    assert smuggled.count(b"HTTP/1.1 ") == 1


def test_a_websocket_is_not_opened(console: Console) -> None:
    upgrade = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}

    answered = console.get("/live", {**upgrade, "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA=="})

    assert answered.status == 401


def test_what_fails_is_answered_without_its_insides(tmp_path: Path) -> None:
    def broken(_request: dict[str, object]) -> dict[str, object]:
        return {"unexpected": True}

    def status(_request: dict[str, object]) -> dict[str, object]:
        return {"doors": []}

    with Console(tmp_path, answers={"people.list": broken, "status": status}) as console:
        answered = console.get("/people", {**console.device(Role.OWNER), **PAGE})

    assert answered.status in (500, 501)
    assert b"Traceback" not in answered.body
    assert b"unexpected" not in answered.body
    assert answered.headers["content-security-policy"].startswith("default-src 'none'")
