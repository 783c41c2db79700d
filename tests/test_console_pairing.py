"""Devices that are let into the console by a code."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from console_server import PAGE, Clock, Console, cookie_of, pair

from doorbell.console.access import Access
from doorbell.console.pairing import ALPHABET, MAX_OPEN
from doorbell.console.routing import Role

WRONG = "00000000"


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with Console(tmp_path) as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(tmp_path: Path, clock: Clock) -> Iterator[Access]:
    opened = Access(tmp_path / "console", now=clock)
    yield opened
    opened.close()


def test_a_code_lets_one_device_in_once(console: Console) -> None:
    invitation = console.access.invitations.invite(Role.MEMBER)

    first = pair(console, invitation.code, name="Ben's phone")
    second = pair(console, invitation.code)

    assert (first.status, second.status) == (303, 403)
    assert "set-cookie" not in second.headers
    assert console.get("/people", cookie_of(first)).status not in (401, 403)
    assert console.get("/devices", cookie_of(first)).status == 403
    assert [each.name for each in console.access.devices.all()] == ["Ben's phone"]


def test_the_cookie_is_for_this_host_and_no_script(console: Console) -> None:
    answered = pair(console, console.access.invitations.invite(Role.VIEWER).code)

    words = answered.headers["set-cookie"].lower().split("; ")
    assert words[0].startswith("door=")
    assert set(words[1:]) == {"httponly", "samesite=strict", "path=/", f"max-age={90 * 86400}"}


def test_a_code_is_taken_as_people_type_it(access: Access) -> None:
    code = access.invitations.invite(Role.VIEWER).shown_code
    assert access.invitations.accept(f" {code.lower()} ", "a") is not None

    ambiguous = next(
        code
        for code in (access.invitations.invite(Role.VIEWER).code for _ in range(50))
        if set("01") & set(code)
    )
    typed = ambiguous.replace("0", "o").replace("1", "l")
    assert access.invitations.accept(typed, "b") is not None


def test_codes_have_forty_bits_and_are_never_alike(access: Access) -> None:
    codes = {access.invitations.invite(Role.VIEWER).code for _ in range(12)}

    assert len(ALPHABET) ** 8 == 2**40
    assert len(codes) == 12
    assert all(set(code) <= set(ALPHABET) and len(code) == 8 for code in codes)


def test_a_code_ends_after_ten_minutes_and_when_the_clock_is_set_back(
    access: Access, clock: Clock
) -> None:
    late, early, in_time = (access.invitations.invite(Role.OWNER).code for _ in range(3))
    clock.now += 601
    assert access.invitations.accept(late, "") is None
    early = access.invitations.invite(Role.OWNER).code
    clock.now -= 60
    assert access.invitations.accept(early, "") is None
    in_time = access.invitations.invite(Role.OWNER).code
    clock.now += 599
    assert access.invitations.accept(in_time, "") is not None


def test_five_wrong_codes_end_every_code_that_is_open(access: Access) -> None:
    codes = [access.invitations.invite(Role.OWNER).code for _ in range(2)]
    for _ in range(4):
        assert access.invitations.accept(WRONG, "") is None
    survivor = access.invitations.invite(Role.VIEWER).code
    assert access.invitations.accept(WRONG, "") is None

    assert [access.invitations.accept(code, "") for code in codes] == [None, None]
    assert access.invitations.accept(survivor, "") is not None


def test_only_few_codes_are_open_at_a_time(access: Access) -> None:
    codes = [access.invitations.invite(Role.VIEWER).code for _ in range(MAX_OPEN + 1)]

    assert access.invitations.accept(codes[-1], "") is not None
    assert access.invitations.accept(codes[1], "") is not None
    assert access.invitations.accept(codes[0], "") is None


def test_guessing_is_stopped_whoever_guesses(tmp_path: Path) -> None:
    with Console(tmp_path, trusted_proxies=["127.0.0.1"]) as console:
        code = console.access.invitations.invite(Role.OWNER).code
        statuses = []
        for guess in range(7):
            headers = {"x-forwarded-for": f"192.0.2.{guess}", "accept": "application/json"}
            statuses.append(console.post("/pair", headers, {"code": WRONG}).status)
        right = pair(console, code)

    assert statuses == [403] * 5 + [429] * 2
    assert right.status == 429
    assert console.access is not None


def test_a_wrong_code_is_said_and_written_down(console: Console) -> None:
    answered = pair(console, WRONG, to="/people")
    [entry] = console.access.audit.newest()

    assert answered.status == 403
    assert 'role="alert"' in answered.text
    assert 'name="to" value="/people"' in answered.text
    assert (entry.action, entry.subject, entry.device_id) == (
        "wrong code",
        "address 127.0.0.1",
        None,
    )
    assert WRONG not in entry.subject


def test_a_link_with_a_code_lets_nobody_in_by_itself(console: Console) -> None:
    code = console.access.invitations.invite(Role.OWNER).code

    answered = console.get(f"/pair?code={code}", PAGE)

    assert answered.status == 200
    assert "set-cookie" not in answered.headers
    assert pair(console, code).status == 303


def test_nothing_that_could_be_used_is_in_the_file(console: Console) -> None:
    code = console.access.invitations.invite(Role.MEMBER).code
    secret = cookie_of(pair(console, code))["cookie"].partition("=")[2]
    _, token = console.access.devices.add("go2rtc", Role.STREAM)
    open_code = console.access.invitations.invite(Role.OWNER).code

    directory = console.section.state_directory
    kept = b"".join(path.read_bytes() for path in directory.glob("access.sqlite*"))

    for hidden in (code, open_code, secret.partition(".")[2], token.partition(".")[2]):
        assert hidden.encode() not in kept
    assert len(secret.partition(".")[2]) == 43  # 256 bits in Base64
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.glob("access*")} == {0o600}
