"""Devices that have access to the console: how long, what they did, and how they lose it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from console_server import PAGE, Clock, Console, cookie_of, pair

from doorbell.console.access import Access
from doorbell.console.audit import KEPT_SECONDS
from doorbell.console.devices import ABSENCE_SECONDS, clean_name
from doorbell.console.routing import Role
from doorbell.console.store import AccessFileError


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


def test_a_device_that_is_revoked_is_out_at_once(console: Console) -> None:
    device = console.device(Role.MEMBER)
    assert console.get("/wall", device).status != 401
    [found] = console.access.devices.all()

    with Access(console.section.state_directory).devices._connection as other:
        other.execute("UPDATE devices SET revoked_at = ? WHERE device_id = ?", (time.time(), 1))

    assert console.get("/wall", device).status == 401
    assert found.device_id == 1


@pytest.mark.parametrize("path", ["/live", "/events", "/stream.mjpeg"])
def test_what_a_revoked_device_watches_ends(console: Console, path: str) -> None:
    device = console.device(Role.STREAM if path == "/stream.mjpeg" else Role.VIEWER)
    with console.connect() as connection:
        headers = "Connection: close\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in device.items()
        )
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        begun = time.monotonic()

        console.access.devices.revoke(1)

        connection.settimeout(5.0)
        while connection.recv(65536):
            pass
    assert time.monotonic() - begun < 3.0
    assert console.app.state.traffic.streams["live"].present == 0
    assert console.app.state.traffic.streams["events"].present == 0


def test_a_device_stays_for_ninety_days_after_it_was_last_there(
    access: Access, clock: Clock
) -> None:
    device, secret = access.devices.add("tablet", Role.VIEWER)
    _, token = access.devices.add("go2rtc", Role.STREAM)
    clock.now += ABSENCE_SECONDS - 1
    found = access.devices.find(secret)
    assert found is not None
    access.devices.note_seen(found)
    clock.now += ABSENCE_SECONDS - 1
    assert access.devices.find(secret) is not None
    clock.now += 2

    assert access.devices.find(secret) is None
    assert not access.devices.still_has_access(device.device_id)
    assert [each.name for each in access.devices.all()] == ["go2rtc"]
    assert access.devices.find(token) is not None


def test_a_page_renews_the_cookie_and_a_picture_does_not(console: Console) -> None:
    device = console.device(Role.OWNER)

    page, frame = console.get("/devices", {**device, **PAGE}), console.get("/healthz", device)

    assert page.headers["set-cookie"].startswith(device["cookie"])
    assert "set-cookie" not in frame.headers


def test_leaving_ends_the_access_of_the_device_alone(console: Console) -> None:
    leaving, staying = console.device(Role.OWNER), console.device(Role.OWNER)

    answered = console.post("/leave", {**leaving, **PAGE})

    assert answered.status == 303
    assert answered.headers["location"] == "/pair"
    assert 'door=""' in answered.headers["set-cookie"]
    assert console.get("/devices", leaving).status == 401
    assert console.get("/devices", staying).status == 200


def test_a_secret_is_right_as_a_whole_only(access: Access) -> None:
    _, secret = access.devices.add("phone", Role.OWNER)
    _, other = access.devices.add("phone", Role.OWNER)
    number, _, token = secret.partition(".")

    for wrong in (
        f"{number}.{token[:-1]}", f"{number}.{token}A", f"{number}.{token[:-1]}!", f"0{secret}",
        f"{number}.{other.partition('.')[2]}", f"2.{token}", f"9.{token}", token, f"{number}.",
        secret.swapcase(), f" {secret}", f"{secret}\n", f"-{secret}", f"{number}.{'A' * 43}",
    ):  # fmt: skip
        assert access.devices.find(wrong) is None, wrong
    assert access.devices.find(secret) is not None


def test_a_revoked_device_s_number_and_secret_are_never_given_again(access: Access) -> None:
    device, secret = access.devices.add("phone", Role.OWNER)
    access.devices.revoke(device.device_id)
    later, _ = access.devices.add("phone", Role.OWNER)

    assert later.device_id > device.device_id
    assert access.devices.find(secret) is None
    assert access.devices.find(f"{device.device_id}.{'A' * 43}") is None
    assert access.devices.revoke(device.device_id) is None


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("  Ben's \t phone\n", "Ben's phone"),
        ("a\x00b\x1b[31m", "a b [31m"),
        ("\u202eevil\u200b", "evil"),
        ("\u200b\ufeff ", ""),
        ("x" * 100, "x" * 64),
        ("Ana\u0308", "Anä"),
    ],
)
def test_a_device_s_name_is_one_line_that_can_be_seen(typed: str, name: str) -> None:
    assert clean_name(typed) == name


# The audit


def test_what_is_done_is_written_down_without_names(console: Console) -> None:
    owner = console.device(Role.OWNER, "Anna's phone")
    console.doorbell.answers["people.rename"] = lambda _request: {"summary": "renamed"}
    console.post("/people/7/rename", owner, {"name": "Berta"})
    console.post("/devices/invite", owner, {"role": "viewer"})
    console.post("/devices/revoke", owner, {"device": "99"})

    entries = [
        (each.device_name, each.action, each.subject) for each in console.access.audit.newest()
    ]

    assert ("Anna's phone", "devices invite", "role viewer") in entries
    assert all("revoke" not in action for _, action, _ in entries)  # it was refused
    assert "Berta" not in repr(entries)


def test_what_was_done_is_only_added_to(access: Access) -> None:
    access.audit.note(None, "pair", "role owner")
    access.audit.note(None, "ring")
    connection = access.audit._connection

    for statement in (
        "UPDATE audit SET action = 'x'",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE number = 2",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(statement)
    assert [each.action for each in access.audit.newest()] == ["ring", "pair"]


def test_what_was_done_is_kept_for_a_year(access: Access, clock: Clock) -> None:
    access.audit.note(None, "pair")
    clock.now += KEPT_SECONDS - 1
    access.audit.note(None, "mute")
    access.tidy()
    assert len(access.audit.newest()) == 2
    clock.now += 2
    access.audit.note(None, "ring")
    access.tidy()

    assert [each.action for each in access.audit.newest()] == ["ring", "mute"]


# The file


def test_a_file_that_is_another_or_changed_is_refused(tmp_path: Path) -> None:
    Access(tmp_path).close()
    path = tmp_path / "access.sqlite"
    with sqlite3.connect(path) as file:
        file.execute(
            "CREATE TRIGGER everybody_owns AFTER INSERT ON devices"
            " BEGIN UPDATE devices SET role = 4; END"
        )
    file.close()

    with pytest.raises(AccessFileError, match="everybody_owns"):
        Access(tmp_path)
    path.write_bytes(b"no database, but long enough to be looked at" * 100)
    with pytest.raises(AccessFileError, match="pair the devices anew"):
        Access(tmp_path)


def test_a_full_disk_keeps_nobody_out(
    tmp_path: Path, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Console(tmp_path, state=small_disk / "console") as console:
        owner = console.device(Role.OWNER)
        console.doorbell.answers["ring"] = lambda _request: {"summary": "rang"}
        console.offset = 120.0
        (small_disk / "full").write_bytes(b"")
        with suppress(OSError), (small_disk / "full").open("wb", buffering=0) as full:
            while True:
                full.write(bytes(4096))

        assert console.get("/healthz", owner).status == 200
        assert console.get("/devices", owner).status == 200
        assert console.post("/ring", owner).status == 303

    assert "cannot be noted" in caplog.text


# Owners


def test_an_owner_lets_devices_in_and_out_again(console: Console) -> None:
    owner = console.device(Role.OWNER)

    page = console.post("/devices/invite", {**owner, **PAGE}, {"role": "viewer", "name": "Wall"})
    code = page.text.partition('<p class="code">')[2].partition("<")[0]
    wall = cookie_of(pair(console, code, name="something else"))

    assert "<svg" in page.text
    assert "style=" not in page.text
    assert [(each.name, each.role) for each in console.access.devices.all()][1:] == [
        ("Wall", Role.VIEWER)
    ]
    assert console.get("/wall", wall).status not in (401, 403)
    answered = console.post("/devices/revoke", {**owner, **PAGE}, {"device": "2"})
    assert (answered.status, answered.headers["location"]) == (303, "/devices")
    assert console.get("/wall", wall).status == 401


def test_a_code_that_is_made_on_this_machine_leads_others_here(tmp_path: Path) -> None:
    with Console(tmp_path, listen="0.0.0.0:0", plain_http=True, names=["door.home"]) as console:
        owner = console.device(Role.OWNER)
        inside = console.post("/devices/invite", {**owner, **PAGE})
        named = console.post(
            "/devices/invite", {**owner, **PAGE, "host": "door.home", "origin": "http://door.home"}
        )

    assert "open http://door.home:0/pair there" in inside.text
    assert "open http://door.home/pair there" in named.text


def test_a_script_that_revokes_gets_an_answer_it_can_read(console: Console) -> None:
    owner = {**console.device(Role.OWNER), "accept": "application/json"}

    done = console.post("/devices/revoke", owner, {"device": "77"})

    assert done.status == 404
    assert "no such device" in json.loads(done.body)["error"]


@pytest.mark.parametrize("number", ["", "one", "-1", "1.0", "9" * 40, "\u0661"])
def test_a_device_is_revoked_by_its_number(console: Console, number: str) -> None:
    owner = console.device(Role.OWNER)

    assert console.post("/devices/revoke", owner, {"device": number}).status == 404
    assert len(console.access.devices.all()) == 1


def test_a_made_token_opens_the_picture_and_nothing_else(console: Console) -> None:
    owner = console.device(Role.OWNER)
    page = console.post("/devices/token", {**owner, **PAGE}, {"name": "Home Assistant"}).text
    token = page.partition('<p class="secret"><code>')[2].partition("<")[0]
    system = {"authorization": f"Bearer {token}"}

    assert console.get("/frame.jpg", system).body[:2] == b"\xff\xd8"
    assert console.ask("GET", "/stream.mjpeg", system, whole=False).status == 200
    for path in ("/", "/live", "/events", "/people", "/visits", "/devices"):
        assert console.get(path, system).status == 403
    assert token not in console.get("/devices", owner).text


def test_a_role_that_is_none_is_refused(console: Console) -> None:
    owner = console.device(Role.OWNER)

    for role in ("stream", "admin", "4", ""):
        assert console.post("/devices/invite", owner, {"role": role}).status == 422
