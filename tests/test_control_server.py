"""Who may ask on the control socket, how often, and what is answered."""

from __future__ import annotations

import grp
import os
import socket
import stat
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from doorbell.config import ControlSection
from doorbell.control.client import Client, is_running
from doorbell.control.schema import Request
from doorbell.control.wire import MAX_PHOTO_BYTES, REST_SECONDS
from doorbell.daemon.control.output import ControlOutput
from doorbell.daemon.control.server import (
    CONNECTIONS,
    UPLOADS,
    Answer,
    ControlServer,
    Handler,
)
from doorbell.errors import (
    ControlError,
    NotRunningError,
    RefusedError,
    UnknownPersonError,
    UsageError,
)

SECTION = ControlSection()


def refuse(error: Exception) -> Handler:
    def handler(_request: Request, _blob: bytes) -> Answer:
        raise error

    return handler


HANDLERS: Mapping[str, Handler] = {
    "status": lambda _request, _blob: Answer({"people": 3}),
    "chime.sound": lambda request, _blob: Answer(
        {"chime": getattr(request, "chime", "")}, b"RIFF" * 1000
    ),
    "people.get": refuse(UnknownPersonError("nobody has the number 5")),
    "people.rename": refuse(UsageError("somebody else has that name")),
    "ring": refuse(ControlError("the doorbell does not answer")),
    "people.list": refuse(ZeroDivisionError("a defect")),
}


@contextmanager
def listening(
    path: Path, section: ControlSection = SECTION, output: ControlOutput | None = None
) -> Iterator[ControlServer]:
    with closing(ControlServer(section, path, HANDLERS, output or ControlOutput(18))) as server:
        yield server


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    with listening(tmp_path / "doorbell.sock"):
        yield tmp_path / "doorbell.sock"


def test_requests_are_answered_one_after_the_other(path: Path) -> None:
    with Client.connect(path) as client:
        assert client.ask("status").document["people"] == 3
        reply = client.ask("chime.sound", chime="gong")
        assert reply.document["chime"] == "gong"
        assert reply.blob == b"RIFF" * 1000


@pytest.mark.parametrize(
    ("verb", "arguments", "kind", "words"),
    [
        ("people.get", {"person_id": 5}, "not_found", "nobody has the number 5"),
        ("people.rename", {"person_id": 5, "name": "B"}, "refused", "somebody else"),
        ("ring", {}, "failed", "does not answer"),
        ("people.list", {}, "failed", "its log says more"),
        ("no.such", {}, "refused", "there is no request 'no.such'"),
        ("status", {"more": 1}, "refused", "more"),
    ],
)
def test_what_is_refused_says_why_and_the_connection_goes_on(
    path: Path, verb: str, arguments: dict[str, Any], kind: str, words: str
) -> None:
    with Client.connect(path) as client:
        with pytest.raises(RefusedError, match=words) as caught:
            client.ask(verb, **arguments)
        assert caught.value.kind == kind
        assert client.ask("status").document["ok"]


def test_bytes_are_taken_only_where_they_belong(path: Path) -> None:
    with Client.connect(path) as client, pytest.raises(RefusedError, match="no bytes"):
        client.ask("status", b"photo")


@pytest.mark.parametrize("noise", [b"GET / HTTP/1.1\r\n\r\n", struct.pack(">II", 2**31, 0)])
def test_noise_ends_its_own_connection_and_no_other(path: Path, noise: bytes) -> None:
    with Client.connect(path) as client, socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(5.0)
        peer.connect(str(path))
        peer.sendall(noise)
        with suppress(ConnectionResetError):  # what was not read
            assert peer.recv(1) == b""
        assert client.ask("status").document["ok"]


def test_who_asks_too_often_is_told_so(path: Path) -> None:
    with Client.connect(path) as client:
        kinds = set()
        for _ in range(30):
            with pytest.raises(RefusedError) as caught:
                client.ask("ring")
            kinds.add(caught.value.kind)
        assert "too_fast" in kinds
        assert client.ask("status").document["ok"]


