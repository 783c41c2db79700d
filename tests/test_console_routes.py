"""Who may ask the console for what: every route, method and role, as the table says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from console_server import FORM, Answered, Console, address
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from doorbell.console.routes import ROUTES
from doorbell.console.routing import Entry, Role, Table

PAIRED = ("viewer", "member", "owner")
WHO = ("none", "stream", *PAIRED, "revoked", "expired")
RANK = {"stream": Role.STREAM, "viewer": Role.VIEWER, "member": Role.MEMBER, "owner": Role.OWNER}
ENTRIES = {f"{each.method} {each.path}": each for each in ROUTES}

# The least role of each route, once more: a change of the table is a change here too.
EXPECTED = {
    "public": {
        "GET /healthz", "GET /ca.crt", "GET /pair", "POST /pair", "GET /manifest.webmanifest",
        "GET /static/{version:id}/{name:file}", "GET /icons/{name:file}", "GET /worker.js",
        "GET /offline", "POST /language", "POST /theme", "GET /act", "POST /act",
    },
    "stream": {"GET /frame.jpg", "GET /stream.mjpeg"},
    "viewer": {
        "GET /", "GET /wall", "GET /live", "GET /events", "POST /leave", "POST /answered",
    },
    "owner": {
        "POST /people/{person:number}/merge", "POST /people/{person:number}/forget",
        "POST /people/{person:number}/export", "POST /settings", "POST /health/check",
        "POST /notifications/test", "GET /devices", "POST /devices/invite",
        "POST /devices/revoke", "POST /devices/token",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with Console(tmp_path_factory.mktemp("console"), viewers=16) as running:
        yield running


@pytest.fixture(scope="module")
def cookies(console: Console) -> dict[str, dict[str, str]]:
    """What each of them sends."""
    found = {name: console.device(role) for name, role in RANK.items()}
    found["none"] = {}
    found["revoked"] = console.device(Role.OWNER)
    console.access.devices.revoke(console.access.devices.all()[-1].device_id)
    console.offset = -100 * 86400.0
    found["expired"] = console.device(Role.OWNER)
    console.offset = 0.0
    return found


def test_the_table_gives_each_route_the_role_that_is_meant() -> None:
    found = {
        role: {key for key, each in ENTRIES.items() if each.role.name.lower() == role}
        for role in EXPECTED
    }

    assert found == EXPECTED


def test_the_application_has_no_route_but_those_of_the_table(console: Console) -> None:
    routes = console.app.routes

    assert all(isinstance(route, Route) for route in routes)
    assert {
        (route.path, method)
        for route in routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    } == {(each.path, each.method) for each in ROUTES}


def ask(console: Console, entry: Entry, method: str, headers: dict[str, str]) -> Answered:
    ours = {"origin": console.origin, "x-door": "1", "content-type": FORM}
    if method in ("GET", "HEAD"):
        return console.ask(method, address(entry), headers, whole=False)
    return console.ask(method, address(entry), {**ours, **headers}, b"", whole=False)


@pytest.mark.parametrize("key", [key for key in ENTRIES if key != "POST /leave"])
@pytest.mark.parametrize("who", WHO)
def test_each_route_lets_in_whom_the_table_says(
    console: Console, cookies: dict[str, dict[str, str]], key: str, who: str
) -> None:
    entry = ENTRIES[key]
    role = RANK.get(who, Role.PUBLIC)

    answered = ask(console, entry, entry.method, cookies[who])

    if role >= entry.role:
        assert answered.status not in (401, 403, 404, 405) or is_own_refusal(key, answered)
    else:
        assert answered.status == (401 if role == Role.PUBLIC else 403)
    assert answered.headers["content-security-policy"].startswith("default-src 'none'")


def is_own_refusal(key: str, answered: Answered) -> bool:
    """Where the endpoint itself has nothing, or takes no such code."""
    nothing = {"GET /ca.crt": 404, "POST /devices/revoke": 404, "POST /pair": 403}
    nothing |= {"GET /act": 404, "POST /act": 404}
    return nothing.get(key) == answered.status


@pytest.mark.parametrize(
    "method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"]
)
def test_no_other_method_does_anything_for_anybody(
    console: Console, cookies: dict[str, dict[str, str]], method: str
) -> None:
    for entry in ROUTES:
        path = address(entry)
        answered = console.ask(method, path, cookies["owner"])
        assert answered.status == 405, path
        assert "access-control-allow-origin" not in answered.headers


def test_each_path_takes_the_methods_of_the_table_alone(
    console: Console, cookies: dict[str, dict[str, str]]
) -> None:
    asked = len(console.doorbell.asked)
    for path in {entry.path for entry in ROUTES}:
        methods = {entry.method for entry in ROUTES if entry.path == path}
        for method in {"GET", "POST", "HEAD"} - methods - ({"HEAD"} if "GET" in methods else set()):
            entry = next(entry for entry in ROUTES if entry.path == path)
            answered = ask(console, entry, method, cookies["owner"])
            assert answered.status == 405, (method, path)
            assert set(answered.headers["allow"].split(", ")) >= methods

    assert len(console.doorbell.asked) == asked


@pytest.mark.parametrize(
    "path",
    [
        "/admin", "/people/", "//", "/people//1", "/people/1/", "/people/one", "/people/-1",
        "/people/1%00", "/people/1%0A", "/visits/../people", "/visits/%2e%2e/people",
        "/static/../routes.py", "/static/0123/..%2f..%2froutes.py", "/static/0123/.htaccess",
        "/static//etc/passwd", "/visits/a%2fb", "/visits/..", "/visits/a.jpg",
        "/people/9999999999999999999", "/chimes/..%2fa.wav", "/api", "/docs",
        "/openapi.json", "/PEOPLE",
    ],
)  # fmt: skip
def test_what_is_not_in_the_table_is_not_there_whoever_asks(
    console: Console, cookies: dict[str, dict[str, str]], path: str
) -> None:
    asked = len(console.doorbell.asked)

    assert {console.get(path, cookies[who]).status for who in ("none", "owner")} == {404}
    assert len(console.doorbell.asked) == asked


def test_a_route_that_is_not_in_the_table_is_not_answered(tmp_path: Path) -> None:
    async def leak(_request: Request) -> Response:
        return PlainTextResponse("everything")

    with Console(tmp_path) as console:
        console.app.router.routes.append(Route("/leak", leak))
        answered = console.get("/leak", console.device(Role.OWNER))

    assert answered.status == 404
    assert b"everything" not in answered.body


def test_a_route_cannot_stand_in_the_table_twice() -> None:
    with pytest.raises(ValueError, match="GET /healthz stands in the table twice"):
        Table([*ROUTES, ROUTES[0]])


def test_a_token_s_secret_is_no_cookie_and_a_cookie_s_no_token(console: Console) -> None:
    _, owner = console.access.devices.add("owner", Role.OWNER)
    _, stream = console.access.devices.add("go2rtc", Role.STREAM)

    assert console.get("/devices", {"authorization": f"Bearer {owner}"}).status == 401
    assert console.get("/frame.jpg", {"cookie": f"door={stream}"}).status == 401
    assert console.get("/devices", {"authorization": f"Bearer {stream}"}).status == 403
