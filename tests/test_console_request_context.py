"""How requests reach the console, and whose word counts for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from console_server import FORM, PAGE, Console

from doorbell.config.console import ConsoleSection
from doorbell.console.credentials import cookie_name
from doorbell.console.request_context import BadRequestError, HostPolicy
from doorbell.console.routing import Role

PROXY = ["10.0.0.2", "172.30.32.0/23", "fd00::/64"]


def scope(headers: Mapping[str, str], client: str = "10.0.0.2", **more: Any) -> dict[str, Any]:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return {
        "type": "http", "client": (client, 1), "server": ("10.0.0.1", 8480), "scheme": "http",
        "headers": raw, **more,
    }  # fmt: skip


@pytest.fixture
def host_policy() -> HostPolicy:
    section = ConsoleSection(
        listen="0.0.0.0:8480", trusted_proxies=PROXY, names=["door.example.org"]
    )
    return HostPolicy(section, "house.lan")


def test_a_proxy_s_word_is_taken_from_the_proxies_that_are_named(host_policy: HostPolicy) -> None:
    headers = {
        "host": "10.0.0.1:8480", "x-forwarded-for": "192.0.2.9", "x-forwarded-proto": "https",
        "x-forwarded-host": "door.example.org", "x-forwarded-prefix": "/door/",
    }  # fmt: skip

    told = host_policy.context(scope(headers))
    made_up = host_policy.context(scope(headers, "10.0.0.3"))

    assert (told.client, told.origin, told.prefix) == (
        "192.0.2.9", "https://door.example.org", "/door",
    )  # fmt: skip
    assert told.by_proxy
    assert cookie_name(told) == "door"
    assert (made_up.client, made_up.origin, made_up.prefix) == (
        "10.0.0.3", "http://10.0.0.1:8480", "",
    )  # fmt: skip
    assert not host_policy.is_safe_enough(made_up)


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("192.0.2.9", "192.0.2.9"),
        ("127.0.0.1, 192.0.2.9", "192.0.2.9"),
        ("192.0.2.9, 172.30.32.1", "192.0.2.9"),
        ("127.0.0.1, 192.0.2.9, 172.30.33.1,10.0.0.2", "192.0.2.9"),
        ("192.0.2.9, unknown", "10.0.0.2"),
        ("", "10.0.0.2"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:192.0.2.9", "192.0.2.9"),
    ],
)
def test_who_comes_is_the_last_whom_no_proxy_is(
    host_policy: HostPolicy, forwarded: str, client: str
) -> None:
    assert host_policy.context(scope({"x-forwarded-for": forwarded})).client == client


def test_nobody_is_on_this_machine_because_they_say_so(host_policy: HostPolicy) -> None:
    context = host_policy.context(scope({"x-forwarded-for": "127.0.0.1"}, "10.0.0.9"))

    assert not context.is_loopback
    assert not host_policy.is_safe_enough(context)


@pytest.mark.parametrize(
    "prefix",
    [
        "door",
        "/a//b",
        "/../x",
        "/a/..",
        "/./x",
        "//evil.example",
        "/a?b",
        "/é",
        "/a b",
        "/" + "x" * 200,
        '/"><script>',
    ],
)
@pytest.mark.parametrize("header", ["x-ingress-path", "x-forwarded-prefix"])
def test_a_prefix_is_a_plain_path(host_policy: HostPolicy, header: str, prefix: str) -> None:
    with pytest.raises(BadRequestError):
        host_policy.context(scope({header: prefix}))

    assert host_policy.context(scope({header: prefix}, "10.0.0.9")).prefix == ""


def test_another_scheme_than_the_web_s_is_refused(host_policy: HostPolicy) -> None:
    with pytest.raises(BadRequestError):
        host_policy.context(scope({"x-forwarded-proto": "javascript"}))


def test_an_ipv4_proxy_is_known_at_a_socket_for_both(host_policy: HostPolicy) -> None:
    assert host_policy.context(scope({}, "::ffff:10.0.0.2")).by_proxy
    assert host_policy.context(scope({}, "fd00::5%eth0")).by_proxy


@pytest.mark.parametrize(
    ("host", "server", "is_ours"),
    [
        ("house", "10.0.0.1", True),
        ("house.lan:8480", "10.0.0.1", True),
        ("house.local.", "10.0.0.1", True),
        ("door.example.org", "10.0.0.1", True),
        ("10.0.0.1:8480", "10.0.0.1", True),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("[fd00::1]:8480", "fd00::1", True),
        ("[FD00:0::1]", "fd00::1", True),
        ("10.0.0.7", "10.0.0.1", False),
        ("example.org", "10.0.0.1", False),
        ("x.door.example.org", "10.0.0.1", False),
        ("house.lan.evil.example", "10.0.0.1", False),
        ("house.", "10.0.0.1", True),
        ("house..", "10.0.0.1", False),
        ("", "10.0.0.1", False),
    ],
)
def test_a_name_is_ours_if_it_is_configured_or_this_machine_s(
    host_policy: HostPolicy, host: str, server: str, *, is_ours: bool
) -> None:
    at = scope({"host": host}, server=(server, 8480))

    assert host_policy.is_ours(host_policy.context(at), at) is is_ours


def test_a_proxy_that_hands_on_a_made_up_name_lets_nobody_in_by_it(host_policy: HostPolicy) -> None:
    told = {"host": "evil.example", "x-forwarded-host": "door.example.org"}
    inside = {"host": "10.0.0.1:8480", "x-forwarded-host": "door.example.org"}

    assert not host_policy.is_ours(host_policy.context(scope(told)), scope(told))
    assert host_policy.is_ours(host_policy.context(scope(inside)), scope(inside))


def test_the_strict_cookie_is_for_the_encrypted_way_without_a_prefix(
    host_policy: HostPolicy,
) -> None:
    encrypted = host_policy.context(scope({"host": "house"}, "10.0.0.9", scheme="https"))

    assert cookie_name(encrypted) == "__Host-door"


def test_behind_a_proxy_everything_is_below_its_path(tmp_path: Path) -> None:
    with Console(tmp_path, trusted_proxies=["127.0.0.1"], names=["home.example.org"]) as console:
        proxy = {
            "x-forwarded-host": "home.example.org", "x-forwarded-proto": "https",
            "x-ingress-path": "/api/hassio_ingress/Ab_c-1",
        }  # fmt: skip
        prefix = proxy["x-ingress-path"]
        owner = {**console.device(Role.OWNER), **proxy}
        page = console.get("/devices", {**owner, **PAGE})
        kept = console.get(f"{prefix}/devices", {**owner, **PAGE})
        ours = {"origin": "https://home.example.org", "x-door": "1", "content-type": FORM}
        posted = console.ask("POST", "/devices/revoke", {**owner, **ours}, b"device=1")
        arriving = console.get("/people", {**proxy, **PAGE})

    assert page.status == kept.status == 200
    assert f'action="{prefix}/devices/invite"' in page.text
    cookie = page.headers["set-cookie"].lower()
    assert f"path={prefix.lower()};" in cookie
    assert "; secure" in cookie
    assert posted.headers["location"] == f"{prefix}/pair"
    assert f'url={prefix}/pair?to=/people"' in arriving.text


def test_what_an_untrusted_address_says_of_its_path_changes_nothing(tmp_path: Path) -> None:
    with Console(tmp_path, trusted_proxies=["192.0.2.1"]) as console:
        owner = {**console.device(Role.OWNER), **PAGE}
        forged = {
            "x-ingress-path": "/door", "x-forwarded-prefix": "/door", "x-forwarded-proto": "https",
            "x-forwarded-host": "evil.example", "x-forwarded-for": "127.0.0.1",
        }  # fmt: skip
        plain, told = console.get("/devices", owner), console.get("/devices", {**owner, **forged})
        below = console.get("/door/devices", {**owner, **forged})

    assert told.status == plain.status == 200
    assert told.headers["set-cookie"] == plain.headers["set-cookie"]
    assert told.body == plain.body
    assert below.status == 404


def test_whoever_comes_from_the_internet_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Console(tmp_path, trusted_proxies=["127.0.0.1"]) as console:
        for client in ("8.8.8.8", "8.8.8.8", "192.168.1.7", "fd00::7", "8.8.4.4"):
            console.get("/healthz", {"x-forwarded-for": client})

    assert [record.args for record in caplog.records if "internet" in record.msg] == [
        ("8.8.8.8",),
        ("8.8.4.4",),
    ]


def test_without_encryption_only_the_proxy_and_this_machine_come_in(
    host_policy: HostPolicy,
) -> None:
    plain = HostPolicy(ConsoleSection(listen="0.0.0.0:8480", plain_http=True), "house")
    far = scope({"host": "house"}, "10.0.0.9")

    assert not host_policy.is_safe_enough(host_policy.context(far))
    assert host_policy.is_safe_enough(host_policy.context(scope({"host": "house"}, "127.0.0.1")))
    assert host_policy.is_safe_enough(host_policy.context(scope({"host": "house"})))
    assert plain.is_safe_enough(plain.context(far))


@pytest.mark.parametrize(
    ("section", "has_tls"),
    [
        ({}, False),
        ({"listen": "[::1]:8480"}, False),
        ({"listen": "0.0.0.0:8480"}, True),
        ({"listen": "192.168.1.5:8480"}, True),
        ({"listen": "0.0.0.0:8480", "plain_http": True}, False),
        ({"listen": "0.0.0.0:8480", "trusted_proxies": ["10.0.0.2"]}, False),
        ({"certificate_file": "/a", "key_file": "/b"}, True),
    ],
)
def test_whoever_is_not_on_this_machine_comes_encrypted_unless_it_is_said(
    section: dict[str, Any], *, has_tls: bool
) -> None:
    assert ConsoleSection(**section).has_tls is has_tls