def test_the_socket_is_its_owner_s_alone_unless_a_group_is_given(tmp_path: Path) -> None:
    path = tmp_path / "own.sock"
    with listening(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()
    with listening(path, ControlSection(group="users")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
    with pytest.raises(ControlError, match="no such group"):
        ControlServer(ControlSection(group="nosuchgroup"), path, HANDLERS, ControlOutput(18))


def asked_by(path: Path, uid: int) -> str:
    """What a user of the group users is answered, asked in a process of theirs."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        told = "nothing"
        try:
            os.setgid(65534)
            os.setgroups([grp.getgrnam("users").gr_gid])
            os.setuid(uid)
            with Client.connect(path) as client:
                told = str(client.ask("status").document["people"])
        except ControlError as exc:
            told = str(exc)
        finally:
            os.write(writing, told.encode())
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as said:
        return said.read()


@pytest.fixture
def for_everybody() -> Iterator[Path]:
    """A folder that other users may look into, which those of tests are not."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users")
def test_other_users_are_refused_unless_they_are_named(for_everybody: Path) -> None:
    path = for_everybody / "doorbell.sock"

    with listening(path):
        assert "may not ask" in asked_by(path, 65534)  # nobody: the file keeps them out
    with listening(path, ControlSection(group="users")):
        assert "this user may not ask" in asked_by(path, 65534)  # in the group, and named nowhere
    with listening(path, ControlSection(group="users", users=("nobody",))):
        assert asked_by(path, 65534) == "3"
        assert "this user may not ask" in asked_by(path, 33)


def test_more_connections_than_are_allowed_are_refused_and_room_comes_back(path: Path) -> None:
    held = [Client.connect(path) for _ in range(CONNECTIONS)]
    for each in held:
        each.ask("status")
    with Client.connect(path) as client, pytest.raises(ControlError, match=r"too many|stopped"):
        client.ask("status")
    for each in held:
        each.close()
    end = time.monotonic() + 5.0
    while True:
        try:
            with Client.connect(path) as client:
                assert client.ask("status").document["ok"]
            break
        except ControlError:
            assert time.monotonic() < end
            time.sleep(0.02)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users")
def test_one_user_s_connections_leave_room_for_another_s(for_everybody: Path) -> None:
    path = for_everybody / "doorbell.sock"
    with (
        listening(path, ControlSection(group="users", users=("nobody",))),
        ExitStack() as held,
    ):
        for _ in range(CONNECTIONS):
            held.enter_context(Client.connect(path)).ask("status")
        assert asked_by(path, 65534) == "3"


def test_a_message_that_is_begun_and_never_ended_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "doorbell.sock"
    with listening(path), socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(REST_SECONDS + 3.0)
        peer.connect(str(path))
        peer.sendall(b"\0\0")
        assert peer.recv(1) == b""


def test_only_a_few_photos_are_taken_in_at_a_time(path: Path) -> None:
    text = b'{"do":"photo.examine"}'
    with ExitStack() as stack, Client.connect(path) as client:
        senders = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(UPLOADS)]
        for each in senders:
            each.connect(str(path))
            each.sendall(struct.pack(">II", len(text), MAX_PHOTO_BYTES) + text + bytes(1000))
        time.sleep(0.2)
        with pytest.raises(RefusedError, match="too many") as caught:
            client.ask("photo.examine", bytes(MAX_PHOTO_BYTES))
        assert caught.value.kind == "too_fast"
        with Client.connect(path) as other:
            assert other.ask("status").document["ok"]
        for each in senders:
            each.close()
        time.sleep(0.2)
        with Client.connect(path) as other, pytest.raises(RefusedError, match="log says more"):
            other.ask("photo.examine", bytes(MAX_PHOTO_BYTES))  # nobody answers it here


def test_a_long_path_and_what_a_killed_run_left_are_no_trouble(tmp_path: Path) -> None:
    folder = tmp_path / ("long-" * 20) / ("longer-" * 20)
    folder.mkdir(parents=True)
    path = folder / "doorbell.sock"
    path.write_text("left behind")
    with listening(path), Client.connect(path) as client:
        assert client.ask("status").document["ok"]


def test_without_a_doorbell_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "doorbell.sock"
    with pytest.raises(NotRunningError, match="not running"):
        Client.connect(path)
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()  # as after a kill
    assert not is_running(path)
    path.unlink()
    with listening(path):
        assert is_running(path)
        client = Client.connect(path)
        client.ask("status")
    with pytest.raises(NotRunningError):
        client.ask("status")
    client.close()
