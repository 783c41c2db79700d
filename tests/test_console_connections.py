"""Connections to the console: few, bounded, and none that keeps it waiting."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
import pytest
from console_server import FORM, Console

from doorbell.console.accepting import MAX_CONNECTIONS, MAX_OF_AN_ADDRESS
from doorbell.console.authority import OwnCertificate
from doorbell.console.connections import Patience
from doorbell.console.limits import MAX_KEYS, Limit
from doorbell.console.routing import Role
from doorbell.console.tls import server_context

SHORT = Patience(header_seconds=0.6, write_seconds=0.6)


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with Console(tmp_path, patience=SHORT) as running:
        yield running


def ends_within(connection: socket.socket, seconds: float) -> bool:
    """Whether the other end closes; what it says before is read."""
    connection.settimeout(seconds)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionResetError:
        pass
    return True


@pytest.mark.parametrize("beginning", [b"", b"G", b"GET / HTTP/1.1\r\nHost: loc"])
def test_headers_that_do_not_come_end_the_connection(console: Console, beginning: bytes) -> None:
    with console.connect() as connection:
        connection.sendall(beginning)
        assert ends_within(connection, 3.0)


def test_headers_that_trickle_end_the_connection(console: Console) -> None:
    begun = time.monotonic()
    with console.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        with suppress(OSError):  # a pipe that broke, or a reset
            while time.monotonic() - begun < 5.0:
                connection.sendall(b"X: y\r\n")
                time.sleep(0.1)

    assert time.monotonic() - begun < 3.0


def test_a_second_request_that_trickles_ends_the_connection(console: Console) -> None:
    with console.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HT")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert ends_within(connection, 3.0)


def test_slow_clients_keep_nobody_out(console: Console) -> None:
    with ExitStack() as held:
        for _ in range(MAX_CONNECTIONS):
            held.enter_context(console.connect()).sendall(b"GET / HTTP/1.1\r\nX: ")
        full = console.send(b"")
        time.sleep(SHORT.header_seconds + 0.3)

        assert full.startswith(b"HTTP/1.1 503 ")
        assert b"content-security-policy: default-src 'none'" in full
        assert console.get("/healthz").status == 200


def test_one_address_does_not_take_every_place(tmp_path: Path) -> None:
    with Console(tmp_path, is_crowd=lambda _: False) as console, ExitStack() as held:
        for _ in range(MAX_OF_AN_ADDRESS):
            held.enter_context(console.connect()).sendall(b"GET / HTTP/1.1\r\nX: ")
        full = console.send(b"")
        other = socket.create_connection(
            ("127.0.0.1", console.port), timeout=5, source_address=("127.0.0.2", 0)
        )
        held.enter_context(other).sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")

        assert full.startswith(b"HTTP/1.1 503 ")
        assert other.recv(64).startswith(b"HTTP/1.1 200 ")


def test_whoever_encrypts_nothing_keeps_nobody_out(tmp_path: Path) -> None:
    certificate = OwnCertificate(tmp_path / "certificate", ["127.0.0.1"])
    certificate.renew()
    files = certificate.files
    context = server_context(files.certificate, files.key)
    trusting = ssl.create_default_context(cafile=str(files.authority))
    with Console(tmp_path, context=context, patience=SHORT) as console, ExitStack() as held:
        for _ in range(MAX_CONNECTIONS):
            held.enter_context(console.connect()).sendall(b"\x16\x03")
        with console.connect() as one_too_many:
            assert ends_within(one_too_many, 0.4)
        time.sleep(SHORT.header_seconds + 0.3)
        with (
            console.connect() as connection,
            trusting.wrap_socket(connection, server_hostname="127.0.0.1") as encrypted,
        ):
            encrypted.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert encrypted.recv(64).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_takes_nothing_ends(console: Console) -> None:
    device = console.device(Role.VIEWER)["cookie"]
    console.picture = np.random.default_rng(1).integers(0, 256, (720, 1280, 3), np.uint8)
    with console.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = f"GET /live HTTP/1.1\r\nHost: localhost\r\nCookie: {device}\r\n\r\n"
        connection.sendall(request.encode())
        live = console.app.state.traffic.streams["live"]
        assert comes_true(lambda: live.present == 1)

        assert comes_true(lambda: live.present == 0)


def comes_true(condition: Callable[[], bool], seconds: float = 8.0) -> bool:
    """Whether something is so within a time."""
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            return False
        time.sleep(0.02)
    return True


def test_a_body_is_of_bounded_size_whatever_it_announces(console: Console) -> None:
    owner = console.device(Role.OWNER)
    headers = {"origin": console.origin, "x-door": "1", "content-type": FORM, **owner}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    start = f"POST /devices/invite HTTP/1.1\r\nHost: 127.0.0.1:{console.port}\r\n{head}"

    announced = console.send(f"{start}Content-Length: 999999999999\r\n\r\n".encode())
    chunk = b"ffff\r\n" + b"a" * 65535 + b"\r\n"
    with console.connect() as connection:
        connection.sendall(f"{start}Transfer-Encoding: chunked\r\n\r\n".encode())
        chunked = b""
        with suppress(OSError):  # it is closed while we go on
            for _ in range(50):
                connection.sendall(chunk)
            chunked = connection.recv(65536)

    assert announced.startswith(b"HTTP/1.1 413 ")
    assert chunked[:13] in (b"", b"HTTP/1.1 413 ")
    assert len(console.access.invitations.invite(Role.VIEWER).code) == 8
    assert console.access.audit.newest() == []


def test_a_form_of_64_kilobytes_is_taken_and_one_byte_more_is_not(console: Console) -> None:
    owner = console.device(Role.OWNER)
    headers = {"origin": console.origin, "x-door": "1", "content-type": FORM, **owner}

    for size, status in ((65536, 200), (65537, 413)):
        body = b"role=viewer&x=" + b"a" * (size - 14)
        assert console.ask("POST", "/devices/invite", headers, body).status == status


def test_a_form_has_at_most_two_hundred_fields_of_utf8(console: Console) -> None:
    owner = console.device(Role.OWNER)
    headers = {"origin": console.origin, "x-door": "1", "content-type": FORM, **owner}

    for body in (b"a=1&" * 201 + b"role=viewer", b"role=viewer&name=%ff", b"role=\xff"):
        assert console.ask("POST", "/devices/invite", headers, body).status == 400


def test_what_is_only_looked_at_takes_no_body(console: Console) -> None:
    for headers in ({"content-length": "5"}, {"transfer-encoding": "chunked"}):
        answered = console.ask("GET", "/healthz", headers, b"5\r\nhello\r\n0\r\n\r\n"[:5])
        assert answered.status == 413


def test_a_device_writes_sixty_times_a_minute(console: Console) -> None:
    owner, other = console.device(Role.OWNER), console.device(Role.OWNER)
    statuses = [console.post("/devices/revoke", owner, {"device": "0"}).status for _ in range(62)]

    assert statuses == [404] * 60 + [429] * 2
    assert console.post("/devices/revoke", other, {"device": "0"}).status == 404
    last = console.post("/devices/revoke", owner, {"device": "0"})
    assert 0 < int(last.headers["retry-after"]) <= 60


def test_a_device_sends_thirty_photos_a_minute(console: Console) -> None:
    member = console.device(Role.MEMBER)
    headers = {"origin": console.origin, "x-door": "1", "content-type": "image/jpeg", **member}

    statuses = [
        console.ask("POST", "/enroll/photo", headers, b"\xff\xd8").status for _ in range(31)
    ]

    assert statuses[-1] == 429
    assert 429 not in statuses[:-1]


def test_so_many_watch_live_and_no_more(tmp_path: Path) -> None:
    with Console(tmp_path, viewers=2) as console, ExitStack() as watching:
        viewer, token = console.device(Role.VIEWER), console.device(Role.STREAM)
        for path, who in (("/live", viewer), ("/stream.mjpeg", token)):
            connection = watching.enter_context(console.connect())
            headers = "".join(f"{name}: {value}\r\n" for name, value in who.items())
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
            assert connection.recv(64).startswith(b"HTTP/1.1 200 ")

        too_many = console.get("/live", viewer)
        assert too_many.status == 503
        assert "retry-after" in too_many.headers
        watching.close()
        assert comes_true(lambda: console.app.state.traffic.streams["live"].present == 0)
        assert console.ask("GET", "/live", viewer, whole=False).status == 200


def test_one_device_cannot_take_every_place(tmp_path: Path) -> None:
    with Console(tmp_path, viewers=3) as console, ExitStack() as watching:
        greedy, other = console.device(Role.VIEWER), console.device(Role.VIEWER)

        def watch(who: Mapping[str, str]) -> bytes:
            connection = watching.enter_context(console.connect())
            cookie = f"Cookie: {who['cookie']}\r\n"
            connection.sendall(f"GET /live HTTP/1.1\r\nHost: localhost\r\n{cookie}\r\n".encode())
            return connection.recv(13)

        answered = [watch(greedy)[9:12] for _ in range(3)]
        assert answered == [b"200", b"200", b"503"]
        assert watch(other)[9:12] == b"200"


def test_what_is_held_on_somebody_is_sent_to_one_at_a_time(tmp_path: Path) -> None:
    content = bytes(6_000_000)

    def export(_request: dict[str, object]) -> tuple[dict[str, object], bytes]:
        return {}, content

    with Console(tmp_path, answers={"people.export": export}) as console:
        owner = console.device(Role.OWNER)
        with console.connect() as slow:
            headers = "".join(
                f"{name}: {value}\r\n"
                for name, value in {
                    "Host": "localhost",
                    "Origin": "http://localhost",
                    "X-Door": "1",
                    "Content-Length": "0",
                    "Connection": "close",
                    **owner,
                }.items()
            )
            slow.sendall(f"POST /people/1/export HTTP/1.1\r\n{headers}\r\n".encode())
            assert slow.recv(12) == b"HTTP/1.1 200"
            assert console.post("/people/1/export", owner).status == 503
            answer = b""
            while more := slow.recv(1_000_000):
                answer += more
            assert answer.endswith(content)
        whole = console.post("/people/1/export", owner)
        assert (whole.status, whole.body) == (200, content)
        assert whole.headers["content-disposition"] == 'attachment; filename="doorbell-1.zip"'


def test_asking_how_a_stream_is_takes_no_place(tmp_path: Path) -> None:
    with Console(tmp_path) as console:
        viewer = console.device(Role.VIEWER)
        request = f"HEAD /live HTTP/1.1\r\nHost: localhost\r\nCookie: {viewer['cookie']}\r\n"
        answered = console.send(f"{request}Connection: close\r\n\r\n".encode(), seconds=3.0)

        assert answered.startswith(b"HTTP/1.1 200 ")
        assert console.app.state.traffic.streams["live"].present == 0


def test_a_limit_counts_within_its_time_and_each_for_themselves() -> None:
    limit = Limit(2, 10.0)

    assert [limit.take("a", now) for now in (0.0, 4.0, 5.0)] == [0.0, 0.0, 5.0]
    assert limit.take("b", 5.0) == 0.0
    assert limit.wait_seconds("a", 9.0) == 1.0
    assert limit.take("a", 10.0) == 0.0
    assert limit.take("a", 13.0) == 1.0


def test_a_limit_remembers_a_bounded_number_of_those_who_ask() -> None:
    limit = Limit(1, 10.0)
    for number in range(MAX_KEYS + 10):
        assert limit.take(str(number), 0.0) == 0.0

    assert limit.take(str(MAX_KEYS), 1.0) > 0
    assert limit.take("0", 1.0) == 0.0
